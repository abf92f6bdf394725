"""Rows of windows that slide over an image: convolutions and pools."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction

from resgen.plan import layers as L
from resgen.plan.layers import Mismatch, Op, Shape
from resgen.plan.layers.base import both
from resgen.plan.numbers import Make, Number, Numbers, Stride, fits, index_of, number
from resgen.plan.tables import CONVOLUTIONS
from resgen.spec.grammar import Row
from resgen.spec.settings import LayerSettings
from resgen.spec.terms import Term
from resgen.spec.values import Path_, Value

Maker = Callable[[Row, LayerSettings, Path_], Make]
_HERE = Term("here", Fraction(1), ("here",), ())
Sides = Callable[[Shape, Numbers], int | tuple[int, int]]


def stage_stride(shape: Shape, numbers: Numbers) -> Stride:
    """The stage's stride in its first block, 1 in the others."""
    return numbers.stride


def _stage_side(index: int) -> Number:
    return lambda shape, numbers: both(numbers.stride)[index]


def strided(value: Value, place: Path_) -> Sides:
    """A number, or what the stage strides by."""
    return stage_stride if value == "stage" else number(value, place)


def sides(value: Value, place: Path_, least: int = 1) -> Sides:
    """A value for both sides, or a pair."""
    if isinstance(value, tuple):
        one, other = (
            _stage_side(i) if v == "stage" else number(v, (*place, i), None, least)
            for i, v in enumerate(value)
        )
        return lambda shape, numbers: (one(shape, numbers), other(shape, numbers))
    return stage_stride if value == "stage" else number(value, place, None, least)


def image_only(make: Make, row: Row, place: Path_) -> Make:
    """For layers that take images only."""

    def made(shape: Shape, numbers: Numbers) -> Op | None:
        if len(shape) != 3:
            raise Mismatch(f"{row.word} takes an image, and here is a vector", place)
        return make(shape, numbers)

    return made


def conv(row: Row, settings: LayerSettings, place: Path_) -> Make:
    """A convolution that keeps the size at stride 1; biased where no norm follows any."""
    if row.get("over"):
        return _over_channels(row, place)
    kind = CONVOLUTIONS[str(row.get("weight", settings.convolution))]
    bias = bool(row.get("bias", settings.bias or settings.norm.kind == "none"))
    said = row.get("width")
    said = _HERE if said is None else said
    width = number(said, (*place, "width"), row.get("round"))
    groups = _groups(row.get("groups"), (*place, "groups"))
    stride_said = row.get("stride", 1)
    stride = sides(stride_said, (*place, "stride"))
    kernel = sides(row.value, (*place, "conv"))
    dilation = _dilation(row.get("dilation"), stride_said == "stage", place)
    same = pads_same(row, settings)
    padding = _padding(row, same, kernel, stride, dilation, place)

    def make(shape: Shape, numbers: Numbers) -> Op:
        into, k = shape[0], kernel(shape, numbers)
        if len(shape) != 3:
            raise Mismatch("a convolution takes an image, and here is a vector", place)
        out = width(shape, numbers)
        g = 1 if groups is None else groups(shape, numbers)
        if into % g or out % g:
            raise Mismatch(_indivisible(into, out, g), (*place, "groups"))
        s = stride(shape, numbers)
        d = 1 if k == 1 else dilation(shape, numbers)
        p = padding(shape, numbers)
        if type(k) is type(s) is type(p) is type(d) is int:
            return fits(kind(into, out, k, s, p, d, g, bias), shape, place)
        if kind is not L.Conv:
            raise Mismatch("a standardized convolution is alike on both sides: a square", place)
        rect = L.RectConv(into, out, k, s, p, d, g, bias)  # type: ignore[arg-type]
        return fits(rect, shape, place)

    alone = all(row.get(key) is None for key in ("padding", "dilation")) and not same
    simple = stride_said in (1, "stage") and row.get("groups") in (None, "stage", "depthwise")
    if alone and simple and not isinstance(row.value, tuple):
        at = index_of(said) if row.get("round") is None else None
        return _plain_conv(row, kind, bias, kernel, at, width, make)
    return make


def _plain_conv(
    row: Row,
    kind: Callable[[int, int, int, int, int, int, int, bool], Op],
    bias: bool,
    kernel: Sides,
    at: int | None,
    width: Number,
    make: Make,
) -> Make:
    """The commonest rows, which every block of every network makes, in fewer steps.

    at: which of the numbers the width is, -1 for what comes in.
    """
    named = at is not None and at >= 0
    strides, groups = row.get("stride") == "stage", row.get("groups")
    by_stage, depthwise = groups == "stage", groups == "depthwise"
    constant = row.value if isinstance(row.value, int) else 0

    def plain(shape: Shape, numbers: Numbers) -> Op | None:
        into = shape[0]
        out: int = numbers[at] if named else into if at else width(shape, numbers)  # type: ignore[assignment, index]
        g = into if depthwise else numbers.groups if by_stage else 1
        k = constant or kernel(shape, numbers)
        assert isinstance(k, int)
        s = numbers.stride if strides else 1
        if k % 2 == 0 or not out or len(shape) != 3 or into % g or out % g or type(s) is not int:
            return make(shape, numbers)  # which says what is wrong, or is not so plain
        if k == 1:
            return kind(into, out, 1, s, 0, 1, g, bias)
        d = numbers.first_dilation if strides else numbers.dilation
        return kind(into, out, k, s, d * (k - 1) // 2, d, g, bias)

    return plain


def _indivisible(into: int, out: int, groups: int) -> str:
    what, count = ("input", into) if into % groups else ("output", out)
    return f"{count} {what} channels are not divisible by the {groups} groups"


def _stage(shape: Shape, numbers: Numbers) -> int:
    return numbers.groups


def _groups(value: Value, place: Path_) -> Number | None:
    if value is None:
        return None
    if value == "stage":
        return _stage
    if value == "depthwise":
        return lambda shape, numbers: shape[0]
    return number(value, place)


def _dilation(value: Value, strides: bool, place: Path_) -> Sides:
    """The stage's, where none is said: strides may have become dilations."""
    if value is None or value == "stage":
        if strides:
            return lambda shape, numbers: numbers.first_dilation
        return lambda shape, numbers: numbers.dilation
    return sides(value, (*place, "dilation"))


def _padding(
    row: Row, same: bool, kernel: Sides, stride: Sides, dilation: Sides, place: Path_
) -> Sides:
    said = row.get("padding")
    if said is not None and not same:
        return sides(said, (*place, "padding"), 0)

    def make(shape: Shape, numbers: Numbers) -> int | tuple[int, int]:
        k, d = kernel(shape, numbers), dilation(shape, numbers)
        if same:  # what strides has a layer ahead that pads
            s = stride(shape, numbers)
            each = zip(both(k), both(s), both(d), strict=True)
            p, q = (d * (k - 1) // 2 if _has_middle(k, s) else 0 for k, s, d in each)
            return p if p == q else (p, q)
        if any(side % 2 == 0 for side in both(k)):
            raise Mismatch(even(k), (*place, "conv"))
        if isinstance(k, int) and isinstance(d, int):
            return d * (k - 1) // 2
        (kh, kw), (dh, dw) = both(k), both(d)
        return (dh * (kh - 1) // 2, dw * (kw - 1) // 2)

    return make


def _over_channels(row: Row, place: Path_) -> Make:
    kernel = number(row.value, (*place, "conv"))

    def make(shape: Shape, numbers: Numbers) -> Op:
        k = kernel(shape, numbers)
        if len(shape) != 3 or shape[1:] != (1, 1):
            raise Mismatch("over: channels takes an image of 1x1: put global-pool before", place)
        if k % 2 == 0:
            raise Mismatch(f"a kernel along the channels is odd (got {k})", (*place, "conv"))
        return L.ChannelConv(k)

    return make


def pads_same(row: Row, settings: LayerSettings) -> bool:
    """Whether a row pads as TensorFlow does: it says so, or is silent and the setting does."""
    said = row.get("padding", "same" if settings.padding == "same" else None)
    return said == "same" and row.word in _SLIDING and row.value not in (1, "stage")


_SLIDING = ("conv", "max-pool", "avg-pool")


def same_border(size: int, kernel: int, stride: int, dilation: int = 1) -> tuple[int, int]:
    """The border for ceil(n / s) windows along one side, an odd pixel behind."""
    reach = (-(-size // stride) - 1) * stride + dilation * (kernel - 1) + 1
    total = max(reach - size, 0)
    return total // 2, total - total // 2


def _has_middle(kernel: int, stride: int) -> bool:
    """Whether the border is half the kernel on both sides, whatever the image's size."""
    return stride == 1 and kernel % 2 == 1


def may_pad_ahead(row: Row, settings: LayerSettings) -> bool:
    """Whether a row that pads as TensorFlow does may need a layer ahead of its own."""
    middle = isinstance(row.value, int) and row.value % 2 and row.get("stride", 1) == 1
    return pads_same(row, settings) and not middle


def same_padding(row: Row, place: Path_) -> Make:
    """The border of zeros ahead of a layer where it cannot be the layer's own padding.

    A convolution's is its own where both sides are alike at any size, a pool's wherever it
    strides (see `pooling`).
    """
    kernel = sides(row.value, (*place, row.word))
    stride = sides(row.get("stride", 1), (*place, "stride"))
    dilation = _dilation(row.get("dilation"), row.get("stride") == "stage", place)
    pools = row.word != "conv"

    def make(shape: Shape, numbers: Numbers) -> Op | None:
        found = []
        each = (kernel(shape, numbers), stride(shape, numbers), dilation(shape, numbers))
        for size, k, s, d in zip(shape[1:], *map(both, each), strict=False):
            own = s > 1 or k % 2 == 1 if pools else _has_middle(k, s)
            found.append((0, 0) if own else same_border(size, k, s, 1 if pools else d))
        (top, bottom), (left, right) = found
        return L.EdgePad((left, right, top, bottom)) if any(map(any, found)) else None

    return image_only(make, row, place)


def even(kernel: int | tuple[int, int]) -> str:
    """What is said of a kernel of even size that says no padding."""
    size = "x".join(map(str, both(kernel)))
    return f"a kernel of even size ({size}) has no middle: say its padding"
