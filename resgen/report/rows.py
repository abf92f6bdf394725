"""Plan -> rows: the network's parts under their module names, with their books.

Rows never overlap, so they add up to the network's total however finely it is listed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

from resgen.cost import Cost, cost_of_layers
from resgen.plan import Block, Layer, Plan, Shape, elements
from resgen.report.kinds import kind_of

Rule = Callable[[Layer], int]


class Row(NamedTuple):
    """One line of a report: a part of the network, its kind, and its books.

    macs: multiply-adds by the report's counting convention.
    """

    name: str
    kind: str
    output: Shape
    blocks: int
    books: Cost
    macs: int

    def plus(self, other: Row, times: int = 1) -> Row:
        """self with the other's books and MACs added to its own, `times` times."""
        return self._replace(
            books=self.books.plus(other.books, times), macs=self.macs + times * other.macs
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
            for part in _block_rows(name, run.block, by, rule):
                empty = part._replace(books=Cost(), macs=0, blocks=part.blocks * run.count)
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
        yield from (_row(layer.name, kind_of(layer.op), (layer,), rule) for layer in layers)
    elif layers:  # a stem may be of none
        yield _row(name, "", layers, rule)


def _row(
    name: str, kind: str, layers: tuple[Layer, ...], rule: Rule | None, blocks: int = 0
) -> Row:
    books = cost_of_layers(layers)
    macs = books.macs if rule is None else sum(map(rule, layers))
    return Row(name, kind, layers[-1].output, blocks, books, macs)


def _block_rows(name: str, block: Block, by: str, rule: Rule | None) -> Iterable[Row]:
    """Main path, shortcut and addition of one block."""
    kind = block.shortcut.kind
    added = Cost(residual_adds=block.residual_adds)
    if block.merge.gate:  # y = g F + (1 - g) S: two products and a complement an element
        added = added._replace(elementwise=3 * elements(block.output))
    if by == "block":
        main = _row(name, block.kind, block.main + block.after, rule, 1)
        yield main._replace(output=block.output, books=main.books.plus(added))
        if kind != "none":
            shortcut = Row(f"{name} shortcut", kind, block.output, 0, Cost(), 0)
            if block.shortcut_layers:
                shortcut = shortcut.plus(_row("", "", block.shortcut_layers, rule))
            yield shortcut
        return
    yield from _layer_rows(block.main, name, rule)
    if kind != "none":
        yield Row(f"{name} shortcut", kind, block.output, 0, Cost(), 0)
        yield from _layer_rows(block.shortcut_layers, name, rule)
        yield Row(f"{name} addition", "add", block.output, 0, added, 0)
    yield from _layer_rows(block.after, name, rule)


def _layer_rows(layers: Iterable[Layer], prefix: str, rule: Rule | None) -> Iterator[Row]:
    for layer in layers:
        yield _row(f"{prefix}.{layer.name}", kind_of(layer.op), (layer,), rule)
