"""Kinds of layer in words."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from itertools import groupby

from resgen.plan import Layer, Op, Plan
from resgen.plan import layers as L
from resgen.plan.layers.base import both
from resgen.words import size


def kind_of(op: Op) -> str:
    """A layer's kind: `conv 3x3/2 g32`, `depthwise 1x7`, `batch norm`, `maxpool 3x3/2`."""
    if isinstance(op, L.Part):
        return op.title
    if isinstance(op, L.Branches):
        return f"{op.join} of {len(op.paths)}"
    name = type(op).__name__.lstrip("_")
    words = _SHORT.get(name) or (name.lower() if op.line == "activation" else _spaced(name))
    kernel, stride = getattr(op, "kernel_size", 0), getattr(op, "stride", 1)
    if depthwise(op):
        words = words.replace("conv", "depthwise")
    if kernel:
        words += f" {kernel}" if isinstance(op, L.ChannelConv) else f" {sides(kernel)}"
    if stride != 1:
        words += f"/{side(stride)}" if kernel else f" /{side(stride)}"
    if getattr(op, "groups", 1) != 1 and not depthwise(op):
        words += f" g{op.groups}"  # type: ignore[attr-defined]
    if getattr(op, "dilation", 1) != 1:
        words += f" d{side(op.dilation)}"  # type: ignore[attr-defined]
    for field, how in _SAID.items():
        if hasattr(op, field):
            words += how.format(getattr(op, field))
    return words


def depthwise(op: Op) -> bool:
    """Whether an op is a convolution with a group a channel."""
    return isinstance(op, L.Conv) and op.groups == op.in_channels > 1


def sides(value: object) -> str:
    """3 -> 3x3, (1, 7) -> 1x7."""
    return size(both(value))


def side(value: object) -> str:
    """2 -> 2, (2, 1) -> 2x1."""
    return size(both(value)) if isinstance(value, tuple) else str(value)


def holds(op: Op) -> bool:
    """Whether an op holds paths, and so is more than a layer."""
    return isinstance(op, L.Branches | L.Residual | L.Part)


def in_paths(plan: Plan) -> bool:
    """Whether a network has more than layers in a row in its blocks: branches, definitions, ..."""
    layers = [*plan.stem, *plan.head]
    layers += [x for stage in plan.stages for run in stage.runs for x in run.block.layers]
    return any(stage.before for stage in plan.stages) or any(holds(layer.op) for layer in layers)


def alike(layers: Iterable[Layer]) -> Iterator[tuple[str, int, Layer]]:
    """(name, how often, layer): members of one list that are used alike are one, `half.0-7`."""
    for _, group in groupby(enumerate(layers), key=lambda pair: _use(*pair)):
        first, *others = (layer for _, layer in group)
        last = others[-1].name.rpartition(".")[2] if others else ""
        yield f"{first.name}-{last}" if others else first.name, 1 + len(others), first


def _use(place: int, layer: Layer) -> object:
    base, _, number = layer.name.rpartition(".")
    if base and number.isdecimal() and isinstance(layer.op, L.Part | L.Conv):
        return (base, type(layer.op), layer.op, layer.input)
    return place


_SHORT = {
    "EfficientChannelAttention": "eca",
    "SqueezeExcitation": "se",
    "GatedSqueezeExcitation": "se",
    "ChannelAttention": "channel gate",
    "SpatialAttention": "spatial gate",
    "GlobalContextGate": "context gate",
    "StandardizedConv": "ws conv",
    "RectConv": "conv",
    "GlobalAvgPool": "global pool",
    "MaxPool": "maxpool",
    "AvgPool": "avgpool",
    "PaddedIdentity": "pad",
    "OffsetIdentity": "pad",
    "EdgePad": "pad",
    "BatchNorm1d": "batch norm",
    "LayerNorm2d": "layer norm",
    "PixelNorm": "layer norm",
    "BranchSoftmax": "softmax",
    "EvoNormB0": "evonorm b0",
    "EvoNormS0": "evonorm s0",
    "Residual": "residual unit",
}
_SAID = {
    "scale_factor": " x{}",
    "downscale_factor": " /{}",
    "pixels": " by {}",
    "of": " of {}",
    "factor": " {:g}",
}


def _spaced(name: str) -> str:
    return re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name).lower()
