"""Norms that torch does not have: frozen, instance beside batch, filter response, EvoNorm."""

from __future__ import annotations

from typing import ClassVar, NamedTuple

from resgen.plan.layers.base import Layer, Mismatch, SameShape, Shape, elements
from resgen.plan.layers.weighted import BatchNorm


class _Features(NamedTuple):
    num_features: int
    eps: float = 1e-5


class _Elementwise(SameShape):
    """A norm that counters see as single operations: so many an element, and its bias."""

    line: ClassVar[str] = "elementwise"
    positional: ClassVar[int] = 1
    each: ClassVar[int] = 4
    num_features: int

    def params(self) -> dict[str, Shape]:
        return {"weight": (self.num_features,), "bias": (self.num_features,)}

    def parts(self, shape: Shape) -> tuple[Layer, ...]:
        return ()

    def amount(self, shape: Shape, out: Shape) -> int:
        return self.each * elements(out)


class FrozenBatchNorm(_Features, _Elementwise):
    """y = gamma (x - mean) / std + beta, all of them as they were loaded (detectron2).

    Two operations an element. Nothing of it is trained: its four vectors are buffers.
    """

    __slots__ = ()
    torch: ClassVar[str] = "FrozenBatchNorm2d"
    keeps: ClassVar[str] = "scale"
    each: ClassVar[int] = 2

    def params(self) -> dict[str, Shape]:
        return {}


class _Affine(NamedTuple):
    num_features: int
    affine: bool
    eps: float = 1e-5


class InstanceNorm(_Affine, _Elementwise):
    """y = gamma (x - mean) / std + beta, each channel of each image (Ulyanov et al. 2016).

    Five operations an element, as group norm.
    """

    __slots__ = ()
    torch: ClassVar[str] = "nn.InstanceNorm2d"
    each: ClassVar[int] = 5
    keeps: ClassVar[str] = "instance-statistics"
    line: ClassVar[str] = "norm"

    def out(self, shape: Shape) -> Shape:
        if shape[1:] == (1, 1):
            raise Mismatch(
                "an instance norm over 1x1 images has one value a channel, and one has no "
                "deviation to divide by; give a larger input"
            )
        return shape


class _InstanceBatchNorm(NamedTuple):
    num_features: int
    share: float = 0.5
    eps: float = 1e-5


class InstanceBatchNorm(_InstanceBatchNorm, SameShape):
    """y = instance norm of a share of the channels, batch norm of the rest (Pan et al. 2018)."""

    __slots__ = ()
    torch: ClassVar[str] = "InstanceBatchNorm2d"
    keeps: ClassVar[str] = "side-by-side"
    line: ClassVar[str] = "parts"
    positional: ClassVar[int] = 1

    def params(self) -> dict[str, Shape]:
        return {}

    def amount(self, shape: Shape, out: Shape) -> int:
        return 0

    def parts(self, shape: Shape) -> tuple[Layer, ...]:
        channels, *image = shape
        first = int(channels * self.share)
        if not 0 < first < channels:
            raise Mismatch(
                f"a share of {self.share:g} of {channels} channels leaves one of the norms none"
            )
        one, other = (first, *image), (channels - first, *image)
        return (
            Layer("IN", instance := InstanceNorm(first, True, self.eps), one, instance.out(one)),
            Layer("BN", BatchNorm(channels - first, self.eps), other, other),
        )

    def out(self, shape: Shape) -> Shape:
        self.parts(shape)
        return shape


class FilterResponseNorm(_Features, _Elementwise):
    """y = gamma x / rms + beta, each channel of each image (Singh, Krishnan 2020).

    Four operations an element, and the bias.
    """

    __slots__ = ()
    torch: ClassVar[str] = "FilterResponseNorm2d"
    keeps: ClassVar[str] = "filter-response"


class EvoNormB0(_Features, _Elementwise):
    """y = gamma x / max(std of the batch, v x + std of the image) + beta (Liu et al. 2020).

    A norm and its activation in one. Eight operations an element, and the bias.
    """

    __slots__ = ()
    torch: ClassVar[str] = "EvoNorm2dB0"
    keeps: ClassVar[str] = "evonorm-b0"
    each: ClassVar[int] = 8

    def params(self) -> dict[str, Shape]:
        return {**super().params(), "v": (self.num_features,)}


class _Groups(NamedTuple):
    num_groups: int
    num_features: int
    eps: float = 1e-5


class EvoNormS0(_Groups, _Elementwise):
    """y = gamma x sigmoid(v x) / std + beta, the std over groups of channels (Liu et al. 2020).

    A norm and its activation in one. Seven operations an element, and the bias.
    """

    __slots__ = ()
    torch: ClassVar[str] = "EvoNorm2dS0"
    keeps: ClassVar[str] = "evonorm-s0"
    positional: ClassVar[int] = 2
    each: ClassVar[int] = 7

    def params(self) -> dict[str, Shape]:
        return {**super().params(), "v": (self.num_features,)}
