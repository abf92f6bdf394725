"""Activations: one operation an element, in place where a row allows it."""

from __future__ import annotations

from typing import ClassVar, NamedTuple

from resgen.plan.layers.base import NoParams, Nothing, SameShape, Shape, elements


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


class LeakyReLU(_InPlace, _Activation):
    """y = max(x, 0.01 x)."""

    __slots__ = ()
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
