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
from dataclasses import dataclass, replace
from typing import NamedTuple

from resgen.plan.layers import Conv, Layer, Linear, Shape, elements


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
        return self._replace(shortcut=PLAIN, merge=Merge(), leaves_after=0)

    @property
    def residual_adds(self) -> int:
        """Elements added where the shortcut joins."""
        return 0 if self.shortcut.kind == "none" else elements(self.output)

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
    """Blocks in a row under one module name."""

    name: str
    runs: tuple[Run, ...]

    @property
    def depth(self) -> int:
        """The number of blocks."""
        return sum(run.count for run in self.runs)

    @property
    def output(self) -> Shape:
        """The shape the stage puts out."""
        return self.runs[-1].block.output


@dataclass(frozen=True, slots=True)
class Plan:
    """stem -> stages -> head, every layer with its name and exact shapes.

    `about` is what the network's spec said, as (key, value) text pairs, for headings
    and docstrings; nothing computes with it.
    """

    name: str
    input: Shape
    classes: int
    stem: tuple[Layer, ...]
    stages: tuple[Stage, ...]
    head: tuple[Layer, ...]
    about: tuple[tuple[str, str], ...] = ()

    @property
    def blocks(self) -> int:
        """The number of residual or plain blocks."""
        return sum(stage.depth for stage in self.stages)

    @property
    def weighted_layers(self) -> int:
        """Convolutions of the main path plus the linear layer: the number in a network's name."""
        kinds = (Conv, Linear)
        count = sum(isinstance(layer.op, kinds) for layer in self.stem + self.head)
        for stage in self.stages:
            for run in stage.runs:
                count += run.count * sum(isinstance(layer.op, kinds) for layer in run.block.main)
        return count

    def plain(self) -> Plan:
        """The plain twin: the same layers, every shortcut removed."""
        stages = tuple(
            stage._replace(runs=tuple(run._replace(block=run.block.plain) for run in stage.runs))
            for stage in self.stages
        )
        return replace(self, name=f"{self.name} without shortcuts", stages=stages)

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

    def named_parameters(self) -> Iterator[tuple[str, Shape]]:
        """(full dotted name, shape) of every parameter."""
        for name, layer in self.named_layers():
            for parameter, shape in layer.op.params().items():
                yield f"{name}.{parameter}", shape


def _named(prefix: str, layer: Layer) -> Iterator[tuple[str, Layer]]:
    name = ".".join(part for part in (prefix, layer.name) if part)
    yield name, layer
    for part in layer.op.parts(layer.input):
        yield from _named(name, part)
