"""Branches side by side, and where they join."""

from __future__ import annotations

from dataclasses import dataclass

from resgen.report.letters import text_width
from resgen.report.pen import BAR, GAP, JOIN, Pen
from resgen.report.pieces import Piece

_GUTTER, _SHARE, _STEP = 16, 12, 10
_NEAR = 24  # a branch as close to the middle of its fork stands in the middle


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
        return max(self.inner.left, text_width(self.skipped, 15, bold=True) // 2 + 2)

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
            pen.route([(min(*reached, axis), fork), (max(*reached, axis), fork)])
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
            pen.route([(before, y), (x - branch.left - 2, y)], tip=True)
        pen.text(x, y - 8, "\u00b7 \u00b7 \u00b7", "times", "middle")
        pen.text(x, y + 6, branch.skipped, "times", "middle")
        return x + branch.left + 2 if branch.fed != "none" else before

    def _feed(
        self, pen: Pen, before: float, x: float, fork: float, end: float, branch: Branch
    ) -> float:
        """The line from the branch before; where the branch begins."""
        if branch.fed == "chain":
            pen.route([(before, end + _STEP), (x, end + _STEP)])
            return end + _STEP
        y = max(end + _STEP, fork + _SHARE + GAP) + JOIN
        pen.arrow(x, fork, y - JOIN)
        pen.route([(before, y), (x - JOIN - 1, y)], tip=True)
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
                pen.route([(x, end), (x, y), (edge, y)], tip=True)
            else:
                pen.line(x, end, y)
        pen.node(axis, y, times=self.join == "product")
        return y + JOIN
