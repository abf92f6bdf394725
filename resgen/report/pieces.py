"""Pieces of a drawing: what stands below one another, side by side, or beside a shortcut.

A piece is laid out around an axis that its lines run down; it knows how far it reaches to
both sides, is drawn from `y` down, begins with the line or arrow that leads into it (`more`
makes that longer) and says where it ends.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from resgen.report.letters import text_width
from resgen.report.pen import CARD, GAP, HEIGHT, NEAR, STRIP, Pen, brace_width

NARROW = 10  # how far a line alone reaches to both sides
_PAD, _TITLE = 10, 13  # around a definition's layers, and more room above them for its title


class Piece(Protocol):
    """What can be drawn around an axis."""

    @property
    def left(self) -> int: ...
    @property
    def right(self) -> int: ...
    def draw(self, pen: Pen, axis: float, y: float, more: int = 0) -> float: ...


@dataclass(frozen=True, slots=True)
class Box:
    """One layer; kind: another look than its stage's."""

    text: str
    half: int
    kind: str = ""

    @property
    def left(self) -> int:
        return self.half

    @property
    def right(self) -> int:
        return self.half

    def draw(self, pen: Pen, axis: float, y: float, more: int = 0) -> float:
        pen.arrow(axis, y, y + GAP + more)
        pen.box(axis, y + GAP + more, self.half, self.text, self.kind)
        return y + GAP + more + HEIGHT


@dataclass(frozen=True, slots=True)
class Strip:
    """Norms and activations in a row, in a low box."""

    text: str
    half: int

    @property
    def left(self) -> int:
        return self.half

    @property
    def right(self) -> int:
        return self.half

    def draw(self, pen: Pen, axis: float, y: float, more: int = 0) -> float:
        pen.line(axis, y, y + NEAR + more)
        pen.strip(axis, y + NEAR + more, self.half, self.text)
        return y + NEAR + more + STRIP


@dataclass(frozen=True, slots=True)
class Row:
    """Pieces below one another; with none it is a line of no length."""

    pieces: tuple[Piece, ...]

    @property
    def left(self) -> int:
        return max((piece.left for piece in self.pieces), default=NARROW)

    @property
    def right(self) -> int:
        return max((piece.right for piece in self.pieces), default=NARROW)

    def draw(self, pen: Pen, axis: float, y: float, more: int = 0) -> float:
        for piece in self.pieces:
            y = piece.draw(pen, axis, y, more)
            more = 0
        return y


@dataclass(frozen=True, slots=True)
class Times:
    """A piece that stands there so many times, drawn once."""

    piece: Piece
    count: int

    @property
    def left(self) -> int:
        return self.piece.left + 6 + brace_width(self.count)

    @property
    def right(self) -> int:
        return self.piece.right

    def draw(self, pen: Pen, axis: float, y: float, more: int = 0) -> float:
        low = self.piece.draw(pen, axis, y, more)
        pen.brace(int(axis) - self.piece.left - 6, y + GAP + more, low, self.count)
        return low


@dataclass(frozen=True, slots=True)
class Group:
    """A definition in its place: its layers in a frame under its title."""

    title: str
    inner: Row

    @property
    def left(self) -> int:
        return max(self.inner.left + _PAD, text_width(self.title, 11.5) + 16)

    @property
    def right(self) -> int:
        return self.inner.right + _PAD

    def draw(self, pen: Pen, axis: float, y: float, more: int = 0) -> float:
        top = y + GAP + more
        pen.line(axis, y, top)
        inside = self.inner.draw(pen, axis, top, _TITLE)
        low = inside + _PAD
        pen.line(axis, inside, low)
        pen.group(int(axis) - self.left, top, int(axis) + self.right, low, self.title)
        return low


@dataclass(frozen=True, slots=True)
class Card:
    """A stage in one box of two lines."""

    text: str
    under: str
    half: int

    @property
    def left(self) -> int:
        return self.half

    @property
    def right(self) -> int:
        return self.half

    def draw(self, pen: Pen, axis: float, y: float, more: int = 0) -> float:
        top = y + GAP + more
        pen.arrow(axis, y, top)
        pen.rect(f"c{pen.tint}", int(axis) - self.half, top, 2 * self.half, CARD, 5)
        pen.text(axis, top + 17, self.text, "", "middle")
        pen.text(axis, top + 34, self.under, "soft", "middle")
        return top + CARD
