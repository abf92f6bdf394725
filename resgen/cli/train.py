"""`resgen train SPEC...`"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from typing import TYPE_CHECKING, Annotated

import typer

from resgen.cli.options import Apart, Needs, grouped, refuse
from resgen.cli.seeds import Seeds
from resgen.cli.training import Machine, Reading, Record, Start, Task
from resgen.words import listed

if TYPE_CHECKING:
    from resgen.train.data.images import Wanted
    from resgen.train.recipe import Recipe
    from resgen.train.run.job import Job
    from resgen.train.run.network import Network
    from resgen.train.run.settings import Settings

RULES = (
    Apart("--seed", ("--seeds",), "the one names seeds, the other says how many; leave one out"),
    Apart("--resume", ("--force",), "the one goes on, the other starts over; leave one out"),
    Apart(
        "--auto-resume",
        ("--resume", "--force"),
        "it goes on where there is something and starts where there is nothing; leave one out",
    ),
    Apart("--plan", ("--resume", "--auto-resume", "--force"), "nothing is trained; leave one out"),
    Apart("--epochs", ("--set length",), "both are the recipe's length; leave one out"),
    Apart(
        "--batch", ("--set batch",), "both are the recipe's batch; leave one out", "--batch auto"
    ),
    Needs("--measure", ("--plan",)),
    Needs("--head", ("--init-from",)),
    Needs("--normalize", ("--init-from",)),
    Needs("--download", ("--data cifar10", "--data cifar100", "--init-from reference")),
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
    refuse(ctx, RULES, *task.said(), *start.said())
    seeds = drawn.chosen(specs)
    from resgen.train.run import network, outlook

    name = task.named(start.folder(specs, task, seeds) if start.goes_on else None)
    recipe, notes = task.chosen(name)
    if start.init_from is None and not start.resume:
        network.refuse_checkpoints(specs)
    side, typed = recipe.augment.size, tuple(task.with_ or ())
    wanted = reading.wanted(task.data)
    networks = network.load_all(specs, overrides=typed, train_side=side)
    if start.init_from is not None:
        from resgen.train.run import start as weights

        networks, more = weights.for_data(specs, networks, typed, wanted, side)
        notes += more
    said = (task.title(name), notes)
    asked = (specs, task, start, machine, reading, record, said, seeds)
    if start.plan:
        for note in notes:
            typer.echo(f"note: {note}", err=True)
        told = outlook.outlook(
            networks, recipe, wanted, title=task.title(name),
            precision=machine.precision, expected=machine.expected(recipe, start.measure),
        )  # fmt: skip
        if start.init_from is not None:
            settings = _settings(*asked)
            more_lines = (weights.told(each, settings, wanted) for each in networks)
            told = "\n".join([told, *chain.from_iterable(more_lines)])
        typer.echo(told)
        if len(seeds) > 1:
            typer.echo(f"\nseeds {listed(seeds)}: each network is trained {len(seeds)} times")
        return
    _run(networks, recipe, wanted, _settings(*asked), machine, record)


def _run(
    networks: Sequence[Network],
    recipe: Recipe,
    wanted: Wanted,
    settings: Settings,
    machine: Machine,
    record: Record,
) -> None:
    """Trains them, and prints how they ended. Raises Diverged where one did."""
    from resgen.train.device import engine, processes
    from resgen.train.run import runs
    from resgen.train.run.job import Job
    from resgen.train.run.signals import Stop

    if record.deterministic:
        engine.make_deterministic()
    motor = machine.engine(processes.placed().local_rank)
    with Stop(), processes.joined(motor.device) as world:
        job = Job(networks, recipe, wanted, settings, motor, world)
        ended = runs.train_each(job)
        if world.first and ended.results:
            typer.echo(runs.table(ended.results, networks))
            if settings.seeds:
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
    told: tuple[str, tuple[str, ...]],
    seeds: tuple[int, ...],
) -> Settings:
    """What is asked of the run, in the words of the rooms below."""
    from resgen.train.run.folder import command_line
    from resgen.train.run.settings import Settings

    return Settings(
        out=start.folder(specs, task, seeds),
        seed=seeds[0],
        seeds=seeds if len(seeds) > 1 else (),
        start=start.kind,
        save_minutes=record.save_every,
        batch="auto" if task.batch == "auto" else "recipe",
        workers=reading.workers,
        sync_bn="on" if machine.sync_bn else "off",
        recompute=machine.recompute,
        tensorboard="on" if record.tensorboard else "off",
        init_from=start.init_from,
        head=start.head,
        normalize=start.normalize,
        voice="quiet" if record.quiet else "full",
        command=command_line(),
        recipe=told[0],
        overrides=tuple(task.with_ or ()),
        notes=told[1],
    )
