"""Networks + recipe + data -> run folders, a figure and a table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from resgen.errors import UserError
from resgen.tensors import checkpoint
from resgen.train.data import sources
from resgen.train.data.feed import Feed, MemoryFeed
from resgen.train.data.images import Data, Images, Wanted
from resgen.train.data.order import Order, shares
from resgen.train.device import machine
from resgen.train.device.engine import Engine
from resgen.train.device.processes import World
from resgen.train.device.recompute import recompute_blocks
from resgen.train.recipe import Recipe
from resgen.train.run import board, figures, fit, metrics
from resgen.train.run import folder as run_folder
from resgen.train.run.folder import Result
from resgen.train.run.log import Log, duration
from resgen.train.run.network import Network
from resgen.train.run.settings import Settings
from resgen.train.run.setup import Setup
from resgen.train.run.signals import Stop
from resgen.train.run.state import start_random
from resgen.train.run.trainer import Trainer
from resgen.words import aligned


@dataclass(frozen=True)
class Job:
    """What to train, on what, how."""

    networks: Sequence[Network]
    recipe: Recipe
    data: Wanted
    settings: Settings
    engine: Engine
    world: World

    def data_for(self, network: Network) -> Wanted:
        """The data as this network takes it."""
        return replace(
            self.data, channels=network.channels, size=network.size, classes=network.classes
        )

    def folder(self, network: Network) -> Path:
        """A single network's run lies in the folder itself, several lie side by side in it."""
        out = self.settings.out
        return out if len(self.networks) == 1 else out / network.name


def train(job: Job) -> list[Result]:
    """Trains the networks one after another; one figure shows them all.

    Everything that can be wrong is looked at before the first network trains.
    """
    world, settings = job.world, job.settings
    results: list[Result] = []
    if settings.tensorboard == "on":
        board.require()
    with Log(voice=settings.voice if world.first else "quiet") as log, Stop() as stop:
        loaded: dict[Wanted, Data] = {}
        setups = [_setup(job, network, loaded) for network in job.networks]
        if world.first:
            run_folder.prepare(settings.out, settings, {job.folder(each) for each in job.networks})
        world.wait()
        log.line(f"{settings.out}: seed {settings.seed}, {job.engine}")
        if settings.recipe:
            log.line(f"recipe {settings.recipe}")
        for note in settings.notes:
            log.line(f"  note: {note}")
        if world.size > 1:
            each = -(-job.recipe.batch // (world.size * job.recipe.accumulate))
            log.line(f"{world.size} processes, {each} of {job.recipe.batch} images each at a time")
        for line in dict.fromkeys(setup.data.describe() for setup in setups):
            log.line(line)
        for note in dict.fromkeys(note for setup in setups for note in setup.data.notes):
            log.line(f"  note: {note}")
        for setup in setups:
            results.append(_train_one(setup, log, stop))
            if world.first:
                _draw(job, setups[: len(results)])
    return results


def _setup(job: Job, network: Network, loaded: dict[Wanted, Data]) -> Setup:
    wanted, recipe = job.data_for(network), job.recipe
    if wanted not in loaded:
        # One process of each machine may download; the others read what it brought.
        if wanted.download == "allowed" and job.world.local_rank > 0:
            job.world.wait()
        loaded[wanted] = sources.load(wanted)
        if wanted.download == "allowed" and job.world.local_rank == 0:
            job.world.wait()
    data = loaded[wanted]
    order = Order(len(data.train), recipe.batch, job.settings.seed, recipe.augment.repeats)
    shares(recipe.batch, processes=job.world.size, pieces=recipe.accumulate)
    least = recipe.batch // (job.world.size * recipe.accumulate)
    if least < network.least_images:
        raise UserError(
            f"{network.name}: its smallest images are 1x1, and a batch norm needs two of them at "
            f"a time in training; the batch of {recipe.batch} gives it {least}: raise batch"
        )
    feed = _feed(job, data, order, network)
    return Setup(
        network, recipe, data, feed, order, job.engine, job.world, job.settings,
        job.folder(network),
    )  # fmt: skip


def _feed(job: Job, data: Data, order: Order, network: Network) -> Feed:
    engine = job.engine
    if isinstance(data.train, Images):
        return MemoryFeed.of(
            data, recipe=job.recipe.augment, order=order, channels=network.channels,
            size=network.size, train_size=network.train_size, device=engine.device,
            layout=engine.memory_format,
        )  # fmt: skip
    from resgen.train.data.filefeed import FileFeed

    workers = job.settings.workers
    return FileFeed(
        data, recipe=job.recipe.augment, order=order, channels=network.channels,
        size=network.size, train_size=network.train_size, device=engine.device,
        layout=engine.memory_format,
        workers=machine.workers(job.world.local_size) if workers is None else workers,
    )  # fmt: skip


def _train_one(setup: Setup, log: Log, stop: Stop) -> Result:
    network, settings, world = setup.network, setup.settings, setup.world
    start_random(settings.seed)
    module = network.module(settings.seed)
    log.line(
        f"{network.name}: {network.params:,} parameters, {network.macs:,} MACs an image; "
        f"{network.verdict(module)}"
    )
    last = setup.folder / checkpoint.LAST
    found = None
    if settings.start == "resume":
        if last.exists():
            found = checkpoint.load(last)
        elif last.with_name(checkpoint.PREVIOUS).exists():
            raise UserError(f"{last}: missing, but {checkpoint.PREVIOUS} is there; rename it")
    if settings.init_from is not None and found is None:
        said = network.init(module, settings.init_from, settings.head)
        log.line(f"  {settings.init_from}: {said}")
    module = module.to(setup.engine.device, memory_format=setup.engine.memory_format)  # type: ignore[call-overload]
    if settings.recompute == "blocks":
        count = recompute_blocks(module)
        log.line(f"  {count} blocks are computed twice to save memory")
    setup = _fitted(setup, module, found, log)
    if world.first:
        record = run_folder.environment(settings, setup.engine, world.size)
        run_folder.write_record(setup.folder, network, setup.recipe, record)
    trainer = Trainer(setup, module, log)
    if found is not None:
        trainer.resume(found)
        log.line(f"  resumed at step {trainer.state.step} of {trainer.rate.total}")
        ended = (
            run_folder.finished(setup.folder) if trainer.state.step == trainer.rate.total else None
        )
        if ended is not None:  # the test set has been read; it is not read again
            return ended
    result = trainer.fit(stop)
    if world.first:
        run_folder.write_result(setup.folder, result)
    return result


def _fitted(
    setup: Setup, module: torch.nn.Module, found: dict[str, object] | None, log: Log
) -> Setup:
    """The setup with as many accumulations as the memory needs, if that was asked for."""
    batch, size = setup.recipe.batch, setup.world.size
    need = None
    if setup.settings.batch == "auto" or setup.settings.recompute == "blocks":
        need = fit.measure(module, setup.network, setup.recipe, setup.engine)
    if setup.settings.batch == "auto":
        assert need is not None
        if found is not None:
            # A resumed run goes on as it was begun, or its bits would differ.
            pieces = int(found["recipe"]["accumulate"])  # type: ignore[index]
        else:
            free = machine.free_memory(setup.engine.device) or need.step(batch)
            works = fit.real_step(module, setup.network, setup.engine)
            state = {name: value.clone() for name, value in module.state_dict().items()}
            least = setup.network.least_images
            pieces = fit.pieces_that_fit(need, -(-batch // size), free, works, least=least)
            module.load_state_dict(state)
            # All processes must agree; the one with the least memory decides.
            (pieces,) = setup.world.largest(pieces)
        log.line(f"  --batch auto: {batch} images a step in {pieces} pieces")
        setup = replace(setup, recipe=setup.recipe.model_copy(update={"accumulate": pieces}))
    images = -(-batch // (size * setup.recipe.accumulate))
    step = (
        # The closed form knows nothing of recomputed blocks; there the measurement serves.
        need.step(images)
        if need is not None
        else setup.network.step_bytes(images, setup.engine.precision, setup.recipe.optimizer.state)
    )
    log.line(f"  {fit.sentence(step, setup.engine)}")
    return setup


def _draw(job: Job, setups: Sequence[Setup]) -> None:
    runs = {setup.network.name: metrics.read(setup.folder) for setup in setups}
    title = f"{setups[0].data.name}, seed {job.settings.seed}"
    figures.draw_curves(runs, job.settings.out / run_folder.CURVES, title=title)


def table(results: Sequence[Result], networks: Sequence[Network]) -> str:
    """The last table: errors in %, each labelled with the images it was counted on."""
    header = ("network", "params", "training", "held out", "best held out", "test", "time")
    rows = []
    for result, network in zip(results, networks, strict=True):
        test = "-" if result.test_error is None else f"{100 * result.test_error:.2f} %"
        best = f"{100 * result.best_error:.2f} % (epoch {result.best_epoch:.4g})"
        rows.append(
            (
                result.name, f"{network.params:,}", f"{100 * result.train_error:.2f} %",
                f"{100 * result.last_error:.2f} %", best, test, duration(result.seconds),
            )
        )  # fmt: skip
    note = (
        "errors: training with the weights of each step, over the last epoch;\n"
        "held out and test with the last weights"
    )
    return "\n".join([*aligned(header, rows), "", note])
