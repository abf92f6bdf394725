"""Layers without weights: pools, and what only moves or scales values."""

from __future__ import annotations

from typing import ClassVar, NamedTuple

from resgen.plan.layers.base import NoParams, Nothing, SameShape, Shape, both, elements, slide


def windows(size: int, kernel: int, stride: int, padding: int, ceil: bool) -> int:
    """Windows of a pool along one side; with `ceil` those that reach over the edge, too."""
    if not ceil:
        return slide(size, kernel, stride, padding)
    count = -(-(size + 2 * padding - kernel) // stride) + 1
    # torch drops a last window that would start in the padding.
    return count - 1 if (count - 1) * stride >= size + padding else count


def pooled(shape: Shape, op: MaxPool | AvgPool) -> Shape:
    """What a pool puts out; kernel, stride and padding are one number or one a side."""
    channels, height, width = shape
    (kh, kw), (sh, sw), (ph, pw) = both(op.kernel_size), both(op.stride), both(op.padding)
    ceil = op.ceil_mode
    return (channels, windows(height, kh, sh, ph, ceil), windows(width, kw, sw, pw, ceil))


class _MaxPool(NamedTuple):
    kernel_size: int
    stride: int
    padding: int = 0
    dilation: int = 1
    ceil_mode: bool = False


class MaxPool(_MaxPool, NoParams):
    """The largest value of each window; k k operations an output."""

    __slots__ = ()
    torch: ClassVar[str] = "nn.MaxPool2d"
    keeps: ClassVar[str] = "places"
    positional: ClassVar[int] = 1
    line: ClassVar[str] = "pool"

    def out(self, shape: Shape) -> Shape:
        return pooled(shape, self)

    def amount(self, shape: Shape, out: Shape) -> int:
        return elements(both(self.kernel_size)) * elements(out)


class _AvgPool(NamedTuple):
    kernel_size: int
    stride: int
    padding: int = 0
    ceil_mode: bool = False
    count_include_pad: bool = True


class AvgPool(_AvgPool, NoParams):
    """The mean of each window; k k operations an output."""

    __slots__ = ()
    torch: ClassVar[str] = "nn.AvgPool2d"
    keeps: ClassVar[str] = "input"
    positional: ClassVar[int] = 2
    line: ClassVar[str] = "pool"

    def out(self, shape: Shape) -> Shape:
        return pooled(shape, self)

    def amount(self, shape: Shape, out: Shape) -> int:
        return elements(both(self.kernel_size)) * elements(out)


class _BlurPool(NamedTuple):
    channels: int
    stride: int | tuple[int, int]


class BlurPool(NoParams, _BlurPool):
    """y = binomial 3x3 filter of each channel, then a stride (Zhang 2019); 9 operations an output.

    The filter is fixed, so it is no parameter, but its multiply-adds are real and a
    tracer sees a convolution: they are booked as convolution.
    """

    __slots__ = ()
    torch: ClassVar[str] = "BlurPool2d"
    keeps: ClassVar[str] = "padded"
    positional: ClassVar[int] = 1
    line: ClassVar[str] = "conv"

    def out(self, shape: Shape) -> Shape:
        channels, height, width = shape
        down, right = both(self.stride)
        return (channels, slide(height, 3, down, 1), slide(width, 3, right, 1))

    def amount(self, shape: Shape, out: Shape) -> int:
        return 9 * elements(out)


class GlobalAvgPool(NoParams, NamedTuple("_GlobalAvgPool", [("output_size", int)])):
    """The mean of each channel; one operation an input element."""

    __slots__ = ()
    torch: ClassVar[str] = "nn.AdaptiveAvgPool2d"
    keeps: ClassVar[str] = "nothing"
    positional: ClassVar[int] = 1
    line: ClassVar[str] = "pool"

    def out(self, shape: Shape) -> Shape:
        return (shape[0], self.output_size, self.output_size)

    def amount(self, shape: Shape, out: Shape) -> int:
        return elements(shape)


class Free(NoParams):
    """A layer that computes nothing worth a line: it reorders or forgets."""

    line: ClassVar[str] = "free"

    def amount(self, shape: Shape, out: Shape) -> int:
        return 0


class Flatten(Nothing, Free):
    """(c, h, w) -> (c h w)."""

    __slots__ = ()
    torch: ClassVar[str] = "nn.Flatten"
    keeps: ClassVar[str] = "same"
    positional: ClassVar[int] = 0

    def out(self, shape: Shape) -> Shape:
        return (elements(shape),)


class Identity(SameShape, Nothing, Free):
    """y = x."""

    __slots__ = ()
    torch: ClassVar[str] = "nn.Identity"
    keeps: ClassVar[str] = "same"
    positional: ClassVar[int] = 0


class Dropout(SameShape, Free, NamedTuple("_Dropout", [("p", float)])):
    """y = x with elements zeroed at rate p and the rest scaled by 1/(1-p), in training only."""

    __slots__ = ()
    torch: ClassVar[str] = "nn.Dropout"
    keeps: ClassVar[str] = "mask"
    positional: ClassVar[int] = 1


class DropPath(SameShape, Free, NamedTuple("_DropPath", [("rate", float), ("steps", int)])):
    """y = 0 for a whole image at its rate, x/(1-rate) else, in training (Huang et al. 2016).

    Block i of the network has the rate `rate * i / steps`; with no steps all have `rate`.
    """

    __slots__ = ()
    torch: ClassVar[str] = "DropPath"
    keeps: ClassVar[str] = "a-number-an-image"
    positional: ClassVar[int] = 1


class _PaddedIdentity(NamedTuple):
    in_channels: int
    out_channels: int
    stride: int | tuple[int, int] = 1


def subsampled(shape: Shape, channels: int, stride: int | tuple[int, int]) -> Shape:
    """Every stride-th pixel, or the means of as many; one stride, or one a side."""
    down, right = both(stride)
    return (channels, -(-shape[1] // down), -(-shape[2] // right))


class PaddedIdentity(_PaddedIdentity, Free):
    """y = x[:, :, ::stride, ::stride], zeros in the new channels (He et al. 2015, option A)."""

    __slots__ = ()
    torch: ClassVar[str] = "PaddedIdentity"
    keeps: ClassVar[str] = "nothing"
    positional: ClassVar[int] = 2

    def out(self, shape: Shape) -> Shape:
        return subsampled(shape, self.out_channels, self.stride)


class PooledIdentity(_PaddedIdentity, Free):
    """y = the mean of each stride x stride square, zeros in the new channels (Han et al. 2017)."""

    __slots__ = ()
    torch: ClassVar[str] = "PooledIdentity"
    keeps: ClassVar[str] = "nothing"
    positional: ClassVar[int] = 2

    def out(self, shape: Shape) -> Shape:
        return subsampled(shape, self.out_channels, self.stride)


class _OffsetIdentity(NamedTuple):
    in_channels: int
    out_channels: int
    stride: int | tuple[int, int] = 1
    before: int = 0


class OffsetIdentity(_OffsetIdentity, Free):
    """y = x[:, :, ::h, ::w], zeros in the new channels, `before` of them ahead of x's."""

    __slots__ = ()
    torch: ClassVar[str] = "OffsetIdentity"
    keeps: ClassVar[str] = "nothing"
    positional: ClassVar[int] = 2

    def out(self, shape: Shape) -> Shape:
        return subsampled(shape, self.out_channels, self.stride)


class ZeroPad(Free, NamedTuple("_ZeroPad", [("padding", int)])):
    """A border of zeros."""

    __slots__ = ()
    torch: ClassVar[str] = "nn.ZeroPad2d"
    keeps: ClassVar[str] = "nothing"
    positional: ClassVar[int] = 1

    def out(self, shape: Shape) -> Shape:
        channels, height, width = shape
        return (channels, height + 2 * self.padding, width + 2 * self.padding)


class Scale(SameShape, NoParams, NamedTuple("_Scale", [("factor", float)])):
    """y = factor x."""

    __slots__ = ()
    torch: ClassVar[str] = "Scale"
    keeps: ClassVar[str] = "nothing"
    positional: ClassVar[int] = 1
    line: ClassVar[str] = "elementwise"

    def amount(self, shape: Shape, out: Shape) -> int:
        return elements(out)


class Multiply(SameShape, NoParams, Nothing):
    """The elementwise product inside an attention or a gate: one operation an element."""

    __slots__ = ()
    torch: ClassVar[str] = ""
    keeps: ClassVar[str] = "nothing"
    positional: ClassVar[int] = 0
    line: ClassVar[str] = "elementwise"

    def amount(self, shape: Shape, out: Shape) -> int:
        return elements(out)
