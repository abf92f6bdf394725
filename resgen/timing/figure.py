"""A report as a picture: speed against MACs, a panel for each mode, batch and precision."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path
from typing import Any

from resgen.cost import cost
from resgen.errors import UserError
from resgen.files import check_place, write_new
from resgen.report.plots import STYLE, SUFFIXES, engineering, part_labels, points
from resgen.timing.bench import Report, Result
from resgen.timing.cases import MODES

MOST = 24
"""Panels that a picture still shows well."""


def check_figure(path: Path, panels: int, *, force: bool) -> None:
    """Raises UserError for a file that cannot be written, and for too many panels."""
    check_place(path, force=force, endings=SUFFIXES)
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
    import matplotlib as mpl

    mpl.use("Agg")  # no display is needed, and labels are measured on it
    import matplotlib.pyplot as plt

    columns = min(3, len(panels))
    rows = -(-len(panels) // columns)
    with mpl.rc_context(STYLE):
        figure, grid = plt.subplots(
            rows, columns, figsize=(1 + 4.7 * columns, 0.6 + 4 * rows), squeeze=False
        )
        every = list(grid.flat)
        for axes, (what, results) in zip(every, panels.items(), strict=False):
            _panel(axes, what, results)
        for axes in every[len(panels) :]:
            axes.set_visible(False)
        about = report.environment
        note = f"{about['device']}, torch {about['torch']}, {about['date'][:10]}; "
        note += f"medians of {report.rounds} rounds, bars: 95 % intervals"
        figure.text(0.01, 0.012, note.replace("$", r"\$"), fontsize=8, color="#667085")
        figure.tight_layout(rect=(0, 0.04, 1, 1))
        part_labels(figure)
        drawn = BytesIO()
        metadata = {"Date": None} if path.suffix == ".svg" else {}  # the note has it
        figure.savefig(drawn, format=path.suffix[1:], dpi=160, metadata=metadata)
        plt.close(figure)
    write_new(path, drawn.getvalue(), force=force)


def _panel(axes: Any, what: tuple[str, int, str], results: list[Result]) -> None:
    mode, batch, precision = what
    plans = [each.case.contender.plan for each in results]
    macs = [cost(plan).macs for plan in plans]
    found = []
    for each in results:
        speed = each.seconds if MODES[mode].single else each.images_per_second
        assert speed is not None
        scale = 1e3 if MODES[mode].single else 1.0
        low, high = (None if end is None else scale * end for end in speed[1:])
        found.append((scale * speed.median, low, high))
    points(axes, macs, [middle for middle, *_ in found], plans, "MACs an image")
    for x, (_, low, high) in zip(macs, found, strict=True):
        if low is not None and high is not None:
            axes.plot([x, x], [low, high], color="#4b5566", linewidth=1.2, zorder=2)
    axes.set_yscale("log")
    axes.set_ylabel("ms" if MODES[mode].single else "images a second")
    engineering(axes.yaxis)
    axes.set_title(f"{mode}, batch {batch}, {precision}", fontsize=11)
