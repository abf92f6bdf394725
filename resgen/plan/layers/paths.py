"""Layers that hold paths: branches side by side, a residual unit, a definition in its place.

Branches and residual units are written where they stand, so the names of what is in them are
those of the block; a definition is a module of its own, and names begin anew in it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar, NamedTuple

from resgen.plan.layers.base import Layer, NoParams, Op, SameShape, Shape, elements
from resgen.plan.layers.weightless import Multiply


class Shortcut(NamedTuple):
    """How a block's input reaches its output.

    kind: none | identity | identity-padded | projection; the last two change the shape.
    layers: what lies on it; nothing for a plain identity.
    """

    kind: str
    layers: tuple[Layer, ...] = ()


PLAIN = Shortcut("none")


class Merge(NamedTuple):
    """y = F + S, or y = gate F + (1 - gate) S where a gate is given (exclusive gating)."""

    gate: Layer | None = None


JOINED = Merge()


class _Sum(SameShape, NoParams, NamedTuple("_Sum", [("of", int)])):
    positional: ClassVar[int] = 0
    torch: ClassVar[str] = ""
    keeps: ClassVar[str] = "nothing"

    def amount(self, shape: Shape, out: Shape) -> int:
        return (self.of - 1) * elements(out)


class Sum(_Sum):
    """The sum of branches: an addition an element for each but the first."""

    __slots__ = ()
    line: ClassVar[str] = "elementwise"


class Add(_Sum):
    """The addition where a shortcut joins."""

    __slots__ = ()
    line: ClassVar[str] = "residual"


class GatedAdd(_Sum):
    """y = g F + (1 - g) S: two products and a complement an element beside the addition."""

    __slots__ = ()
    line: ClassVar[str] = "elementwise"

    def amount(self, shape: Shape, out: Shape) -> int:
        return 3 * elements(out)


class _Path:
    """What all that hold layers answer alike."""

    torch: ClassVar[str] = ""
    positional: ClassVar[int] = 0
    line: ClassVar[str] = "parts"
    output: Shape

    def out(self, shape: Shape) -> Shape:
        return self.output

    def params(self) -> dict[str, Shape]:
        return {}

    def amount(self, shape: Shape, out: Shape) -> int:
        return 0


class Branches(
    _Path,
    NamedTuple(
        "_Branches",
        [
            ("paths", tuple[tuple[Layer, ...], ...]),
            ("inputs", tuple[Shape, ...]),
            ("outputs", tuple[Shape, ...]),
            ("takes", tuple[int, ...]),
            ("carry", str),
            ("join", str),
            ("joiner", Layer | None),
            ("listed", str),
            ("output", Shape),
        ],
    ),
):
    """y = join(path(x), path(x), ...).

    inputs, outputs: the shape each path takes in and puts out. takes: the channels each gets,
    nothing where all get all. carry: `sum` and `chain` hand on what the path before put out;
    with `sum` a path without layers passes its own share alone.
    joiner: the module that joins, where that is one. listed: the list of modules that hold one
    path so many times.
    """

    __slots__ = ()
    keeps: ClassVar[str] = "branches"

    def parts(self, shape: Shape) -> tuple[Layer, ...]:
        return tuple(self._parts())

    def _parts(self) -> Iterator[Layer]:
        count = len(self.paths)
        for number, path in enumerate(self.paths):
            if number and path and self.carry == "sum":
                yield Layer("", Sum(2), self.inputs[number], self.inputs[number])
            yield from path
        if self.joiner:
            yield self.joiner
        elif self.join == "product":
            for _ in range(count - 1):
                yield Layer("", Multiply(), self.output, self.output)
        elif self.join == "sum" and count > 1:
            yield Layer("", Sum(count), self.output, self.output)

    @property
    def additions(self) -> Iterator[int]:
        """Elements of each addition between its paths."""
        if self.carry == "sum":
            carried = zip(self.paths[1:], self.inputs[1:], strict=True)
            yield from (elements(enters) for path, enters in carried if path)
        if self.join == "sum" and not self.joiner:
            yield from [elements(self.output)] * (len(self.paths) - 1)


class Residual(
    _Path,
    NamedTuple(
        "_Residual",
        [
            ("main", tuple[Layer, ...]),
            ("shortcut", Shortcut),
            ("merge", Merge),
            ("leaves_after", int),
            ("output", Shape),
        ],
    ),
):
    """y = merge(main(x), shortcut(x')), inside a path; x' as in a block."""

    __slots__ = ()
    keeps: ClassVar[str] = "residual"

    @property
    def added(self) -> tuple[Layer, ...]:
        """What the shortcut adds to the plain unit, the addition itself aside."""
        return self.shortcut.layers + ((self.merge.gate,) if self.merge.gate else ())

    def parts(self, shape: Shape) -> tuple[Layer, ...]:
        if self.shortcut.kind == "none":
            return self.main
        join = Layer("", Add(2), self.output, self.output)
        gated = (Layer("", GatedAdd(2), self.output, self.output),) if self.merge.gate else ()
        return (*self.main, *self.added, join, *gated)

    @property
    def plain(self) -> Residual:
        """The same unit without its shortcut."""
        return self._replace(shortcut=PLAIN, merge=JOINED, leaves_after=0)


class Part(
    _Path,
    NamedTuple("_Part", [("title", str), ("layers", tuple[Layer, ...]), ("output", Shape)]),
):
    """A definition where it is used: a module of its own."""

    __slots__ = ()
    keeps: ClassVar[str] = "part"

    def parts(self, shape: Shape) -> tuple[Layer, ...]:
        return self.layers


def inside(op: Op) -> tuple[Layer, ...]:
    """The layers of the paths that an op holds; nothing for any other."""
    if isinstance(op, Branches):
        joiner = (op.joiner,) if op.joiner else ()
        return (*(layer for path in op.paths for layer in path), *joiner)
    if isinstance(op, Residual):
        return op.main + op.added
    return op.layers if isinstance(op, Part) else ()


def leaves(layers: tuple[Layer, ...]) -> Iterator[Layer]:
    """Layers that are modules of one namespace: those of branches and units in their place."""
    for layer in layers:
        if isinstance(layer.op, Branches | Residual):
            yield from leaves(inside(layer.op))
        else:
            yield layer


def without_shortcuts(layers: tuple[Layer, ...]) -> tuple[Layer, ...]:
    """The same layers, the residual units in them plain."""
    return tuple(layer._replace(op=_plain(layer.op)) for layer in layers)


def _plain(op: Op) -> Op:
    if isinstance(op, Branches):
        return op._replace(paths=tuple(map(without_shortcuts, op.paths)))
    if isinstance(op, Residual):
        return op.plain._replace(main=without_shortcuts(op.main))
    return op._replace(layers=without_shortcuts(op.layers)) if isinstance(op, Part) else op


def residuals(layers: tuple[Layer, ...]) -> Iterator[Residual]:
    """Every residual unit among layers and in them."""
    for layer in layers:
        if isinstance(layer.op, Branches | Residual | Part):
            if isinstance(layer.op, Residual) and layer.op.shortcut.kind != "none":
                yield layer.op
            yield from residuals(inside(layer.op))
