"""metrics.jsonl: one JSON object a line, one line an epoch, never beyond the checkpoint."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

NAME = "metrics.jsonl"
TIMES = ("images_per_second", "data_wait", "seconds")
"""The keys in which a resumed run's rows differ from an uninterrupted one's."""

Row = dict[str, Any]


def without_times(rows: Iterable[Row]) -> list[Row]:
    """The rows as any run of the same seed writes them, however fast it was."""
    return [{key: value for key, value in row.items() if key not in TIMES} for row in rows]


def append(folder: Path, row: Row) -> None:
    """Adds one row and waits until it is on disk."""
    with (folder / NAME).open("a", encoding="utf-8") as file:
        file.write(json.dumps(row) + "\n")
        file.flush()
        os.fsync(file.fileno())


def read(folder: Path) -> list[Row]:
    """The whole rows of a run; a last line that was cut short is left out."""
    path = folder / NAME
    rows: list[Row] = []
    for line in path.read_text(encoding="utf-8").splitlines() if path.exists() else ():
        try:
            rows.append(json.loads(line))
        except json.JSONDecodeError:
            break
    return rows


def cut_back(folder: Path, step: int) -> list[Row]:
    """Drops the rows written after a checkpoint's step; the rows that stay."""
    rows = [row for row in read(folder) if row["step"] <= step]
    fresh = folder / f"{NAME}.new"
    fresh.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    os.replace(fresh, folder / NAME)
    return rows
