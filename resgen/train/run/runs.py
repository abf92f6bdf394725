"""Networks + recipe + data -> run folders, a figure and a table."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from resgen.errors import Diverged, UserError
from resgen.tensors import checkpoint
from resgen.train.data import roster
from resgen.train.data.facts import placed
from resgen.train.data.images import Data, Wanted
from resgen.train.device.compiling import told
from resgen.train.device.recompute import recompute_blocks
from resgen.train.run import claim, figures, fit, metrics, seen
from resgen.train.run import folder as run_folder
from resgen.train.run.differing import agree
from resgen.train.run.folder import Result
from resgen.train.run.freezing import freeze
from resgen.train.run.identity import data_facts, identity, same_run
from resgen.train.run.job import Job, facts
from resgen.train.run.log import Log, duration
from resgen.train.run.network import Network
from resgen.train.run.setup import Setup, made_ready
from resgen.train.run.signals import Stop
from resgen.train.run.start import lines
from resgen.train.run.state import start_random
from resgen.train.run.trainer import Trainer
from resgen.words import aligned, listed, overridden


class Ended(NamedTuple):
    """The results of the networks that came to their end, and why the others did not."""

    results: list[Result]
    diverged: list[Diverged]
    what: str = "networks"
    """That were trained; `runs` where a network is trained with several seeds."""

    def refuse_diverged(self) -> None:
        """Raises Diverged, naming each network that did, where there are any."""
        if len(self.diverged) == 1:
            raise self.diverged[0]
        if self.diverged:
            count = len(self.results) + len(self.diverged)
            names = ", ".join(str(each).partition(":")[0] for each in self.diverged)
            raise Diverged(
                f"{len(self.diverged)} of {count} {self.what} diverged: {names}; {self.diverged[0]}"
            )


def train(job: Job) -> list[Result]:
    """`train_each`, and raises Diverged at the end if any network did."""
    ended = train_each(job)
    ended.refuse_diverged()
    return ended.results


def train_each(job: Job) -> Ended:
    """Trains the networks one after another, each with every seed; one figure shows them all.

    Everything that can be wrong is looked at before the first network trains. A run that
    diverges ends alone; the others go on.
    """
    world, settings = job.world, job.settings
    ended = Ended([], [], "runs" if settings.seeds else "networks")
    if settings.tensorboard == "on":
        metrics.require_tensorboard()
    voice = settings.voice if world.first else "quiet"
    with Log(voice=voice) as log, Stop() as stop, ExitStack() as folders:
        loaded: dict[Wanted, Data] = {}
        agree(world, facts(job))
        used = [one.folder_of(network) for one, network in job.each()]
        if world.first:
            claim.check(settings, used)
        seen.there(world, _read(job, used))
        setups = [made_ready(one, network, loaded) for one, network in job.each()]
        agree(world, {
            "data": [data_facts(setup.data) for setup in setups],
            "images of names whose hash is": [roster.digest(setup.data.files) for setup in setups],
        })  # fmt: skip
        if world.first:
            folders.enter_context(claim.prepared(settings, used))
        seen.written(world, settings.out)
        if len(setups) > 1:
            for setup in setups:
                _checkpoint(setup)
        _introduce(job, setups, log)
        for setup in setups:
            try:
                ended.results.append(_train_one(setup, log, stop))
            except Diverged as error:
                # Without its traceback, which would keep the network's memory.
                ended.diverged.append(Diverged(str(error)))
                if world.first:
                    with log.unless_missed():
                        run_folder.write_diverged(setup, str(error))
                if len(setups) > 1:
                    log.line(f"  {error}")
            if world.first:
                with log.unless_missed():
                    _draw(job, setups)
    return ended


def _read(job: Job, folders: Sequence[Path]) -> list[tuple[str, Path]]:
    """What all processes read besides their specs, with the words it goes by."""
    found = []
    if job.settings.goes_on:
        out = f"--out {job.settings.out}"
        found = [(out, each / checkpoint.LAST) for each in folders]
    path = placed(job.wanted.name)
    if path is not None and job.wanted.download != "allowed":
        found.append((f"--data {job.wanted.name}", path))
    return found


def _introduce(job: Job, setups: Sequence[Setup], log: Log) -> None:
    """What is common to all networks: settings, recipe, data."""
    world, settings = job.world, job.settings
    which = f"seeds {listed(settings.seeds)}" if settings.seeds else f"seed {settings.seed}"
    log.line(f"{settings.out}: {which}, {job.engine}")
    if settings.recipe:
        log.line(f"recipe {settings.recipe}")
    if settings.overrides:
        log.line(f"every spec with {overridden(settings.overrides)}")
    short = (note for setup in setups for note in setup.rate.out_of_reach())
    for note in dict.fromkeys((*settings.notes, *short)):
        log.line(f"  note: {note}")
    if world.size > 1:
        each = -(-job.recipe.batch // (world.size * job.recipe.accumulate))
        log.line(f"{world.size} processes, {each} of {job.recipe.batch} images each at a time")
    for line in dict.fromkeys(setup.data.describe() for setup in setups):
        log.line(line)
    for note in dict.fromkeys(note for setup in setups for note in setup.data.notes):
        log.line(f"  note: {note}")


def _checkpoint(setup: Setup) -> dict[str, Any] | None:
    """What to go on from, if there is something. Raises UserError where it is of another run."""
    last = setup.folder / checkpoint.LAST
    if not setup.settings.goes_on:
        return None
    if not last.exists():
        if last.with_name(checkpoint.PREVIOUS).exists():
            raise UserError(f"{last}: missing, but {checkpoint.PREVIOUS} is there; rename it")
        return None
    found = checkpoint.load(last)
    if setup.settings.batch == "auto":
        setup = fit.in_pieces(setup, found["recipe"]["accumulate"])
    same_run(found, identity(setup), setup.data.files, last)
    metrics.read(setup.folder)
    return found


def _train_one(setup: Setup, log: Log, stop: Stop) -> Result:
    network, settings, world = setup.network, setup.settings, setup.world
    start_random(settings.seed)
    module = network.module(settings.seed)
    log.line(
        f"{setup.title}: {network.params:,} parameters, {network.macs:,} MACs an image; "
        f"{network.verdict(module)}"
    )
    found = _checkpoint(setup)
    agree(world, {"checkpoint": None if found is None else found["sha256"]})
    if setup.start is not None and found is None:
        report = network.init(module, setup.start.path, settings.head)
        log.line(f"  {setup.start.title}: {report.text()}")
        for line in lines(setup.start, settings):
            log.line(f"  {line}")
    module = module.to(setup.engine.device, memory_format=setup.engine.memory_format)  # type: ignore[call-overload]
    if settings.recompute == "blocks":
        count = recompute_blocks(module)
        log.line(f"  {count} blocks are computed twice to save memory")
    if setup.recipe.freeze:
        log.line(f"  {freeze(module, network.frozen(setup.recipe))}")
    setup = _compiled(fit.fitted(setup, module, found, log), log)
    trainer = Trainer(setup, module, log)
    if found is not None:
        trainer.resume(found)
        log.line(f"  resumed at step {trainer.state.step} of {trainer.rate.total}")
        ended = (
            run_folder.finished(setup.folder, settings.seed)
            if trainer.state.step == trainer.rate.total
            else None
        )
        if ended is not None:  # the test set has been read; it is not read again
            return ended
    if world.first:
        run_folder.write_record(setup, trainer.state.step)
    result = trainer.fit(stop)
    if world.first:
        with log.unless_missed():
            run_folder.write_result(setup, result)
    return result


def _compiled(setup: Setup, log: Log) -> Setup:
    """The setup with `--compile auto` decided, if that was left to the run."""
    work = setup.network.work(
        setup.recipe, setup.rate.total, processes=setup.world.size,
        recompute=setup.settings.recompute,
    )  # fmt: skip
    engine = setup.engine.for_run(work)
    if engine != setup.engine:
        log.line(f"  {told(engine.compile, engine.why)}")
    return replace(setup, engine=engine)


def _draw(job: Job, setups: Sequence[Setup]) -> None:
    runs: dict[str, list[list[metrics.Row]]] = {}
    for setup in setups:
        if rows := metrics.read(setup.folder):
            runs.setdefault(setup.network.name, []).append(rows)
    if not runs:
        return
    seeds = job.settings.seeds
    which = f"seeds {listed(seeds)}" if seeds else f"seed {job.settings.seed}"
    path = job.settings.out / run_folder.CURVES
    figures.draw_curves(runs, path, title=f"{setups[0].data.name}, {which}")


def table(results: Sequence[Result], networks: Sequence[Network]) -> str:
    """The last table: errors in %, each labelled with the images it was counted on.

    Of several seeds it has the seed in place of the params.
    """
    seeds = len({result.seed for result in results}) > 1
    second = "seed" if seeds else "params"
    header = ("network", second, "training", "held-out", "best", "best", "test", "time")
    below = ("", "", "error", "error", "error", "epoch", "error", "")
    rows = []
    params = {network.name: network.params for network in networks}
    for result in results:
        rows.append(
            (
                result.name, str(result.seed) if seeds else f"{params[result.name]:,}",
                percent(result.train_error), percent(result.last_error),
                percent(result.best_error), f"{result.best_epoch:.4g}",
                percent(result.test_error), duration(result.seconds),
            )
        )  # fmt: skip
        top5 = (
            result.train_top5_error, result.last_top5_error, result.best_top5_error,
            result.test_top5_error,
        )  # fmt: skip
        if any(each is not None for each in top5):
            train, last, best, test = map(percent, top5)
            rows.append(("  top-5 error", "", train, last, best, "", test, ""))
    note = (
        "errors: training with the weights of each step, over the last epoch;\n"
        "held-out and test with the last weights; best: the least held-out error"
    )
    return "\n".join([*aligned(header, [below, *rows]), "", note])


def percent(error: float | None) -> str:
    """0.1234 -> `12.34 %`; a dash where nothing was counted."""
    return "-" if error is None else f"{100 * error:.2f} %"
