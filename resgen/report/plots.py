"""Networks as points on two axes of their figures; runs of several seeds as mean and interval."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple

from resgen.cost import cost
from resgen.cost.memory import Training
from resgen.errors import UserError
from resgen.files import check_place, write_new
from resgen.plan import Plan
from resgen.report import look
from resgen.report.look import SUFFIXES
from resgen.report.paint import Theme
from resgen.report.points import AXES, Outcome, Point, family, outcome
from resgen.words import joined

if TYPE_CHECKING:
    from resgen.report.panels import Plot

__all__ = ["AXES", "SUFFIXES", "Outcome", "Wanted", "check_plot", "outcome", "plot", "plot_file"]

AxisName = Literal["params", "macs", "activations", "memory", "error", "images-per-second"]
_MANY = 60  # points that are tried in one panel
_FEW = 16  # points of a family that has more in a panel
_GROWTH = (1.0, 1.3, 1.7)
_ROW = 5  # panels


class Wanted(NamedTuple):
    """The axes, how they look, and the training step whose memory may be one of them."""

    x: AxisName | None = None
    y: AxisName | None = None
    theme: Theme = "auto"
    step: Training = Training()

    def axes(self, trained: bool) -> tuple[list[str], str]:
        """(the horizontal axes, a panel each; the vertical one): errors where there are any."""
        y = self.y or ("error" if trained and self.x != "error" else "macs")
        if self.x:
            return [self.x], y
        if trained and y == "error":
            return ["macs", "params"], y
        return ["macs" if y == "params" else "params"], y


def check_plot(
    path: Path, outcomes: Sequence[Outcome | None], *, force: bool, wanted: Wanted = Wanted()
) -> None:
    """Raises UserError for a file or axes that cannot be drawn, or some runs missing."""
    check_place(path, force=force, endings=SUFFIXES)
    trained = sum(each is not None for each in outcomes)
    if 0 < trained < len(outcomes):
        raise UserError(
            f"--plot {path}: {trained} of {len(outcomes)} networks come with a finished run; "
            "give run folders for all of them, or specs for all"
        )
    xs, y = wanted.axes(trained > 0)
    for option, name in (("--x", xs[0]), ("--y", y)):
        if AXES[name].trained and not trained:
            raise UserError(f"{option} {name}: only runs have it; give run folders")
    if y in xs:
        raise UserError(f"--x {y} and --y {y}: both axes are the same; choose another for one")
    speeds = [each for each in outcomes if each is not None and each.speed is not None]
    if "images-per-second" in (*xs, y) and len(speeds) < trained:
        raise UserError("images-per-second: not every run has an epoch that tells it; leave it out")


def plot_file(
    plans: Sequence[Plan],
    outcomes: Sequence[Outcome | None],
    path: Path,
    *,
    force: bool,
    sources: Sequence[str] | None = None,
    wanted: Wanted = Wanted(),
) -> None:
    """Draws the networks as points and writes the figure; `sources` are what they were read from.

    A plan may come several times, once with each of its runs.
    """
    write_new(path, plot(plans, outcomes, path.suffix[1:], sources, wanted), force=force)


def plot(
    plans: Sequence[Plan],
    outcomes: Sequence[Outcome | None],
    form: str,
    sources: Sequence[str] | None = None,
    wanted: Wanted = Wanted(),
) -> bytes:
    """The figure as the content of a file: `svg`, `png` or `pdf`."""
    with look.style(wanted.theme):
        made = plotted(gathered(plans, outcomes, sources), wanted)
        return look.content(made.figure, form, wanted.theme)


def gathered(
    plans: Sequence[Plan], outcomes: Sequence[Outcome | None], sources: Sequence[str] | None = None
) -> list[Point]:
    """A point a network, with all of its runs."""
    found: dict[tuple[object, ...], Point] = {}
    for number, (plan, end) in enumerate(zip(plans, outcomes, strict=True)):
        key = (plan.name, plan.input, *cost(plan), plan.about)
        source = sources[number] if sources else plan.name
        point = found.get(key) or Point(plan, family(source, plan))
        ends = (*point.outcomes, *([end] if end else ()))
        found[key] = point._replace(outcomes=ends)
    return list(found.values())


def plotted(points: Sequence[Point], wanted: Wanted) -> Plot:
    """One panel an axis; where the names of many do not fit, one a family (`look.style` is on)."""
    from resgen.report.panels import Ask, figure_of  # and with it numpy

    xs, y = wanted.axes(any(point.outcomes for point in points))
    one = [Ask(x, list(points)) for x in xs]
    many = [Ask(x, members, title) for x in xs for title, members in _families(points, x, wanted)]
    tries = [(one, growth, False) for growth in _GROWTH * (len(points) <= _MANY)]
    tries += [(many, growth, growth == _GROWTH[-1]) for growth in _GROWTH]
    for asks, growth, forced in tries:
        columns = len(asks) if asks is one else min(_ROW, len(asks))
        made = figure_of(asks, y, wanted.step, growth, columns, forced=forced)
        if made:
            return made
    raise AssertionError("the last figure has a place for every name")


def _families(points: Sequence[Point], x: str, wanted: Wanted) -> list[tuple[str, list[Point]]]:
    """The points by family, small ones together, large ones in stretches of the axis."""

    def place(point: Point) -> float:
        value = AXES[x].value(point, wanted.step)
        return value.mean if value else 0

    ordered = sorted(points, key=lambda point: point.family)
    whole = [(name, list(members)) for name, members in groupby(ordered, lambda p: p.family)]
    found: list[tuple[str, list[Point]]] = []
    small: list[tuple[str, list[Point]]] = []
    for name, members in whole:
        if len(members) < 4 and len(whole) > 1:
            small.append((name, members))
            continue
        members.sort(key=place)
        parts = -(-len(members) // _FEW)
        for part in range(parts):
            some = members[part * len(members) // parts : (part + 1) * len(members) // parts]
            found.append((name + f", {part + 1} of {parts}" * (parts > 1), some))
    while small:
        together: list[tuple[str, list[Point]]] = []
        while small and sum(len(members) for _, members in together) < 8 and len(together) < 4:
            together.append(small.pop(0))
        names = joined([name for name, _ in together])
        found.append((names, [point for _, members in together for point in members]))
    return found
