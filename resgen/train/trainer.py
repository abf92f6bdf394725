"""One network's run: steps, epochs, checkpoints, from the first step or from any later one."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.nn.parallel import DistributedDataParallel
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from resgen.errors import Diverged, Interrupted
from resgen.train import checkpoint, metrics, optimizer
from resgen.train.board import Board
from resgen.train.data import Data
from resgen.train.distributed import World
from resgen.train.engine import Engine
from resgen.train.evaluation import evaluate, measure_batch_norm
from resgen.train.feed import Feed, Piece
from resgen.train.folders import Result
from resgen.train.log import Log, duration
from resgen.train.loop import Clock, Count, Stepper, first_bad_layer
from resgen.train.network import Network
from resgen.train.order import Order, shares
from resgen.train.recipe import Recipe
from resgen.train.schedule import Rate
from resgen.train.seeds import derive
from resgen.train.settings import Settings
from resgen.train.signals import Stop
from resgen.train.state import random_states, restore_random, same_run

LOOK_EVERY = 50
"""Steps between looks at an asynchronous device's numbers."""
ERROR_WINDOW = 100
"""Steps over which the training error that ends He 2015's warm-up is measured."""


@dataclass(frozen=True)
class Setup:
    """Everything a run is made of; nothing in it changes while the run goes on."""

    network: Network
    recipe: Recipe
    data: Data
    feed: Feed
    order: Order
    engine: Engine
    world: World
    settings: Settings
    folder: Path

    @property
    def rate(self) -> Rate:
        """The schedule over this run's epochs."""
        return Rate(self.recipe, self.order.steps)


class Trainer:
    """The changing state of one run: weights, optimizer, average, and the next step to take."""

    def __init__(self, setup: Setup, module: nn.Module, log: Log) -> None:
        self.setup, self.log = setup, log
        engine, recipe = setup.engine, setup.recipe
        self.rate = setup.rate
        self.module = module
        self.average = (
            AveragedModel(
                self.module,
                multi_avg_fn=get_ema_multi_avg_fn(recipe.ema.decay),  # type: ignore[no-untyped-call]
                use_buffers=True,
            )
            if recipe.ema
            else None
        )
        self.optimizer = optimizer.build(self.module, recipe.optimizer, device=engine.device)
        self.stepper = Stepper.of(
            self._called(), self.optimizer, recipe=recipe, engine=engine, world=setup.world
        )
        self.step = 0
        self.warm = recipe.schedule.warmup_until_error is None
        self.window = Count.zero(engine.device)
        self.best: tuple[float, int] = (float("inf"), 0)
        self.clock = Clock()
        self.rows: list[metrics.Row] = []

    def _called(self) -> nn.Module:
        module = self.module
        if self.setup.settings.sync_bn == "on":
            module = self.module = nn.SyncBatchNorm.convert_sync_batchnorm(module)  # type: ignore[no-untyped-call]
        if self.setup.world.size > 1:
            cuda = self.setup.engine.device.type == "cuda"
            ids = [self.setup.engine.device] if cuda else None
            module = DistributedDataParallel(module, device_ids=ids)
        if self.setup.engine.compile == "on":
            if module is self.module:
                # Evaluation and the search for a bad layer keep the module as it is.
                return torch.compile(module)  # type: ignore[return-value]
            module.compile()
        return module

    # ---- training

    def fit(self, stop: Stop) -> Result:
        """Trains from the current step to the last. Raises Interrupted and Diverged."""
        setup = self.setup
        if self.step == 0:
            self.save()
        board = None
        if setup.settings.tensorboard == "on" and setup.world.first:
            board = Board(setup.folder, step=self.step)
        self.log.open(setup.network.name, total=self.rate.total, done=self.step)
        saved = time.monotonic()
        while self.step < self.rate.total:
            for _ in self._steps_of_epoch():
                # Processes must act at the same step; asking each other costs, so not at each.
                if setup.world.size > 1 and self.step % 10:
                    continue
                due = time.monotonic() - saved > 60 * setup.settings.save_minutes
                leave, save = self._agreed(stop.asked is not None, due)
                if leave or save:
                    self.clock.stop()
                    self._refuse_bad()
                    self.save()
                    saved = time.monotonic()
                if leave:
                    raise self._interrupted(stop)
            self._end_epoch()
            if board is not None:
                board.add(self.rows[-1])
            saved = time.monotonic()
            if self.step < self.rate.total and self._agreed(stop.asked is not None, False)[0]:
                raise self._interrupted(stop)
        self.log.close()
        return self._result()

    def _steps_of_epoch(self) -> Iterator[int]:
        """Takes the steps up to the epoch's end, yielding after each but the last."""
        setup, epoch = self.setup, self.setup.order.steps
        end = min((self.step // epoch + 1) * epoch, self.rate.total)
        share = shares(
            setup.recipe.batch, processes=setup.world.size, pieces=setup.recipe.accumulate
        )[setup.world.rank]
        pieces = (Piece(step, part) for step in range(self.step, end) for part in share)
        self.clock.start()
        batches = self.clock.timed(setup.feed.train(pieces))
        while self.step < end:
            # Dropout and stochastic depth draw from torch's own generator.
            torch.manual_seed(derive(setup.settings.seed, "step", self.step, setup.world.rank))
            rate = self.rate(self.step, warm=self.warm)
            if not self.stepper(batches, step=self.step, rate=rate):
                self._diverged(self.step)
            if self.average is not None:
                self.average.update_parameters(self.module)
            self.step += 1
            if not self.warm:
                self._watch_warmup()
            if self.step % LOOK_EVERY == 0 or not setup.engine.asynchronous:
                self._look()
            if self.step < end:
                yield self.step
        setup.engine.synchronize()
        self.clock.stop()

    def _look(self) -> None:
        """Shows where the run stands, after making sure that nothing went wrong."""
        if self.setup.engine.asynchronous:
            self._refuse_bad()
        state = None
        if self.log.wants_numbers(self.step):
            loss, error = self.stepper.count.read()
            self.clock.stop()
            in_epoch = (self.step - 1) % self.setup.order.steps + 1
            speed = in_epoch * self.setup.recipe.batch / max(self.clock.seconds, 1e-9)
            left = (self.rate.total - self.step) * self.setup.recipe.batch / speed
            state = (
                f"loss {loss:.4f}, error {100 * error:.2f} %, {speed:,.0f} images/s, "
                f"{duration(left)} left"
            )
        self.log.step(self.step, state)

    def _watch_warmup(self) -> None:
        """Ends the warm-up once the training error of a window is below the recipe's."""
        until = self.setup.recipe.schedule.warmup_until_error
        assert until is not None
        in_epoch = (self.step - 1) % self.setup.order.steps + 1
        if in_epoch % ERROR_WINDOW and in_epoch != self.setup.order.steps:
            return
        since = self.stepper.count.sums - self.window.sums
        self.window.sums.copy_(self.stepper.count.sums)
        _, error = Count(self.setup.world.sum(since)).read()
        if error < until:
            self.warm = True
            self.log.line(f"  step {self.step}: training error {100 * error:.1f} %, warm-up ends")

    # ---- the end of an epoch, and of the run

    def _end_epoch(self) -> None:
        self._refuse_bad()
        setup, world = self.setup, self.setup.world
        in_epoch = (self.step - 1) % setup.order.steps + 1
        world.sum(self.stepper.count.sums)
        train_loss, train_error = self.stepper.count.read()
        loss, error = self.evaluate("heldout")
        row = {
            "epoch": round(self.step / setup.order.steps, 4),
            "step": self.step,
            "rate": self.optimizer.param_groups[0]["lr"],
            "train_loss": train_loss,
            "train_error": train_error,
            "heldout_loss": loss,
            "heldout_error": error,
            "images_per_second": round(
                in_epoch * setup.recipe.batch / max(self.clock.seconds, 1e-9), 1
            ),
            "data_wait": round(self.clock.waited / max(self.clock.seconds, 1e-9), 4),
            "seconds": round(self.clock.seconds, 3),
        }
        better = error < self.best[0]
        if better:
            self.best = (error, self.step)
        self.rows.append(row)
        self.stepper.count.sums.zero_()
        self.window.sums.zero_()
        self.clock = Clock()
        if world.first:
            metrics.append(setup.folder, row)
        self.save(best=better)
        self._report(row)

    def _report(self, row: metrics.Row) -> None:
        seconds = sum(each["seconds"] for each in self.rows[-5:]) / len(self.rows[-5:])
        left = (self.rate.total - self.step) / self.setup.order.steps * seconds
        self.log.step(self.step)
        self.log.line(
            f"  epoch {row['epoch']:g}: training {100 * row['train_error']:.2f} %, "
            f"held out {100 * row['heldout_error']:.2f} %, rate {row['rate']:.3g}, "
            f"{row['images_per_second']:,.0f} images/s, "
            f"{100 * row['data_wait']:.0f} % waiting for data, {duration(left)} left"
        )

    def evaluate(self, which: str) -> tuple[float, float]:
        """(loss, error) on `heldout` or `test`, of the averaged weights where they are kept."""
        setup = self.setup
        module = self.module if self.average is None else self.average.module
        # Running statistics differ between processes; all judge with the first one's.
        setup.world.copy_first(module.buffers())
        if setup.recipe.precise_bn:
            steps = range(min(setup.recipe.precise_bn, setup.order.steps))
            # The same images in every process, so that all keep the same statistics.
            images = setup.feed.still("train", [setup.order.indices(step) for step in steps])
            measure_batch_norm(module, images, engine=setup.engine)
        split = setup.data.heldout if which == "heldout" else setup.data.test
        assert split is not None
        return evaluate(
            module, setup.feed, which, len(split),
            batch=min(512, setup.recipe.batch), engine=setup.engine, world=setup.world,
        )  # fmt: skip

    def _result(self) -> Result:
        last = self.rows[-1]
        test = self.evaluate("test")[1] if self.setup.data.test is not None else None
        return Result(
            self.setup.network.name, last["train_error"], last["heldout_error"], self.best[0],
            self.best[1] / self.setup.order.steps, test,
            round(sum(row["seconds"] for row in self.rows), 1),
        )  # fmt: skip

    # ---- stopping

    def _agreed(self, leave: bool, save: bool) -> tuple[bool, bool]:
        """Whether to leave and whether to save now: what any process wants, all do."""
        world = self.setup.world
        if world.size == 1:
            return leave, save
        wanted = torch.tensor([float(leave), float(save)], device=self.setup.engine.device)
        left, saved = world.sum(wanted).tolist()
        return left > 0, saved > 0

    def _interrupted(self, stop: Stop) -> Interrupted:
        return Interrupted(
            f"{stop.asked or 'a signal to another process'}: stopped after step {self.step} of "
            f"{self.rate.total}, saved in {self.setup.folder}; go on with --resume"
        )

    def _refuse_bad(self) -> None:
        """Raises Diverged if a step since the last look was refused."""
        if self.setup.engine.asynchronous and (step := int(self.stepper.first_bad)) >= 0:
            self._diverged(step)

    def _diverged(self, step: int) -> None:
        # A batch is a function of its step, so the one that failed can be made again.
        setup = self.setup
        self.log.close()
        world = setup.world
        (share,) = shares(setup.recipe.batch, processes=world.size, pieces=1)[world.rank]
        batch = next(setup.feed.train([Piece(step, share)]))
        where = first_bad_layer(self.module, batch, setup.recipe, setup.engine)
        raise Diverged(
            f"{setup.network.name}: the loss or its gradient became NaN or infinite in step "
            f"{step + 1} at rate {self.rate(step, warm=self.warm):.4g}; {where}; the weights "
            f"were not touched, the last good checkpoint is {setup.folder / checkpoint.LAST}"
        )

    # ---- state

    def state(self) -> dict[str, Any]:
        """Everything the next step depends on, as tensors and plain values."""
        setup = self.setup
        return {
            "name": setup.network.name,
            "network": setup.network.spec,
            "recipe": setup.recipe.model_dump(mode="json"),
            "data": {
                "name": setup.data.name, "classes": list(setup.data.classes),
                "mean": list(setup.data.mean), "std": list(setup.data.std),
                "train": len(setup.data.train), "heldout": len(setup.data.heldout),
            },
            "seed": setup.settings.seed,
            "step": self.step,
            "total": self.rate.total,
            "warm": self.warm,
            "best": list(self.best),
            "count": self.stepper.count.sums.clone(),
            "window": self.window.sums.clone(),
            "clock": [self.clock.seconds, self.clock.waited],
            "model": self.module.state_dict(),
            "average": self.average.state_dict() if self.average is not None else None,
            "optimizer": self.optimizer.state_dict(),
            "random": random_states(setup.engine),
        }  # fmt: skip

    def save(self, *, best: bool = False) -> None:
        """Writes a checkpoint; all processes come here, the first one writes."""
        count = self.stepper.count.sums.clone()
        if self.setup.world.size > 1:
            # One process's file must hold the images that all have counted.
            self.setup.world.sum(self.stepper.count.sums)
        if self.setup.world.first:
            checkpoint.save(self.state(), self.setup.folder, best=best)
        self.stepper.count.sums.copy_(count)
        self.setup.world.wait()

    def restore(self, state: dict[str, Any]) -> None:
        """Continues from a checkpoint. Raises UserError where it is of another run."""
        same_run(state, self.state(), self.setup.folder / checkpoint.LAST)
        self.module.load_state_dict(state["model"])
        if self.average is not None:
            self.average.load_state_dict(state["average"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.step, self.warm = state["step"], state["warm"]
        self.best = (float(state["best"][0]), int(state["best"][1]))
        share = 1.0 if self.setup.world.first else 0.0
        self.stepper.count.sums.copy_(state["count"] * share)
        self.window.sums.copy_(state["window"] * share)
        self.clock = Clock(*state["clock"])
        restore_random(state["random"], self.setup.engine)
        if self.setup.world.first:
            self.rows = metrics.cut_back(self.setup.folder, self.step)
        self.setup.world.wait()
        self.rows = metrics.read(self.setup.folder)
