"""A report as a picture: speed against MACs, a panel for each mode, batch and precision."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from resgen.cost import cost
from resgen.errors import UserError
from resgen.files import write_new
from resgen.report import look
from resgen.report.points import AXES, Axis, Point, Value, family
from resgen.timing.bench import Report, Result
from resgen.timing.cases import MODES

MOST = 24
"""Panels that a picture still shows well."""


def check_panels(path: Path, panels: int) -> None:
    """Raises UserError for too many panels."""
    if panels > MOST:
        raise UserError(
            f"--plot {path}: {panels} panels, one for each mode, batch and precision, are more "
            f"than the {MOST} that fit; ask for fewer of them"
        )


def draw(report: Report, path: Path, *, force: bool) -> None:
    """Writes the figure. Raises UserError where it cannot be written, and where nothing is."""
    panels: dict[tuple[str, int, str], list[Result]] = {}
    for each in report.results:
        if each.seconds is not None:
            case = each.case
            panels.setdefault((case.mode, case.batch, case.precision), []).append(each)
    if not panels:
        raise UserError(f"--plot {path}: nothing was timed that could be drawn")
    from resgen.report.panels import looks_of, named  # and with it numpy

    columns = min(3, len(panels))
    rows = -(-len(panels) // columns)
    with look.style():
        figure = look.new(1 + 4.7 * columns, 0.6 + 4 * rows)
        points = [_point(each) for results in panels.values() for each in results]
        looks = looks_of(points)
        drawn = []
        for number, (what, results) in enumerate(panels.items(), 1):
            axes = figure.add_subplot(rows, columns, number)
            drawn.append(
                (axes, [_point(each) for each in results], _panel(axes, what, results, looks))
            )
        about = report.environment
        note = f"{about['device']}, torch {about['torch']}, {about['date'][:10]}; "
        note += f"medians of {report.rounds} rounds, bars: 95 % intervals"
        figure.supxlabel(note.replace("$", r"\$"), fontsize=8, x=0.01, ha="left")
        figure.canvas.draw()  # the layout is known from here on
        figure.set_layout_engine("none")
        for axes, members, places in drawn:
            named(figure, axes, members, places, forced=True, small=len(panels) > 1)
        write_new(path, look.content(figure, path.suffix[1:]), force=force)


def _point(each: Result) -> Point:
    plan = each.case.contender.plan
    return Point(plan, family(plan.name, plan))


def _panel(
    axes: Any, what: tuple[str, int, str], results: list[Result], looks: dict[str, look.Series]
) -> list[tuple[Value, Value]]:
    from resgen.report.panels import scatter

    mode, batch, precision = what
    places = []
    for each in results:
        speed = each.seconds if MODES[mode].single else each.images_per_second
        assert speed is not None
        scale = 1e3 if MODES[mode].single else 1.0
        middle = scale * speed.median
        low, high = (middle if end is None else scale * end for end in speed[1:])
        point = _point(each)
        macs = cost(point.plan).macs
        places.append((Value(macs, macs, macs), Value(middle, low, high)))
    up = Axis("ms" if MODES[mode].single else "images a second", lambda *_: None, digits=True)
    scatter(axes, [_point(each) for each in results], places, AXES["macs"], up, looks)
    axes.set(xlabel=AXES["macs"].label, ylabel=up.label)
    axes.set_title(f"{mode}, batch {batch}, {precision}")
    return places
