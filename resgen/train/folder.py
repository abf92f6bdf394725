"""Class folders."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from resgen.errors import UserError

if TYPE_CHECKING:
    from resgen.train.data import Data, Wanted


def load(path: Path, wanted: Wanted) -> Data:
    """The data of a folder."""
    raise UserError(f"--data folder:{path}: no such folder")
