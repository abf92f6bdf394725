"""The sections of a network on the page: below one another, or in columns side by side."""

from __future__ import annotations

from collections.abc import Sequence

from resgen.report.letters import text_width
from resgen.report.paint import PALETTES, SIZES
from resgen.report.pen import Pen
from resgen.report.sections import Drawn, Section

TOP = 92  # room for the title and what stands under it
_GAP, _STAGE = 18, 72  # right of a stage's words; their height
_GUTTER, _TURN, _WORDS = 18, 14, 38  # between columns; below them; above a section in one
_FLAT = 2.4  # how many times wider than high a figure may be, where fewer columns can help it


def tall(found: Drawn, pen: Pen, x: float) -> tuple[float, float]:
    """Draws a network downwards from the left edge `x`; where it ends, right and low."""
    pieces = [piece for section in found.sections for piece in section.pieces]
    words = max(_beside(section) for section in found.sections)
    title = _half_title(found)
    half = max(piece.left for piece in pieces)
    axis = float(round(max(x + words + (words and _GAP) + half, x + title)))
    right = max(axis + title, *(axis + piece.right for piece in pieces))
    _head(pen, found, axis)
    y: float = TOP
    for section in found.sections:
        pen.tint, start = section.tint, y
        for piece in section.pieces:
            y = piece.draw(pen, axis, y)
        if section.name and y < start + _STAGE:  # the room that the words beside it take
            pen.line(axis, y, start + _STAGE)
            y = start + _STAGE
        if section.name:
            pen.text(x, start + 34, section.name, "stage")
        for place, text in enumerate(section.words):
            pen.text(x, start + 50 + 15 * place, text, "soft")
    pen.tint = 0
    return right, _tail(pen, found, axis, y)


def wide(found: Drawn, pen: Pen, x: float, top: float) -> tuple[float, float]:
    """Draws a network in columns from the left edge `x`; where it ends, right and low."""
    start = top + TOP
    columns = _columns(found.sections)
    reach, low = x, start
    before: tuple[float, float] | None = None
    for column in columns:
        left, right = _sides(column)
        axis = float(round(reach + left))
        if before:
            gutter, end = reach - _GUTTER, before[1] + _TURN
            way = [before, (before[0], end), (gutter, end), (gutter, start), (axis, start)]
            pen.route(way)
        else:
            pen.text(axis, start - 8, found.above, "soft", "middle")
        y = start
        for section in column:
            y = _headed(pen, section, axis, y)
        before = (axis, y)
        low = max(low, y + _TURN)
        reach = axis + right + 2 * _GUTTER
    pen.tint = 0
    if before:
        low = max(low, _tail(pen, found, *before))
    centre = max((x + reach - 2 * _GUTTER) / 2, x + _half_title(found))
    _head(pen, found._replace(above=""), round(centre), top)
    return max(reach - 2 * _GUTTER, centre + _half_title(found)), low


def _columns(sections: Sequence[Section]) -> list[list[Section]]:
    """Sections in columns of about one height, as few as a figure of a page's width needs."""
    heights = [_height(section) for section in sections]
    most = max(heights)
    while True:
        most *= 1.2
        columns: list[list[Section]] = []
        used = most
        for section, height in zip(sections, heights, strict=True):
            if not columns or used + height > most:
                columns.append([])
                used = 0
            columns[-1].append(section)
            used += height
        across = sum(sum(_sides(column)) + 2 * _GUTTER for column in columns)
        if len(columns) < 3 or across < _FLAT * most:
            return columns


def _sides(column: Sequence[Section]) -> tuple[int, int]:
    """How far a column reaches to both sides of its axis."""
    pieces = [piece for section in column for piece in section.pieces]
    beside = [10 + _beside(section, line=True) for section in column if section.name]
    return max([piece.left for piece in pieces] + [30]), max(
        [piece.right for piece in pieces] + beside
    )


def _headed(pen: Pen, section: Section, axis: float, y: float) -> float:
    """Draws a section under its words; where it ends."""
    pen.tint = section.tint
    if section.name:
        pen.line(axis, y, y + _WORDS)
        pen.text(axis + 8, y + 16, section.name, "stage")
        pen.text(axis + 8, y + 31, _under(section), "soft")
        y += _WORDS
    for piece in section.pieces:
        y = piece.draw(pen, axis, y)
    return y


def _height(section: Section) -> float:
    return _headed(Pen(PALETTES["light"]), section, 0, 0)


def _head(pen: Pen, found: Drawn, axis: float, top: float = 0) -> None:
    pen.text(axis, top + 36, found.title, "title", "middle")
    pen.text(axis, top + 56, found.about, "soft", "middle")
    if found.above:
        pen.text(axis, top + TOP - 8, found.above, "soft", "middle")


def _tail(pen: Pen, found: Drawn, axis: float, y: float) -> float:
    if not found.below:
        return y
    pen.arrow(axis, y, y + 16)
    pen.text(axis, y + 28, found.below, "soft", "middle")
    return y + 32


def _half_title(found: Drawn) -> int:
    title = text_width(found.title, SIZES["title"][0], bold=True)
    return max(title, text_width(found.about, SIZES["soft"][0])) // 2 + 2


def _beside(section: Section, *, line: bool = False) -> int:
    """How wide the words beside a section are, below one another or in a line."""
    words = [_under(section)] if line else section.words
    name = text_width(section.name, SIZES["stage"][0], bold=True)
    return max([name, *(text_width(text, SIZES["soft"][0]) for text in words)])


def _under(section: Section) -> str:
    """The words under a section's name, in a line."""
    return " \u00b7 ".join(section.words)
