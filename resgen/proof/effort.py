"""What it takes to measure a network, told beforehand from its Plan, and the most it may take.

    seconds = 2 (MACs / rate + elements moved x price) + layers x price     one thread, two passes
    bytes   = weights + the few largest tensors, alive at once

Rough, within a factor of two or three of what machines differ by; good enough to tell a
second from an hour.
"""

from __future__ import annotations

from typing import NamedTuple

from resgen.cost import cost
from resgen.errors import UserError
from resgen.plan import Plan, elements
from resgen.words import memory

MAX_SECONDS, MAX_BYTES = 1800, 16 * 2**30
"""The most that is spent on measuring one network."""

LONG, LARGE = 10, 2**30
"""From here on a person is told before."""

_RATE = 15e9
_A_VALUE = 10e-9
_A_LAYER = 10e-3
_ALIVE = 6


class Effort(NamedTuple):
    """Seconds on one core, and bytes of memory."""

    seconds: float
    bytes: int

    def __str__(self) -> str:
        return f"about {_duration(self.seconds)} and {memory(self.bytes)}"


def effort(plan: Plan) -> Effort:
    """What tracing one image through the module and counting it once more takes."""
    books = cost(plan)
    values = books.norm // 2 + books.activation + books.pool + books.residual_adds
    largest, layers = elements(plan.input), len(plan.stem) + len(plan.head)
    for layer in (*plan.stem, *plan.head):
        largest = max(largest, elements(layer.output))
    for stage in plan.stages:
        for run in stage.runs:
            layers += run.count * len(run.block.layers)
            largest = max(largest, *(elements(layer.output) for layer in run.block.layers))
    seconds = 2 * (books.macs / _RATE + values * _A_VALUE) + layers * _A_LAYER
    return Effort(seconds, 4 * (books.params + _ALIVE * largest))


def notice(plan: Plan) -> str | None:
    """A line for whoever waits where measuring is long; raises UserError where it is too much."""
    need = effort(plan)
    if need.seconds > MAX_SECONDS or need.bytes > MAX_BYTES:
        raise UserError(
            f"{plan.name}: measuring it would take {need}, and at most "
            f"{_duration(MAX_SECONDS)} and {memory(MAX_BYTES)} are spent on it; "
            "--no-measure gives the closed form alone"
        )
    if need.seconds > LONG or need.bytes > LARGE:
        return f"{plan.name}: measuring it takes {need}; --no-measure leaves that out"
    return None


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
