"""Definitions as classes: each Part of a Plan becomes the call of a class found for it.

A definition used in many places is one class for each structure it has there; what differs
between its places becomes its parameters, as with blocks. Inner definitions come first.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, ClassVar

from resgen.plan import Block, Layer, Op, Plan, Shape
from resgen.plan.layers import Branches, DropPath, Part, Residual
from resgen.plan.layers.base import NoParams
from resgen.source.forward import Forward
from resgen.source.shape import (
    Family,
    assignments,
    family,
    lists,
    modules,
    signature,
    skeleton,
    unique,
)
from resgen.source.words import sentence
from resgen.source.writing import module


class Called(NoParams):
    """A layer that is written as the call of a class of the file, with its arguments."""

    positional: ClassVar[int] = 0
    line: ClassVar[str] = "parts"
    keeps: ClassVar[str] = "part"
    _field_defaults: ClassVar[dict[str, object]] = {"stride": 1}

    def __init__(self, torch: str, values: Mapping[str, Any], steps: int, output: Shape) -> None:
        self.torch, self.values, self.steps, self.output = torch, dict(values), steps, output
        widths = [name for name in values if name in ("in_width", "mid_width", "width")]
        self.positional = len(widths)  # type: ignore[misc]

    def _asdict(self) -> dict[str, object]:
        return dict(self.values)

    def __getattr__(self, name: str) -> Any:
        try:
            return self.__dict__["values"][name]
        except KeyError:
            raise AttributeError(name) from None

    def _key(self) -> tuple[object, ...]:
        return (self.torch, *self.values.items(), self.output)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Called) and self._key() == other._key()

    def __hash__(self) -> int:
        return hash(self._key())

    def out(self, shape: Shape) -> Shape:
        """The shape its place puts out."""
        return self.output

    def amount(self, shape: Shape, out: Shape) -> int:
        """Nothing of its own."""
        return 0


class PartClass:
    """The class of a definition's places of one structure."""

    def __init__(self, name: str, members: list[tuple[Layer, ...]]) -> None:
        self.name, self.members = name, members
        rows = [tuple(modules(layers)) for layers in members]
        ends = [(layers[0].input, layers[-1].output) for layers in members]
        self.own: Family = family(rows, ends)

    def call(self, layers: tuple[Layer, ...]) -> Called:
        """The call that makes one of its places."""
        values = self.own.arguments(tuple(modules(layers)))
        steps = max((_steps(layer.op) for layer in modules(layers)), default=0)
        return Called(self.name, values, steps, layers[-1].output)

    def lines(self) -> list[str]:
        """The class."""
        first = self.members[0]
        forward = Forward()
        value = forward.call(first, "x")
        body = unique(assignments(self.own.members[0], self.own.columns, lists(first)))
        equation, head = f"y = {sentence(first)}.", signature(self.own.parameters)
        return module(self.name, equation, head, body, [*forward.lines, f"return {value}"])


def _steps(op: Op) -> int:
    return op.steps if isinstance(op, DropPath | Called) else 0


def with_calls(plan: Plan, taken: set[str]) -> tuple[Plan, list[PartClass]]:
    """The Plan with calls in place of its Parts, and the classes that they call."""
    classes: list[PartClass] = []
    made: dict[Part, Called] = {}
    while waiting := _innermost(plan, made):
        groups: dict[tuple[str, Any], list[tuple[Part, tuple[Layer, ...]]]] = {}
        for part in waiting:
            layers = _rewritten(part.layers, made)
            groups.setdefault((part.title, skeleton(layers)), []).append((part, layers))
        for (title, _), members in groups.items():
            cls = PartClass(_free(camel(title), taken), [layers for _, layers in members])
            classes.append(cls)
            for part, layers in members:
                made[part] = cls.call(layers)
    if not made:
        return plan, []
    return _mapped(plan, made), classes


def _innermost(plan: Plan, made: Mapping[Part, Called]) -> list[Part]:
    """The Parts that hold no Part but those that are calls already."""
    found: dict[Part, None] = {}

    def visit(layers: Iterable[Layer]) -> bool:
        """Whether all Parts among them are calls."""
        ready = True
        for layer in layers:
            op = layer.op
            if isinstance(op, Part):
                if op in made or op in found:
                    ready = ready and op in made
                    continue
                ready = False
                if visit(op.layers):
                    found[op] = None
            elif isinstance(op, Branches):
                ready = _all(visit(path) for path in op.paths) and ready
            elif isinstance(op, Residual):
                ready = visit((*op.main, *op.shortcut.layers)) and ready
        return ready

    for layers in _rows_of(plan):
        visit(layers)
    return list(found)


def _all(answers: Iterable[bool]) -> bool:
    """Whether all hold, each of them asked."""
    return all(list(answers))


def _rows_of(plan: Plan) -> Iterator[tuple[Layer, ...]]:
    yield plan.stem
    for stage in plan.stages:
        for run in stage.runs:
            yield run.block.layers
    yield plan.head


def _rewritten(layers: tuple[Layer, ...], made: Mapping[Part, Called]) -> tuple[Layer, ...]:
    return tuple(layer._replace(op=_op(layer.op, made)) for layer in layers)


def _op(op: Op, made: Mapping[Part, Called]) -> Op:
    if isinstance(op, Part):
        found: Op = made.get(op, op)  # type: ignore[assignment]
        return found
    if isinstance(op, Branches):
        return op._replace(paths=tuple(_rewritten(path, made) for path in op.paths))
    if isinstance(op, Residual):
        shortcut = op.shortcut._replace(layers=_rewritten(op.shortcut.layers, made))
        return op._replace(main=_rewritten(op.main, made), shortcut=shortcut)
    return op


def _mapped(plan: Plan, made: Mapping[Part, Called]) -> Plan:
    def block_of(block: Block) -> Block:
        shortcut = block.shortcut._replace(layers=_rewritten(block.shortcut.layers, made))
        main, after = _rewritten(block.main, made), _rewritten(block.after, made)
        return block._replace(main=main, after=after, shortcut=shortcut)

    stages = tuple(
        stage._replace(runs=tuple(run._replace(block=block_of(run.block)) for run in stage.runs))
        for stage in plan.stages
    )
    return dataclasses.replace(
        plan, stem=_rewritten(plan.stem, made), stages=stages, head=_rewritten(plan.head, made)
    )


def camel(title: str) -> str:
    """inverted-residual -> InvertedResidual."""
    return "".join(word[:1].upper() + word[1:] for word in title.replace("_", "-").split("-"))


def _free(name: str, taken: set[str]) -> str:
    count, found = 1, name
    while found in taken:
        count += 1
        found = f"{name}{count}"
    taken.add(found)
    return found
