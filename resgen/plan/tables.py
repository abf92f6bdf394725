"""What a block is made of, in tables: kinds of block, orders, norms, activations, attentions.

A new kind of block, order or attention is a new row here.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

from resgen.plan import layers as L
from resgen.plan.layers import Mismatch, Op
from resgen.spec.parts import Norm
from resgen.spec.settings import BlockSettings, LayerSettings

Steps = list[tuple[str, Op]]


class Unit(NamedTuple):
    """One convolution of a block: its kernel, its widths by name, where it may stride."""

    kernel: int
    into: str
    out: str
    strides_at: tuple[str, ...] = ()


BLOCKS: dict[str, tuple[Unit, ...]] = {
    "basic": (Unit(3, "in", "first", ("3x3",)), Unit(3, "first", "out")),
    "bottleneck": (
        Unit(1, "in", "first", ("1x1",)),
        Unit(3, "first", "mid", ("3x3",)),
        Unit(1, "mid", "out"),
    ),
}


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
    "linear": Order(between="na", last="n", final="a"),
    "relu-preact": Order(before="a", between="n", last="n", final="a", shares="projections"),
    "preact": Order(before="na", final="na", shares="projections"),
    "preact-shared": Order(before="na", final="a", shares="all"),
}

ACTIVATIONS: dict[str, Callable[[bool], Op]] = {
    "relu": L.ReLU,
    "silu": lambda inplace: L.SiLU(),
    "gelu": lambda inplace: L.GELU(),
    "leaky-relu": L.LeakyReLU,
    "elu": lambda inplace: L.ELU(),
    "hardswish": lambda inplace: L.Hardswish(),
}


def standardized(
    into: int, out: int, kernel: int, stride: int, padding: int, dilation: int, groups: int,
    bias: bool,
) -> L.Conv:  # fmt: skip
    """A standardized convolution; Mismatch where a filter has one weight, and so no deviation."""
    if into // groups * kernel**2 == 1:
        raise Mismatch(
            f"a standardized {kernel}x{kernel} convolution of {into} channels in {groups} groups "
            "has one weight a filter, and one has no deviation to divide by"
        )
    return L.StandardizedConv(into, out, kernel, stride, padding, dilation, groups, bias)


CONVOLUTIONS: dict[str, Callable[[int, int, int, int, int, int, int, bool], L.Conv]] = {
    "plain": L.Conv,
    "standardized": standardized,
}

ANTIALIAS: dict[str, Callable[[int, int], Op]] = {
    "blur": L.BlurPool,
    "avgpool": lambda channels, stride: L.AvgPool(stride, stride),
}


def group_norm(norm: Norm, width: int) -> Op:
    """GroupNorm by number of groups or by channels a group."""
    of, what = norm.groups or 32, "groups"
    if norm.group_width:
        of, what = norm.group_width, "channels a group"
    if width % of:
        raise Mismatch(f"group norm: {width} channels cannot be divided by {of} {what}")
    return L.GroupNorm(width // of if norm.group_width else of, width)


NORMS: dict[str, Callable[[Norm, int], Op]] = {
    "batch": lambda norm, width: L.BatchNorm(width),
    "group": group_norm,
}


def squeeze_excitation(settings: BlockSettings, width: int, in_width: int) -> Op:
    """The squeezed width is ratio x width, to the nearest multiple of the divisor."""
    attention = settings.attention
    source = width if attention.ratio_of == "width" else in_width
    divisor = attention.divisor
    exact = source * attention.ratio
    # Halves go up for a divisor; with none, to even, as RegNet's authors round.
    squeezed = int(exact + divisor / 2) // divisor * divisor if divisor > 1 else round(exact)
    return L.SqueezeExcitation(width, max(divisor, squeezed), activation(settings, inplace=True))


def efficient_channel_attention(settings: BlockSettings, width: int, in_width: int) -> Op:
    """The kernel grows with the channels: odd, from (log2(c) + 1) / 2 up, at least 3."""
    size = max(int((math.log2(width) + 1) / 2) | 1, 3)
    return L.EfficientChannelAttention(settings.attention.kernel or size)


ATTENTIONS: dict[str, Callable[[BlockSettings, int, int], Op]] = {
    "se": squeeze_excitation,
    "eca": efficient_channel_attention,
}


def activation(settings: LayerSettings, *, inplace: bool) -> Op:
    """The settings' activation; in place only where nothing else reads its input."""
    return ACTIVATIONS[settings.activation](inplace)


def activation_name(settings: LayerSettings) -> str:
    """What the activation's module is called: torchvision's `relu`, and `act` for the others."""
    return "relu" if settings.activation == "relu" else "act"


def convolution(
    settings: LayerSettings,
    into: int,
    out: int,
    kernel: int,
    stride: int = 1,
    dilation: int = 1,
    groups: int = 1,
) -> Op:
    """A convolution that keeps the size at stride 1; biased where no norm follows any."""
    kind = CONVOLUTIONS[settings.convolution]
    padding = dilation * (kernel - 1) // 2
    bias = settings.norm.kind == "none"
    return kind(into, out, kernel, stride, padding, dilation, groups, bias)


def norm_and_activation(
    letters: str, settings: LayerSettings, width: int, names: tuple[str, str], *, inplace: bool
) -> Steps:
    """The steps of a string over n (norm) and a (activation)."""
    steps: Steps = []
    for letter in letters:
        if letter == "n" and settings.norm.kind != "none":
            steps.append((names[0], NORMS[settings.norm.kind](settings.norm, width)))
        elif letter == "a":
            # An activation right behind x, which the shortcut reads too, keeps x whole.
            steps.append((names[1], activation(settings, inplace=inplace or bool(steps))))
    return steps
