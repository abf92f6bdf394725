"""Layers with weights: convolution, linear, norms."""

from __future__ import annotations

from typing import ClassVar, NamedTuple

from resgen.plan.layers.base import Layer, Mismatch, SameShape, Shape, both, elements, slide


class _Conv(NamedTuple):
    in_channels: int
    out_channels: int
    kernel_size: int
    stride: int = 1
    padding: int = 0
    dilation: int = 1
    groups: int = 1
    bias: bool = True


class Conv(_Conv):
    """y = W * x + b. MACs: out_h out_w k k (in / groups) out; a bias is counted apart."""

    __slots__ = ()
    torch: ClassVar[str] = "nn.Conv2d"
    keeps: ClassVar[str] = "conv"
    positional: ClassVar[int] = 3
    line: ClassVar[str] = "conv"

    def out(self, shape: Shape) -> Shape:
        _, height, width = shape
        _, channels, k, s, p, d, _, _ = self
        reach = 2 * p - d * (k - 1) - 1  # as `slide`, whose call would cost more than the sum
        return (channels, (height + reach) // s + 1, (width + reach) // s + 1)

    def params(self) -> dict[str, Shape]:
        into, out, k, _, _, _, groups, bias = self
        weight = (out, into // groups, k, k)
        return {"weight": weight, "bias": (out,)} if bias else {"weight": weight}

    def amount(self, shape: Shape, out: Shape) -> int:
        into, channels, k, _, _, _, groups, _ = self
        return out[1] * out[2] * k * k * (into // groups) * channels

    def parts(self, shape: Shape) -> tuple[Layer, ...]:
        return ()


class RectConv(Conv):
    """A convolution whose kernel, stride, padding or dilation differs by side."""

    __slots__ = ()

    def out(self, shape: Shape) -> Shape:
        _, height, width = shape
        sides = [both(value) for value in self[2:6]]
        (kh, kw), (sh, sw), (ph, pw), (dh, dw) = sides
        return (self[1], slide(height, kh, sh, ph, dh), slide(width, kw, sw, pw, dw))

    def params(self) -> dict[str, Shape]:
        weight = (self[1], self[0] // self.groups, *both(self[2]))
        return {"weight": weight, "bias": (self[1],)} if self.bias else {"weight": weight}

    def amount(self, shape: Shape, out: Shape) -> int:
        return elements(out[1:]) * elements(self.params()["weight"])


class _Linear(NamedTuple):
    in_features: int
    out_features: int
    bias: bool = True


class Linear(_Linear):
    """y = W x + b, of each vector. MACs: in out a vector; the bias is counted apart."""

    __slots__ = ()
    torch: ClassVar[str] = "nn.Linear"
    keeps: ClassVar[str] = "conv"
    positional: ClassVar[int] = 2
    line: ClassVar[str] = "linear"

    def out(self, shape: Shape) -> Shape:
        return (*shape[:-1], self.out_features)

    def params(self) -> dict[str, Shape]:
        weight = (self.out_features, self.in_features)
        return {"weight": weight, "bias": weight[:1]} if self.bias else {"weight": weight}

    def amount(self, shape: Shape, out: Shape) -> int:
        return elements(shape) * self.out_features

    def parts(self, shape: Shape) -> tuple[Layer, ...]:
        return ()


class _Norm(SameShape):
    """Two operations an element: a scale and a shift."""

    line: ClassVar[str] = "norm"

    def amount(self, shape: Shape, out: Shape) -> int:
        return 2 * elements(out)

    def parts(self, shape: Shape) -> tuple[Layer, ...]:
        return ()


class _Features(NamedTuple):
    num_features: int


class _BatchNorm(NamedTuple):
    num_features: int
    eps: float = 1e-5


class BatchNorm(_BatchNorm, _Norm):
    """y = gamma (x - mean) / std + beta, each channel over the batch (Ioffe, Szegedy 2015)."""

    __slots__ = ()
    torch: ClassVar[str] = "nn.BatchNorm2d"
    keeps: ClassVar[str] = "statistics"
    positional: ClassVar[int] = 1

    def params(self) -> dict[str, Shape]:
        return {"weight": (self.num_features,), "bias": (self.num_features,)}


class BatchNorm1d(BatchNorm):
    """y = gamma (x - mean) / std + beta, each feature of a vector over the batch."""

    __slots__ = ()
    torch: ClassVar[str] = "nn.BatchNorm1d"


class LayerNorm(_BatchNorm, _Norm):
    """y = gamma (x - mean) / std + beta, each vector over its features (Ba et al. 2016).

    Five operations an element, as group norm.
    """

    __slots__ = ()
    torch: ClassVar[str] = "nn.LayerNorm"
    keeps: ClassVar[str] = "pixel-statistics"
    positional: ClassVar[int] = 1

    def params(self) -> dict[str, Shape]:
        return {"weight": (self.num_features,), "bias": (self.num_features,)}

    def amount(self, shape: Shape, out: Shape) -> int:
        return 5 * elements(out)


class LayerNorm2d(_Features, _Norm):
    """y = gamma (x - mean) / std + beta, each pixel over its channels (Liu et al. 2022).

    Its eps is 1e-6. Five operations an element, as group norm.
    """

    __slots__ = ()
    torch: ClassVar[str] = "LayerNorm2d"
    keeps: ClassVar[str] = "pixel-statistics"
    positional: ClassVar[int] = 1

    def params(self) -> dict[str, Shape]:
        return {"weight": (self.num_features,), "bias": (self.num_features,)}

    def amount(self, shape: Shape, out: Shape) -> int:
        return 5 * elements(out)


class PixelNorm(LayerNorm):
    """y = gamma (x - mean) / std + beta, each pixel over its channels, with an eps of its own."""

    __slots__ = ()
    torch: ClassVar[str] = "PixelNorm2d"


class ResponseNorm(_Features, _Norm):
    """y = x + gamma x n + beta, n = |x_c| over its mean (Woo et al. 2023).

    Four operations an element.
    """

    __slots__ = ()
    torch: ClassVar[str] = "ResponseNorm"
    keeps: ClassVar[str] = "response"
    positional: ClassVar[int] = 1
    line: ClassVar[str] = "elementwise"

    def params(self) -> dict[str, Shape]:
        return {"weight": (self.num_features,), "bias": (self.num_features,)}

    def amount(self, shape: Shape, out: Shape) -> int:
        return 4 * elements(out)


class _GroupNorm(NamedTuple):
    num_groups: int
    num_channels: int
    eps: float = 1e-5


class GroupNorm(_GroupNorm, _Norm):
    """y = gamma (x - mean) / std + beta, each image over groups of channels (Wu, He 2018).

    Five operations an element: its mean and variance are taken of every image anew.
    """

    __slots__ = ()
    torch: ClassVar[str] = "nn.GroupNorm"
    keeps: ClassVar[str] = "group-statistics"
    positional: ClassVar[int] = 2

    def out(self, shape: Shape) -> Shape:
        if elements(shape) == self.num_groups:
            raise Mismatch(
                "a group norm of groups of one channel over 1x1 images has one value a group, and "
                "one has no deviation to divide by; widen the groups or give a larger input"
            )
        return shape

    def params(self) -> dict[str, Shape]:
        return {"weight": (self.num_channels,), "bias": (self.num_channels,)}

    def amount(self, shape: Shape, out: Shape) -> int:
        return 5 * elements(out)
