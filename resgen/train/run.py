"""Networks + recipe + data -> run folders, a figure and a table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from resgen.errors import UserError
from resgen.train import checkpoint, data, figures, folders, metrics
from resgen.train.distributed import World
from resgen.train.engine import Engine
from resgen.train.feed import MemoryFeed
from resgen.train.log import Log
from resgen.train.network import Network
from resgen.train.order import Order, shares
from resgen.train.recipe import Recipe
from resgen.train.settings import Settings
from resgen.train.signals import Stop
from resgen.train.trainer import Result, Setup, Trainer


@dataclass(frozen=True)
class Job:
    """What to train, on what, how."""

    networks: Sequence[Network]
    recipe: Recipe
    data: data.Wanted
    settings: Settings
    engine: Engine
    world: World

    def data_for(self, network: Network) -> data.Wanted:
        """The data as this network takes it."""
        return replace(
            self.data, channels=network.channels, size=network.size, classes=network.classes
        )

    def folder(self, network: Network) -> Path:
        """A single network's run lies in the folder itself, several lie side by side in it."""
        out = self.settings.out
        return out if len(self.networks) == 1 else out / network.name


def train(job: Job) -> list[Result]:
    """Trains the networks one after another; one figure shows them all."""
    world, settings = job.world, job.settings
    voice = settings.voice if world.first else "quiet"
    results: list[Result] = []
    with Log(voice=voice) as log, Stop() as stop:
        # Everything that can be wrong is looked at before the first network trains.
        setups = [_setup(job, network) for network in job.networks]
        if world.first:
            for network in job.networks:
                folders.prepare(job.folder(network), settings)
        world.wait()
        log.line(f"{settings.out}: seed {settings.seed}, {job.engine}")
        log.line(setups[0].data.describe())
        for note in setups[0].data.notes:
            log.line(f"  note: {note}")
        for setup in setups:
            results.append(_train_one(setup, log, stop))
            if world.first:
                _draw(job, setups[: len(results)])
    return results


def _setup(job: Job, network: Network) -> Setup:
    recipe, engine = job.recipe, job.engine
    found = data.load(job.data_for(network))
    order = Order(len(found.train), recipe.batch, job.settings.seed)
    shares(recipe.batch, processes=job.world.size, pieces=recipe.accumulate)
    feed = MemoryFeed.of(
        found, recipe=recipe.augment, order=order, channels=network.channels,
        size=network.size, device=engine.device, layout=engine.memory_format,
    )  # fmt: skip
    return Setup(
        network, recipe, found, feed, order, engine, job.world, job.settings, job.folder(network)
    )


def _train_one(setup: Setup, log: Log, stop: Stop) -> Result:
    network, settings = setup.network, setup.settings
    module = network.module(settings.seed)
    log.line(
        f"{network.name}: {network.params:,} parameters, {network.macs:,} MACs an image; "
        f"{network.verdict(module)}"
    )
    if setup.world.first:
        record = folders.environment(settings, setup.engine, setup.world.size)
        folders.write_record(setup.folder, network, setup.recipe, record)
    trainer = Trainer(setup, module, log)
    last = setup.folder / checkpoint.LAST
    if settings.start == "resume":
        if last.exists():
            trainer.restore(checkpoint.load(last))
            log.line(f"  resumed at step {trainer.step} of {trainer.rate.total}")
        elif last.with_name(checkpoint.PREVIOUS).exists():
            raise UserError(f"{last}: missing, but {checkpoint.PREVIOUS} is there; rename it")
    result = trainer.fit(stop)
    if setup.world.first:
        folders.write_result(setup.folder, result)
    return result


def _draw(job: Job, setups: Sequence[Setup]) -> None:
    runs = {setup.network.name: metrics.read(setup.folder) for setup in setups}
    title = f"{job.data.name}, seed {job.settings.seed}"
    figures.draw_curves(runs, job.settings.out / folders.CURVES, title=title)


def table(results: Sequence[Result], networks: Sequence[Network]) -> str:
    """The last table: errors in %, each labelled with the images it was counted on."""
    from resgen.train.log import duration

    head = ("network", "params", "training", "held out", "best held out", "test", "time")
    rows = [head]
    for result, network in zip(results, networks, strict=True):
        test = "-" if result.test_error is None else f"{100 * result.test_error:.2f} %"
        rows.append(
            (
                result.name, f"{network.params:,}", f"{100 * result.train_error:.2f} %",
                f"{100 * result.last_error:.2f} %",
                f"{100 * result.best_error:.2f} % (epoch {result.best_epoch:g})", test,
                duration(result.seconds),
            )
        )  # fmt: skip
    widths = [max(len(row[column]) for row in rows) for column in range(len(head))]
    lines = [
        "  ".join(
            cell.ljust(width) if column == 0 else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        for row in rows
    ]
    note = (
        "errors: training with the weights of each step, over the last epoch; "
        "the others with the last weights"
    )
    return "\n".join([*lines, "", note])
