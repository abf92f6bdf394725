"""metrics -> TensorBoard's files, for those who have it."""

from __future__ import annotations

import errno
import os
import socket
import time
from contextlib import suppress
from importlib.util import find_spec
from io import BytesIO
from pathlib import Path
from typing import Any

from resgen.errors import UserError
from resgen.train.run.metrics import Row


def require() -> None:
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
