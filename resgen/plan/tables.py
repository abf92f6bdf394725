"""What settings choose between, in tables: orders, activations, convolutions, norms, shortcuts.

A new one of them is a new row here, and its word in the spec.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from resgen.plan import layers as L
from resgen.plan.layers import Mismatch, Op
from resgen.spec.norms import Activation, Norm
from resgen.spec.parts import ShortcutMode


class Order(NamedTuple):
    """Where norm (n) and activation (a) stand (He et al. 2016, figure 4).

    before: ahead of every convolution; between: behind every one but the last; last:
    behind the last; after: behind the addition; final: behind the last block of all.
    shares: which shortcuts start after the pre-activation.
    """

    before: str = ""
    between: str = ""
    last: str = ""
    after: str = ""
    final: str = ""
    shares: str = "none"


ORDERS: dict[str, Order] = {
    "original": Order(between="na", last="n", after="a"),
    "bn-after-add": Order(between="na", after="na"),
    "relu-before-add": Order(between="na", last="na"),
    "relu-around-add": Order(between="na", last="na", after="a"),
    "linear": Order(between="na", last="n", final="a"),
    "relu-preact": Order(before="a", between="n", last="n", final="a", shares="projections"),
    "preact": Order(before="na", final="na", shares="projections"),
    "preact-raw": Order(before="na", final="na"),
    "preact-shared": Order(before="na", final="a", shares="all"),
}

ACTIVATIONS: dict[str, Callable[[Activation, int, bool], Op]] = {
    "relu": lambda act, width, inplace: L.ReLU(inplace),
    "relu6": lambda act, width, inplace: L.ReLU6(),  # in place torch keeps a copy
    "hardsigmoid": lambda act, width, inplace: L.Hardsigmoid(),
    "sigmoid": lambda act, width, inplace: L.Sigmoid(),
    "tanh": lambda act, width, inplace: L.Tanh(),
    "mish": lambda act, width, inplace: L.Mish(),
    "silu": lambda act, width, inplace: L.SiLU(),
    "gelu": lambda act, width, inplace: L.GELU(),
    "leaky-relu": lambda act, width, inplace: L.LeakyReLU(
        0.01 if act.slope is None else act.slope, inplace
    ),
    "elu": lambda act, width, inplace: L.ELU(),
    "hardswish": lambda act, width, inplace: L.Hardswish(),
    "prelu": lambda act, width, inplace: (
        L.PReLU(width) if act.slope is None else L.PReLU(width, act.slope)
    ),
    "threshold": lambda act, width, inplace: L.Threshold(width),
}

LEARNED = frozenset(["prelu", "threshold"])
"""Activations with parameters, of which every place has a module of its own."""


def activation(act: Activation, width: int, *, inplace: bool = False) -> Op:
    """An activation over so many channels."""
    return ACTIVATIONS[act.kind](act, width, inplace)


def _divided(
    kind: type[L.Conv], into: int, out: int, kernel: int, stride: int, padding: int,
    dilation: int, groups: int, bias: bool,
) -> L.Conv:  # fmt: skip
    """Mismatch where a filter has one weight, and so no deviation to be divided by."""
    if into // groups * kernel**2 == 1:
        raise Mismatch(
            f"a standardized {kernel}x{kernel} convolution of {into} channels in {groups} groups "
            "has one weight a filter, and one has no deviation to divide by"
        )
    return kind(into, out, kernel, stride, padding, dilation, groups, bias)


CONVOLUTIONS: dict[str, Callable[[int, int, int, int, int, int, int, bool], L.Conv]] = {
    "plain": L.Conv,
    "standardized": lambda *numbers: _divided(L.StandardizedConv, *numbers),
    "scaled": lambda *numbers: _divided(L.ScaledConv, *numbers),
}


def _grouped(kind: Callable[..., Op], norm: Norm, width: int) -> Op:
    """A norm over groups, by their number or by channels a group."""
    of, what = norm.groups or 32, "groups"
    if norm.group_width:
        of, what = norm.group_width, "channels a group"
    if width % of:
        raise Mismatch(f"{norm.kind} norm: {width} channels cannot be divided by {of} {what}")
    groups = width // of if norm.group_width else of
    return kind(groups, width, *_eps(norm))


def _eps(norm: Norm) -> tuple[float, ...]:
    return () if norm.eps is None else (norm.eps,)


def _of_width(kind: Callable[..., Op]) -> Callable[[Norm, int], Op]:
    """A norm of one number, and of its eps where that is said."""
    return lambda norm, width: kind(width) if norm.eps is None else kind(width, norm.eps)


NORMS: dict[str, Callable[[Norm, int], Op]] = {
    "batch": _of_width(L.BatchNorm),
    "group": lambda norm, width: _grouped(L.GroupNorm, norm, width),
    "layer": lambda norm, width: (
        L.LayerNorm2d(width) if norm.eps is None else L.PixelNorm(width, norm.eps)
    ),
    "response": _of_width(L.ResponseNorm),
    "frozen": _of_width(L.FrozenBatchNorm),
    "instance": lambda norm, width: L.InstanceNorm(width, True, *_eps(norm)),
    "instance-batch": lambda norm, width: L.InstanceBatchNorm(
        width, 0.5 if norm.share is None else norm.share, *_eps(norm)
    ),
    "filter-response": _of_width(L.FilterResponseNorm),
    **dict.fromkeys(
        ("evonorm-b0", "evonorm-s0"), lambda norm, width: L.LearnedScale(width, 1.0, True)
    ),
}

ACTIVATED: dict[str, Callable[[Norm, int], Op]] = {
    "evonorm-b0": _of_width(L.EvoNormB0),
    "evonorm-s0": lambda norm, width: _grouped(L.EvoNormS0, norm, width),
}
"""Norms that have their activation in them, where an activation stands behind."""

VECTOR_NORMS: dict[str, Callable[[Norm, int], Op]] = {
    "batch": _of_width(L.BatchNorm1d),
    "group": lambda norm, width: _grouped(L.GroupNorm, norm, width),
    "layer": _of_width(L.LayerNorm),
}
"""What a norm is behind `flatten`."""

SHORTCUT_FUNCTIONS: dict[str, Callable[[ShortcutMode, int], Op]] = {
    "scaled": lambda mode, width: L.Scale(mode.scale),
    "gated-shortcut": lambda mode, width: L.ShortcutGate(width, mode.gate_bias),
    "dropout": lambda mode, width: L.Dropout(mode.rate),
}
