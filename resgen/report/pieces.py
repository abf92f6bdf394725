"""Pieces of a drawing: what stands below one another, side by side, or beside a shortcut.

A piece is laid out around an axis that its lines run down; it knows how far it reaches to
both sides, is drawn from `y` down, begins with the line or arrow that leads into it (`more`
makes that longer) and says where it ends.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from resgen.report.boxes import text_width
from resgen.report.pen import ARC, BAR, GAP, HEIGHT, JOIN, LETTER, Pen

NARROW = 10  # how far a line alone reaches to both sides
_PAD, _GUTTER, _SHARE, _STEP = 10, 16, 12, 10
_NEAR = 24  # a branch as close to the middle of its fork stands in the middle


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
        return self.piece.left + 22 + text_width(f"\u00d7 {self.count}", 15)

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
        inside = self.inner.draw(pen, axis, top, 8)
        low = inside + _PAD
        pen.line(axis, inside, low)
        pen.group(int(axis) - self.left, top, int(axis) + self.right, low, self.title)
        return low


@dataclass(frozen=True, slots=True)
class Branch:
    """One of the paths of a fork: the share it takes, and how it is fed by the one before.

    skipped: words for the paths that are not drawn, in their place.
    """

    inner: Piece
    share: str = ""
    fed: str = "none"
    skipped: str = ""

    @property
    def left(self) -> int:
        return max(self.inner.left, text_width(self.skipped, 18) // 2)

    @property
    def right(self) -> int:
        if self.skipped:
            return self.left
        label = text_width(self.share, 11.5) + 6 if self.share else 0
        return max(self.inner.right, label)


@dataclass(frozen=True, slots=True)
class Fork:
    """Branches side by side, and where they join: `sum`, `product`, or a bar with its text."""

    branches: tuple[Branch, ...]
    join: str
    text: str
    kind: str = "bar"

    @property
    def places(self) -> list[int]:
        """Where each branch's axis is, seen from the fork's own."""
        found = [0]
        for one, other in zip(self.branches, self.branches[1:], strict=False):
            found.append(found[-1] + one.right + _GUTTER + other.left)
        middle = found[-1] // 2
        nearest = min(found, key=lambda place: abs(place - middle))
        axis = nearest if abs(nearest - middle) < _NEAR else middle
        return [place - axis for place in found]

    @property
    def half(self) -> int:
        """Half the bar where branches join."""
        return max(*map(abs, self.places), text_width(self.text) // 2 - 4, 0) + 12

    @property
    def left(self) -> int:
        return max(self.branches[0].left - self.places[0], 0 if self._node else self.half)

    @property
    def right(self) -> int:
        return max(self.branches[-1].right + self.places[-1], 0 if self._node else self.half)

    @property
    def _node(self) -> bool:
        return self.join in ("sum", "product")

    def draw(self, pen: Pen, axis: float, y: float, more: int = 0) -> float:
        columns = [axis + place for place in self.places]
        fork = y + GAP + more
        pen.line(axis, y, fork)
        reached = [x for x, b in zip(columns, self.branches, strict=True) if b.fed != "chain"]
        if min(*reached, axis) < max(*reached, axis):
            pen.path(f"M{min(*reached, axis)} {fork} H{max(*reached, axis)}")
        drawn: dict[float, float] = {}
        before, end = axis, fork
        for x, branch in zip(columns, self.branches, strict=True):
            if branch.skipped:
                before = self._skip(pen, before, x, (fork, end), branch)
                continue
            top, lead = fork, 0
            if branch.share:
                pen.text(x + 6, fork + 14, branch.share, "soft")
                lead = _SHARE
            if branch.fed != "none":
                top, lead = self._feed(pen, before, x, fork, end, branch), 0
            end = branch.inner.draw(pen, x, top, lead)
            pen.line(x, end, top + lead)
            before, end = x, max(end, top + lead)
            drawn[x] = end
        return self._joined(pen, axis, drawn)

    def _skip(
        self, pen: Pen, before: float, x: float, beside: tuple[float, float], branch: Branch
    ) -> float:
        """Words for branches that are not drawn, level with what feeds them; where that goes on."""
        y = sum(beside) / 2 + 6
        if branch.fed != "none":
            y = beside[1] + _STEP + (JOIN if branch.fed == "sum" else 0)
            pen.path(f"M{before} {y} H{x - branch.left - 2}", tip=True)
        pen.text(x, y - 8, "\u00b7 \u00b7 \u00b7", "times", "middle")
        pen.text(x, y + 6, branch.skipped, "times", "middle")
        return x + branch.left + 2 if branch.fed != "none" else before

    def _feed(
        self, pen: Pen, before: float, x: float, fork: float, end: float, branch: Branch
    ) -> float:
        """The line from the branch before; where the branch begins."""
        if branch.fed == "chain":
            pen.path(f"M{before} {end + _STEP} H{x}")
            return end + _STEP
        y = max(end + _STEP, fork + _SHARE + GAP) + JOIN
        pen.arrow(x, fork, y - JOIN)
        pen.path(f"M{before} {y} H{x - JOIN - 1}", tip=True)
        pen.node(x, y)
        return y + JOIN

    def _joined(self, pen: Pen, axis: float, ends: dict[float, float]) -> float:
        """The lines from where branches end into a bar or a node; where that ends."""
        fed = any(branch.fed != "none" for branch in self.branches)
        low = max(ends.values()) + (_STEP if fed else 0)
        if not self._node:
            for x, end in ends.items():
                pen.arrow(x, end, low + GAP)
            pen.box(axis, low + GAP, self.half, self.text, self.kind, BAR)
            return low + GAP + BAR
        y = low + GAP + JOIN
        for x, end in ends.items():
            if abs(x - axis) < JOIN:
                pen.arrow(x, end, y - JOIN)
            elif x in (min(ends), max(ends)):
                edge = axis - JOIN - 1 if x < axis else axis + JOIN + 1
                pen.path(f"M{x} {end} V{y} H{edge}", tip=True)
            else:
                pen.line(x, end, y)
        pen.node(axis, y, times=self.join == "product")
        return y + JOIN


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
        letters = max(map(len, self.labels), default=0)
        beside = 0 if self.kind == "none" else ARC + 10 + round(letters * LETTER)
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
            pen.arc(axis, edge, fork, join, self.kind, list(self.labels))
        return join + JOIN
