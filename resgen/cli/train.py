"""`resgen train SPEC...`"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer
from typer import Option

from resgen.cli.device import Device
from resgen.cli.options import Apart, Needs, Overrides, grouped, refuse
from resgen.errors import UserError

if TYPE_CHECKING:
    from resgen.train.data.images import Wanted
    from resgen.train.device.engine import Engine
    from resgen.train.recipe import Recipe
    from resgen.train.run.network import Network
    from resgen.train.run.outlook import Run
    from resgen.train.run.settings import Settings


@dataclass(frozen=True)
class Task:
    """What to train on, and how."""

    with_: Overrides = None
    data: Annotated[
        str, Option(help="digits, cifar10[:PATH], cifar100[:PATH], folder:PATH, synthetic.")
    ] = "digits"
    recipe: Annotated[
        str | None,
        Option(help="A recipe file, or a shipped recipe.", show_default="the one for the data"),
    ] = None
    set_: Annotated[
        list[str] | None,
        Option("--set", metavar="KEY=VALUE", help="Changes the recipe: optimizer.lr=0.05."),
    ] = None
    epochs: Annotated[
        int | None, Option(help="Changes the recipe's length.", min=1, max=1_000_000)
    ] = None
    batch: Annotated[
        str | None, Option(help="Images a step; auto cuts it to what fits in memory.")
    ] = None

    def changes(self) -> list[str]:
        """What differs from the recipe, as assignments to its keys."""
        changes = list(self.set_ or [])
        if self.batch is not None and self.batch != "auto":
            changes.append(f"batch={self.batch}")
        if self.epochs is not None:
            changes.append(f"length={self.epochs} epochs")
        return changes

    def named(self, out: Path | None) -> str:
        """The recipe's name: the one given, that of the run to go on with, or the data's own."""
        from resgen.train.recipe.defaults import begun_with, recipe_for

        begun = begun_with(out) if out and not self.recipe else None
        return self.recipe or begun or recipe_for(self.data)

    def chosen(self, name: str) -> tuple[Recipe, tuple[str, ...]]:
        """The recipe as it is run, and what is unusual about the changes."""
        from resgen.spec.assigning import set_values
        from resgen.train.recipe import read_recipe
        from resgen.train.recipe.keys import far_changes

        preset, changes = read_recipe(name), self.changes()
        chosen = set_values(preset, changes) if changes else preset
        return chosen, tuple(far_changes(preset, chosen))

    def title(self, name: str) -> str:
        """The recipe's name, why it is this one, and what was changed of it."""
        from resgen.train.recipe.defaults import recipe_for

        own = self.recipe is None and name == recipe_for(self.data)
        why = f" (the one for {self.data.partition(':')[0]})" if own else ""
        return ", with ".join([f"{name}{why}", *self.changes()])

    def said(self) -> list[str]:
        """What the rules about options know this by: `--data folder`, `--set batch`."""
        keys = [f"--set {each.partition('=')[0].strip()}" for each in self.set_ or ()]
        return [f"--data {self.data.partition(':')[0]}", *keys]


@dataclass(frozen=True)
class Start:
    """Where a run lies, and what it starts from."""

    seed: Annotated[int, Option(help="Weights, order, augmentation follow it.", min=0)] = 0
    out: Annotated[Path | None, Option(help="The run folder.", show_default="runs/...")] = None
    plan: Annotated[
        bool, Option("--plan", help="Show schedule, groups and cost; train nothing.")
    ] = False
    measure: Annotated[
        bool, Option("--measure", help="With --plan: time a few steps, and so the whole run.")
    ] = False
    resume: Annotated[bool, Option("--resume", help="Go on where the folder stops.")] = False
    force: Annotated[bool, Option("--force", help="Start over in a used folder.")] = False
    init_from: Annotated[
        Path | None,
        Option(metavar="FILE", help="Start from weights: a run, .pth, .pt or .safetensors."),
    ] = None
    head: Annotated[
        Literal["keep", "drop"], Option(help="Of --init-from; drop where the classes differ.")
    ] = "keep"

    def folder(self, specs: list[str], task: Task) -> Path:
        """The run folder: the one named, or one named after the run."""
        if self.out is not None:
            return self.out
        names = [_short(Path(spec).stem) for spec in specs]
        title = names[0] if len(names) == 1 else f"{names[0]}-and-{len(names) - 1}-more"
        data, recipe = task.data.partition(":")[0], _short(Path(task.named(None)).stem)
        return Path("runs") / "-".join([title, data, recipe, str(self.seed)])


def _short(name: str) -> str:
    """The start of a name: a file's may be so long that with more behind it none can have it."""
    return name.encode(errors="surrogateescape")[:80].decode(errors="ignore")


@dataclass(frozen=True)
class Machine(Device):
    """How a step is computed."""

    compile: Annotated[Literal["auto", "on", "off"], Option(help="Use torch.compile.")] = "auto"
    recompute: Annotated[
        Literal["off", "blocks"], Option(help="Save memory by computing blocks twice.")
    ] = "off"
    sync_bn: Annotated[bool, Option("--sync-bn", help="Batch norm over all processes (CUDA).")] = (
        False
    )

    def engine(self, local_rank: int) -> Engine:
        """The engine of this process. Raises UserError for a device that is not there."""
        chosen = self.chosen(self.compile, local_rank)
        if self.sync_bn and chosen.device.type != "cuda":
            raise UserError(f"--sync-bn: torch has it on CUDA only (this is {chosen.device})")
        return chosen

    def expected(self, recipe: Recipe, measure: bool) -> Callable[[Network, Run], str] | None:
        """What says how long a network's run takes, where that is to be measured."""
        if not measure:
            return None
        from resgen.train.run import measured

        motor = self.engine(0)
        return lambda network, run: measured.expected(
            network, recipe, motor, steps=run.steps, judged=run.judged
        )


@dataclass(frozen=True)
class Reading:
    """How images are read."""

    heldout: Annotated[int | None, Option(help="Images to cut from the training set.", min=1)] = (
        None
    )
    download: Annotated[bool, Option("--download", help="Fetch CIFAR if missing.")] = False
    skip_bad_images: Annotated[
        bool, Option("--skip-bad-images", help="Leave unreadable images out.")
    ] = False
    workers: Annotated[int | None, Option(help="Processes that decode images.", min=0, max=256)] = (
        None
    )

    def wanted(self, data: str) -> Wanted:
        """What is asked of the data of this name."""
        from resgen.train.data.images import Wanted

        return Wanted(
            data,
            heldout=self.heldout,
            download="allowed" if self.download else "never",
            bad_images="skip" if self.skip_bad_images else "refuse",
        )


@dataclass(frozen=True)
class Record:
    """What a run leaves behind and says."""

    save_every: Annotated[
        float, Option(metavar="MINUTES", help="Between checkpoints in an epoch.", min=0)
    ] = 10.0
    deterministic: Annotated[
        bool, Option("--deterministic", help="Equal bits on a GPU, a little slower.")
    ] = False
    tensorboard: Annotated[
        bool, Option("--tensorboard", help="Also write TensorBoard's files.")
    ] = False
    quiet: Annotated[bool, Option("--quiet", help="Only the last table.")] = False


RULES = (
    Apart("--resume", ("--force",), "the one goes on, the other starts over; leave one out"),
    Apart("--plan", ("--resume", "--force"), "nothing is trained; leave one out"),
    Apart("--epochs", ("--set length",), "both are the recipe's length; leave one out"),
    Apart(
        "--batch", ("--set batch",), "both are the recipe's batch; leave one out", "--batch auto"
    ),
    Needs("--measure", ("--plan",)),
    Needs("--head", ("--init-from",)),
    Needs("--download", ("--data cifar10", "--data cifar100")),
    Needs("--skip-bad-images", ("--data folder",)),
)


@grouped
def train(
    ctx: typer.Context,
    specs: Annotated[
        list[str], typer.Argument(metavar="SPEC", help="Spec files or shipped names.")
    ],
    task: Task,
    start: Start,
    machine: Machine,
    reading: Reading,
    record: Record,
) -> None:
    """Train networks on real images and draw their curves.

    Prints each network's cost and the verdict of its proof before the first step.
    Several specs are trained one after another with the same recipe and drawn in one figure.
    """
    refuse(ctx, RULES, *task.said())
    from resgen.train.run import network, outlook

    name = task.named(start.folder(specs, task) if start.resume else None)
    recipe, notes = task.chosen(name)
    if start.init_from is None and not start.resume:
        network.refuse_checkpoints(specs)
    networks = network.load_all(specs, overrides=task.with_ or (), train_side=recipe.augment.size)
    if start.plan:
        for note in notes:
            typer.echo(f"note: {note}", err=True)
        told = outlook.outlook(
            networks, recipe, reading.wanted(task.data), title=task.title(name),
            precision=machine.precision, expected=machine.expected(recipe, start.measure),
        )  # fmt: skip
        if start.init_from is not None:
            for each in networks:
                each.check_weights(start.init_from, start.head)
        typer.echo(told)
        return

    from resgen.train.device import engine, processes
    from resgen.train.run import runs
    from resgen.train.run.job import Job
    from resgen.train.run.signals import Stop

    if record.deterministic:
        engine.make_deterministic()
    motor = machine.engine(processes.placed().local_rank)
    settings = _settings(specs, task, start, machine, reading, record, (task.title(name), notes))
    wanted = reading.wanted(task.data)
    with Stop(), processes.joined(motor.device) as world:
        ended = runs.train_each(Job(networks, recipe, wanted, settings, motor, world))
        if world.first and ended.results:
            typer.echo(runs.table(ended.results, networks))
        ended.refuse_diverged()


def _settings(
    specs: list[str],
    task: Task,
    start: Start,
    machine: Machine,
    reading: Reading,
    record: Record,
    told: tuple[str, tuple[str, ...]],
) -> Settings:
    """What is asked of the run, in the words of the rooms below."""
    from resgen.train.run.folder import command_line
    from resgen.train.run.settings import Settings

    return Settings(
        out=start.folder(specs, task),
        seed=start.seed,
        start="resume" if start.resume else "force" if start.force else "new",
        save_minutes=record.save_every,
        batch="auto" if task.batch == "auto" else "recipe",
        workers=reading.workers,
        sync_bn="on" if machine.sync_bn else "off",
        recompute=machine.recompute,
        tensorboard="on" if record.tensorboard else "off",
        init_from=start.init_from,
        head=start.head,
        voice="quiet" if record.quiet else "full",
        command=command_line(),
        recipe=told[0],
        overrides=tuple(task.with_ or ()),
        notes=told[1],
    )
