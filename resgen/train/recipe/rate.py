"""rate = f(global step): pure formulas, so that a resumed run continues at the very rate."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import cos, pi

from resgen.train.recipe.keys import Recipe


@dataclass(frozen=True)
class Rate:
    """rate(step) = lr x warm-up(step) before the warm-up's end, lr x curve(step) after it."""

    recipe: Recipe
    epoch_steps: int

    @property
    def total(self) -> int:
        """The run's length in steps."""
        return max(1, self.recipe.length.steps(epoch=self.epoch_steps))

    @property
    def warmup(self) -> int:
        """The warm-up's length in steps; 0 where it ends by training error."""
        span = self.recipe.schedule.warmup
        return span.steps(epoch=self.epoch_steps, total=self.total) if span else 0

    @property
    def milestones(self) -> tuple[int, ...]:
        """The steps from which on a step schedule's rate is multiplied once more."""
        return tuple(
            span.steps(epoch=self.epoch_steps, total=self.total)
            for span in self.recipe.schedule.milestones
        )

    def __call__(self, step: int, *, warm: bool = True) -> float:
        """The rate of a step, counted from 0.

        `warm` is false while a warm-up that ends by training error goes on.
        """
        return self.recipe.optimizer.lr * self._factor(step, warm)

    def _factor(self, step: int, warm: bool) -> float:
        schedule = self.recipe.schedule
        if schedule.warmup_until_error is not None and not warm:
            return schedule.warmup_from
        if step < self.warmup:
            done = step / self.warmup
            # A one-cycle's rise is half a cosine; every other warm-up is a straight line.
            rise = (1 - cos(pi * done)) / 2 if schedule.kind == "one-cycle" else done
            return schedule.warmup_from + (1 - schedule.warmup_from) * rise
        if schedule.kind == "constant":
            return 1.0
        if schedule.kind == "step":
            return schedule.factor ** sum(step >= milestone for milestone in self.milestones)
        # The last step's rate is one step short of `final`, except for the one-cycle,
        # whose last step is at its foot.
        end = self.total - (1 if schedule.kind == "one-cycle" else 0)
        left = 1 - (step - self.warmup) / max(1, end - self.warmup)
        fall = left if schedule.kind == "linear" else (1 - cos(pi * left)) / 2
        return schedule.final + (1 - schedule.final) * fall

    def changes(self) -> Iterator[tuple[int, float, str]]:
        """(step, rate, why) at every corner of the schedule, ends included."""
        schedule = self.recipe.schedule
        if schedule.warmup_until_error is not None:
            yield 0, self(0, warm=False), "warm-up starts"
            below = f"{100 * schedule.warmup_until_error:g} %"
            yield 1, self(1), f"as soon as the training error is below {below}"
        else:
            yield 0, self(0), "warm-up starts" if self.warmup else "start"
        if 0 < self.warmup < self.total:
            yield self.warmup, self(self.warmup), "warm-up ends"
        if schedule.kind == "step":
            for milestone in sorted(set(self.milestones)):
                if milestone < self.total:
                    yield milestone, self(milestone), "milestone"
        elif schedule.kind != "constant":
            middle = (self.warmup + self.total) // 2
            if self.warmup < middle < self.total - 1:
                yield middle, self(middle), "half way"
        yield self.total - 1, self(self.total - 1), "last step"

    def out_of_reach(self) -> list[str]:
        """A note for each part of the schedule that the run is too short for."""
        schedule, notes = self.recipe.schedule, []
        run = f"the run's {self.recipe.length}"
        if self.warmup >= self.total and schedule.warmup is not None:
            reached = self(self.total - 1) / self.recipe.optimizer.lr
            notes.append(
                f"schedule.warmup {schedule.warmup} is not over within {run}: the rate ends at "
                f"{reached:.2g} of lr"
            )
        late = [
            str(span)
            for span, step in zip(schedule.milestones, self.milestones, strict=True)
            if step >= self.total
        ]
        if late:
            which = ", ".join(late)
            notes.append(f"schedule.milestones {which}: not reached within {run}")
        return notes
