"""metrics -> TensorBoard's files, for those who have it."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Any

from resgen.errors import UserError
from resgen.train.run.metrics import Row


def require() -> None:
    """Raises UserError where TensorBoard is not installed."""
    if find_spec("tensorboard") is None:
        raise UserError("--tensorboard: TensorBoard is not installed; pip install tensorboard")


class Board:
    """Writes each row's numbers under their names, over the global step."""

    def __init__(self, folder: Path, *, step: int) -> None:
        from torch.utils.tensorboard import SummaryWriter

        # What an interrupted run wrote beyond its checkpoint is dropped.
        self._writer: Any = SummaryWriter(folder / "tensorboard", purge_step=step + 1)

    def add(self, row: Row) -> None:
        """One epoch's numbers."""
        for name, value in row.items():
            if name not in ("epoch", "step"):
                self._writer.add_scalar(name, value, row["step"])
        self._writer.flush()
