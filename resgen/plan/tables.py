"""What settings choose between, in tables: orders, activations, convolutions, norms, shortcuts.

A new one of them is a new row here, and its word in the spec.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from resgen.plan import layers as L
from resgen.plan.layers import Mismatch, Op
from resgen.spec.parts import Norm, ShortcutMode


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

ACTIVATIONS: dict[str, Callable[[bool], Op]] = {
    "relu": L.ReLU,
    "relu6": lambda inplace: L.ReLU6(),  # in place torch keeps a copy
    "hardsigmoid": lambda inplace: L.Hardsigmoid(),
    "sigmoid": lambda inplace: L.Sigmoid(),
    "tanh": lambda inplace: L.Tanh(),
    "mish": lambda inplace: L.Mish(),
    "silu": lambda inplace: L.SiLU(),
    "gelu": lambda inplace: L.GELU(),
    "leaky-relu": L.LeakyReLU,
    "elu": lambda inplace: L.ELU(),
    "hardswish": lambda inplace: L.Hardswish(),
}


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


def group_norm(norm: Norm, width: int) -> Op:
    """GroupNorm by number of groups or by channels a group."""
    of, what = norm.groups or 32, "groups"
    if norm.group_width:
        of, what = norm.group_width, "channels a group"
    if width % of:
        raise Mismatch(f"group norm: {width} channels cannot be divided by {of} {what}")
    return L.GroupNorm(width // of if norm.group_width else of, width)


def response_norm(norm: Norm, width: int) -> Op:
    """Global response norm over the image."""
    return L.ResponseNorm(width)


NORMS: dict[str, Callable[[Norm, int], Op]] = {
    "batch": lambda norm, width: L.BatchNorm(width),
    "group": group_norm,
    "layer": lambda norm, width: L.LayerNorm2d(width),
    "response": response_norm,
}

VECTOR_NORMS: dict[str, Callable[[Norm, int], Op]] = {
    "batch": lambda norm, width: L.BatchNorm1d(width),
    "group": group_norm,
    "layer": lambda norm, width: L.LayerNorm(width),
}
"""What a norm is behind `flatten`."""

SHORTCUT_FUNCTIONS: dict[str, Callable[[ShortcutMode, int], Op]] = {
    "scaled": lambda mode, width: L.Scale(mode.scale),
    "gated-shortcut": lambda mode, width: L.ShortcutGate(width, mode.gate_bias),
    "dropout": lambda mode, width: L.Dropout(mode.rate),
}
