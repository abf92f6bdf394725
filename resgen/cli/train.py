"""`resgen train SPEC...`"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer
from typer import Option

from resgen.cli.device import Device
from resgen.cli.options import Apart, Needs, Overrides, grouped, refuse
from resgen.cli.seeds import Seeds, in_a_name
from resgen.errors import UserError
from resgen.words import listed

if TYPE_CHECKING:
    from resgen.train.data.images import Wanted
    from resgen.train.device.engine import Engine
    from resgen.train.recipe import Recipe
    from resgen.train.run.job import Job
    from resgen.train.run.settings import Settings


@dataclass(frozen=True)
class Task:
    """What to train on, and how."""

    with_: Overrides = None
    data: Annotated[
        str, Option(help="digits, cifar10[:PATH], cifar100[:PATH], folder:PATH, synthetic.")
    ] = "digits"
    recipe: Annotated[str, Option(help="A recipe file, or a shipped recipe.")] = "digits"
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

    def chosen(self) -> tuple[Recipe, tuple[str, ...]]:
        """The recipe as it is run, and what is unusual about the changes."""
        from resgen.spec.assigning import set_values
        from resgen.train.recipe import read_recipe
        from resgen.train.recipe.keys import far_changes

        preset, changes = read_recipe(self.recipe), self.changes()
        chosen = set_values(preset, changes) if changes else preset
        return chosen, tuple(far_changes(preset, chosen))

    def title(self) -> str:
        """The recipe's name, and what was changed of it."""
        return ", with ".join([self.recipe, *self.changes()])

    def said(self) -> list[str]:
        """What the rules about options know this by: `--data folder`, `--set batch`."""
        keys = [f"--set {each.partition('=')[0].strip()}" for each in self.set_ or ()]
        return [f"--data {self.data.partition(':')[0]}", *keys]


@dataclass(frozen=True)
class Start:
    """Where a run lies, and what it starts from."""

    out: Annotated[Path | None, Option(help="The run folder.", show_default="runs/...")] = None
    plan: Annotated[
        bool, Option("--plan", help="Show schedule, groups and cost; train nothing.")
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

    def folder(self, specs: list[str], task: Task, seeds: tuple[int, ...]) -> Path:
        """The run folder: the one named, or one named after the run."""
        if self.out is not None:
            return self.out
        names = [_short(Path(spec).stem) for spec in specs]
        title = names[0] if len(names) == 1 else f"{names[0]}-and-{len(names) - 1}-more"
        data, recipe = task.data.partition(":")[0], _short(Path(task.recipe).stem)
        return Path("runs") / "-".join([title, data, recipe, _short(in_a_name(seeds))])


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
    Apart("--seed", ("--seeds",), "the one names seeds, the other says how many; leave one out"),
    Apart("--resume", ("--force",), "the one goes on, the other starts over; leave one out"),
    Apart("--plan", ("--resume", "--force"), "nothing is trained; leave one out"),
    Apart("--epochs", ("--set length",), "both are the recipe's length; leave one out"),
    Apart(
        "--batch", ("--set batch",), "both are the recipe's batch; leave one out", "--batch auto"
    ),
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
    drawn: Seeds,
    start: Start,
    machine: Machine,
    reading: Reading,
    record: Record,
) -> None:
    """Train networks on real images and draw their curves.

    Prints each network's cost and the verdict of its proof before the first step.
    Several specs are trained one after another with the same recipe and drawn in one figure, and
    with --seed 0,1,2 or --seeds 3 each of them once a seed, in a folder of its own.
    """
    refuse(ctx, RULES, *task.said())
    seeds = drawn.chosen(specs)
    from resgen.train.run import network, outlook

    recipe, notes = task.chosen()
    if start.init_from is None and not start.resume:
        network.refuse_checkpoints(specs)
    networks = network.load_all(specs, overrides=task.with_ or (), train_side=recipe.augment.size)
    if start.plan:
        for note in notes:
            typer.echo(f"note: {note}", err=True)
        told = outlook.outlook(networks, recipe, reading.wanted(task.data))
        if start.init_from is not None:
            for each in networks:
                each.check_weights(start.init_from, start.head)
        typer.echo(told)
        if len(seeds) > 1:
            typer.echo(f"\nseeds {listed(seeds)}: each network is trained {len(seeds)} times")
        return

    from resgen.train.device import engine, processes
    from resgen.train.run import runs
    from resgen.train.run.job import Job
    from resgen.train.run.signals import Stop

    if record.deterministic:
        engine.make_deterministic()
    motor = machine.engine(processes.placed().local_rank)
    settings = _settings(specs, task, start, machine, reading, record, notes, seeds)
    wanted = reading.wanted(task.data)
    with Stop(), processes.joined(motor.device) as world:
        job = Job(networks, recipe, wanted, settings, motor, world)
        ended = runs.train_each(job)
        if world.first and ended.results:
            typer.echo(runs.table(ended.results, networks))
            if len(seeds) > 1:
                typer.echo("\n" + _over_seeds(job))
        ended.refuse_diverged()


def _over_seeds(job: Job) -> str:
    """Each network's errors over its seeds."""
    from resgen.compare import forms, groups, record

    folders = [one.folder(network) for one, network in job.each()]
    return forms.table(groups.grouped([record.read(folder) for folder in folders]))


def _settings(
    specs: list[str],
    task: Task,
    start: Start,
    machine: Machine,
    reading: Reading,
    record: Record,
    notes: tuple[str, ...],
    seeds: tuple[int, ...],
) -> Settings:
    """What is asked of the run, in the words of the rooms below."""
    from resgen.train.run.folder import command_line
    from resgen.train.run.settings import Settings

    return Settings(
        out=start.folder(specs, task, seeds),
        seed=seeds[0],
        seeds=seeds if len(seeds) > 1 else (),
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
        recipe=task.title(),
        overrides=tuple(task.with_ or ()),
        notes=notes,
    )
