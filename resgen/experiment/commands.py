"""A run as commands that a shell, a batch system or a worker executes."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from resgen.experiment.runs import Planned, each_once

START = "start.safetensors"
"""The weights that a run begins from, in its folder."""


@dataclass(frozen=True)
class Means:
    """With what a run is computed; none of it makes another run of it."""

    threads: int = 1
    device: str = "auto"


def train(
    spec: Path,
    folder: Path,
    *,
    seed: int,
    data: str,
    recipe: str,
    changes: Sequence[str],
    means: Means,
    start: Path | None,
) -> tuple[str, ...]:
    """`resgen train`, which goes on where the folder stops."""  # fmt: skip
    sets = [word for change in changes for word in ("--set", change)]
    begin = [] if start is None else ["--init-from", str(start)]
    device = [] if means.device == "auto" else ["--device", means.device]
    return (
        "resgen", "train", str(spec), "--data", data, "--recipe", recipe, *sets,
        "--seed", str(seed), *begin, *device, "--threads", str(means.threads),
        "--out", str(folder), "--resume", "--quiet",
    )  # fmt: skip


def deepen(run: Path, spec: Path, output: Path) -> tuple[str, ...]:
    """`resgen deepen`, which writes the same file again where it is there."""
    return "resgen", "deepen", str(run), str(spec), "-o", str(output), "--force"


def listing(planned: Iterable[Planned]) -> list[str]:
    """A line for each run, none of which needs another.

    What begins from a trained network stands in its line, behind it.
    """
    runs = each_once(planned)
    lines: list[list[str]] = []
    line_of: dict[Path, list[str]] = {}
    for each in runs:
        if each.after is None:
            line_of[each.folder] = []
            lines.append(line_of[each.folder])
        else:
            line_of[each.folder] = line_of[each.after.folder]
        line_of[each.folder] += map(shlex.join, each.commands)
    return [" && ".join(line) for line in lines]
