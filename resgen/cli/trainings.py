"""The runs among what `resgen summarize` is given."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from statistics import median

from resgen.cli.streams import say
from resgen.compare.groups import Group, grouped
from resgen.compare.record import read
from resgen.compare.spread import spread
from resgen.errors import each
from resgen.report.plots import Outcome, outcome
from resgen.train.run import metrics


def outcomes(spec: str, runs: Sequence[Path], overrides: list[str] | None) -> list[Outcome | None]:
    """How each run of a network ended, where it did and is of this network; of a spec, None."""
    found = [_timed(run) for run in runs or [Path(spec)]]
    if any(found) and overrides:
        say(f"note: {spec}: its run's error is left out: --with makes another network", err=True)
        return [None]
    return found


def _timed(run: Path) -> Outcome | None:
    """How a run ended, with its speed: the median of its epochs, which the first often slows."""
    end = outcome(str(run))[1]
    if end is None:
        return None
    speeds = [row["images_per_second"] for row in metrics.read(run) if "images_per_second" in row]
    return end._replace(speed=median(speeds) if speeds else None)


def groups_of(sources: Sequence[tuple[str, list[Path]]]) -> list[Group]:
    """The runs among the sources, grouped."""
    return grouped(each(read, [run for _, runs in sources for run in runs]))


def mean(errors: Sequence[float]) -> float | None:
    """Of no errors there is none."""
    found = spread(errors)
    return found.mean if found else None
