"""Layers -> the pieces of a drawing."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby, takewhile

from resgen.plan import Block, Layer, Plan
from resgen.plan.layers import Branches, Part, Residual, Shortcut
from resgen.report.boxes import (
    box_text,
    carried,
    join_text,
    labels,
    repeats,
    shown,
    shown_branch,
    skeleton,
    text_width,
    unlisted,
)
from resgen.report.kinds import holds, in_paths
from resgen.report.pen import BOX, Pen
from resgen.report.pieces import Box, Branch, Fork, Group, Piece, Row, Times, Unit

MAIN, SIDE = BOX // 2, 26  # half a box, on the main path and at least in a branch
_FEW = 2  # of one path so many times, the most that are drawn side by side


class Composer:
    """The pieces of one network; a definition is drawn in detail where it comes first.

    fits: whether boxes grow with their text.
    """

    def __init__(self, plan: Plan) -> None:
        self._drawn: set[object] = set()
        self.fits = in_paths(plan)

    def row(self, layers: Sequence[Layer], least: int = MAIN) -> Row:
        """Layers below one another, in boxes of one width."""
        return self._row(shown(layers), least)

    def block(self, block: Block, count: int) -> BlockPiece:
        """A block, its shortcut beside it."""
        unit = self._unit(block.main, block.shortcut, block.shortcut_layers, block.leaves_after)
        return BlockPiece(unit, self.row(block.after), count)

    def _row(self, found: Sequence[Layer], least: int) -> Row:
        half = least
        if self.fits:
            texts = [box_text(layer) for layer in found if not holds(layer.op)]
            half = max([half, *(text_width(text) // 2 + 8 for text in texts)])
        pieces: list[Piece] = []
        for _, alike in groupby(found, key=_alike):
            same = list(alike)
            piece = self._piece(same[0], half, least)
            if holds(same[0].op) and len(same) > 1:
                pieces.append(Times(piece, len(same)))
            else:
                pieces += [piece, *(self._piece(layer, half, least) for layer in same[1:])]
        return Row(tuple(pieces))

    def _piece(self, layer: Layer, half: int, least: int) -> Piece:
        op = layer.op
        if isinstance(op, Branches):
            return self._fork(op)
        if isinstance(op, Residual):
            return self._unit(op.main, op.shortcut, op.added, op.leaves_after, least)
        if isinstance(op, Part):
            known = (op.title, skeleton(op.layers))
            if known in self._drawn:
                text = box_text(layer)
                return Box(text, max(half, text_width(text) // 2 + 8), "part")
            self._drawn.add(known)
            return Group(op.title, self.row(op.layers, least))
        return Box(box_text(layer), half)

    def _unit(
        self,
        main: Sequence[Layer],
        shortcut: Shortcut,
        added: Sequence[Layer],
        leaves: int,
        least: int = MAIN,
    ) -> Unit:
        if shortcut.kind == "none":  # as where it has one, which leaves behind the units before
            leaves = len(list(takewhile(_is_unit, main)))
        ahead, rest = self.row(main[:leaves], least), self.row(main[leaves:], least)
        return Unit(ahead, rest, shortcut.kind, tuple(labels(added)))

    def _fork(self, op: Branches) -> Piece:
        adds, many = carried(op), len(op.paths)
        if many == 1:
            return self._row(shown_branch(unlisted(op, op.paths[0]), op.join), MAIN)
        skips = bool(op.listed) and many > _FEW
        branches = []
        for index, path in enumerate(op.paths):
            fed = "sum" if index in adds else "chain" if index and op.carry == "chain" else "none"
            share = f"{op.takes[index]} ch" if op.takes and fed != "chain" else ""
            if skips and index == 1:
                branches.append(Branch(Row(()), "", fed, f"{many} paths"))
            elif not skips or index in (0, many - 1):
                found = shown_branch(unlisted(op, path), op.join)
                branches.append(Branch(self._row(found, SIDE), share, fed))
        kind = "" if op.joiner else "bar"
        return Fork(tuple(branches), "" if op.joiner else op.join, join_text(op), kind)


def _is_unit(layer: Layer) -> bool:
    return isinstance(layer.op, Residual) and not repeats(layer.op)


def _alike(layer: Layer) -> object:
    """The same for definitions in a row that are used in the same way."""
    return (layer.op, layer.input) if isinstance(layer.op, Part) else layer


class BlockPiece:
    """A residual unit, what comes behind its addition, and how often they stand in a row."""

    def __init__(self, unit: Unit, after: Row, count: int) -> None:
        self.unit, self.after, self.count = unit, after, count
        self.left = max(unit.left, after.left)
        self.right = max(unit.right, after.right) + (20 if unit.kind == "none" else 0)

    def draw(self, pen: Pen, axis: float, y: float, more: int = 0) -> float:
        """Draws the block; where it ends."""
        fork = y + 8
        low = self.unit.draw(pen, axis, y, more)
        end = self.after.draw(pen, axis, low)
        if self.count > 1:
            pen.brace(
                int(axis) - self.left - 10, fork + 8, end - (15 if end == low else 0), self.count
            )
        return end
