"""One function for each row word: a row -> what makes its layer for the numbers of a block.

`MAKERS` is the table; a new row is a new entry here, and its word in resgen.spec.rows.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from resgen.plan import layers as L
from resgen.plan.layers import Op, Shape
from resgen.plan.layers.base import both
from resgen.plan.numbers import Make, Mismatch, Number, Numbers, number
from resgen.plan.tables import (
    ACTIVATIONS,
    CONVOLUTIONS,
    NORMS,
    VECTOR_NORMS,
)
from resgen.spec.grammar import Row
from resgen.spec.parts import Norm
from resgen.spec.settings import LayerSettings
from resgen.spec.terms import Term
from resgen.spec.values import Path_, Value

Maker = Callable[[Row, LayerSettings, Path_], Make]
Sides = Callable[[Shape, Numbers], "int | tuple[int, int]"]


def _sides(value: Value, place: Path_, stage: Number | None = None) -> Sides:
    """A value for both sides, or a pair; `stage`: what that word stands for."""
    if isinstance(value, tuple) and not isinstance(value, Term):
        one, other = (_sides(v, (*place, i), stage) for i, v in enumerate(value))
        return lambda shape, numbers: (one(shape, numbers), other(shape, numbers))  # type: ignore[return-value]
    if value == "stage":
        assert stage
        return stage
    return number(value, place)


def _stride(shape: Shape, numbers: Numbers) -> int:
    return numbers.stride


def conv(row: Row, settings: LayerSettings, place: Path_) -> Make:
    """A convolution that keeps the size at stride 1; biased where no norm follows any."""
    if row.get("over"):
        return _over_channels(row, place)
    kind = CONVOLUTIONS[str(row.get("weight", settings.convolution))]
    bias = bool(row.get("bias", settings.bias or settings.norm.kind == "none"))
    said = row.get("width")
    width = number(Term("here", _ONE, ("here",), ()) if said is None else said,
                   (*place, "width"), row.get("round"))  # fmt: skip
    groups = _groups(row.get("groups"), (*place, "groups"))
    stride_said = row.get("stride", 1)
    stride = _sides(stride_said, (*place, "stride"), _stride)
    kernel = _sides(row.argument, (*place, "conv"))  # type: ignore[arg-type]
    dilation = _dilation(row.get("dilation"), stride_said == "stage", place)
    padding = _padding(row, "conv", kernel, dilation, place)

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
            return kind(into, out, k, s, p, d, g, bias)  # type: ignore[arg-type]
        if kind is not L.Conv:
            raise Mismatch("a standardized convolution has a square kernel", place)
        return L.RectConv(into, out, k, s, p, d, g, bias)  # type: ignore[arg-type]

    own = row.get("dilation") is not None or row.get("padding") is not None
    common = stride_said in (1, "stage") and groups in (None, _stage) and not own
    if isinstance(row.argument, int) and common:
        return _plain_conv(row.argument, kind, bias, width, groups, stride_said, make)
    return make


def _plain_conv(
    k: int,
    kind: Callable[[int, int, int, int, int, int, int, bool], Op],
    bias: bool,
    width: Number,
    groups: Number | None,
    stride: Value,
    make: Make,
) -> Make:
    """The same for the commonest rows, which every block of every network makes."""
    strides = stride == "stage"

    def plain(shape: Shape, numbers: Numbers) -> Op | None:
        g = numbers.groups if groups else 1
        into, out = shape[0], width(shape, numbers)
        if len(shape) != 3 or into % g or out % g:
            return make(shape, numbers)
        s = numbers.stride if strides else 1
        if k == 1:
            return kind(into, out, 1, s, 0, 1, g, bias)
        d = numbers.first_dilation if strides else numbers.dilation
        return kind(into, out, k, s, d * (k - 1) // 2, d, g, bias)

    odd = k % 2 == 1
    return plain if odd else make


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
    return _sides(value, (*place, "dilation"), lambda shape, numbers: numbers.dilation)


def _padding(row: Row, word: str, kernel: Sides, dilation: Sides, place: Path_) -> Sides:
    said = row.get("padding")
    if said == "same":  # a layer ahead pads
        return lambda shape, numbers: 0
    if said is not None:
        return _sides_from_zero(said, (*place, "padding"))

    def make(shape: Shape, numbers: Numbers) -> int | tuple[int, int]:
        k, d = kernel(shape, numbers), dilation(shape, numbers)
        if any(side % 2 == 0 for side in both(k)):
            raise Mismatch(
                f"a kernel of even size ({_times(k)}) has no middle: say its padding",
                (*place, word),
            )
        if isinstance(k, int) and isinstance(d, int):
            return d * (k - 1) // 2
        (kh, kw), (dh, dw) = both(k), both(d)
        return (dh * (kh - 1) // 2, dw * (kw - 1) // 2)

    return make


def _sides_from_zero(value: Value, place: Path_) -> Sides:
    if isinstance(value, tuple) and not isinstance(value, Term):
        pair = tuple(number(v, (*place, i), least=0) for i, v in enumerate(value))
        return lambda shape, numbers: (pair[0](shape, numbers), pair[1](shape, numbers))
    return number(value, place, least=0)


def _times(k: object) -> str:
    return "x".join(map(str, both(k)))


def _over_channels(row: Row, place: Path_) -> Make:
    kernel = number(row.argument, (*place, "conv"))  # type: ignore[arg-type]

    def make(shape: Shape, numbers: Numbers) -> Op:
        k = kernel(shape, numbers)
        if len(shape) != 3 or shape[1:] != (1, 1):
            raise Mismatch("over: channels takes an image of 1x1: put global-pool before", place)
        if k % 2 == 0:
            raise Mismatch(f"a kernel along the channels is odd (got {k})", (*place, "conv"))
        return L.ChannelConv(k)

    return make


def same_padding(row: Row, place: Path_) -> Make:
    """The border that `padding: same` puts ahead of a layer, as TensorFlow does."""
    kernel = _sides(row.argument, (*place, row.word), _stride)  # type: ignore[arg-type]
    stride = _sides(row.get("stride", 1), (*place, "stride"), _stride)
    dilation = _dilation(row.get("dilation"), row.get("stride") == "stage", place)

    def make(shape: Shape, numbers: Numbers) -> Op | None:
        found = []
        sides = (kernel(shape, numbers), stride(shape, numbers), dilation(shape, numbers))
        for size, k, s, d in zip(shape[1:], *map(both, sides), strict=False):
            total = max((-(-size // s) - 1) * s + d * (k - 1) + 1 - size, 0)
            found.append((total // 2, total - total // 2))
        (top, bottom), (left, right) = found
        return L.EdgePad((left, right, top, bottom)) if any(map(any, found)) else None

    return make


def norm(row: Row, settings: LayerSettings, place: Path_) -> Make:
    """The setting's norm, or another; the one-dimensional form for a vector."""
    chosen = settings.norm
    if row.argument is not None or row.options:
        given = {key: value for key, value in row.options if key != "name"}
        kind = row.argument or settings.norm.kind
        try:
            chosen = Norm.model_validate({"kind": kind, **given})
        except ValueError as error:
            raise Mismatch(str(error).splitlines()[-2].strip().split(" [")[0], place) from None
    if chosen.kind == "none":
        return lambda shape, numbers: None

    def make(shape: Shape, numbers: Numbers) -> Op:
        table = NORMS if len(shape) == 3 else VECTOR_NORMS
        if chosen.kind not in table:
            raise Mismatch(f"a {chosen.kind} norm takes an image, and here is a vector", place)
        return table[chosen.kind](chosen, shape[0])

    return make


def act(kind: str, place: Path_) -> Callable[..., Make]:
    """An activation by its word, or by the parameter of that name; in place or not."""

    def of(*, inplace: bool) -> Make:
        if kind in ACTIVATIONS:
            op = ACTIVATIONS[kind](inplace)
            return lambda shape, numbers: op

        def make(shape: Shape, numbers: Numbers) -> Op:
            word = numbers.parameters[kind]
            if word not in ACTIVATIONS:
                raise Mismatch(f"{kind} is {word} here, which is no activation", place)
            return ACTIVATIONS[str(word)](False)

        return make

    return of


def max_pool(row: Row, settings: LayerSettings, place: Path_) -> Make:
    """The largest value of each window."""
    kernel = _square(row.argument, (*place, row.word))
    stride = _square(row.get("stride", 1), (*place, "stride"))
    padding = _padding(row, row.word, kernel, lambda shape, numbers: 1, place)
    ceil = bool(row.get("ceil", False))

    def make(shape: Shape, numbers: Numbers) -> Op:
        k, s = kernel(shape, numbers), stride(shape, numbers)
        p = _fitting(padding(shape, numbers), k, place)
        return L.MaxPool(k, s, p, 1, ceil)  # type: ignore[arg-type]

    return _image(make, row, place)


def avg_pool(row: Row, settings: LayerSettings, place: Path_) -> Make:
    """The mean of each window; nothing where kernel and stride are the stage's, which is 1."""
    by_stage = row.argument == "stage"
    kernel = _square(row.argument, (*place, row.word))
    stride = _square(row.get("stride", 1), (*place, "stride"))
    none = row.get("padding") is None and by_stage
    padding = (
        number(0, least=0) if none
        else _padding(row, row.word, kernel, lambda shape, numbers: 1, place)
    )  # fmt: skip
    ceil, counted = bool(row.get("ceil", False)), bool(row.get("count_padding", True))

    def make(shape: Shape, numbers: Numbers) -> Op:
        k, s = kernel(shape, numbers), stride(shape, numbers)
        if by_stage and k == s == 1:
            return L.Identity()
        return L.AvgPool(k, s, _fitting(padding(shape, numbers), k, place), ceil, counted)  # type: ignore[arg-type]

    return _image(make, row, place)


def _square(value: object, place: Path_) -> Number:
    if isinstance(value, tuple) and not isinstance(value, Term):
        raise Mismatch("a pool's window is square: one number", place)
    return _sides(value, place, _stride)  # type: ignore[arg-type, return-value]


def _fitting(padding: object, kernel: int, place: Path_) -> object:
    if isinstance(padding, tuple):
        raise Mismatch("a pool's padding is one number", (*place, "padding"))
    if 2 * padding > kernel:  # type: ignore[operator]
        raise Mismatch(
            f"a pool's padding is at most half its window ({padding} for {kernel})",
            (*place, "padding"),
        )
    return padding


def _image(make: Make, row: Row, place: Path_) -> Make:
    """For layers that take images only."""

    def made(shape: Shape, numbers: Numbers) -> Op | None:
        if len(shape) != 3:
            raise Mismatch(f"{row.word} takes an image, and here is a vector", place)
        return make(shape, numbers)

    return made


def linear(row: Row, settings: LayerSettings, place: Path_) -> Make:
    """A linear layer; of `classes`, nothing in a network of 0 classes."""
    classes = isinstance(row.argument, Term) and row.argument.names is not None and (
        tuple(row.argument.names) == ("classes",) and row.argument.factor == 1
    )  # fmt: skip
    width = number(row.argument, (*place, "linear"), row.get("round"))  # type: ignore[arg-type]
    bias = bool(row.get("bias", True))

    def make(shape: Shape, numbers: Numbers) -> Op | None:
        if classes and not numbers.classes:
            return None
        if len(shape) != 1:
            raise Mismatch("a linear layer takes a vector: put flatten before", place)
        return L.Linear(shape[0], width(shape, numbers), bias)

    return make


def _real(value: Value, place: Path_) -> Callable[[Numbers], float]:
    if isinstance(value, Term):
        name = value.text

        def found(numbers: Numbers) -> float:
            given = numbers.parameters.get(name)
            if isinstance(given, str) or given is None:
                raise Mismatch(f"{name} is no number here", place)
            return float(given)

        return found
    return lambda numbers: float(value)  # type: ignore[arg-type]


def dropout(row: Row, settings: LayerSettings, place: Path_) -> Make:
    """Elements zeroed in training; nothing at rate 0."""
    rate = _real(row.argument, (*place, "dropout"))  # type: ignore[arg-type]

    def make(shape: Shape, numbers: Numbers) -> Op | None:
        p = rate(numbers)
        if not 0 <= p < 1:
            raise Mismatch(f"a rate is from 0 to under 1 (got {p:g})", (*place, "dropout"))
        return L.Dropout(p) if p else None

    return make


def scale(row: Row, settings: LayerSettings, place: Path_) -> Make:
    """A constant factor, or one that is learned."""
    factor, per, bias = _real(row.argument, place), row.get("per"), bool(row.get("bias", False))  # type: ignore[arg-type]
    if bias and not per:
        raise Mismatch("only a scale that is learned has a bias: say per", (*place, "bias"))
    if not per:
        return lambda shape, numbers: L.Scale(factor(numbers))
    each = per == "channel"
    return _image(
        lambda shape, numbers: L.LearnedScale(shape[0] if each else 1, factor(numbers), bias),
        row,
        place,
    )


def shuffle(row: Row, settings: LayerSettings, place: Path_) -> Make:
    """Channels of groups interleaved."""
    groups = number(row.argument, (*place, "shuffle"))  # type: ignore[arg-type]

    def make(shape: Shape, numbers: Numbers) -> Op:
        g = groups(shape, numbers)
        if shape[0] % g:
            raise Mismatch(f"{shape[0]} channels are not divisible by the {g} groups", place)
        return L.ChannelShuffle(g)

    return _image(make, row, place)


def space_to_depth(row: Row, settings: LayerSettings, place: Path_) -> Make:
    """Squares of pixels as channels."""
    size = number(row.argument, (*place, row.word))  # type: ignore[arg-type]

    def make(shape: Shape, numbers: Numbers) -> Op:
        k = size(shape, numbers)
        if shape[1] % k or shape[2] % k:
            image = f"{shape[1]}x{shape[2]}"
            raise Mismatch(f"an image of {image} has no whole squares of {k}x{k}", place)
        return L.SpaceToDepth(k)

    return _image(make, row, place)


def squeeze_excitation(row: Row, settings: LayerSettings, place: Path_) -> Make:
    """x times a gate of itself; the squeezed width may be rounded."""
    width = number(row.argument, (*place, row.word), row.get("round"))  # type: ignore[arg-type]
    activation = ACTIVATIONS[settings.activation](True)
    return _image(
        lambda shape, numbers: L.SqueezeExcitation(shape[0], width(shape, numbers), activation),
        row,
        place,
    )


def efficient_attention(row: Row, settings: LayerSettings, place: Path_) -> Make:
    """The kernel said, or grown with the width: odd, from (log2(c) + 1) / 2 up, at least 3."""
    said = None if row.argument == "width" else number(row.argument, place)  # type: ignore[arg-type]

    def make(shape: Shape, numbers: Numbers) -> Op:
        grown = max(int((math.log2(shape[0]) + 1) / 2) | 1, 3)
        kernel = said(shape, numbers) if said else grown
        if kernel % 2 == 0:
            raise Mismatch(f"the kernel must be odd, to have a middle (got {kernel})", place)
        return L.EfficientChannelAttention(kernel)

    return _image(make, row, place)


def _counted(kind: Callable[[int], Op]) -> Maker:
    """A row of one whole number that takes images."""

    def maker(row: Row, settings: LayerSettings, place: Path_) -> Make:
        value = number(row.argument, (*place, row.word))  # type: ignore[arg-type]
        return _image(lambda shape, numbers: kind(value(shape, numbers)), row, place)

    return maker


def blur(row: Row, settings: LayerSettings, place: Path_) -> Make:
    """A fixed binomial filter."""
    stride = _square(row.get("stride", 1), (*place, "stride"))

    def make(shape: Shape, numbers: Numbers) -> Op:
        return L.BlurPool(shape[0], stride(shape, numbers))

    return _image(make, row, place)


def _global_pool(row: Row, settings: LayerSettings, place: Path_) -> Make:
    return _image(lambda shape, numbers: L.GlobalAvgPool(1), row, place)


def _flatten(row: Row, settings: LayerSettings, place: Path_) -> Make:
    return lambda shape, numbers: L.Flatten()


_ONE = Term("", 1, (), ()).factor  # type: ignore[arg-type]

MAKERS: dict[str, Maker] = {
    "conv": conv,
    "norm": norm,
    "max-pool": max_pool,
    "avg-pool": avg_pool,
    "global-pool": _global_pool,
    "flatten": _flatten,
    "linear": linear,
    "dropout": dropout,
    "scale": scale,
    "shuffle": shuffle,
    "upsample": _counted(L.Upsample),
    "space-to-depth": space_to_depth,
    "blur": blur,
    "shift": _counted(L.Shift),
    "pad": _counted(L.ZeroPad),
    "squeeze-excitation": squeeze_excitation,
    "efficient-attention": efficient_attention,
}
