"""Whether compiling pays: a rule by the device, a run's length and what a step computes."""

from __future__ import annotations

from typing import NamedTuple

WORDS = ("auto", "on", "graphs", "off")
STEPS = 2_500
"""From so many steps on. Compiling takes 4 to 16 s, and saves some 4 ms a step on small images."""
FLOPS = 2e11
"""Of a step, up to which CUDA graphs are used: a GPU computes it within about 2 ms, in which the
host cannot start some hundreds of kernels one by one."""


class Work(NamedTuple):
    """The size of a run. steps: in all, also where it goes on from a later one, so that it goes on
    as it began; flops: of a step, on each device.
    """

    steps: int
    flops: float
    whole: bool
    """Whether a step is one piece on one process, with nothing computed twice: CUDA graphs keep
    their memory, in which gradients of several pieces do not add up."""


def advised(work: Work) -> tuple[str, str]:
    """(`on`, `graphs` or `off`, why) for a run on a CUDA device; elsewhere nothing is compiled."""
    if work.steps < STEPS:
        return "off", f"as {work.steps:,} steps are over before it pays (from {STEPS:,} on)"
    if work.whole and work.flops <= FLOPS:
        return "graphs", f"as a step of {work.flops / 1e9:,.0f} GFLOPs is shorter than its calls"
    return "on", ""


def told(word: str, why: str = "") -> str:
    """`compiled`, `not compiled as 264 steps are over before it pays`."""
    words = {
        "auto": "compiled where it pays", "on": "compiled", "off": "not compiled",
        "graphs": "compiled, with CUDA graphs",
    }  # fmt: skip
    return f"{words[word]} {why}".strip()
