"""Attentions that are a factor: of each channel, of each pixel."""

from __future__ import annotations

from typing import ClassVar, NamedTuple

from resgen.plan.layers.activations import Sigmoid
from resgen.plan.layers.base import Layer, NoParams, Nothing, Op, Shape, chain, elements
from resgen.plan.layers.composite import Composite, Conv1d
from resgen.plan.layers.weighted import Conv
from resgen.plan.layers.weightless import GlobalAvgPool, Multiply


def _times(shape: Shape) -> Layer:
    """The product of what an attention attends to and its factor."""
    return Layer("", Multiply(), shape, shape)


class SqueezeExcitation(
    Composite,
    NamedTuple("_SqueezeExcitation", [("channels", int), ("squeeze", int), ("activation", Op)]),
):
    """y = x sigmoid(W2 a(W1 mean(x))), per channel, a the activation (Hu et al. 2017)."""

    __slots__ = ()
    torch: ClassVar[str] = "SqueezeExcitation"
    positional: ClassVar[int] = 3

    def parts(self, shape: Shape) -> tuple[Layer, ...]:
        return _squeezed(self, shape, Sigmoid(), bias=True)


class _Gated(NamedTuple):
    channels: int
    squeeze: int
    activation: Op
    gate: Op
    bias: bool = True


class GatedSqueezeExcitation(Composite, _Gated):
    """y = x g(W2 a(W1 mean(x))), per channel, a the activation, g the gate (Hu et al. 2018)."""

    __slots__ = ()
    torch: ClassVar[str] = "GatedSqueezeExcitation"
    positional: ClassVar[int] = 4

    def parts(self, shape: Shape) -> tuple[Layer, ...]:
        return _squeezed(self, shape, self.gate, bias=self.bias)


def _squeezed(
    op: SqueezeExcitation | GatedSqueezeExcitation, shape: Shape, gate: Op, *, bias: bool
) -> tuple[Layer, ...]:
    return (
        *chain(
            shape,
            ("pool", GlobalAvgPool(1)),
            ("fc1", Conv(op.channels, op.squeeze, 1, bias=bias)),
            ("act", op.activation),
            ("fc2", Conv(op.squeeze, op.channels, 1, bias=bias)),
            ("gate", gate),
        ),
        _times(shape),
    )


class EfficientChannelAttention(
    Composite,
    NamedTuple("_EfficientChannelAttention", [("kernel_size", int)]),
):
    """y = x sigmoid(w * mean(x)), w sliding over the channels (Wang et al. 2019)."""

    __slots__ = ()
    torch: ClassVar[str] = "EfficientChannelAttention"
    positional: ClassVar[int] = 1

    def parts(self, shape: Shape) -> tuple[Layer, ...]:
        return (
            *chain(
                shape,
                ("pool", GlobalAvgPool(1)),
                ("conv", Conv1d(self.kernel_size)),
                ("gate", Sigmoid()),
            ),
            _times(shape),
        )


class MeanMax(NoParams, NamedTuple("_MeanMax", [("over", str)])):
    """Mean and largest value over the pixels, side by side, or over the channels, in two planes.

    Two operations an element taken in.
    """

    __slots__ = ()
    torch: ClassVar[str] = ""
    keeps: ClassVar[str] = "largest"
    positional: ClassVar[int] = 0
    line: ClassVar[str] = "pool"

    def out(self, shape: Shape) -> Shape:
        return (shape[0], 1, 2) if self.over == "pixels" else (2, *shape[1:])

    def amount(self, shape: Shape, out: Shape) -> int:
        return 2 * elements(shape)


class PairSum(NoParams, Nothing):
    """The sum of two pixels side by side: an addition a channel."""

    __slots__ = ()
    torch: ClassVar[str] = ""
    keeps: ClassVar[str] = "nothing"
    positional: ClassVar[int] = 0
    line: ClassVar[str] = "elementwise"

    def out(self, shape: Shape) -> Shape:
        return (shape[0], 1, 1)

    def amount(self, shape: Shape, out: Shape) -> int:
        return elements(out)


class _ChannelAttention(NamedTuple):
    channels: int
    squeeze: int
    activation: Op
    bias: bool = True


class ChannelAttention(Composite, _ChannelAttention):
    """y = x sigmoid(f(mean(x)) + f(max(x))), f(z) = W2 a(W1 z), per channel (Woo et al. 2018).

    Both pass through f as two pixels of one image.
    """

    __slots__ = ()
    torch: ClassVar[str] = "ChannelAttention"
    positional: ClassVar[int] = 3

    def parts(self, shape: Shape) -> tuple[Layer, ...]:
        return (
            *chain(
                shape,
                ("", MeanMax("pixels")),
                ("fc1", Conv(self.channels, self.squeeze, 1, bias=self.bias)),
                ("act", self.activation),
                ("fc2", Conv(self.squeeze, self.channels, 1, bias=self.bias)),
                ("", PairSum()),
                ("", Sigmoid()),
            ),
            _times(shape),
        )


class _SpatialAttention(NamedTuple):
    kernel_size: int
    norm: Op
    bias: bool = False


class SpatialAttention(Composite, _SpatialAttention):
    """y = x sigmoid(norm(w * [max(x), mean(x)])), per pixel, over the channels (Woo et al. 2018).

    w: a convolution of two planes to one.
    """

    __slots__ = ()
    torch: ClassVar[str] = "SpatialAttention"
    positional: ClassVar[int] = 2

    def parts(self, shape: Shape) -> tuple[Layer, ...]:
        k = self.kernel_size
        return (
            *chain(
                shape,
                ("", MeanMax("channels")),
                ("conv", Conv(2, 1, k, padding=k // 2, bias=self.bias)),
                ("bn", self.norm),
                ("", Sigmoid()),
            ),
            _times(shape),
        )
