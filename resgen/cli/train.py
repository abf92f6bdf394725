"""`resgen train SPEC...`"""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from resgen.errors import UserError


class Precision(StrEnum):
    """What convolutions are computed in; `auto` takes bf16 where the device has it."""

    auto = "auto"
    bf16 = "bf16"
    fp32 = "fp32"


class Layout(StrEnum):
    """How images lie in memory; `auto` takes what is fastest on the device."""

    auto = "auto"
    channels_last = "channels_last"
    contiguous = "contiguous"


class Compile(StrEnum):
    """Whether to use torch.compile; `auto` does on CUDA."""

    auto = "auto"
    on = "on"
    off = "off"


class Recompute(StrEnum):
    """What is computed twice to save memory."""

    off = "off"
    blocks = "blocks"


class HeadWeights(StrEnum):
    """What becomes of the classifier in a file of weights."""

    keep = "keep"
    drop = "drop"


class OnOff(StrEnum):
    """Two words."""

    off = "off"
    on = "on"


def train(
    specs: Annotated[
        list[str], typer.Argument(metavar="SPEC", help="Spec files, shipped names, checkpoints.")
    ],
    data: Annotated[
        str, typer.Option(help="digits, cifar10[:PATH], cifar100[:PATH], folder:PATH, synthetic.")
    ] = "digits",
    recipe: Annotated[str, typer.Option(help="A recipe file, or a shipped recipe.")] = "digits",
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Changes the recipe: optimizer.lr=0.05."),
    ] = None,
    epochs: Annotated[
        int | None, typer.Option(help="Changes the recipe's length.", min=1, max=1_000_000)
    ] = None,
    batch: Annotated[
        str | None, typer.Option(help="Images a step; auto cuts it to what fits in memory.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Weights, order, augmentation follow it.", min=0)] = 0,
    out: Annotated[
        Path | None, typer.Option(help="The run folder.", show_default="runs/...")
    ] = None,
    plan: Annotated[
        bool, typer.Option("--plan", help="Show schedule, groups and cost; train nothing.")
    ] = False,
    resume: Annotated[bool, typer.Option("--resume", help="Go on where the folder stops.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Start over in a used folder.")] = False,
    init_from: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Start from weights: .pth, .pt or .safetensors."),
    ] = None,
    head: Annotated[
        HeadWeights, typer.Option(help="Of --init-from; drop where the classes differ.")
    ] = HeadWeights.keep,
    device: Annotated[str, typer.Option(help="auto, cuda, cuda:N, mps or cpu.")] = "auto",
    precision: Annotated[Precision, typer.Option(help="Of the convolutions.")] = Precision.auto,
    layout: Annotated[Layout, typer.Option(help="Of images in memory.")] = Layout.auto,
    compile: Annotated[Compile, typer.Option(help="Use torch.compile.")] = Compile.auto,
    recompute: Annotated[
        Recompute, typer.Option(help="Save memory by computing blocks twice.")
    ] = Recompute.off,
    sync_bn: Annotated[
        OnOff, typer.Option(help="Batch norm over all processes (CUDA).")
    ] = OnOff.off,
    heldout: Annotated[
        int | None, typer.Option(help="Images to cut from the training set.", min=1)
    ] = None,
    download: Annotated[bool, typer.Option("--download", help="Fetch CIFAR if missing.")] = False,
    skip_bad_images: Annotated[
        bool, typer.Option("--skip-bad-images", help="Leave unreadable images out.")
    ] = False,
    workers: Annotated[
        int | None, typer.Option(help="Processes that decode images.", min=0, max=256)
    ] = None,
    save_every: Annotated[
        float, typer.Option(metavar="MINUTES", help="Between checkpoints in an epoch.", min=0)
    ] = 10.0,
    deterministic: Annotated[
        bool, typer.Option("--deterministic", help="Equal bits on a GPU, a little slower.")
    ] = False,
    tensorboard: Annotated[OnOff, typer.Option(help="Also write TensorBoard's files.")] = OnOff.off,
    quiet: Annotated[bool, typer.Option("--quiet", help="Only the last table.")] = False,
) -> None:
    """Train networks on real images and draw their curves.

    Prints each network's cost and the verdict of its proof before the first step.
    Several specs are trained one after another with the same recipe and drawn in one figure.
    """
    if resume and force:
        raise UserError("--resume and --force exclude each other")
    from resgen.spec.reading import set_values
    from resgen.train.data.images import Wanted
    from resgen.train.recipe import read_recipe
    from resgen.train.recipe.keys import far_changes
    from resgen.train.run import network as networks_
    from resgen.train.run import outlook

    changes = list(set_ or [])
    if batch is not None and batch != "auto":
        changes.append(f"batch={batch}")
    if epochs is not None:
        changes.append(f"length={epochs} epochs")
    preset = read_recipe(recipe)
    chosen = set_values(preset, changes) if changes else preset
    notes = far_changes(preset, chosen)
    if init_from is None and not resume:
        networks_.refuse_checkpoints(specs)
    networks = networks_.load_all(specs, train_side=chosen.augment.size)
    if plan:
        for note in notes:
            typer.echo(f"note: {note}", err=True)
        typer.echo(outlook.outlook(networks, chosen, Wanted(data, heldout=heldout)))
        return

    from resgen.train.device import engine, processes
    from resgen.train.run import folder as run_folder
    from resgen.train.run import runs
    from resgen.train.run.settings import Settings

    if deterministic:
        engine.make_deterministic()
    place = processes.placed()
    motor = engine.choose(
        device=device, precision=precision.value, layout=layout.value, compile=compile.value,
        local_rank=place.local_rank,
    )  # fmt: skip
    if motor.device.type == "cpu":
        engine.keep_freed_memory()
    if sync_bn == OnOff.on and motor.device.type != "cuda":
        raise UserError(f"--sync-bn on: torch has it on CUDA only (this is {motor.device})")
    settings = Settings(
        out=out or _default_out(specs, data, recipe, seed),
        seed=seed,
        start="resume" if resume else "force" if force else "new",
        save_minutes=save_every,
        batch="auto" if batch == "auto" else "recipe",
        workers=workers,
        sync_bn=sync_bn.value,
        recompute=recompute.value,
        tensorboard=tensorboard.value,
        init_from=init_from,
        head=head.value,
        voice="quiet" if quiet else "full",
        command=run_folder.command_line(),
        recipe=", with ".join([recipe, *changes]),
        notes=tuple(notes),
    )
    wanted = Wanted(
        data,
        heldout=heldout,
        download="allowed" if download else "never",
        bad_images="skip" if skip_bad_images else "refuse",
    )
    with processes.joined(motor.device) as world:
        ended = runs.train_each(runs.Job(networks, chosen, wanted, settings, motor, world))
        if world.first and ended.results:
            typer.echo(runs.table(ended.results, networks))
        ended.refuse_diverged()


def _default_out(specs: list[str], data: str, recipe: str, seed: int) -> Path:
    names = [_short(Path(spec).stem) for spec in specs]
    title = names[0] if len(names) == 1 else f"{names[0]}-and-{len(names) - 1}-more"
    parts = [title, data.partition(":")[0], _short(Path(recipe).stem), str(seed)]
    return Path("runs") / "-".join(parts)


def _short(name: str) -> str:
    """The start of a name: a file's may be so long that with more behind it none can have it."""
    return name.encode(errors="surrogateescape")[:80].decode(errors="ignore")
