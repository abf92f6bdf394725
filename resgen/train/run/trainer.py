"""One network's run: steps, epochs, checkpoints, from the first step or from any later one."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

from torch import nn

from resgen.errors import Diverged, Interrupted, UserError
from resgen.tensors import checkpoint
from resgen.train.data.feed import Piece
from resgen.train.data.order import shares
from resgen.train.data.seeds import derive
from resgen.train.run import metrics
from resgen.train.run.counting import Count
from resgen.train.run.evaluation import judge
from resgen.train.run.folder import Result
from resgen.train.run.log import Log, duration
from resgen.train.run.loop import Stepper, called, first_bad_layer
from resgen.train.run.setup import Setup
from resgen.train.run.signals import Stop
from resgen.train.run.state import State, by_process

LOOK_EVERY = 50
"""Steps between looks at an asynchronous device's numbers."""
ASK_EVERY = 10
"""Steps between questions of several processes to each other."""
ERROR_WINDOW = 100
"""Steps over which the training error that ends He 2015's warm-up is measured."""


class Trainer:
    """Takes a run from the step its state is at to the last one."""

    def __init__(self, setup: Setup, module: nn.Module, log: Log) -> None:
        self.setup, self.log = setup, log
        self.rate = setup.rate
        self.state = State(setup, module)
        self.stepper = Stepper.of(
            called(self.state.module, setup.engine, setup.world), self.state.optimizer,
            recipe=setup.recipe, engine=setup.engine, world=setup.world, count=self.state.count,
            scaling=self.state.scaling,
        )  # fmt: skip
        self.rows: list[metrics.Row] = []
        self.saved = time.monotonic()
        self.unjudged = False
        """Whether all steps of an epoch are taken and its held-out images could not be read."""

    def resume(self, saved: dict[str, Any]) -> None:
        """Continues from a checkpoint. Raises UserError where it is of another run."""
        self.state.restore(saved)
        # An epoch that was judged has begun to count anew.
        ended = self.state.step in (self._epoch_end(self.state.step - 1), self.rate.total)
        self.unjudged = ended and bool(by_process(saved["count"])[:, 2].sum() > 0)
        if self.setup.world.first:
            self.rows = metrics.cut_back(self.setup.folder, self.state.step)
        self.setup.world.wait()
        self.rows = metrics.read(self.setup.folder)

    # ---- training

    def fit(self, stop: Stop) -> Result:
        """Trains from the current step to the last. Raises Interrupted and Diverged."""
        with self.setup.feed.open():
            with stop.held(), self.setup.engine.fixed_shapes():
                self._train(stop)
            stop.kept = f"stopped after the last step; {self._where_to_go_on()}"
            return self._result()

    def _train(self, stop: Stop) -> None:
        setup, state = self.setup, self.state
        if state.step == 0:
            state.save()
        board = None
        if setup.settings.tensorboard == "on" and setup.world.first:
            board = metrics.Board(setup.folder, step=state.step)
        self.log.open(setup.title, total=self.rate.total, done=state.step, epoch=setup.order.steps)
        self.saved = time.monotonic()
        while self.unjudged or state.step < self.rate.total:
            for _ in () if self.unjudged else self._steps_of_epoch():
                # Processes must act at the same step; asking each other costs, so not at each.
                if setup.world.size == 1 or state.step % ASK_EVERY == 0:
                    self._act(stop)
            self._end_epoch()
            if board is not None:
                with self.log.unless_missed():
                    board.add(self.rows[-1])
            self.saved = time.monotonic()
            if setup.world.largest(stop.asked is not None)[0]:
                raise self._interrupted(stop)
        self.log.close()

    def _act(self, stop: Stop) -> None:
        """Between two steps: what any process wants, to leave, save or print, all do."""
        state = self.state
        due = time.monotonic() - self.saved > 60 * self.setup.settings.save_minutes
        leave, save, show = self.setup.world.largest(
            stop.asked is not None, due, self.log.wants_numbers(state.step)
        )
        if not (leave or save or show):
            return
        # Waits for the device, so that the time of the steps before is theirs.
        self._refuse_bad()
        with state.clock.paused():
            if show:
                self._show()
            if leave or save:
                state.save()
                self.saved = time.monotonic()
        if leave:
            raise self._interrupted(stop)

    def _epoch_end(self, step: int) -> int:
        """The step at which the epoch of a step, or the run, has taken all of its own."""
        epoch = self.setup.order.steps
        return min((step // epoch + 1) * epoch, self.rate.total)

    def _steps_of_epoch(self) -> Iterator[int]:
        """Takes the steps up to the epoch's end, yielding after each but the last."""
        setup, state = self.setup, self.state
        end = self._epoch_end(state.step)
        share = shares(
            setup.recipe.batch, processes=setup.world.size, pieces=setup.recipe.accumulate
        )[setup.world.rank]
        pieces = (Piece(step, part) for step in range(state.step, end) for part in share)
        state.clock.start()
        batches = state.clock.timed(setup.feed.train(pieces))
        while state.step < end:
            # Dropout and stochastic depth draw from torch's own generator.
            setup.engine.seed(derive(setup.settings.seed, "step", state.step, setup.world.rank))
            rate = self.rate(state.step, warm=state.warm)
            take_back = state.before_step()
            try:
                fine = self.stepper(batches, step=state.step, rate=rate)
            except UserError as error:
                take_back()
                raise self._unreadable(error) from None
            if not fine:
                self._diverged(state.step)
            if state.average:
                state.average.follow()
            state.step += 1
            if not state.warm:
                self._watch_warmup()
            if state.step % LOOK_EVERY == 0 or not setup.engine.asynchronous:
                if setup.engine.asynchronous:
                    self._refuse_bad()
                self.log.step(state.step)
            if state.step < end:
                yield state.step
        setup.engine.synchronize()
        state.clock.stop()

    def _show(self) -> None:
        """Where the run stands, over the images that all processes have seen in this epoch."""
        seen = self.state.counted().read()
        speed = self._speed()
        left = (self.rate.total - self.state.step) * self.setup.recipe.batch / speed
        self.log.step(
            self.state.step,
            f"loss {seen.loss:.4f}, error {100 * seen.error:.2f} %, {speed:,.0f} images/s, "
            f"{duration(left)} left",
        )

    def _watch_warmup(self) -> None:
        """Ends the warm-up once the training error of a window is below the recipe's."""
        until = self.setup.recipe.schedule.warmup_until_error
        assert until is not None
        state = self.state
        taken = state.in_epoch
        if taken % ERROR_WINDOW and taken != self.setup.order.steps:
            return
        counted = state.counted().sums
        error = Count(counted - state.window.sums).read().error
        state.window.sums.copy_(counted)
        if error < until:
            state.warm = True
            self.log.line(f"  step {state.step}: training error {100 * error:.1f} %, warm-up ends")

    # ---- the end of an epoch, and of the run

    def _end_epoch(self) -> None:
        self._refuse_bad()
        setup, state, world = self.setup, self.state, self.setup.world
        train = state.counted().read()
        try:
            heldout = judge(state.judged, setup, "heldout")
        except UserError as unread:
            raise self._unreadable(unread) from None
        self.unjudged = False
        row = {
            "epoch": round(state.step / setup.order.steps, 4),
            "step": state.step,
            "rate": state.rate,
            **metrics.named("train", train),
            **metrics.named("heldout", heldout),
            **({metrics.SKIPPED: int(state.scaling.skipped)} if state.scaling else {}),
            "images_per_second": round(self._speed(), 1),
            "data_wait": round(state.clock.waited / max(state.clock.seconds, 1e-9), 4),
            "seconds": round(state.clock.seconds, 3),
        }
        better = heldout.error < state.best[0]
        if better:
            state.best = (heldout.error, state.step)
        self.rows.append(row)
        state.end_epoch()
        if world.first:
            with self.log.unless_missed():
                metrics.write(setup.folder, self.rows)
        state.save(best=better)
        self._report(row)

    def _speed(self) -> float:
        """Images a second in this epoch."""
        images = self.state.in_epoch * self.setup.recipe.batch
        return images / max(self.state.clock.seconds, 1e-9)

    def _report(self, row: metrics.Row) -> None:
        seconds = sum(each["seconds"] for each in self.rows[-5:]) / len(self.rows[-5:])
        left = (self.rate.total - self.state.step) / self.setup.order.steps * seconds
        self.log.step(self.state.step)
        for line in metrics.lines(row, left=duration(left)):
            self.log.line(line)

    def _result(self) -> Result:
        setup = self.setup
        if not self.rows or self.rows[-1]["step"] != self.state.step:
            raise UserError(
                f"{setup.folder / metrics.NAME}: has no row of the last epoch, of which the result "
                "is made; put the file back, or train anew with --force"
            )
        last = self.rows[-1]
        test = judge(self.state.judged, setup, "test") if setup.data.test is not None else None
        best = next((row for row in self.rows if row["step"] == self.state.best[1]), {})
        return Result(
            setup.network.name, last["train_error"], last["heldout_error"], self.state.best[0],
            self.state.best[1] / setup.order.steps, test.error if test else None,
            round(sum(row["seconds"] for row in self.rows), 1), seed=setup.settings.seed,
            train_top5_error=last.get("train_top5_error"),
            last_top5_error=last.get("heldout_top5_error"),
            best_top5_error=best.get("heldout_top5_error"),
            test_top5_error=test.top5 if test else None,
        )  # fmt: skip

    # ---- stopping

    def _interrupted(self, stop: Stop) -> Interrupted:
        return Interrupted(f"{stop.asked or 'a signal to another process'}: {self._stopped()}")

    def _stopped(self) -> str:
        step, total = self.state.step, self.rate.total
        return f"stopped after step {step} of {total}, {self._where_to_go_on()}"

    def _where_to_go_on(self) -> str:
        return f"saved in {self.setup.folder}; {self.setup.settings.way_on}"

    def _unreadable(self, error: UserError) -> UserError:
        """The same for an image that cannot be read; what was reached before it is saved."""
        if self.setup.world.size > 1:
            return error  # the others wait for this process elsewhere, and saving takes all
        self.state.clock.stop()
        self._refuse_bad()
        with suppress(UserError):
            self.state.save()
            return UserError(f"{error}; {self._stopped()}")
        return error

    def _refuse_bad(self) -> None:
        """Raises Diverged if a step since the last look was refused, or led out of all numbers."""
        if self.setup.engine.asynchronous and (step := int(self.stepper.first_bad)) >= 0:
            self._diverged(step)
        self.state.refuse_bad()

    def _diverged(self, step: int) -> None:
        # A batch is a function of its step, so the one that failed can be made again.
        setup, world = self.setup, self.setup.world
        (share,) = shares(setup.recipe.batch, processes=world.size, pieces=1)[world.rank]
        batch = next(setup.feed.train([Piece(step, share)]))
        where = first_bad_layer(self.state.module, batch, setup.recipe, setup.engine)
        raise Diverged(
            f"{setup.title}: the loss or its gradient became NaN or infinite in step "
            f"{step + 1} at rate {self.rate(step, warm=self.state.warm):.4g}; {where}; the weights "
            f"were not touched, the last good checkpoint is {setup.folder / checkpoint.LAST}"
        )
