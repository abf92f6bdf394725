"""Layers made of others: gates, standardized convolutions."""

from __future__ import annotations

from typing import ClassVar, NamedTuple

from resgen.plan.layers.activations import Sigmoid
from resgen.plan.layers.base import Layer, NoParams, SameShape, Shape, chain, elements
from resgen.plan.layers.weighted import Conv
from resgen.plan.layers.weightless import Multiply


class Composite(SameShape):
    """A layer made of others; its cost is theirs."""

    line: ClassVar[str] = "parts"
    keeps: ClassVar[str] = "attended"

    def params(self) -> dict[str, Shape]:
        return {}

    def amount(self, shape: Shape, out: Shape) -> int:
        return 0


class WeightNorm(NoParams, NamedTuple("_WeightNorm", [("weight", Shape), ("each", int)])):
    """w = (W - mean) / std of each output channel: so many operations a weight, none an image."""

    __slots__ = ()
    torch: ClassVar[str] = ""
    keeps: ClassVar[str] = "same"
    positional: ClassVar[int] = 0
    line: ClassVar[str] = "norm"

    def out(self, shape: Shape) -> Shape:
        return shape

    def amount(self, shape: Shape, out: Shape) -> int:
        return self.each * elements(self.weight)


class StandardizedConv(Conv):
    """y = ((W - mean(W)) / std(W)) * x, per output channel (Qiao et al. 2019)."""

    __slots__ = ()
    torch: ClassVar[str] = "StandardizedConv2d"
    each: ClassVar[int] = 4
    keeps: ClassVar[str] = "standardized"
    line: ClassVar[str] = "parts"

    def params(self) -> dict[str, Shape]:
        return {}

    def parts(self, shape: Shape) -> tuple[Layer, ...]:
        conv = Conv(*self)
        norm = WeightNorm(conv.params()["weight"], self.each)
        return (Layer("", norm, shape, shape), Layer("", conv, shape, conv.out(shape)))


class Conv1d(SameShape, NamedTuple("_Conv1d", [("kernel_size", int)])):
    """A convolution along the channels of a vector, one filter, no bias."""

    __slots__ = ()
    torch: ClassVar[str] = "nn.Conv1d"
    keeps: ClassVar[str] = "conv"
    positional: ClassVar[int] = 1
    line: ClassVar[str] = "conv"

    def parts(self, shape: Shape) -> tuple[Layer, ...]:
        return ()

    def params(self) -> dict[str, Shape]:
        return {"weight": (1, 1, self.kernel_size)}

    def amount(self, shape: Shape, out: Shape) -> int:
        return self.kernel_size * elements(out)


class Gate(Composite, NamedTuple("_Gate", [("channels", int), ("bias", float)])):
    """g = sigmoid(W x + b), a 1x1 convolution (He et al. 2016, section 3.1)."""

    __slots__ = ()
    torch: ClassVar[str] = "Gate"
    keeps: ClassVar[str] = "parts"
    positional: ClassVar[int] = 2

    def parts(self, shape: Shape) -> tuple[Layer, ...]:
        return chain(shape, ("conv", Conv(self.channels, self.channels, 1)), ("sigmoid", Sigmoid()))


class ShortcutGate(Composite, NamedTuple("_ShortcutGate", [("channels", int), ("bias", float)])):
    """y = (1 - sigmoid(W x + b)) x (He et al. 2016, section 3.1, shortcut-only gating)."""

    __slots__ = ()
    torch: ClassVar[str] = "ShortcutGate"
    keeps: ClassVar[str] = "gated"
    positional: ClassVar[int] = 2

    def parts(self, shape: Shape) -> tuple[Layer, ...]:
        return (
            Layer("gate", Gate(self.channels, self.bias), shape, shape),
            Layer("", Multiply(), shape, shape),
        )
