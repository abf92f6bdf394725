"""Activations: one operation an element, in place where a row allows it."""

from __future__ import annotations

from typing import ClassVar, NamedTuple

from resgen.plan.layers.base import Mismatch, NoParams, Nothing, SameShape, Shape, elements


class _InPlace(NamedTuple):
    inplace: bool = False


class _Activation(SameShape, NoParams):
    """One operation an element."""

    line: ClassVar[str] = "activation"
    keeps: ClassVar[str] = "input"
    positional: ClassVar[int] = 0

    def amount(self, shape: Shape, out: Shape) -> int:
        return elements(out)


class ReLU(_InPlace, _Activation):
    """y = max(x, 0)."""

    __slots__ = ()
    torch: ClassVar[str] = "nn.ReLU"
    keeps: ClassVar[str] = "result"


class SiLU(_InPlace, _Activation):
    """y = x sigmoid(x)."""

    __slots__ = ()
    torch: ClassVar[str] = "nn.SiLU"


class _Slope(NamedTuple):
    negative_slope: float = 0.01
    inplace: bool = False


class LeakyReLU(_Slope, _Activation):
    """y = max(x, a x), a = 0.01 where no slope is said."""

    __slots__ = ()
    positional: ClassVar[int] = 1
    torch: ClassVar[str] = "nn.LeakyReLU"
    keeps: ClassVar[str] = "result-in-place"


class ELU(_InPlace, _Activation):
    """y = x where x > 0, exp(x) - 1 elsewhere."""

    __slots__ = ()
    torch: ClassVar[str] = "nn.ELU"
    keeps: ClassVar[str] = "result-in-place"


class Hardswish(_InPlace, _Activation):
    """y = x relu6(x + 3) / 6."""

    __slots__ = ()
    torch: ClassVar[str] = "nn.Hardswish"


class ReLU6(_InPlace, _Activation):
    """y = min(max(x, 0), 6)."""

    __slots__ = ()
    torch: ClassVar[str] = "nn.ReLU6"


class Hardsigmoid(_InPlace, _Activation):
    """y = relu6(x + 3) / 6."""

    __slots__ = ()
    torch: ClassVar[str] = "nn.Hardsigmoid"


class Mish(_InPlace, _Activation):
    """y = x tanh(log(1 + exp(x)))."""

    __slots__ = ()
    torch: ClassVar[str] = "nn.Mish"


class _Slopes(NamedTuple):
    num_parameters: int
    init: float = 0.25


class PReLU(_Slopes, _Activation):
    """y = max(x, 0) + a min(x, 0), a of each channel (He et al. 2015)."""

    __slots__ = ()
    torch: ClassVar[str] = "nn.PReLU"
    keeps: ClassVar[str] = "input-and-slopes"
    positional: ClassVar[int] = 1

    def params(self) -> dict[str, Shape]:
        return {"weight": (self.num_parameters,)}


class Threshold(_Activation, NamedTuple("_Threshold", [("channels", int)])):
    """y = max(x, tau), tau of each channel (Singh, Krishnan 2020)."""

    __slots__ = ()
    torch: ClassVar[str] = "ThresholdedLinearUnit"
    keeps: ClassVar[str] = "input-and-thresholds"
    positional: ClassVar[int] = 1

    def out(self, shape: Shape) -> Shape:
        if len(shape) != 3:
            raise Mismatch("a threshold is learned for channels of an image, and here is a vector")
        return shape

    def params(self) -> dict[str, Shape]:
        return {"tau": (self.channels,)}


class Tanh(Nothing, _Activation):
    """y = tanh(x)."""

    __slots__ = ()
    torch: ClassVar[str] = "nn.Tanh"
    keeps: ClassVar[str] = "result"


class GELU(Nothing, _Activation):
    """y = x Phi(x)."""

    __slots__ = ()
    torch: ClassVar[str] = "nn.GELU"


class Sigmoid(Nothing, _Activation):
    """y = 1 / (1 + exp(-x))."""

    __slots__ = ()
    torch: ClassVar[str] = "nn.Sigmoid"
    keeps: ClassVar[str] = "result"
