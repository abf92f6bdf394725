"""Plan -> the name and shape of every tensor of its state dict, in closed form."""

from __future__ import annotations

from collections.abc import Iterable

from resgen.cost.buffers import state_of
from resgen.plan import Plan
from resgen.plan.layers import Shape

COUNTER = "num_batches_tracked"
"""What batch norms count, and old files have not."""


def tensors_of(plan: Plan) -> dict[str, Shape]:
    """Name -> shape of every parameter and buffer of the network, but for norms' counters."""
    found: dict[str, Shape] = {}
    for name, layer in plan.named_layers():
        for parameter, shape in layer.op.params().items():
            found[f"{name}.{parameter}"] = shape
        found |= {f"{name}.{key}": (size,) for key, size in state_of(layer.op).items()}
    return found


def plain(shape: Iterable[int]) -> Shape:
    """A shape without its sides of 1, by which libraries differ: (c, 1, 1) is (c,)."""
    return tuple(side for side in shape if side != 1)


def as_words(shape: Shape) -> str:
    """64x3x7x7; one number is `1`, by the name of what it is."""
    return "x".join(map(str, shape)) or "a single number"
