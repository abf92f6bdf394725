"""metrics.jsonl: one JSON object a line, one line an epoch, never beyond the checkpoint."""

from __future__ import annotations

import json
from collections.abc import Iterable
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
