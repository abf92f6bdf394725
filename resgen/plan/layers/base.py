"""What every kind of layer answers, and what many have in common."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import ClassVar, NamedTuple, Protocol

Shape = tuple[int, ...]


elements: Callable[[Shape], int] = math.prod
"""c h w."""


class Mismatch(ValueError):
    """A layer that cannot stand where it was put; `place`: of the value in the spec that says so.

    A place is a path of keys, as `("define", "mine", 2, "width")`; without one, it is the stage.
    """

    def __init__(self, rule: str, place: tuple[str | int, ...] = ()) -> None:
        super().__init__(rule)
        self.place = place


class Op(Protocol):
    """What every kind of layer answers.

    `torch`: the call it is written as; a bare name is one of resgen.source.parts.
    `positional`: how many arguments are written without their name.
    `line`: the line of the books its cost goes to (see resgen.cost.books).
    `keeps`: what autograd keeps of it for the way back, in a word (see resgen.cost.autograd).
    `parts`: the layers inside it, each with its own cost, for a kind made of others.
    """

    torch: ClassVar[str]
    positional: ClassVar[int]
    line: ClassVar[str]
    keeps: ClassVar[str]

    def _asdict(self) -> Mapping[str, object]: ...
    def out(self, shape: Shape) -> Shape: ...
    def params(self) -> dict[str, Shape]: ...
    def amount(self, shape: Shape, out: Shape) -> int: ...
    def parts(self, shape: Shape) -> tuple[Layer, ...]: ...


class Layer(NamedTuple):
    """One layer where it stands: its dotted name, its kind, and its exact shapes."""

    name: str
    op: Op
    input: Shape
    output: Shape

    # Tuples are equal by their values alone; a ReLU is no ELU, whatever both hold.
    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, Layer)
            and _kinds(self.op) == _kinds(other.op)
            and tuple.__eq__(self, other)
        )

    def __ne__(self, other: object) -> bool:
        return not self == other

    def __hash__(self) -> int:
        return hash((_kinds(self.op), *self))


def _kinds(op: Op) -> tuple[type, ...]:
    """The kind of a layer, and of the layers among its arguments."""
    return (type(op), *map(type, op._asdict().values()))


class NoParams:
    """A layer without parameters and without layers inside."""

    def params(self) -> dict[str, Shape]:
        return {}

    def parts(self, shape: Shape) -> tuple[Layer, ...]:
        return ()


def slide(size: int, kernel: int, stride: int, padding: int, dilation: int = 1) -> int:
    """floor((n + 2p - d(k-1) - 1) / s) + 1: positions of a sliding window."""
    return (size + 2 * padding - dilation * (kernel - 1) - 1) // stride + 1


def both(value: object) -> tuple[int, int]:
    """A number for both sides, or one for each."""
    height, width = value if isinstance(value, tuple) else (value, value)
    return height, width


class SameShape:
    """A layer that puts out the shape it takes in."""

    def out(self, shape: Shape) -> Shape:
        return shape


class Nothing(NamedTuple):
    pass


def chain(shape: Shape, *steps: tuple[str, Op]) -> tuple[Layer, ...]:
    """Named layers one after another, each with its shapes."""
    layers = []
    for name, op in steps:
        out = op.out(shape)
        layers.append(Layer(name, op, shape, out))
        shape = out
    return tuple(layers)
