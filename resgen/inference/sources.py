"""The trained networks that are meant by what is typed, looked at before torch is loaded."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from resgen.errors import UserError
from resgen.files import kind
from resgen.spec.loading import runs_in


def found(sources: Sequence[str]) -> list[str]:
    """The runs and files that are meant: a folder of several runs stands for each of them."""
    return [str(run) for source in sources for run in runs_in(Path(source)) or [Path(source)]]


def check(source: str) -> None:
    """Raises UserError for what cannot be a trained network, by its name alone."""
    path = Path(source)
    if path.suffix in (".yaml", ".yml") or (kind(path) == "nothing" and "." not in path.name):
        raise UserError(
            f"{source}: names no trained network; give a run folder or a checkpoint, as "
            "`resgen train` leaves them"
        )
    if kind(path) == "nothing":
        folder = "" if kind(path.parent) == "folder" else f", nor a folder {path.parent}"
        raise UserError(f"{path}: no such file{folder}")
