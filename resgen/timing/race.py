"""Turns in drawn order: in each round every case is timed once, in an order drawn anew.

So whatever else the machine does, and however it warms up, hits all of them alike.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from math import ceil
from typing import TypeVar

from resgen.timing.cases import Step

TURN = 0.1
"""Seconds that a turn takes at least, in as many calls as that needs."""
LEAST_SINGLE, MOST = 5, 1000
"""Calls in a turn: at least, where each is timed by itself; at most, everywhere."""

Key = TypeVar("Key", bound=Hashable)


def orders(keys: Sequence[Key], rounds: int, seed: int) -> Iterator[list[Key]]:
    """The order of each round; the same for the same keys and seed."""
    drawn = random.Random(seed)
    for _ in range(rounds):
        yield drawn.sample(list(keys), len(keys))


def calls(seconds: float, *, single: bool) -> int:
    """How many calls make a turn, of which one takes so many seconds."""
    return max(LEAST_SINGLE if single else 1, min(MOST, ceil(TURN / max(seconds, 1e-9))))


@dataclass
class Turns:
    """How one case is timed, and what was found: the seconds of calls by the number of the round.

    Timed in a row, all calls of a turn have its mean.
    """

    step: Step
    each: int
    single: bool
    seconds: dict[int, list[float]] = field(default_factory=dict)

    def take(self, number: int, wait: Callable[[], None]) -> None:
        """One turn; interrupted, it leaves nothing."""
        self.step.ready()
        if self.single:
            self.step.call()  # the others' turns have left nothing of it in any cache
            self.seconds[number] = [timed(self.step.call, wait) for _ in range(self.each)]
            return

        def row() -> None:
            for _ in range(self.each):
                self.step.call()

        self.seconds[number] = [timed(row, wait) / self.each]


def timed(what: Callable[[], None], wait: Callable[[], None]) -> float:
    """Seconds from an idle device to an idle device."""
    wait()
    start = time.perf_counter()
    what()
    wait()
    return time.perf_counter() - start


def race(
    turns: Mapping[Key, Turns],
    *,
    rounds: int,
    seed: int,
    wait: Callable[[], None],
    done: Callable[[int], None] = lambda _: None,
) -> None:
    """Takes the turns of all rounds; `done` is told the number of each round that has ended."""
    for number, order in enumerate(orders(list(turns), rounds, seed)):
        for key in order:
            turns[key].take(number, wait)
        done(number + 1)
