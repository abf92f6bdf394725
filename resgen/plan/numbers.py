"""The numbers that differ between blocks of one structure, and the terms that ask for them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from functools import lru_cache
from typing import NamedTuple

from resgen.plan.layers import Layer, Mismatch, Op, Shape
from resgen.spec.parts import MAX_WIDTH
from resgen.spec.terms import NAMES, Term
from resgen.spec.values import Path_, Value

Stride = int | tuple[int, int]
"""One for both sides, or down and to the right."""


class Numbers(NamedTuple):
    """What differs between the blocks of one structure: widths, groups, stride, dilations.

    first_dilation: of the convolution that strides, where strides became dilations.
    branch: what enters the branch in the making. parameters: of the definition in the making.
    made: how many layers there are so far, in a list of one entry.
    """

    enters: int
    out: int = 0
    mid: int = 0
    first: int = 0
    groups: int = 1
    stride: Stride = 1
    dilation: int = 1
    first_dilation: int = 1
    branch: int = 0
    classes: int = 0
    parameters: Mapping[str, int | float | str] = {}
    made: list[int] | None = None


Number = Callable[[Shape, Numbers], int]
Make = Callable[[Shape, Numbers], Op | None]
Step = tuple[str, Make]
"""A layer's name, and the layer for the shape that reaches it and the block's numbers."""

_FIELDS = {"in": "enters"}
_INDEX = {name: Numbers._fields.index(_FIELDS.get(name, name)) for name in NAMES if name != "here"}


def number(value: Value, place: Path_ = (), rounding: Value = None, least: int = 1) -> Number:
    """A number of a row as a function: a constant, what a name stands for, or a term."""
    if isinstance(value, int):
        return lambda shape, numbers: value
    assert isinstance(value, Term), value
    if value.factor == 1 and not value.below and len(value.above) == 1 and rounding is None:
        return _named(value.above[0], place, least)

    def made(shape: Shape, numbers: Numbers) -> int:
        above, below = _ratio(value, shape, numbers, place)
        found = _whole(above, below, value, rounding, numbers, place)
        if not least <= found <= MAX_WIDTH:
            raise Mismatch(f"{value} is {found:,} here; from {least} to {MAX_WIDTH:,}", place)
        return found

    return made


def _named(name: str, place: Path_, least: int) -> Number:
    """What one name stands for."""
    if name == "here":
        return lambda shape, numbers: shape[0]
    index = _INDEX.get(name)
    if index is not None:
        at = index

        def of_block(shape: Shape, numbers: Numbers) -> int:
            return numbers[at] or _absent(name, place)  # type: ignore[return-value]

        return of_block

    def of_definition(shape: Shape, numbers: Numbers) -> int:
        found = numbers.parameters[name]
        if not isinstance(found, int):
            raise Mismatch(f"{name} is {found} here, which is no whole number", place)
        if found < least:
            raise Mismatch(f"{name} is {found} here, and at least {least} is needed", place)
        return found

    return of_definition


def index_of(value: Value) -> int | None:
    """Which of the numbers a plain name is; -1 for what the row before puts out."""
    if isinstance(value, Term) and value.text in NAMES:
        return _INDEX.get(value.text, -1)
    return None


def _absent(name: str, place: Path_) -> int:
    raise Mismatch(f"{name} has no value here: {NAMES[name]}", place)


def _ratio(term: Term, shape: Shape, numbers: Numbers, place: Path_) -> tuple[int, int]:
    """What a term comes to, as a whole number over another."""
    above, below = term.factor.numerator, term.factor.denominator
    for name in term.above:
        over, under = _parts(name, shape, numbers, place)
        above, below = above * over, below * under
    for name in term.below:
        over, under = _parts(name, shape, numbers, place)
        above, below = above * under, below * over
    if not below:
        raise Mismatch(f"{term} divides by 0 here", place)
    return above, below


def _parts(name: str, shape: Shape, numbers: Numbers, place: Path_) -> tuple[int, int]:
    if name == "here":
        return shape[0], 1
    index = _INDEX.get(name)
    found = numbers[index] if index is not None else numbers.parameters[name]
    if isinstance(found, int):
        if index is not None and not found:
            _absent(name, place)
        return found, 1
    if isinstance(found, str):
        raise Mismatch(f"{name} is {found} here, which is no number", place)
    return _decimal(found)  # type: ignore[arg-type]


@lru_cache(maxsize=256)
def _decimal(value: float) -> tuple[int, int]:
    """A decimal as it is written, not its nearest binary."""
    exact = Fraction(repr(value))
    return exact.numerator, exact.denominator


def _whole(
    above: int, below: int, term: Term, rounding: Value, numbers: Numbers, place: Path_
) -> int:
    """A whole number: halves to even, up, down, or a multiple, of which there is at least one."""
    if isinstance(rounding, Term):
        rounding = numbers.parameters[rounding.above[0]]
    if rounding is None:
        found, rest = divmod(above, below)
        if rest:
            raise Mismatch(
                f"{term} is {above / below:g} here, no whole number; let it divide, or say "
                "round: 8 (nearest multiple), up or down",
                place,
            )
        return found
    if rounding == "even":
        return max(1, round(Fraction(above, below)))
    if rounding in ("up", "down"):
        return max(1, -(-above // below) if rounding == "up" else above // below)
    multiple, way = rounding if isinstance(rounding, tuple) else (rounding, "nearest")
    if isinstance(multiple, Term):
        multiple = numbers.parameters[multiple.above[0]]
    assert isinstance(multiple, int)
    return max(1, _WAYS[str(way)](above, below * multiple)) * multiple


def _unless_a_tenth_is_lost(above: int, below: int) -> int:
    """The nearest, halves up; the next where that is under 90 percent (MobileNet)."""
    found = (2 * above + below) // (2 * below)
    return found + 1 if 10 * found * below < 9 * above else found


_WAYS: dict[str, Callable[[int, int], int]] = {
    "nearest": lambda above, below: (2 * above + below) // (2 * below),
    "up": lambda above, below: -(-above // below),
    "down": lambda above, below: above // below,
    "up-from-90-percent": _unless_a_tenth_is_lost,
}
"""Halves go up; a ratio -> a whole number."""


def value_of(value: Value, place: Path_) -> Callable[[Shape, Numbers], int | float | str]:
    """A parameter's value where its definition is used: a number, a word, a term, the stride."""
    if value == "stage":

        def strides(shape: Shape, numbers: Numbers) -> int:
            if isinstance(numbers.stride, tuple):
                raise Mismatch("a parameter is one number, and the stage strides by two", place)
            return numbers.stride

        return strides
    if not isinstance(value, Term):
        assert isinstance(value, int | float | str), value
        return lambda shape, numbers: value

    def made(shape: Shape, numbers: Numbers) -> int | float | str:
        if value.text in numbers.parameters:
            return numbers.parameters[value.text]
        above, below = _ratio(value, shape, numbers, place)
        return above // below if above % below == 0 else above / below

    return made


def fits(op: Op, shape: Shape, place: Path_) -> Op:
    """The layer, where something comes out of it."""
    if min(op.out(shape)) < 1:
        image = "x".join(map(str, shape[1:]))
        raise Mismatch(f"an image of {image} is too small for it: nothing would come out", place)
    return op


MOST_LAYERS = 20_000
"""Layers of one block, those of branches and definitions among them."""


def run(steps: Sequence[Step], shape: Shape, numbers: Numbers) -> tuple[Layer, ...]:
    """The steps as layers, each with its shapes."""
    layers = []
    for name, make in steps:
        op = make(shape, numbers)
        if op is None:
            continue
        out = op.out(shape)
        layers.append(_layer(Layer, (name, op, shape, out)))
        shape = out
    if numbers.made is not None:
        numbers.made[0] += len(layers)
        if numbers.made[0] > MOST_LAYERS:
            raise Mismatch(f"over {MOST_LAYERS:,} layers in one block are too many")
    return tuple(layers)


# Layer(...) less a Python call; this line is run for every layer there is.
_layer = tuple.__new__
