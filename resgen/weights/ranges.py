"""Between what numbers the values lie that pass through a network's layers."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from torch import Tensor

from resgen.plan import layers as L
from resgen.plan.layers import Layer, Merge, Shortcut

Tensors = Mapping[str, Tensor]

FREE = (L.Dropout, L.DropPath, L.Identity)
"""What hands its input on in evaluation."""

_TOWARDS_ZERO = (
    L.AvgPool, L.BlurPool, L.ZeroPad, L.EdgePad, L.SqueezeExcitation, L.EfficientChannelAttention,
    L.ChannelAttention, L.SpatialAttention, L.GlobalContextGate,
)  # fmt: skip
"""What takes means with zeros, or multiplies by a number from 0 to 1."""


class Values(NamedTuple):
    """Between what numbers all values lie; `tau`: the threshold they are known to reach."""

    low: float = -math.inf
    high: float = math.inf
    tau: Tensor | None = None


ANY = Values()


def behind(tensors: Tensors, prefix: str, layers: Sequence[Layer], values: Values) -> Values:
    """Between what numbers values lie behind a row that takes these in."""
    for layer in layers:
        op = layer.op
        if isinstance(op, L.ReLU):
            values = Values(max(values.low, 0.0), max(values.high, 0.0))
        elif isinstance(op, L.ReLU6):
            values = Values(0.0, 6.0)
        elif isinstance(op, L.Sigmoid | L.Hardsigmoid):
            values = Values(0.0, 1.0)
        elif isinstance(op, L.Threshold):
            values = Values(tau=tensors[f"{join(prefix, layer.name)}.tau"])
        elif isinstance(op, L.Part):
            values = behind(tensors, join(prefix, layer.name), op.layers, values)
        elif isinstance(op, L.Residual):
            values = joined(
                tensors, prefix, op.main, op.shortcut, op.merge, op.leaves_after, values
            )
        elif isinstance(op, _TOWARDS_ZERO):
            values = Values(min(values.low, 0.0), max(values.high, 0.0))
        elif isinstance(op, L.MaxPool | L.GlobalAvgPool | L.Flatten):
            values = values._replace(tau=None)
        elif not isinstance(op, FREE):
            values = ANY
    return values


def joined(
    tensors: Tensors,
    prefix: str,
    main: tuple[Layer, ...],
    shortcut: Shortcut,
    merge: Merge,
    leaves_after: int,
    values: Values,
) -> Values:
    """Between what numbers values lie where a shortcut joins."""
    branch = behind(tensors, prefix, main, values)
    values = behind(tensors, prefix, main[:leaves_after], values)
    if shortcut.kind == "none":
        return branch
    if shortcut.kind == "identity-padded":
        # Zeros in the new channels, and else the values or means of them.
        carried = Values(min(values.low, 0.0), max(values.high, 0.0))
    else:
        carried = behind(tensors, prefix, shortcut.layers, values)
    if merge.gate or branch.tau is not None or carried.tau is not None:
        return ANY
    return Values(branch.low + carried.low, branch.high + carried.high)


def join(prefix: str, name: str) -> str:
    """The dotted name of what is in a module; the network itself has none."""
    return ".".join(part for part in (prefix, name) if part)
