"""Layers -> the pieces of a drawing."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby, takewhile

from resgen.plan import Block, Layer, Plan, Run, Stage
from resgen.plan.layers import Branches, Part, Residual, Shortcut
from resgen.report.boxes import (
    box_text,
    carried,
    gate,
    in_strip,
    join_text,
    labels,
    repeats,
    shown,
    shown_branch,
    skeleton,
    strip_text,
    unlisted,
)
from resgen.report.forks import Branch, Fork
from resgen.report.kinds import holds
from resgen.report.letters import text_width
from resgen.report.pen import BOX, label_lines
from resgen.report.pieces import Box, Group, Piece, Row, Strip, Times
from resgen.report.ranges import together
from resgen.report.units import BlockPiece, Unit

SIDE = 26  # half a box, at least, in a branch
_NARROW, _LABEL = 44, 64  # half a box, and an arc's label, in a wide figure
_FEW = 2  # of one path so many times, the most that are drawn side by side


class Composer:
    """The pieces of one network; a definition is drawn in detail where it comes first.

    every: every layer has a box of its own, and a gate its branch. Without, norms and activations
    are shown where their order is the point: `ordered`.
    """

    def __init__(self, plan: Plan, *, every: bool = False, wide: bool = False) -> None:
        self._drawn: set[object] = set()
        self.every = every
        self.norms = every or ordered(plan)
        self.main = _NARROW if wide else BOX // 2
        self._label = _LABEL if wide else None

    def row(self, layers: Sequence[Layer], least: int | None = None) -> Row:
        """Layers below one another, in boxes of one width."""
        return self._row(shown(layers, norms=self.norms, free=self.every), least or self.main)

    def block(self, block: Block, count: int) -> BlockPiece:
        """A block, its shortcut beside it."""
        unit = self._unit(block.main, block.shortcut, block.shortcut_layers, block.leaves_after)
        return BlockPiece(unit, self.row(block.after), count)

    def blocks(self, runs: Sequence[Run]) -> list[BlockPiece]:
        """Blocks in a row; those that differ only in their numbers once, with ranges."""
        found: list[BlockPiece] = []
        start: set[object] = set()
        for run in runs:
            drawn = set(self._drawn)
            if found:  # as it looks where the one before it stands
                self._drawn = set(start)
                piece = together(found[-1], self.block(run.block, run.count))
                self._drawn = drawn
                if piece:
                    found[-1] = piece
                    continue
            start = drawn
            found.append(self.block(run.block, run.count))
        return found

    def stage(self, stage: Stage) -> list[Piece]:
        """What stands before the blocks of a stage, and its blocks."""
        before = stage.runs[:1] if stage.before else ()
        drawn, least = set(self._drawn), self.main
        for _ in range(2):  # the second time in boxes of one width
            self._drawn = set(drawn)
            found: list[Piece] = [self.row(run.block.main) for run in before]
            blocks = self.blocks(stage.blocks)
            self.main = max([self.main, *(_half(piece) for piece in blocks)])
        self.main = least
        return [*found, *blocks]

    def _row(self, found: Sequence[Layer], least: int) -> Row:
        texts = [box_text(x) for x in found if not holds(x.op) and not in_strip(x)]
        half = max([least, *(text_width(text) // 2 + 8 for text in texts)])
        pieces: list[Piece] = []
        for strip, members in groupby(found, key=in_strip):
            if strip:
                words = [strip_text(layer, brief=not self.every) for layer in members]
                words = words if self.every else [", ".join(words)]
                pieces += [Strip(t, max(half, text_width(t, 10.5) // 2 + 6)) for t in words]
                continue
            for _, alike in groupby(members, key=_alike):
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
        if self.every and (found := gate(layer)):
            inner, join = found
            fork = Fork((Branch(Row(())), Branch(self._row(inner, SIDE))), join, "")
            return Group(box_text(layer), Row((fork,)))
        return Box(box_text(layer), half)

    def _unit(
        self,
        main: Sequence[Layer],
        shortcut: Shortcut,
        added: Sequence[Layer],
        leaves: int,
        least: int | None = None,
    ) -> Unit:
        if shortcut.kind == "none":  # as where it has one, which leaves behind the units before
            leaves = len(list(takewhile(_is_unit, main)))
        ahead, rest = self.row(main[:leaves], least), self.row(main[leaves:], least)
        return Unit(ahead, rest, shortcut.kind, label_lines(labels(added), self._label))

    def _fork(self, op: Branches) -> Piece:
        adds, many = carried(op), len(op.paths)
        if many == 1:
            return self._row(self._branch(unlisted(op, op.paths[0]), op.join), self.main)
        skips = bool(op.listed) and many > _FEW
        branches = []
        for index, path in enumerate(op.paths):
            fed = "sum" if index in adds else "chain" if index and op.carry == "chain" else "none"
            share = f"{op.takes[index]} ch" if op.takes and fed != "chain" else ""
            if skips and index == 1:
                branches.append(Branch(Row(()), "", fed, f"{many} paths"))
            elif not skips or index in (0, many - 1):
                found = self._branch(unlisted(op, path), op.join)
                branches.append(Branch(self._row(found, SIDE), share, fed))
        kind = "" if op.joiner else "bar"
        return Fork(tuple(branches), "" if op.joiner else op.join, join_text(op), kind)

    def _branch(self, path: Sequence[Layer], join: str) -> list[Layer]:
        return shown_branch(path, join, norms=self.norms, free=self.every)


def ordered(plan: Plan) -> bool:
    """Whether norms or activations stand elsewhere than behind a layer with weights.

    So it is where a block begins with them, normalizes behind its addition, or activates just ahead
    of it (He et al. 2016, figure 4, b to e). A plain network has them where its twin has.
    """
    return any(_orders(run.block) for stage in plan.stages for run in stage.blocks)


def _orders(block: Block) -> bool:
    lines = [layer.op.line for layer in block.main]
    ends = lines[-1:] == ["activation"] or any(x.op.line == "norm" for x in block.after)
    begins = bool(lines) and lines[0] in ("norm", "activation")
    return begins or (ends and block.shortcut.kind != "none")


def _half(piece: BlockPiece) -> int:
    """Half the widest box of a block's main path."""
    inner = (*piece.unit.ahead.pieces, *piece.unit.main.pieces, *piece.after.pieces)
    return max((each.half for each in inner if isinstance(each, Box | Strip)), default=0)


def _is_unit(layer: Layer) -> bool:
    return isinstance(layer.op, Residual) and not repeats(layer.op)


def _alike(layer: Layer) -> object:
    """The same for definitions in a row that are used in the same way."""
    return (layer.op, layer.input) if isinstance(layer.op, Part) else layer
