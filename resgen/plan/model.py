"""The Plan: every layer of a network with its name and its exact shapes.

Pure data, frozen, no torch. If a Plan exists, its shapes agree. Blocks that repeat
are stored once with a count, so a Plan grows with the number of stages, not with
the depth.

A block computes

    y = after(merge(main(x), shortcut(x')))

where x' is x itself or what the first `leaves_after` layers of the main path make of
it (the shared pre-activation of He et al. 2016). A plain block has no shortcut:
y = after(main(x)).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from resgen.plan.layers import (
    JOINED,
    PLAIN,
    Branches,
    Conv,
    Layer,
    Linear,
    Merge,
    Part,
    Residual,
    Shape,
    Shortcut,
    Sum,
    elements,
    inside,
    leaves,
    residuals,
    without_shortcuts,
)
from resgen.words import size


class Block(NamedTuple):
    """y = after(merge(main(x), shortcut(x'))); names are relative to the block.

    zero_init: the norm whose scale starts at zero, so that the block starts as its shortcut.
    """

    kind: str
    input: Shape
    output: Shape
    main: tuple[Layer, ...]
    shortcut: Shortcut
    merge: Merge
    after: tuple[Layer, ...]
    leaves_after: int = 0
    zero_init: str = ""

    @property
    def plain(self) -> Block:
        """The same block without its shortcut."""
        main, after = without_shortcuts(self.main), without_shortcuts(self.after)
        return self._replace(
            main=main, after=after, shortcut=PLAIN, merge=JOINED, leaves_after=0, zero_init=""
        )

    @property
    def residual_adds(self) -> int:
        """Elements added where the shortcut joins."""
        return 0 if self.shortcut.kind == "none" else elements(self.joined)

    @property
    def joined(self) -> Shape:
        """The shape the main path puts out, where the shortcut joins it."""
        return self.after[0].input if self.after else self.output

    @property
    def units(self) -> Iterator[Residual]:
        """Every residual unit: those inside its paths, and the block's own."""
        yield from residuals(self.main + self.after + self.shortcut.layers)
        if self.shortcut.kind != "none":
            yield Residual(self.main, self.shortcut, self.merge, self.leaves_after, self.joined)

    @property
    def shortcut_layers(self) -> tuple[Layer, ...]:
        """What the shortcut adds to the plain block: its own layers and the merge's gate."""
        return self.shortcut.layers + ((self.merge.gate,) if self.merge.gate else ())

    @property
    def layers(self) -> tuple[Layer, ...]:
        """Every layer of the block, the shortcut's last."""
        return self.main + self.after + self.shortcut_layers


class Run(NamedTuple):
    """A block repeated `count` times in a row, first at position `first` of its stage."""

    block: Block
    count: int  # type: ignore[assignment]  # tuple.count is of no use here
    first: int


class Stage(NamedTuple):
    """Blocks in a row under one module name.

    before: whether the first of them is no block but what the spec puts `before` them.
    """

    name: str
    runs: tuple[Run, ...]
    before: bool = False

    @property
    def blocks(self) -> tuple[Run, ...]:
        """The runs of blocks, less what stands before them."""
        return self.runs[1:] if self.before else self.runs

    @property
    def depth(self) -> int:
        """The number of blocks."""
        return sum(run.count for run in self.blocks)

    @property
    def output(self) -> Shape:
        """The shape the stage puts out."""
        return self.runs[-1].block.output


@dataclass(frozen=True, slots=True, repr=False)
class Plan:
    """stem -> stages -> head, every layer with its name and exact shapes.

    `about` is what the network's spec said, as (key, value) text pairs, for headings
    and docstrings; nothing computes with it. `overrides` is what was typed over its file: a
    network is the same, whichever way it was said.

    Examples:
        >>> from resgen import resolve
        >>> plan = resolve("resnet50")
        >>> [(stage.name, stage.depth, stage.output) for stage in plan.stages][:2]
        [('layer1', 3, (256, 56, 56)), ('layer2', 4, (512, 28, 28))]
        >>> plan.weighted_layers, len(list(plan.named_parameters()))
        (50, 161)
    """

    name: str
    input: Shape
    classes: int
    stem: tuple[Layer, ...]
    stages: tuple[Stage, ...]
    head: tuple[Layer, ...]
    about: tuple[tuple[str, str], ...] = ()
    overrides: tuple[str, ...] = field(default=(), compare=False)

    def __repr__(self) -> str:
        out = f"{self.classes} classes" if self.classes else "features"
        counts = f"{self.blocks} blocks in {len(self.stages)} stages"
        return f"<Plan {self.name}: {size(self.input)} -> {out}, {counts}>"

    @property
    def blocks(self) -> int:
        """The number of residual or plain blocks."""
        return sum(stage.depth for stage in self.stages)

    @property
    def weighted_layers(self) -> int:
        """Convolutions of the main path plus the linear layer: the number in a network's name."""
        count = _weighted(self.stem + self.head)
        for stage in self.stages:
            for run in stage.runs:
                count += run.count * _weighted(run.block.main)
        return count

    def plain(self) -> Plan:
        """The plain twin: the same layers, every shortcut removed."""
        stages = tuple(
            stage._replace(runs=tuple(run._replace(block=run.block.plain) for run in stage.runs))
            for stage in self.stages
        )
        stem, head = without_shortcuts(self.stem), without_shortcuts(self.head)
        name = f"{self.name} without shortcuts"
        return replace(self, name=name, stem=stem, stages=stages, head=head)

    def named_blocks(self) -> Iterator[tuple[str, Block]]:
        """("layer1.0", block), ... in order, repeats written out."""
        for stage in self.stages:
            for run in stage.runs:
                for index in range(run.first, run.first + run.count):
                    yield f"{stage.name}.{index}", run.block

    def named_layers(self) -> Iterator[tuple[str, Layer]]:
        """(full dotted name, layer) for every layer, parts included, repeats written out."""
        for layer in self.stem:
            yield from _named("", layer)
        for prefix, block in self.named_blocks():
            for layer in block.layers:
                yield from _named(prefix, layer)
        for layer in self.head:
            yield from _named("", layer)

    def named_units(self) -> Iterator[tuple[str, Residual]]:
        """(name of the block, unit) of every residual unit; outside of blocks the name is ""."""
        yield from (("", unit) for unit in residuals(self.stem + self.head))
        for name, block in self.named_blocks():
            yield from ((name, unit) for unit in block.units)

    def named_additions(self) -> Iterator[tuple[str, int]]:
        """(full dotted name of the module it stands in, elements) of every addition."""
        yield from _additions("", self.stem)
        for prefix, block in self.named_blocks():
            if block.residual_adds:
                yield prefix, block.residual_adds
            yield from _additions(prefix, block.layers)
        yield from _additions("", self.head)

    def named_parameters(self) -> Iterator[tuple[str, Shape]]:
        """(full dotted name, shape) of every parameter."""
        for name, layer in self.named_layers():
            for parameter, shape in layer.op.params().items():
                yield f"{name}.{parameter}", shape


def _additions(prefix: str, layers: tuple[Layer, ...]) -> Iterator[tuple[str, int]]:
    for layer in layers:
        op = layer.op
        if isinstance(op, Part):
            inner = ".".join(part for part in (prefix, layer.name) if part)
            yield from _additions(inner, op.layers)
        elif isinstance(op, Branches):
            yield from ((prefix, size) for size in op.additions)
            yield from _additions(prefix, inside(op))
        elif isinstance(op, Residual):
            if op.shortcut.kind != "none":
                yield prefix, elements(op.output)
            yield from _additions(prefix, inside(op))
        elif op.line == "parts":
            inner = ".".join(part for part in (prefix, layer.name) if part)
            sums = (part for part in op.parts(layer.input) if isinstance(part.op, Sum))
            yield from ((inner, part.op.amount(part.input, part.output)) for part in sums)


def _weighted(layers: tuple[Layer, ...]) -> int:
    """Convolutions and linear layers, those of branches among them; a module's own inside count."""
    count = 0
    for _, op, _, _ in layers:
        if isinstance(op, _WEIGHTED):
            count += 1
        elif op.line == "parts":
            count += _weighted(tuple(leaves(inside(op))))
    return count


_WEIGHTED = (Conv, Linear)


def _named(prefix: str, layer: Layer) -> Iterator[tuple[str, Layer]]:
    name = ".".join(part for part in (prefix, layer.name) if part)
    yield name, layer
    for part in layer.op.parts(layer.input):
        yield from _named(name, part)
