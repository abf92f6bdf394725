"""`resgen train SPEC...`"""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from resgen.errors import UserError


class Choice(StrEnum):
    """Whether to switch something on; `auto` takes what is fastest on the device."""

    auto = "auto"
    on = "on"
    off = "off"


def train(
    specs: Annotated[
        list[str], typer.Argument(metavar="SPEC...", help="Spec files, shipped names, checkpoints.")
    ],
    data: Annotated[
        str, typer.Option(help="digits, cifar10[:PATH], cifar100[:PATH], folder:PATH, synthetic.")
    ] = "digits",
    recipe: Annotated[str, typer.Option(help="A recipe file or a shipped recipe.")] = "digits",
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Changes the recipe: optimizer.lr=0.05."),
    ] = None,
    epochs: Annotated[int | None, typer.Option(help="Changes the recipe's length.", min=1)] = None,
    seed: Annotated[int, typer.Option(help="Weights, order and augmentation follow it.")] = 0,
    out: Annotated[Path | None, typer.Option(help="The run folder.", show_default="runs/...")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on where the folder stops.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Start over in a used folder.")] = False,
    device: Annotated[str, typer.Option(help="auto, cuda, cuda:N, mps or cpu.")] = "auto",
    precision: Annotated[str, typer.Option(help="auto, bf16 or fp32.")] = "auto",
    layout: Annotated[str, typer.Option(help="auto, channels_last or contiguous.")] = "auto",
    compile: Annotated[Choice, typer.Option(help="torch.compile.")] = Choice.auto,
    heldout: Annotated[
        int | None, typer.Option(help="Images to cut from the training set.", min=1)
    ] = None,
    quiet: Annotated[bool, typer.Option("--quiet", help="Only the last table.")] = False,
) -> None:
    """Train networks on real images and draw their curves.

    Prints each network's cost and the verdict of its proof before the first step.
    Several specs are trained one after another with the same recipe and drawn in one figure.
    """
    if resume and force:
        raise UserError("--resume and --force exclude each other")
    from resgen.train import network as networks_
    from resgen.train.read import read_recipe

    chosen = read_recipe(recipe, changes=set_ or [], epochs=epochs)
    networks = networks_.load_all(specs)

    from resgen.train import distributed, engine, folders, run
    from resgen.train.data import Wanted
    from resgen.train.settings import Settings

    place = distributed.placed()
    motor = engine.choose(
        device=device, precision=precision, layout=layout, compile=compile.value,
        local_rank=place.local_rank,
    )  # fmt: skip
    settings = Settings(
        out=out or _default_out(specs, data, recipe, seed),
        seed=seed,
        start="resume" if resume else "force" if force else "new",
        voice="quiet" if quiet else "full",
        command=folders.command_line(),
    )
    with distributed.joined(motor.device) as world:
        job = run.Job(networks, chosen, Wanted(data, heldout=heldout), settings, motor, world)
        results = run.train(job)
        if world.first:
            typer.echo(run.table(results, networks))


def _default_out(specs: list[str], data: str, recipe: str, seed: int) -> Path:
    names = [Path(spec).stem for spec in specs]
    title = names[0] if len(names) == 1 else f"{names[0]}-and-{len(names) - 1}-more"
    return Path("runs") / "-".join([title, data.partition(":")[0], Path(recipe).stem, str(seed)])
