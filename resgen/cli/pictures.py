"""The files that `resgen summarize` draws."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Annotated, Literal

from typer import Option

from resgen.cli import completion
from resgen.compare.groups import Group
from resgen.cost.memory import Training
from resgen.errors import UserError
from resgen.files import check_place
from resgen.plan import Plan
from resgen.report.plots import SUFFIXES, AxisName, Outcome, Wanted, check_plot, plot_file


@dataclass(frozen=True)
class Pictures:
    """The files to draw."""

    PANEL = "Pictures"

    draw: Annotated[
        Path | None,
        Option(metavar="FILE", help="Draw a network, or two side by side (svg, pdf, png)."),
    ] = None
    beside: Annotated[
        Literal["plain", "nothing"],
        Option(help="What to draw beside a single network: its plain twin."),
    ] = "plain"
    detail: Annotated[
        Literal["block", "stage", "layer"] | None,
        Option(help="A box a stage, the layers with weights, or every layer; of a part every."),
    ] = None
    part: Annotated[
        str,
        Option(
            metavar="NAME",
            help="Draw only a stage or block: layer2, layer2.0.",
            autocompletion=completion.blocks,
        ),
    ] = ""
    wide: Annotated[
        bool, Option("--wide", help="Draw in columns, for the whole width of a page.")
    ] = False
    theme: Annotated[
        Literal["auto", "light", "dark"],
        Option(help="Colours of pictures; auto is light, and dark where a browser wants it."),
    ] = "auto"
    plot: Annotated[
        Path | None,
        Option(metavar="FILE", help="Plot the networks as points, errors of runs (png, svg, pdf)."),
    ] = None
    x: Annotated[AxisName | None, Option("--x", help="The plot's horizontal axis.")] = None
    y: Annotated[AxisName | None, Option("--y", help="The plot's vertical axis.")] = None
    curves: Annotated[
        Path | None,
        Option(metavar="FILE", help="Draw the errors of runs over epochs (png, svg, pdf)."),
    ] = None
    force: Annotated[bool, Option("--force", help="Overwrite output files.")] = False

    def check(self, networks: int, outcomes: Sequence[Outcome | None]) -> None:
        """Raises UserError where one of the files could not be written."""
        if self.draw is not None:
            from resgen.report.draw import check_drawing

            check_drawing(self.draw, networks, force=self.force)
        if self.curves is not None:
            check_place(self.curves, force=self.force, endings=SUFFIXES)
        if self.plot is not None:
            check_plot(self.plot, outcomes, force=self.force, wanted=self.wanted(Training()))
        given = [("--draw", self.draw), ("--plot", self.plot), ("--curves", self.curves)]
        for (one, first), (other, second) in combinations(given, 2):
            if first and second and os.path.realpath(first) == os.path.realpath(second):
                raise UserError(f"{one} and {other}: both are {second}; name two files")

    def wanted(self, step: Training) -> Wanted:
        """How the plot is wanted."""
        return Wanted(self.x, self.y, self.theme, step)

    def write(
        self,
        plans: Sequence[Plan],
        ended: Sequence[tuple[Plan, str, Outcome | None]],
        step: Training,
    ) -> None:
        """Draws the networks and writes the files; `ended` has each run, by its plan and source."""
        if self.draw is not None:
            from resgen.report.draw import Figure, draw_file

            figure = Figure(self.detail, self.wide, self.part, self.theme)
            draw_file(plans, self.draw, beside=self.beside, force=self.force, figure=figure)
        if self.plot is not None:
            points, sources, ends = zip(*ended, strict=True)
            plot_file(
                points, ends, self.plot,
                force=self.force, sources=sources, wanted=self.wanted(step),
            )  # fmt: skip

    def write_curves(self, groups: Sequence[Group]) -> None:
        """The errors over epochs of every group. Raises UserError where no run has an epoch."""
        path = self.curves
        if path is None:
            return
        from resgen.train.run.figures import draw_curves

        rows = {g.label: [run.rows for run in (*g.runs, *g.others) if run.rows] for g in groups}
        shown = {label: own for label, own in rows.items() if own}
        if not shown:
            raise UserError(f"--curves {path}: none of the runs has come to the end of an epoch")
        data = dict.fromkeys(str(run.data["name"]) for g in groups for run in g.runs if run.data)
        draw_curves(shown, path, title=", ".join(data), theme=self.theme)
