"""`resgen predict RUN IMAGE...`: what a trained network takes images for."""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer
from typer import Option

from resgen.cli.device import Device
from resgen.cli.evaluate import Prepared
from resgen.cli.options import grouped
from resgen.cli.streams import say
from resgen.errors import UserError, one_line
from resgen.inference import sources

if TYPE_CHECKING:
    from resgen.inference.predict import Prediction

WIDEST = 40
"""Columns that the images' names may take before the classes stand below them."""


@grouped
def predict(
    run: Annotated[str, typer.Argument(help="A run folder, or a checkpoint in one.")],
    images: Annotated[
        list[Path],
        typer.Argument(metavar="IMAGE", help="Images, or folders of them.", show_default=False),
    ],
    prepared: Prepared,
    device: Device,
    top: Annotated[int, Option(help="Classes to name of each image.", min=1)] = 3,
    form: Annotated[
        Literal["table", "jsonl", "csv"], Option("--format", help="How to print them.")
    ] = "table",
    batch: Annotated[
        int | None, Option(help="Images at a time.", min=1, show_default="the run's")
    ] = None,
    workers: Annotated[
        int | None, Option(help="Processes that decode images.", min=0, show_default="spare ones")
    ] = None,
) -> None:
    """Name the likeliest classes of images, with their probabilities.

    Images are prepared as the run's own test images were. One that cannot be read is a line on
    stderr; the others go on, and the exit code is 1.
    """
    sources.check(run)
    from resgen.inference import predict as room
    from resgen.inference import trained
    from resgen.inference.verdict import as_judged
    from resgen.train.device import machine, place

    if place.placed().size > 1:
        raise UserError("predict: works in one process; start it without torchrun or srun")
    size, crop = prepared.read()
    runs = sources.found([run])
    if len(runs) > 1:
        raise UserError(f"{run}: holds {len(runs)} runs; name one of them, as {runs[0]}")
    network = trained.read(runs[0]).at(size, crop)
    paths = room.listed(images)
    motor = as_judged(device.chosen(), network, device.precision)
    found = room.predictions(
        network, paths, top=top, batch=batch or network.batch, engine=motor,
        processes=machine.workers() if workers is None else workers,
    )  # fmt: skip
    indent = min(WIDEST, 2 + max(len(one_line(path)) for path in paths))
    if _written(found, form, indent):
        raise typer.Exit(1)


def _written(found: Iterable[Prediction], form: str, indent: int) -> bool:
    """Prints each as it comes; whether an image could not be read."""
    rows = csv.writer(sys.stdout, lineterminator="\n")
    if form == "csv":
        rows.writerow(["image", "rank", "class", "probability"])
    failed = False
    for each in found:
        if each.fault is not None:
            failed = True
            say(f"error: {one_line(each.fault)}", err=True)
        elif form == "csv":
            for rank, (name, share) in enumerate(each.classes, 1):
                rows.writerow([each.path, rank, name, share])
        elif form == "jsonl":
            typer.echo(json.dumps(each.data()))
        else:
            say("\n".join(each.lines(indent)))
    return failed
