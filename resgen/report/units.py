"""Residual units, and the blocks that are made of one."""

from __future__ import annotations

from dataclasses import dataclass, fields, is_dataclass, replace
from typing import Any

from resgen.report.pen import ARC, GAP, JOIN, Pen, brace_width, label_width
from resgen.report.pieces import Row


@dataclass(frozen=True, slots=True)
class Unit:
    """A residual unit: its main path, beside it the arc of its shortcut.

    ahead: what stands before the shortcut leaves. kind `none` leaves its room empty.
    """

    ahead: Row
    main: Row
    kind: str
    labels: tuple[str, ...] = ()

    @property
    def left(self) -> int:
        return max(self.ahead.left, self.main.left)

    @property
    def right(self) -> int:
        beside = 0 if self.kind == "none" else ARC + 8 + label_width(self.labels)
        return max(self.ahead.right, self.main.right + beside)

    def draw(self, pen: Pen, axis: float, y: float, more: int = 0) -> float:
        if self.ahead.pieces:
            y, more = self.ahead.draw(pen, axis, y, more), 0
        fork = y + 8 + more
        low = self.main.draw(pen, axis, y, 6 + more)
        join = max(low, fork + GAP) + GAP + JOIN
        if self.kind == "none":
            pen.line(axis, low, join + JOIN)
        else:
            pen.arrow(axis, low, join - JOIN)
            edge = int(axis) + self.main.right
            pen.arc(axis, edge, fork, join, self.kind, self.labels)
        return join + JOIN


@dataclass(frozen=True, slots=True)
class BlockPiece:
    """A residual unit, what comes behind its addition, and how often they stand in a row."""

    unit: Unit
    after: Row
    count: int

    @property
    def left(self) -> int:
        inner = max(self.unit.left, self.after.left)
        return inner + (10 + brace_width(self.count) if self.count > 1 else 0)

    @property
    def right(self) -> int:
        return max(self.unit.right, self.after.right) + (20 if self.unit.kind == "none" else 0)

    def draw(self, pen: Pen, axis: float, y: float, more: int = 0) -> float:
        fork = y + 8
        low = self.unit.draw(pen, axis, y, more)
        end = self.after.draw(pen, axis, low)
        if self.count > 1:
            inner = int(axis) - max(self.unit.left, self.after.left)
            pen.brace(inner - 10, fork + 8, end - (15 if end == low else 0), self.count)
        return end


def bare(piece: Any) -> Any:
    """A piece without its shortcuts, which leave their room empty."""
    if isinstance(piece, tuple):
        return tuple(map(bare, piece))
    if not is_dataclass(piece) or isinstance(piece, type):
        return piece
    inner = {field.name: bare(getattr(piece, field.name)) for field in fields(piece)}
    if isinstance(piece, Unit):
        inner |= {"kind": "none", "labels": ()}
    return replace(piece, **inner)
