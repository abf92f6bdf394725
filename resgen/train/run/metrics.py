"""metrics.jsonl: a JSON object a line, a line an epoch, none beyond the checkpoint; TensorBoard."""

from __future__ import annotations

import errno
import json
import os
import socket
import time
from collections.abc import Iterable
from contextlib import suppress
from importlib.util import find_spec
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

from resgen.errors import UserError
from resgen.files import write_whole

if TYPE_CHECKING:
    from resgen.train.run.counting import Means

NAME = "metrics.jsonl"
KEYS = (
    "epoch", "step", "rate", "train_loss", "train_error", "heldout_loss", "heldout_error",
    "images_per_second", "data_wait", "seconds",
)  # fmt: skip
"""The numbers of a row."""
TOP5 = ("train_top5_error", "heldout_top5_error")
"""Those of more than ten classes besides, where an epoch has them: earlier runs have none."""
SKIPPED = "skipped_steps"
"""Of runs in fp16: the steps until then that were left out, as a gradient overflowed."""
TIMES = ("images_per_second", "data_wait", "seconds")
"""The keys in which a resumed run's rows differ from an uninterrupted one's."""

Row = dict[str, Any]


def named(split: str, means: Means) -> Row:
    """`train_loss`, `train_error` and, where it was counted, `train_top5_error`."""
    row = {f"{split}_loss": means.loss, f"{split}_error": means.error}
    return row if means.top5 is None else {**row, f"{split}_top5_error": means.top5}


def lines(row: Row, *, left: str) -> list[str]:
    """An epoch told in lines of 80 columns: both losses and errors, the rate and the speed."""
    title = f"  epoch {row['epoch']:g}: "
    told = []
    for split, words in (("train", "training"), ("heldout", "held out")):
        line = f"{words} loss {row[f'{split}_loss']:.4f}, error {row[f'{split}_error']:.2%}"
        if (top5 := row.get(f"{split}_top5_error")) is not None:
            line += f", top-5 error {top5:.2%}"
        told.append(line.replace("%", " %"))
    if row.get(SKIPPED):
        told.append(
            f"{row[SKIPPED]:,} steps so far left out, to find the scale of fp16's gradients"
        )
    speed = (
        f"rate {row['rate']:.3g}, {row['images_per_second']:,.0f} images/s, "
        f"data wait {100 * row['data_wait']:.0f} %, {left} left"
    )
    first, *others = [*told, speed]
    return [f"{title}{first}", *(" " * len(title) + other for other in others)]


def without_times(rows: Iterable[Row]) -> list[Row]:
    """The rows as any run of the same seed writes them, however fast it was."""
    return [{key: value for key, value in row.items() if key not in TIMES} for row in rows]


def write(folder: Path, rows: Iterable[Row]) -> None:
    """All rows of a run, so that one that could not be written comes with the next."""
    write_whole(folder / NAME, "".join(json.dumps(row) + "\n" for row in rows))


def read(folder: Path) -> list[Row]:
    """The rows of a run; a last line that was cut short is left out.

    Raises UserError for any other line that is no row.
    """
    path = folder / NAME
    try:
        lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: damaged: {error}; delete it to go on without its rows") from None
    rows: list[Row] = []
    for number, line in enumerate(lines, 1):
        row = _row(line)
        if row is not None:
            rows.append(row)
        elif number < len(lines):
            raise UserError(
                f"{path}: damaged: line {number} is no row; delete this line to go on without it"
            )
    return rows


def _row(line: str) -> Row | None:
    try:
        row = json.loads(line)
    except ValueError:
        return None
    sound = (
        isinstance(row, dict)
        and all(isinstance(row.get(key), int | float) for key in KEYS)
        and all(isinstance(row.get(key, 0.0), int | float) for key in (*TOP5, SKIPPED))
    )
    return row if sound else None


def cut_back(folder: Path, step: int) -> list[Row]:
    """Drops the rows written after a checkpoint's step; the rows that stay."""
    rows = [row for row in read(folder) if row["step"] <= step]
    write(folder, rows)
    return rows


# ---- for those who have TensorBoard


def require_tensorboard() -> None:
    """Raises UserError where TensorBoard is not installed."""
    if find_spec("tensorboard") is None:
        raise UserError("--tensorboard: TensorBoard is not installed; pip install tensorboard")


class Board:
    """Writes each row's numbers under their names, over the global step.

    In the thread of the training: torch's writer has one of its own, and where that one finds
    the disk full, the training waits for it for ever.
    """

    def __init__(self, folder: Path, *, step: int) -> None:
        from tensorboard.compat.proto.event_pb2 import Event, SessionLog

        name = f"events.out.tfevents.{time.time():.0f}.{socket.gethostname()}.{os.getpid()}"
        self._path = folder / "tensorboard" / name
        # What an interrupted run wrote beyond its checkpoint is dropped.
        begin = SessionLog(status=SessionLog.START)
        self._waiting: list[Any] = [
            Event(wall_time=time.time(), step=step + 1, file_version="brain.Event:2"),
            Event(wall_time=time.time(), step=step + 1, session_log=begin),
        ]

    def add(self, row: Row) -> None:
        """One epoch's numbers, and those that could not be written before; may raise OSError."""
        from tensorboard.compat.proto.event_pb2 import Event
        from tensorboard.compat.proto.summary_pb2 import Summary
        from tensorboard.summary.writer.record_writer import RecordWriter

        values = [
            Summary.Value(tag=name, simple_value=value)
            for name, value in row.items()
            if name not in ("epoch", "step")
        ]
        event = Event(wall_time=time.time(), step=row["step"], summary=Summary(value=values))
        self._waiting.append(event)
        records = BytesIO()
        writer = RecordWriter(records)
        for each in self._waiting:
            writer.write(each.SerializeToString())
        _append(self._path, records.getvalue())
        self._waiting = []


def _append(path: Path, data: bytes) -> None:
    """All of the data at the end of a file, or none of it."""
    path.parent.mkdir(exist_ok=True)
    with path.open("ab", buffering=0) as file:
        before = file.tell()
        try:
            written = file.write(data)
            if written != len(data):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
        except OSError:
            with suppress(OSError):
                file.truncate(before)
            raise
