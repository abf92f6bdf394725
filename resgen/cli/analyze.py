"""`resgen analyze RUN|FILE...`: what a network has become by its training, and what it began as."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer
from typer import Option

from resgen.cli import completion
from resgen.cli.device import Device
from resgen.cli.options import DATA, Apart, Needs, grouped, refuse
from resgen.cli.streams import say
from resgen.errors import each
from resgen.files import check_place
from resgen.inference.sources import check, found
from resgen.report.look import SUFFIXES

if TYPE_CHECKING:
    from resgen.analysis.forms import Result
    from resgen.analysis.looking import Asked
    from resgen.train.device.engine import Engine


@dataclass(frozen=True)
class Measure:
    """What is measured, on what."""

    PANEL = "What is measured"

    of: Annotated[
        Literal["responses", "gradients", "drop", "zeroed"],
        Option(
            help="Deviations of 3x3 layers; gradients of the first step; the error without each "
            "block; zeroed blocks against the identity."
        ),
    ] = "responses"
    images: Annotated[int, Option(help="So many held-out images, always the same ones.", min=1)] = (
        512
    )
    data: Annotated[
        str | None,
        Option(
            help=DATA,
            autocompletion=completion.data,
            show_default="the run's own; of a spec digits",
        ),
    ] = None
    split: Annotated[
        Literal["auto", "test", "heldout", "train"],
        Option(help="Which images; auto takes the held-out ones of a run's own data."),
    ] = "auto"
    batch: Annotated[
        int | None, Option(help="Images at a time.", min=1, show_default="the run's")
    ] = None
    workers: Annotated[int, Option(help="Processes that decode images.", min=0)] = 0
    download: Annotated[bool, Option("--download", help="Fetch CIFAR if missing.")] = False
    mode: Annotated[
        Literal["evaluation", "training"],
        Option(help="Of the norms: kept statistics, or each batch's own."),
    ] = "evaluation"
    seed: Annotated[
        int | None, Option(help="Of a spec's weights and images.", min=0, show_default="0")
    ] = None
    recipe: Annotated[
        str | None,
        Option(
            help="Of a spec's first step.",
            autocompletion=completion.recipes,
            show_default="the one for the data",
        ),
    ] = None

    def asked(self, precision: str) -> Asked:
        """The images, in the words of the room below."""
        from resgen.analysis.looking import Asked

        return Asked(
            self.images, self.data, self.split, self.batch, self.workers,
            "allowed" if self.download else "never", precision,
        )  # fmt: skip

    def of_source(self, source: str, precision: str, engine: Engine) -> Result:
        """What is measured of one network. Raises UserError where that cannot be."""
        from resgen import analysis

        if self.of == "responses":
            return analysis.responses(source, self.asked(precision), mode=self.mode, engine=engine)
        if self.of == "drop":
            return analysis.drops(source, self.asked(precision), engine=engine)
        if self.of == "zeroed":
            return analysis.zeroed(source, seed=self.seed or 0, engine=engine)
        return analysis.gradients(
            source, seed=self.seed, data=self.data, recipe=self.recipe,
            download="allowed" if self.download else "never", precision=precision, engine=engine,
        )  # fmt: skip


@dataclass(frozen=True)
class Shown:
    """How it is shown."""

    PANEL = "How it is shown"

    form: Annotated[
        Literal["table", "json", "csv"], Option("--format", help="How to print the figures.")
    ] = "table"
    by: Annotated[
        Literal["run", "layer"],
        Option("--by", help="A row a run, or a layer or block; of a single run both."),
    ] = "run"
    output: Annotated[
        Path | None, Option("-o", "--output", metavar="FILE", help="Draw it (svg, png, pdf).")
    ] = None
    force: Annotated[bool, Option("--force", help="Overwrite the figure.")] = False


_STEP = "its images are those of the step; leave it out"
RULES = (
    Apart("--images", ("gradients",), _STEP),
    Apart("--images", ("zeroed",), "it looks at no images; leave it out"),
    Apart("--split", ("gradients", "zeroed"), "they look at no such images; leave it out"),
    Apart("--batch", ("gradients",), "the recipe says it; leave it out"),
    Apart("--batch", ("zeroed",), "it looks at no images; leave it out"),
    Apart("--data", ("zeroed",), "it looks at no images; leave it out"),
    Apart("--mode", ("gradients", "drop", "zeroed"), "only responses have one; leave it out"),
    Apart("--seed", ("responses", "drop"), "they are of trained networks; leave it out"),
    Apart("--recipe", ("responses", "drop", "zeroed"), "only gradients have one; leave it out"),
    Apart("--output", ("zeroed",), "there is nothing to draw of 0.0; leave it out"),
    Apart("--by", ("--format json",), "json has all of them; leave it out"),
    Needs("--force", ("--output",)),
)


@grouped
def analyze(
    ctx: typer.Context,
    sources: Annotated[
        list[str],
        typer.Argument(
            metavar="RUN|FILE",
            help="Run folders, checkpoints; for gradients, zeroed also specs.",
        ),
    ],
    measure: Measure,
    shown: Shown,
    device: Device,
) -> None:
    """Look into networks: responses, first gradients, blocks dropped or zeroed.

    Responses are those of He et al. 2015, figure 7; dropped blocks those of Veit et al. 2016. Of a
    run its last weights are looked at, or the averaged ones where it keeps them.
    """
    refuse(ctx, RULES, measure.of)
    if shown.output is not None:
        check_place(shown.output, force=shown.force, endings=SUFFIXES)
    networks = found(sources)
    if measure.of in ("responses", "drop"):
        each(check, networks)
    from resgen.analysis import figures, forms
    from resgen.inference import trained

    engine = device.chosen()
    results = each(lambda name: measure.of_source(name, device.precision, engine), networks)
    measured = dict(zip(trained.labels(networks), results, strict=True))
    say(forms.render(measure.of, measured, shown.form, shown.by), plain=shown.form != "table")
    if shown.output is not None:
        figures.draw(measured, shown.output, force=shown.force)  # type: ignore[arg-type]
        say(f"wrote {shown.output}", err=True)
