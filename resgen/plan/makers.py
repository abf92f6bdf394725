"""One function for each row word: a row -> what makes its layer for the numbers of a block.

`MAKERS` is the table; a new row is a new entry here, and its word in resgen.spec.rows.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeVar

from pydantic import ValidationError

from resgen.plan import layers as L
from resgen.plan.attentions import ATTENTIONS
from resgen.plan.layers import Mismatch, Op, Shape
from resgen.plan.numbers import Make, Numbers, number
from resgen.plan.pooling import avg_pool, max_pool
from resgen.plan.sliding import Maker, conv, image_only, strided
from resgen.plan.tables import ACTIVATED, LEARNED, NORMS, VECTOR_NORMS, activation
from resgen.spec.grammar import Row
from resgen.spec.norms import ACTS, Activation, Norm
from resgen.spec.parts import Keys
from resgen.spec.settings import LayerSettings
from resgen.spec.terms import Term
from resgen.spec.values import Path_, Value

_NOT_SAID = ("name", "activated")


def norm(row: Row, settings: LayerSettings, place: Path_) -> Make:
    """The setting's norm, or another; the one-dimensional form for a vector."""
    chosen = settings.norm
    given = {key: value for key, value in row.options if key not in _NOT_SAID}
    if row.value is not None or given:
        kind = row.value or settings.norm.kind
        chosen = validated(Norm, {"kind": kind, **given}, place)
    if chosen.kind == "none":
        return lambda shape, numbers: None

    of_image, of_vector = NORMS[chosen.kind], VECTOR_NORMS.get(chosen.kind)
    if row.get("activated"):
        of_image = ACTIVATED[chosen.kind]
    said = place if row.value is not None or given else ()

    def make(shape: Shape, numbers: Numbers) -> Op:
        if len(shape) == 3:
            return of_image(chosen, shape[0])
        if of_vector is None:
            raise Mismatch(f"a {chosen.kind} norm takes an image, and here is a vector", place)
        return of_vector(chosen, shape[0])

    if said:

        def make_said(shape: Shape, numbers: Numbers) -> Op:
            try:
                return make(shape, numbers)
            except Mismatch as error:
                raise Mismatch(str(error), error.place or said) from None

        return make_said

    return make


Said = TypeVar("Said", bound=Keys)


def validated(model: type[Said], given: Mapping[str, object], place: Path_) -> Said:
    """What a row says of its norm or activation; Mismatch where that kind has no such option."""
    try:
        return model.model_validate(given)
    except ValidationError as error:
        what = error.errors()[0]
        raise Mismatch(what["msg"], (*place, *what["loc"])) from None


def act(chosen: Activation | str, places: list[bool], place: Path_) -> Callable[..., Make]:
    """An activation, or that of a parameter's name; in place or not. `places`: where its module is.

    One that learns is as wide as what reaches it.
    """

    def of(*, inplace: bool) -> Make:
        if isinstance(chosen, Activation):
            if chosen.kind in LEARNED:
                return lambda shape, numbers: activation(chosen, shape[0])
            op = activation(chosen, 0, inplace=inplace)
            return lambda shape, numbers: op

        def make(shape: Shape, numbers: Numbers) -> Op:
            word = numbers.parameters[chosen]
            if word not in ACTS:
                raise Mismatch(f"{chosen} is {word} here, which is no activation", place)
            if word in LEARNED and len(places) > 1:
                raise Mismatch(
                    f"{chosen} is {word} here, which learns, and {len(places)} rows would share "
                    "one module; give each row a name",
                    place,
                )
            return activation(Activation(kind=word), shape[0])

        return make

    return of


def linear(row: Row, settings: LayerSettings, place: Path_) -> Make:
    """A linear layer; of `classes`, nothing in a network of 0 classes."""
    classes = isinstance(row.value, Term) and row.value.names is not None and (
        tuple(row.value.names) == ("classes",) and row.value.factor == 1
    )  # fmt: skip
    width = number(row.value, (*place, "linear"), row.get("round"))
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
    assert isinstance(value, int | float)
    constant = float(value)
    return lambda numbers: constant


def dropout(row: Row, settings: LayerSettings, place: Path_) -> Make:
    """Elements zeroed in training; nothing at rate 0."""
    rate = _real(row.value, (*place, "dropout"))

    def make(shape: Shape, numbers: Numbers) -> Op | None:
        p = rate(numbers)
        if not 0 <= p < 1:
            raise Mismatch(f"a rate is from 0 to under 1 (got {p:g})", (*place, "dropout"))
        return L.Dropout(p) if p else None

    return make


def scale(row: Row, settings: LayerSettings, place: Path_) -> Make:
    """A constant factor, or one that is learned."""
    factor, per, bias = _real(row.value, place), row.get("per"), bool(row.get("bias", False))
    if bias and not per:
        raise Mismatch("only a scale that is learned has a bias: say per", (*place, "bias"))
    if not per:
        return lambda shape, numbers: L.Scale(factor(numbers))
    each = per == "channel"
    return image_only(
        lambda shape, numbers: L.LearnedScale(shape[0] if each else 1, factor(numbers), bias),
        row,
        place,
    )


def shuffle(row: Row, settings: LayerSettings, place: Path_) -> Make:
    """Channels of groups interleaved."""
    groups = number(row.value, (*place, "shuffle"))

    def make(shape: Shape, numbers: Numbers) -> Op:
        g = groups(shape, numbers)
        if shape[0] % g:
            raise Mismatch(f"{shape[0]} channels are not divisible by the {g} groups", place)
        return L.ChannelShuffle(g)

    return image_only(make, row, place)


def space_to_depth(row: Row, settings: LayerSettings, place: Path_) -> Make:
    """Squares of pixels as channels."""
    size = number(row.value, (*place, row.word))

    def make(shape: Shape, numbers: Numbers) -> Op:
        k = size(shape, numbers)
        if shape[1] % k or shape[2] % k:
            image = f"{shape[1]}x{shape[2]}"
            raise Mismatch(f"an image of {image} has no whole squares of {k}x{k}", place)
        return L.SpaceToDepth(k)

    return image_only(make, row, place)


def _counted(kind: Callable[[int], Op]) -> Maker:
    """A row of one whole number that takes images."""

    def maker(row: Row, settings: LayerSettings, place: Path_) -> Make:
        value = number(row.value, (*place, row.word))
        return image_only(lambda shape, numbers: kind(value(shape, numbers)), row, place)

    return maker


def blur(row: Row, settings: LayerSettings, place: Path_) -> Make:
    """A fixed binomial filter."""
    stride = strided(row.get("stride", 1), (*place, "stride"))

    def make(shape: Shape, numbers: Numbers) -> Op:
        return L.BlurPool(shape[0], stride(shape, numbers))

    return image_only(make, row, place)


def _global_pool(row: Row, settings: LayerSettings, place: Path_) -> Make:
    return image_only(lambda shape, numbers: L.GlobalAvgPool(1), row, place)


def _flatten(row: Row, settings: LayerSettings, place: Path_) -> Make:
    return lambda shape, numbers: L.Flatten()


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
    **ATTENTIONS,
}
