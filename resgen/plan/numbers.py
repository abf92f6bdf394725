"""The numbers that differ between blocks of one structure, and the terms that ask for them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from typing import NamedTuple

from resgen.plan.layers import Layer, Op, Shape
from resgen.spec.parts import MAX_WIDTH
from resgen.spec.terms import NAMES, Term
from resgen.spec.values import Path_, Value


class Mismatch(ValueError):
    """Layers that do not go together; `place`: of the value that says so, in the spec."""

    def __init__(self, rule: str, place: Path_ = ()) -> None:
        super().__init__(rule)
        self.place = place


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
    stride: int = 1
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
        exact = value.factor
        for name in value.above:
            exact *= _fraction(name, shape, numbers, place)
        for name in value.below:
            under = _fraction(name, shape, numbers, place)
            if not under:
                raise Mismatch(f"{value}: {name} is 0 here", place)
            exact /= under
        found = _whole(exact, value, rounding, shape, numbers, place)
        if not least <= found <= MAX_WIDTH:
            raise Mismatch(f"{value} is {found:,} here; from {least} to {MAX_WIDTH:,}", place)
        return found

    return made


def _named(name: str, place: Path_, least: int) -> Number:
    """What one name stands for."""
    if name == "here":
        return lambda shape, numbers: shape[0]
    index = _INDEX.get(name)

    def made(shape: Shape, numbers: Numbers) -> int:
        found = numbers[index] if index is not None else numbers.parameters[name]
        if not isinstance(found, int):
            raise Mismatch(f"{name} is {found} here, which is no whole number", place)
        if found < least:
            raise Mismatch(_absent(name) if index is not None else f"{name} is {found} here", place)
        return found

    return made


def _absent(name: str) -> str:
    return f"{name} has no value here: {NAMES[name]}"


def _fraction(name: str, shape: Shape, numbers: Numbers, place: Path_) -> Fraction:
    if name == "here":
        return Fraction(shape[0])
    index = _INDEX.get(name)
    found = numbers[index] if index is not None else numbers.parameters[name]
    if isinstance(found, str):
        raise Mismatch(f"{name} is {found} here, which is no number", place)
    if index is not None and not found:
        raise Mismatch(_absent(name), place)
    return Fraction(found) if isinstance(found, int) else Fraction(repr(found))


def _whole(
    exact: Fraction, term: Term, rounding: Value, shape: Shape, numbers: Numbers, place: Path_
) -> int:
    """A whole number: to a multiple, halves up, at least one; up, down, or as Python rounds."""
    if isinstance(rounding, Term):
        rounding = numbers.parameters[rounding.above[0]]
    if rounding is None:
        if exact.denominator != 1:
            raise Mismatch(
                f"{term} is {float(exact):g} here, no whole number; let it divide, or say "
                "round: 8 (nearest multiple), up or down",
                place,
            )
        return int(exact)
    if rounding == "even":
        return max(1, round(exact))
    if rounding in ("up", "down"):
        return max(1, -int(-exact // 1) if rounding == "up" else int(exact // 1))
    assert isinstance(rounding, int)
    return max(rounding, int(exact / rounding + Fraction(1, 2)) * rounding)


def value_of(value: Value, place: Path_) -> Callable[[Shape, Numbers], int | float | str]:
    """A parameter's value where its definition is used: a number, a word, a term, the stride."""
    if value == "stage":
        return lambda shape, numbers: numbers.stride
    if not isinstance(value, Term):
        assert isinstance(value, int | float | str), value
        return lambda shape, numbers: value

    def made(shape: Shape, numbers: Numbers) -> int | float | str:
        if value.text in numbers.parameters:
            return numbers.parameters[value.text]
        exact = value.factor
        for name in value.above:
            exact *= _fraction(name, shape, numbers, place)
        for name in value.below:
            exact /= _fraction(name, shape, numbers, place) or 1
        return int(exact) if exact.denominator == 1 else float(exact)

    return made


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
        if out[-1] < 1 or out[len(out) // 2] < 1:
            image = "x".join(map(str, shape[1:]))
            raise Mismatch(f"{name} would shrink an image of {image} below 1x1")
        layers.append(_layer(Layer, (name, op, shape, out)))
        shape = out
    if numbers.made is not None:
        numbers.made[0] += len(layers)
        if numbers.made[0] > MOST_LAYERS:
            raise Mismatch(f"over {MOST_LAYERS:,} layers in one block are too many")
    return tuple(layers)


# Layer(...) less a Python call; this line is run for every layer there is.
_layer = tuple.__new__
