"""`resgen evaluate RUN...`: what trained networks get wrong."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer
from typer import Option

from resgen.cli import completion
from resgen.cli.device import Device
from resgen.cli.options import DATA, Apart, Needs, grouped, refuse
from resgen.cli.streams import say
from resgen.errors import UserError, each
from resgen.files import check_place
from resgen.inference import sources
from resgen.report.look import SUFFIXES

if TYPE_CHECKING:
    from resgen.inference.verdict import Asked


@dataclass(frozen=True)
class Prepared:
    """What a network sees of an image."""

    PANEL = "What the network sees"

    size: Annotated[
        str | None, Option(metavar="N", help="Test at NxN, or HEIGHTxWIDTH, not the network's own.")
    ] = None
    crop: Annotated[
        float | None, Option(help="Test on this middle part of the short side, as 0.875.")
    ] = None

    def read(self) -> tuple[tuple[int, int] | None, float | None]:
        """(height, width) and the part. Raises UserError for what is none."""
        if self.crop is not None and not 0 < self.crop <= 1:
            raise UserError(f"--crop {self.crop:g}: must be above 0 and at most 1")
        if self.size is None:
            return None, self.crop
        match = re.fullmatch(r"([1-9]\d{0,4})(?:x([1-9]\d{0,4}))?", self.size)
        if match is None:
            raise UserError(f"--size {self.size}: must be pixels, as 224 or 224x320")
        return (int(match[1]), int(match[2] or match[1])), self.crop


@dataclass(frozen=True)
class Test:
    """On what networks are tested."""

    PANEL = "Images"

    data: Annotated[
        str | None,
        Option(
            help=DATA,
            autocompletion=completion.data,
            show_default="the run's own",
        ),
    ] = None
    split: Annotated[
        Literal["auto", "test", "heldout", "train"],
        Option(help="Which of its images; auto takes test where there is one, else heldout."),
    ] = "auto"
    batch: Annotated[
        int | None, Option(help="Images at a time.", min=1, show_default="the run's")
    ] = None
    workers: Annotated[
        int | None, Option(help="Processes that decode images.", min=0, show_default="spare ones")
    ] = None
    download: Annotated[bool, Option("--download", help="Fetch CIFAR or hf:NAME if missing.")] = (
        False
    )
    skip_bad_images: Annotated[
        bool, Option("--skip-bad-images", help="Leave unreadable images out.")
    ] = False

    def asked(self, prepared: Prepared, precision: str) -> Asked:
        """The same in the words of the room below. Raises UserError for what is none."""
        from resgen.inference.verdict import Asked

        size, crop = prepared.read()
        return Asked(
            self.data, self.split, size, crop, self.batch, self.workers,
            "allowed" if self.download else "never",
            "skip" if self.skip_bad_images else "refuse", precision,
        )  # fmt: skip


@dataclass(frozen=True)
class Form:
    """How the figures are shown."""

    PANEL = "How it is shown"

    form: Annotated[
        Literal["table", "json", "csv"], Option("--format", help="How to print the figures.")
    ] = "table"
    by: Annotated[
        Literal["run", "class", "confusion"],
        Option("--by", help="A row a run, a class, or the confusion matrix; json has all."),
    ] = "run"
    figure: Annotated[
        Path | None, Option(metavar="FILE", help="Draw the confusion matrix (png, svg, pdf).")
    ] = None
    force: Annotated[bool, Option("--force", help="Overwrite the figure.")] = False


SEVERAL = "several networks"
RULES = (
    Apart("--by", ("--format json",), "json has all of them; leave it out"),
    Apart("--by confusion", (SEVERAL,), "a confusion matrix is of one network; give one"),
    Apart("--figure", (SEVERAL,), "a confusion matrix is of one network; give one"),
    Needs("--force", ("--figure",)),
)


@grouped
def evaluate(
    ctx: typer.Context,
    runs: Annotated[
        list[str], typer.Argument(metavar="RUN", help="Run folders, or checkpoints in them.")
    ],
    test: Test,
    prepared: Prepared,
    form: Form,
    device: Device,
) -> None:
    """Test trained networks: loss, top-1 and top-5 error, by class, and confusions.

    A run's last weights are tested; of a run that averages them, the averaged ones. Images are
    prepared as the run's own test images were. Classes are matched by name.
    """
    from resgen.train.device.voice import together

    with together() as voice:
        networks = sources.found(runs)
        refuse(ctx, RULES, *([SEVERAL] if len(networks) > 1 else []))
        if form.figure is not None:
            check_place(form.figure, force=form.force, endings=SUFFIXES)
        each(sources.check, networks)
        from resgen.inference import figure, forms, verdict
        from resgen.train.device import processes
        from resgen.train.run.log import Log

        asked = test.asked(prepared, device.precision)
        motor = device.chosen(local_rank=voice.place.local_rank)
        with processes.joined(motor.device, voice) as world:
            with Log(voice="full" if world.first else "quiet") as log:
                found = verdict.verdicts(networks, asked, motor, world, log.line)
            if not world.first:
                return
            say(forms.render(found, form.form, form.by), plain=form.form != "table")
            if form.figure is not None:
                figure.draw(found[0], form.figure, force=form.force)
