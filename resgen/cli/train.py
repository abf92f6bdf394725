"""`resgen train SPEC...`"""

from __future__ import annotations

import shlex
import sys
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer

from resgen.cli import completion
from resgen.cli.options import Apart, Needs, grouped, refuse
from resgen.cli.seeds import Seeds
from resgen.cli.streams import say
from resgen.cli.training import Machine, Reading, Record, Start, Task
from resgen.words import listed

if TYPE_CHECKING:
    from resgen.train.data.images import Wanted
    from resgen.train.device.voice import Voice
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
    Needs(
        "--download",
        ("--data cifar10", "--data cifar100", "--data hf", "--init-from reference"),
    ),
    Needs("--skip-bad-images", ("--data folder", "--data hf")),
    Needs("--decode", ("--data folder", "--data hf")),
)


@grouped
def train(
    ctx: typer.Context,
    specs: Annotated[
        list[str],
        typer.Argument(
            metavar="SPEC", help="Spec files or shipped names.", autocompletion=completion.specs
        ),
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
    asked = _Asked(specs, task, start, machine, reading, record, drawn.chosen(specs))
    from resgen.train.device.voice import together
    from resgen.train.run.signals import Stop

    with Stop(), together() as voice:
        work = asked.work()
        if start.plan:
            if voice.place.first:
                asked.tell(work)
        else:
            asked.train(work, voice)


class _Work(NamedTuple):
    """What the options say is to be trained."""

    networks: list[Network]
    recipe: Recipe
    wanted: Wanted
    title: str
    notes: tuple[str, ...]


@dataclass(frozen=True)
class _Asked:
    """The options of one command together."""

    specs: list[str]
    task: Task
    start: Start
    machine: Machine
    reading: Reading
    record: Record
    seeds: tuple[int, ...]

    def work(self) -> _Work:
        """Networks, recipe, data and settings. Raises UserError for what is none."""
        from resgen.train.run import early, network

        specs, task, start = self.specs, self.task, self.start
        out = start.folder(specs, task, self.seeds)
        name = task.named(out if start.goes_on else None)
        recipe, notes = task.chosen(name)
        early.refuse_missing(task.data, start.init_from)
        if start.init_from is None and not start.resume:
            network.refuse_checkpoints(specs)
        side, typed = recipe.augment.size, tuple(task.with_ or ())
        wanted = self.reading.wanted(task.data)
        networks = network.load_all(specs, overrides=typed, train_side=side)
        if start.init_from is not None:
            from resgen.train.run import start as weights

            networks, more = weights.for_data(specs, networks, typed, wanted, side)
            notes += more
        return _Work(networks, recipe, wanted, task.title(name), notes)

    def tell(self, work: _Work) -> None:
        """Prints what would be trained, and trains nothing."""
        from resgen.train.run import outlook

        for note in work.notes:
            say(f"note: {note}", err=True)
        told = outlook.outlook(
            work.networks, work.recipe, work.wanted, title=work.title,
            precision=self.machine.precision, compile=self.machine.compile,
            expected=self.machine.expected(work.recipe, self.start.measure),
        )  # fmt: skip
        if self.start.init_from is not None:
            from resgen.train.run import start as weights

            settings = self._settings(work)
            more = (weights.told(each, settings, work.wanted) for each in work.networks)
            told = "\n".join([told, *chain.from_iterable(more)])
        say(told)
        if (count := len(self.seeds)) > 1:
            say(f"\nseeds {listed(self.seeds)}: each network is trained {count} times")

    def train(self, work: _Work, voice: Voice) -> None:
        """Trains, and prints the last tables."""
        from resgen.train.run import early

        settings = self._settings(work)
        if voice.place.size == 1:
            early.refuse(settings)
        from resgen.train.device import engine, processes
        from resgen.train.run import runs
        from resgen.train.run.job import Job

        if self.record.deterministic:
            engine.make_deterministic()
        motor = self.machine.engine(voice.place.local_rank)
        self.reading.check(motor.device)
        with processes.joined(motor.device, voice) as world:
            job = Job(work.networks, work.recipe, work.wanted, settings, motor, world)
            ended = runs.train_each(job)
            if world.first and ended.results:
                say(runs.table(ended.results, work.networks))
                if len(self.seeds) > 1:
                    say("\n" + _over_seeds(job))
            ended.refuse_diverged()

    def _settings(self, work: _Work) -> Settings:
        """What is asked of the run, in the words of the rooms below."""
        from resgen.train.run.settings import Settings

        start, record, machine, seeds = self.start, self.record, self.machine, self.seeds
        return Settings(
            out=start.folder(self.specs, self.task, seeds),
            seed=seeds[0],
            seeds=seeds if len(seeds) > 1 else (),
            start=start.kind,
            save_minutes=record.save_every,
            batch="auto" if self.task.batch == "auto" else "recipe",
            workers=self.reading.workers,
            decode=self.reading.decode,
            sync_bn="on" if machine.sync_bn else "off",
            recompute=machine.recompute,
            tensorboard="on" if record.tensorboard else "off",
            init_from=start.init_from,
            head=start.head,
            normalize=start.normalize,
            voice="quiet" if record.quiet else "full",
            command=shlex.join(["resgen", *sys.argv[1:]]),
            recipe=work.title,
            overrides=tuple(self.task.with_ or ()),
            notes=work.notes,
        )


def _over_seeds(job: Job) -> str:
    """Each network's errors over its seeds."""
    from resgen.compare import forms, groups, record

    folders = [one.folder_of(network) for one, network in job.each()]
    return forms.table(groups.grouped([record.read(folder) for folder in folders]))
