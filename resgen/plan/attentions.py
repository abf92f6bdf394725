"""The rows of attentions: a row -> what makes its layer for the numbers of a block."""

from __future__ import annotations

import math
from collections.abc import Callable

from resgen.plan import layers as L
from resgen.plan.layers import Mismatch, Op, Shape
from resgen.plan.numbers import Make, Number, Numbers, number
from resgen.plan.sliding import Maker, image_only
from resgen.plan.tables import NORMS, activation
from resgen.spec.grammar import Row
from resgen.spec.norms import ACTS, Activation
from resgen.spec.settings import LayerSettings
from resgen.spec.values import Path_


def squeeze_excitation(row: Row, settings: LayerSettings, place: Path_) -> Make:
    """x times a gate of itself; the squeezed width may be rounded."""
    width, bias = _squeezed(row, place), bool(row.get("bias", True))
    inner = _activation(row, "activation", settings.activation, place, inplace=True)
    outer = _activation(row, "gate", _SIGMOID, place)

    def make(shape: Shape, numbers: Numbers) -> Op:
        squeeze = width(shape, numbers)
        act, gate = inner(squeeze, numbers), outer(shape[0], numbers)
        if bias and isinstance(gate, L.Sigmoid):
            return L.SqueezeExcitation(shape[0], squeeze, act)
        return L.GatedSqueezeExcitation(shape[0], squeeze, act, gate, bias)

    return image_only(make, row, place)


def efficient_attention(row: Row, settings: LayerSettings, place: Path_) -> Make:
    """The kernel said, or grown with the width: odd, from (log2(c) + 1) / 2 up, at least 3."""
    said = None if row.value == "width" else number(row.value, place)

    def make(shape: Shape, numbers: Numbers) -> Op:
        grown = max(int((math.log2(shape[0]) + 1) / 2) | 1, 3)
        kernel = said(shape, numbers) if said else grown
        return L.EfficientChannelAttention(_odd(kernel, place))

    return image_only(make, row, place)


def channel_attention(row: Row, settings: LayerSettings, place: Path_) -> Make:
    """x times a gate of its means and its largest values."""
    width, bias = _squeezed(row, place), bool(row.get("bias", True))
    inner = _activation(row, "activation", settings.activation, place, inplace=True)

    def make(shape: Shape, numbers: Numbers) -> Op:
        squeeze = width(shape, numbers)
        return L.ChannelAttention(shape[0], squeeze, inner(squeeze, numbers), bias)

    return image_only(make, row, place)


def spatial_attention(row: Row, settings: LayerSettings, place: Path_) -> Make:
    """x times a gate of each pixel. A norm that takes no batch is over the whole plane here."""
    side, norm = number(row.value, (*place, row.word)), settings.norm
    bias = norm.kind == "none"

    def make(shape: Shape, numbers: Numbers) -> Op:
        kernel = _odd(side(shape, numbers), place)
        if bias:
            return L.SpatialAttention(kernel, L.Identity(), bias)
        of_batch = norm.kind in ("batch", "frozen")
        return L.SpatialAttention(kernel, NORMS[norm.kind](norm, 1) if of_batch else _PLANE)

    return image_only(make, row, place)


_PLANE = L.GroupNorm(1, 1)


def global_context(row: Row, settings: LayerSettings, place: Path_) -> Make:
    """x plus, or times a gate of, a mean of its pixels that are weighted by themselves."""
    width = _squeezed(row, place)
    inner = _activation(row, "activation", settings.activation, place, inplace=True)
    kind = L.GlobalContextGate if row.get("fuse") == "scale" else L.GlobalContext

    def make(shape: Shape, numbers: Numbers) -> Op:
        squeeze = width(shape, numbers)
        return kind(shape[0], squeeze, inner(squeeze, numbers))

    return image_only(make, row, place)


def attention_pool(row: Row, settings: LayerSettings, place: Path_) -> Make:
    """An image as a vector; heads of 64 channels where their number is not said."""
    width = number(row.value, (*place, row.word))
    said = row.get("heads")
    heads = number(said, (*place, "heads")) if said is not None else None

    def make(shape: Shape, numbers: Numbers) -> Op:
        channels = shape[0]
        count = heads(shape, numbers) if heads else channels // _HEAD
        if not count or channels % count or (heads is None and channels % _HEAD):
            many = f"{count} heads" if heads else f"heads of {_HEAD}; say heads"
            raise Mismatch(f"{channels} channels cannot be divided into {many}", place)
        return L.AttentionPool(channels, width(shape, numbers), count, shape[1] * shape[2])

    return image_only(make, row, place)


_HEAD = 64
_SIGMOID = Activation(kind="sigmoid")


def _squeezed(row: Row, place: Path_) -> Number:
    return number(row.value, (*place, row.word), row.get("round"))


def _activation(
    row: Row, option: str, usual: Activation, place: Path_, *, inplace: bool = False
) -> Callable[[int, Numbers], Op]:
    """An option that names an activation, or a parameter that does; over so many channels."""
    word = row.get(option)
    if word is None or word in ACTS:
        chosen = usual if word is None else Activation.model_validate({"kind": word})
        return lambda width, numbers: activation(chosen, width, inplace=inplace)

    def made(width: int, numbers: Numbers) -> Op:
        found = numbers.parameters[str(word)]
        if found not in ACTS:
            raise Mismatch(f"{word} is {found} here, which is no activation", (*place, option))
        return activation(Activation.model_validate({"kind": found}), width, inplace=inplace)

    return made


def _odd(kernel: int, place: Path_) -> int:
    if kernel % 2 == 0:
        raise Mismatch(f"the kernel must be odd, to have a middle (got {kernel})", place)
    return kernel


ATTENTIONS: dict[str, Maker] = {
    "squeeze-excitation": squeeze_excitation,
    "efficient-attention": efficient_attention,
    "channel-attention": channel_attention,
    "spatial-attention": spatial_attention,
    "global-context": global_context,
    "attention-pool": attention_pool,
}
"""One function for each row of an attention; see resgen.plan.makers for the others."""
