"""Batch norms folded into the convolutions before them: a Plan of fewer layers, the same function.

    gamma (W x + b - mean) / std + beta  =  (gamma / std W) x + (b - mean) gamma / std + beta

holds in evaluation, where mean and deviation are kept numbers (Jacob et al. 2018, section 3.2).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import NamedTuple

from resgen.plan.layers import (
    BatchNorm,
    BatchNorm1d,
    Branches,
    Conv,
    FrozenBatchNorm,
    Layer,
    Linear,
    Op,
    Part,
    RectConv,
    Residual,
    leaves,
)
from resgen.plan.model import Block, Plan, Run

# A convolution whose weight is made anew from another takes no factor; it keeps its norm.
_TAKES = (Conv, RectConv, Linear)
_FOLDED = (BatchNorm, BatchNorm1d, FrozenBatchNorm)


class Folded(NamedTuple):
    """A Plan without the batch norms that a convolution or linear layer could take in.

    pairs: (layer, batch norm) by their names before. names: what a module was called before ->
    what it is called now, of those whose number in a row of modules has changed.
    left: the batch norms that stay.
    """

    plan: Plan
    pairs: tuple[tuple[str, str], ...]
    names: dict[str, str]
    left: tuple[str, ...]


def fold(plan: Plan) -> Folded:
    """The Plan with its batch norms folded, and what became of the names."""
    pairs: dict[str, str] = {}
    names: dict[str, str] = {}
    stem, head = _Space(), _Space()
    made = replace(plan, stem=stem.namespace(plan.stem), head=head.namespace(plan.head))
    stem.enter("", pairs, names)
    head.enter("", pairs, names)
    known: dict[Block, tuple[Block, _Space]] = {}
    stages = []
    for stage in plan.stages:
        runs: list[Run] = []
        for run in stage.runs:
            if run.block not in known:
                space = _Space()
                known[run.block] = (space.block(run.block), space)
            block, space = known[run.block]
            runs.append(run._replace(block=block))
            for index in range(run.first, run.first + run.count):
                space.enter(f"{stage.name}.{index}.", pairs, names)
        stages.append(stage._replace(runs=tuple(runs)))
    count = f"{len(pairs)} batch norm{'' if len(pairs) == 1 else 's'}"
    made = replace(made, stages=tuple(stages), about=(*plan.about, ("folded", count)))
    left = (name for name, layer in made.named_layers() if isinstance(layer.op, _FOLDED))
    return Folded(made, tuple(pairs.items()), names, tuple(left))


class _Space:
    """What is folded and renamed among the names of one module."""

    def __init__(self) -> None:
        self.pairs: dict[str, str] = {}
        self.names: dict[str, str] = {}

    def enter(self, prefix: str, pairs: dict[str, str], names: dict[str, str]) -> None:
        """Adds what is known here to what is known of the network."""
        pairs |= {prefix + layer: prefix + norm for layer, norm in self.pairs.items()}
        names |= {prefix + old: prefix + new for old, new in self.names.items()}

    def block(self, block: Block) -> Block:
        """The block, its own norms and those of its definitions folded."""
        plain = block.shortcut.kind == "none"
        if plain:  # no shortcut joins between the two: they are one row
            row, (ended,) = self._row(block.main + block.after, marks=[len(block.main)])
            main, after, leaves_after = row[:ended], row[ended:], 0
        else:
            main, (leaves_after,) = self._row(block.main, parted=[block.leaves_after])
            after, _ = self._row(block.after)
        lost = set(self.pairs.values())
        shortcut = block.shortcut._replace(layers=self._row(block.shortcut.layers)[0])
        made = block._replace(
            main=main,
            after=after,
            leaves_after=leaves_after,
            shortcut=shortcut,
            zero_init="" if block.zero_init in lost else block.zero_init,
        )
        self._number([*leaves(block.layers)])
        return made._replace(
            main=self._renamed(made.main),
            after=self._renamed(made.after),
            shortcut=shortcut._replace(layers=self._renamed(shortcut.layers)),
        )

    def namespace(self, layers: tuple[Layer, ...]) -> tuple[Layer, ...]:
        """The layers of a module of their own."""
        made, _ = self._row(layers)
        self._number([*leaves(layers)])
        return self._renamed(made)

    def _row(
        self, layers: Sequence[Layer], parted: Sequence[int] = (), marks: Sequence[int] = ()
    ) -> tuple[tuple[Layer, ...], list[int]]:
        """The row folded, and where its `parted` and `marks` places are now.

        At a parted place another path begins: what stands before it is not that norm's alone.
        """
        made: list[Layer] = []
        places = {0: 0}
        for index, layer in enumerate(layers):
            before = made[-1] if made and index not in parted else None
            if before is not None and type(layer.op) in _FOLDED and type(before.op) in _TAKES:
                self.pairs[before.name] = layer.name
                biased = before.op._replace(bias=True)  # type: ignore[attr-defined]
                made[-1] = before._replace(op=biased, output=layer.output)
            else:
                made.append(layer._replace(op=self._inside(layer)))
            places[index + 1] = len(made)
        return tuple(made), [places[place] for place in (*parted, *marks)]

    def _inside(self, layer: Layer) -> Op:
        op = layer.op
        if isinstance(op, Branches):
            return op._replace(paths=tuple(self._row(path)[0] for path in op.paths))
        if isinstance(op, Residual):
            main, (leaves_after,) = self._row(op.main, parted=[op.leaves_after])
            shortcut = op.shortcut._replace(layers=self._row(op.shortcut.layers)[0])
            return op._replace(main=main, shortcut=shortcut, leaves_after=leaves_after)
        if isinstance(op, Part):
            inner = _Space()
            made = op._replace(layers=inner.namespace(op.layers))
            inner.enter(f"{layer.name}.", self.pairs, self.names)
            return made
        return op

    def _number(self, layers: Iterable[Layer]) -> None:
        """Numbers the modules of each row anew that has lost one: conv1.0, conv1.2 -> conv1.1."""
        lost = set(self.pairs.values())
        rows: dict[str, list[str]] = {}
        for layer in layers:
            head, _, rest = layer.name.partition(".")
            if rest:
                rows.setdefault(head, []).append(layer.name)
        for head, members in rows.items():
            kept = [name for name in dict.fromkeys(members) if name not in lost]
            if len(kept) < len(members):
                named = {old: f"{head}.{number}" for number, old in enumerate(kept)}
                self.names |= {old: new for old, new in named.items() if old != new}

    def _renamed(self, layers: tuple[Layer, ...]) -> tuple[Layer, ...]:
        return tuple(
            layer._replace(
                name=self.names.get(layer.name, layer.name), op=self._renamed_in(layer.op)
            )
            for layer in layers
        )

    def _renamed_in(self, op: Op) -> Op:
        if isinstance(op, Branches):
            return op._replace(paths=tuple(map(self._renamed, op.paths)))
        if isinstance(op, Residual):
            shortcut = op.shortcut._replace(layers=self._renamed(op.shortcut.layers))
            return op._replace(main=self._renamed(op.main), shortcut=shortcut)
        return op
