"""Plan -> rows: the network's parts under their module names, with their books.

Rows never overlap, so they add up to the network's total however finely it is listed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from itertools import groupby
from typing import NamedTuple

from resgen.cost import Cost, cost_of_layers
from resgen.cost.traffic import Traffic, traffic, traffic_of_branches, traffic_of_join
from resgen.plan import Block, Layer, Plan, Shape, elements
from resgen.plan import layers as L
from resgen.report.kinds import alike, holds, kind_of

Rule = Callable[[Layer], int]
_Join = tuple[Cost, tuple[Traffic, ...]]


class Row(NamedTuple):
    """One line of a report: a part of the network, its kind, and its books.

    macs: multiply-adds by the report's counting convention. moved: its operations, one by one.
    """

    name: str
    kind: str
    output: Shape
    blocks: int
    books: Cost
    macs: int
    moved: tuple[Traffic, ...] = ()

    def plus(self, other: Row, times: int = 1) -> Row:
        """self with the other's books, MACs and operations added to its own, `times` times."""
        more = (each._replace(times=times * each.times) for each in other.moved)
        return self._replace(
            books=self.books.plus(other.books, times),
            macs=self.macs + times * other.macs,
            moved=(*self.moved, *more) if times else self.moved,
        )


def rows(plan: Plan, by: str = "stage", rule: Rule | None = None) -> list[Row]:
    """The network's parts, `by` stage, block or layer. They add up to the total.

    Blocks in a row that are the same share one row (`layer1.1-2`), their books summed.
    `rule` says what a layer's MACs are; without, the closed form's own.
    """
    made = list(_ends("stem", plan.stem, by, rule))
    for stage in plan.stages:
        if by == "stage":
            total = Row(stage.name, "", stage.output, stage.depth, Cost(), 0)
            for run in stage.runs:
                for part in _block_rows("", run.block, "layer", rule):
                    total = total.plus(part, run.count)
            made.append(total)
            continue
        for run in stage.runs:
            last = run.first + run.count - 1
            name = f"{stage.name}.{run.first}" + (f"-{last}" if run.count > 1 else "")
            blocks = 0 if stage.before and run is stage.runs[0] else run.count
            for part in _block_rows(name, run.block, by, rule):
                empty = part._replace(books=Cost(), macs=0, moved=(), blocks=part.blocks * blocks)
                made.append(empty.plus(part, run.count))
    return [*made, *_ends("head", plan.head, by, rule)]


def total(plan: Plan, rule: Rule | None = None) -> Row:
    """The row of the whole network."""
    whole = Row("total", "", plan.head[-1].output, plan.blocks, Cost(), 0)
    for row in rows(plan, "stage", rule):
        whole = whole.plus(row)
    return whole


def _ends(name: str, layers: tuple[Layer, ...], by: str, rule: Rule | None) -> Iterator[Row]:
    if by == "layer":
        yield from _Walk(name, "", rule).rows(layers)
    elif layers:
        yield _row(name, "", layers, rule)


def _row(
    name: str, kind: str, layers: tuple[Layer, ...], rule: Rule | None, blocks: int = 0
) -> Row:
    books = cost_of_layers(layers)
    macs = books.macs if rule is None else sum(map(rule, _single(layers)))
    return Row(name, kind, layers[-1].output, blocks, books, macs, traffic(layers))


def _single(layers: Iterable[Layer]) -> Iterator[Layer]:
    """Layers, those that hold paths taken apart."""
    for layer in layers:
        if holds(layer.op):
            yield from _single(layer.op.parts(layer.input))
        else:
            yield layer


def _block_rows(name: str, block: Block, by: str, rule: Rule | None) -> Iterable[Row]:
    """Main path, shortcut and addition of one block."""
    kind = block.shortcut.kind
    added = Cost(residual_adds=block.residual_adds)
    if block.merge.gate:  # y = g F + (1 - g) S: two products and a complement an element
        added = added._replace(elementwise=3 * elements(block.output))
    if by == "block":
        main = _row(name, block.kind, block.main + block.after, rule, 1)
        moved = (*main.moved, *traffic_of_join(block))
        yield main._replace(output=block.output, books=main.books.plus(added), moved=moved)
        if kind != "none":
            shortcut = Row(f"{name} shortcut", kind, block.output, 0, Cost(), 0)
            if block.shortcut_layers:
                shortcut = shortcut.plus(_row("", "", block.shortcut_layers, rule))
            yield shortcut
        return
    walk = _Walk(name, name, rule)
    yield from walk.rows(block.main)
    if kind != "none":
        join = (added, traffic_of_join(block))
        yield from walk.joined(kind, block.shortcut_layers, block.joined, join)
    yield from walk.rows(block.after)


class _Walk:
    """The rows of one module's layers, those of its branches and units in their place.

    name: what its joins are called after; prefix: what stands before its layers' names.
    """

    def __init__(self, name: str, prefix: str, rule: Rule | None) -> None:
        self.name, self.prefix, self.rule = name, prefix, rule
        self.counts: Counter[str] = Counter()

    def rows(self, layers: Iterable[Layer]) -> Iterator[Row]:
        """A row a layer; a definition used so many times in a row is one (`half.0-7`)."""
        for name, times, layer in alike(layers):
            for row in self._layer(layer, name):
                yield row.plus(row, times - 1)

    def joined(
        self, kind: str, layers: tuple[Layer, ...], output: Shape, join: _Join
    ) -> Iterator[Row]:
        """What a shortcut is: its kind, its layers, and the addition where it joins."""
        yield self._own("shortcut", kind, output)
        yield from self.rows(layers)
        yield self._own("addition", "add", output, join)

    def _own(self, word: str, kind: str, output: Shape, join: _Join = (Cost(), ())) -> Row:
        """A row for what is no module."""
        self.counts[word] += 1
        number = f" {self.counts[word]}" if self.counts[word] > 1 else ""
        books, moved = join
        return Row(f"{self.name} {word}{number}", kind, output, 0, books, 0, moved)

    def _layer(self, layer: Layer, name: str) -> Iterator[Row]:
        op = layer.op
        if isinstance(op, L.Branches):
            yield from self._branches(op, layer.input)
        elif isinstance(op, L.Residual):
            yield from self.rows(op.main)
            if op.shortcut.kind != "none":
                parts = op.parts(layer.input)[len(op.main) + len(op.added) :]
                join = (cost_of_layers(parts), traffic(parts))
                yield from self.joined(op.shortcut.kind, op.added, op.output, join)
        else:
            full = f"{self.prefix}.{name}" if self.prefix else name
            if isinstance(op, L.Part):
                yield from _Walk(full, full, self.rule).rows(op.layers)
            else:
                yield _row(full, kind_of(op), (layer,), self.rule)

    def _branches(self, op: L.Branches, shape: Shape) -> Iterator[Row]:
        if op.takes:
            takes = dict.fromkeys(map(str, op.takes))
            shares = takes if len(takes) == 1 else map(str, op.takes)
            yield self._own("slices", f"slice {', '.join(shares)}", shape)
        parts = list(op.parts(shape))
        joins = [part for part in parts if not part.name and not holds(part.op)]
        sums = [part for part in joins if isinstance(part.op, L.Multiply)]
        if op.join == "sum" and not op.joiner and len(op.paths) > 1:
            sums = joins[-1:]
        paths = [part for part in parts if all(part is not each for each in sums)]
        for is_carry, group in groupby(paths, key=lambda part: any(part is j for j in joins)):
            if is_carry:
                for part in group:
                    join = (cost_of_layers((part,)), traffic((part,)))
                    yield self._own("carry", "sum", part.output, join)
            else:
                yield from self.rows(group)
        if not op.joiner:
            join = (cost_of_layers(tuple(sums)), traffic_of_branches(op))
            yield self._own("join", kind_of(op), op.output, join)
