"""Layers for what paths need besides: what joins branches, moves values about, learns a factor."""

from __future__ import annotations

from typing import ClassVar, NamedTuple

from resgen.plan.layers.activations import Sigmoid
from resgen.plan.layers.base import Layer, NoParams, Op, SameShape, Shape, chain, elements
from resgen.plan.layers.composite import Conv1d, StandardizedConv
from resgen.plan.layers.weighted import Conv
from resgen.plan.layers.weightless import Free, GlobalAvgPool


class EdgePad(Free, NamedTuple("_EdgePad", [("padding", tuple[int, int, int, int])])):
    """Zeros at the left, right, top and bottom, as TensorFlow's `same` puts them."""

    __slots__ = ()
    torch: ClassVar[str] = "nn.ZeroPad2d"
    keeps: ClassVar[str] = "nothing"
    positional: ClassVar[int] = 1

    def out(self, shape: Shape) -> Shape:
        left, right, top, bottom = self.padding
        return (shape[0], shape[1] + top + bottom, shape[2] + left + right)


class ChannelShuffle(SameShape, Free, NamedTuple("_ChannelShuffle", [("groups", int)])):
    """Channels of groups interleaved (Zhang et al. 2018)."""

    __slots__ = ()
    torch: ClassVar[str] = "nn.ChannelShuffle"
    keeps: ClassVar[str] = "nothing"
    positional: ClassVar[int] = 1


class Upsample(Free, NamedTuple("_Upsample", [("scale_factor", int)])):
    """Each pixel repeated in both directions."""

    __slots__ = ()
    torch: ClassVar[str] = "nn.Upsample"
    keeps: ClassVar[str] = "nothing"
    positional: ClassVar[int] = 0

    def out(self, shape: Shape) -> Shape:
        return (shape[0], shape[1] * self.scale_factor, shape[2] * self.scale_factor)


class SpaceToDepth(Free, NamedTuple("_SpaceToDepth", [("downscale_factor", int)])):
    """(c, h, w) -> (c k k, h / k, w / k)."""

    __slots__ = ()
    torch: ClassVar[str] = "nn.PixelUnshuffle"
    keeps: ClassVar[str] = "nothing"
    positional: ClassVar[int] = 1

    def out(self, shape: Shape) -> Shape:
        k = self.downscale_factor
        return (shape[0] * k * k, shape[1] // k, shape[2] // k)


class Shift(SameShape, Free, NamedTuple("_Shift", [("pixels", int)])):
    """The image moved up and left, zeros behind (Gastaldi 2017)."""

    __slots__ = ()
    torch: ClassVar[str] = "Shift"
    keeps: ClassVar[str] = "nothing"
    positional: ClassVar[int] = 1


class _LearnedScale(NamedTuple):
    channels: int
    value: float
    bias: bool = False


class LearnedScale(SameShape, _LearnedScale):
    """y = gamma x (+ beta), gamma for each channel or, with one channel, for all."""

    __slots__ = ()
    torch: ClassVar[str] = "LearnedScale"
    keeps: ClassVar[str] = "input-and-factors"
    positional: ClassVar[int] = 2
    line: ClassVar[str] = "elementwise"

    def params(self) -> dict[str, Shape]:
        weight = (self.channels,)
        return {"weight": weight, "bias": weight} if self.bias else {"weight": weight}

    def amount(self, shape: Shape, out: Shape) -> int:
        return elements(out)

    def parts(self, shape: Shape) -> tuple[Layer, ...]:
        return ()


class ChannelConv(Conv1d):
    """A convolution along the channels of a 1x1 image, one filter, no bias (Wang et al. 2020)."""

    __slots__ = ()
    torch: ClassVar[str] = "ChannelConv"


class Gain(NoParams, NamedTuple("_Gain", [("channels", int)])):
    """The learned gain of each filter; its operations are those of its norm."""

    __slots__ = ()
    torch: ClassVar[str] = ""
    keeps: ClassVar[str] = "same"
    positional: ClassVar[int] = 0
    line: ClassVar[str] = "elementwise"

    def out(self, shape: Shape) -> Shape:
        return shape

    def params(self) -> dict[str, Shape]:
        return {"gain": (self.channels, 1, 1, 1)}

    def amount(self, shape: Shape, out: Shape) -> int:
        return 0


class ScaledConv(StandardizedConv):
    """y = (g (W - mean(W)) / (std(W) sqrt(fan-in))) * x, per output channel (Brock et al. 2021)."""

    __slots__ = ()
    torch: ClassVar[str] = "ScaledConv2d"
    each: ClassVar[int] = 5

    def parts(self, shape: Shape) -> tuple[Layer, ...]:
        return (Layer("", Gain(self.out_channels), shape, shape), *super().parts(shape))


class _Joiner(SameShape):
    """A module that joins branches; it stands for the shape they all have."""

    torch: ClassVar[str]
    positional: ClassVar[int]


class Shake(_Joiner, NoParams, NamedTuple("_Shake", [("branches", int)])):
    """y = sum a_i x_i, a drawn for each image, anew on the way back (Gastaldi 2017).

    A product and an addition an element of each branch.
    """

    __slots__ = ()
    torch: ClassVar[str] = "Shake"
    keeps: ClassVar[str] = "joined"
    positional: ClassVar[int] = 0
    line: ClassVar[str] = "elementwise"

    def _asdict(self) -> dict[str, object]:
        return {}

    def amount(self, shape: Shape, out: Shape) -> int:
        return 2 * self.branches * elements(out)


class BranchSoftmax(NoParams, SameShape, NamedTuple("_BranchSoftmax", [("branches", int)])):
    """Weights over branches and the weighted sum: two operations an element of each."""

    __slots__ = ()
    torch: ClassVar[str] = ""
    keeps: ClassVar[str] = "nothing"
    positional: ClassVar[int] = 0
    line: ClassVar[str] = "elementwise"

    def amount(self, shape: Shape, out: Shape) -> int:
        return 3 * self.branches * elements(out)


class _Select(NamedTuple):
    channels: int
    squeeze: int
    branches: int
    norm: Op
    activation: Op
    bias: bool = False


class Select(_Joiner, _Select):
    """y = sum softmax(W2 a(norm(W1 mean(sum x_i))))_i x_i, per channel (Li et al. 2019)."""

    __slots__ = ()
    torch: ClassVar[str] = "Select"
    keeps: ClassVar[str] = "joined"
    positional: ClassVar[int] = 5
    line: ClassVar[str] = "parts"

    def params(self) -> dict[str, Shape]:
        return {}

    def amount(self, shape: Shape, out: Shape) -> int:
        return 0

    def parts(self, shape: Shape) -> tuple[Layer, ...]:
        into, squeezed = self.channels, self.squeeze
        return (
            *chain(
                shape,
                ("", GlobalAvgPool(1)),
                ("fc1", Conv(into, squeezed, 1, bias=self.bias)),
                ("bn", self.norm),
                ("act", self.activation),
                ("fc2", Conv(squeezed, self.branches * into, 1, bias=self.bias)),
                ("", Sigmoid()),
            ),
            Layer("", BranchSoftmax(self.branches), shape, shape),
        )
