"""The table of layer kinds: for each its torch call, its output shape and its cost.

One class is one row. An instance holds the arguments of one layer, in the names and
the order of the torch call it is written as, so that nothing else in the project has
to know how a layer is spelled, shaped or counted. Torch is not needed for any of it.

Shapes are (channels, height, width) of one image; vectors are (features,).
"""

from __future__ import annotations

from resgen.plan.layers.base import Layer, Op, Shape, chain, elements
from resgen.plan.layers.composite import (
    Conv1d,
    EfficientChannelAttention,
    Gate,
    ShortcutGate,
    SqueezeExcitation,
    StandardizedConv,
)
from resgen.plan.layers.weighted import BatchNorm, Conv, GroupNorm, Linear
from resgen.plan.layers.weightless import (
    ELU,
    GELU,
    AvgPool,
    BlurPool,
    Dropout,
    DropPath,
    Flatten,
    Free,
    GlobalAvgPool,
    Hardswish,
    Identity,
    LeakyReLU,
    MaxPool,
    PaddedIdentity,
    ReLU,
    Scale,
    Sigmoid,
    SiLU,
    ZeroPad,
)

__all__ = [
    "ELU",
    "GELU",
    "AvgPool",
    "BatchNorm",
    "BlurPool",
    "Conv",
    "Conv1d",
    "DropPath",
    "Dropout",
    "EfficientChannelAttention",
    "Flatten",
    "Free",
    "Gate",
    "GlobalAvgPool",
    "GroupNorm",
    "Hardswish",
    "Identity",
    "Layer",
    "LeakyReLU",
    "Linear",
    "MaxPool",
    "Op",
    "PaddedIdentity",
    "ReLU",
    "Scale",
    "Shape",
    "ShortcutGate",
    "SiLU",
    "Sigmoid",
    "SqueezeExcitation",
    "StandardizedConv",
    "ZeroPad",
    "chain",
    "elements",
]
