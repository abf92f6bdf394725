"""Kinds of layer in words."""

from __future__ import annotations

import re

from resgen.plan import Op


def kind_of(op: Op) -> str:
    """A layer's kind: `conv 3x3/2 g32`, `batch norm`, `max pool 3x3/2`."""
    name = type(op).__name__.lstrip("_")
    words = _SHORT.get(name) or (name.lower() if op.line == "activation" else _spaced(name))
    kernel, stride = getattr(op, "kernel_size", 0), getattr(op, "stride", 1)
    if kernel:
        words += f" {kernel}x{kernel}"
    if stride != 1:
        words += f"/{stride}" if kernel else f" /{stride}"
    if getattr(op, "groups", 1) != 1:
        words += f" g{op.groups}"  # type: ignore[attr-defined]
    if getattr(op, "dilation", 1) != 1:
        words += f" d{op.dilation}"  # type: ignore[attr-defined]
    return words


_SHORT = {
    "EfficientChannelAttention": "eca",
    "SqueezeExcitation": "se",
    "StandardizedConv": "ws conv",
    "GlobalAvgPool": "global pool",
    "MaxPool": "maxpool",
    "AvgPool": "avgpool",
    "PaddedIdentity": "pad",
}


def _spaced(name: str) -> str:
    return re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name).lower()
