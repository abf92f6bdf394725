"""A pen for drawings in SVG: boxes, arrows, arcs and text, each a line of the document."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from xml.sax.saxutils import escape

from resgen.report.letters import folded, text_width
from resgen.report.paint import PALETTES, SIZES, attributes

BOX, HEIGHT, GAP = 178, 24, 14  # a box, and the room between two
STRIP, NEAR = 16, 6  # a box of norms and activations, and the room above it
ARC = 34  # an arc's reach
CARD = 44  # the height of a box of two lines
JOIN, BAR = 7, 20  # half the node where two lines join, the height of a bar where many do
_TIP = 6  # an arrow's

Point = tuple[float, float]


class Pen:
    """What was drawn so far; `tint` is the colour of boxes, `kinds` what the legend says of it."""

    def __init__(self, palette: Mapping[str, str] = PALETTES["light"]) -> None:
        self.palette = palette
        self.lines: list[str] = []
        self.kinds: list[str] = []
        self.tint = 0

    def text(self, x: float, y: float, text: str, kind: str, anchor: str = "start") -> None:
        """Text that starts at, is centred at or ends at x."""
        where = f' text-anchor="{anchor}"' if anchor != "start" else ""
        self.lines.append(
            f'<text x="{_number(x)}" y="{_number(y)}" {attributes(kind, self.palette)}{where}>'
            f"{escape(text)}</text>"
        )

    def path(self, way: str, kind: str = "line") -> None:
        """A line along a way."""
        self.lines.append(f'<path {attributes(kind, self.palette)} d="{way}"/>')

    def rect(
        self, kind: str, left: float, top: float, width: float, height: float, round_: int
    ) -> None:
        """A rectangle with round corners."""
        place = " ".join(
            f'{name}="{_number(value)}"'
            for name, value in zip(
                ("x", "y", "width", "height", "rx"), (left, top, width, height, round_), strict=True
            )
        )
        self.lines.append(f"<rect {attributes(kind, self.palette)} {place}/>")

    def route(self, points: Sequence[Point], *, tip: bool = False) -> None:
        """A line of straight pieces, with the tip of an arrow at its end or without."""
        (x, y), *others = points
        way, end = f"M{_number(x)} {_number(y)}", points[-1]
        for place, (to_x, to_y) in enumerate(others, 1):
            across = to_y == y
            # A line ends inside its tip, whose point it would blunt.
            back = _TIP - 1 if tip and place == len(others) else 0
            if across:
                reach = to_x - back * (1 if to_x > x else -1)
                way += f" H{_number(reach)}"
            else:
                way += f" V{_number(to_y - back * (1 if to_y > y else -1))}"
            before, (x, y) = (x, y), (to_x, to_y)
        self.path(way)
        if tip:
            (x, y), half = end, _TIP / 2
            if before[1] == y:
                base = x - _TIP * (1 if x > before[0] else -1)
                corners = f"L{_number(base)} {_number(y - half)} V{_number(y + half)}"
            else:
                base = y - _TIP * (1 if y > before[1] else -1)
                corners = f"L{_number(x - half)} {_number(base)} H{_number(x + half)}"
            self.path(f"M{_number(x)} {_number(y)} {corners} z", "tip")

    def arrow(self, axis: float, top: float, low: float) -> None:
        """An arrow down."""
        self.route([(axis, top), (axis, low)], tip=True)

    def line(self, axis: float, top: float, low: float) -> None:
        """A line down, if there is any way to go."""
        if low > top:
            self.route([(axis, top), (axis, low)])

    def box(
        self, axis: float, y: float, half: int, text: str, kind: str = "", height: int = HEIGHT
    ) -> None:
        """A box around an axis with its text; without a kind of the stage's tint."""
        self.kinds += [kind] if kind == "part" else []
        self.rect(kind or f"c{self.tint}", int(axis) - half, y, 2 * half, height, 5)
        self.text(axis, y + height / 2 + 4.5, text, "", "middle")

    def strip(self, axis: float, y: float, half: int, text: str) -> None:
        """A low box in the stage's outline."""
        self.rect(f"s{self.tint}", int(axis) - half, y, 2 * half, STRIP, 4)
        self.text(axis, y + STRIP / 2 + 3.7, text, "small", "middle")

    def group(self, left: float, top: float, right: float, low: float, title: str) -> None:
        """A frame around what was drawn, its title in the upper left corner."""
        self.rect("group", left, top, right - left, low - top, 8)
        self.text(left + 8, top + 15, title, "soft")

    def node(self, x: float, y: float, *, times: bool = False) -> None:
        """The circle where values are added, or multiplied."""
        at = f"{_number(x)} {_number(y)}"
        self.lines.append(
            f'<circle {attributes("sum", self.palette)} cx="{_number(x)}" cy="{_number(y)}" '
            f'r="{JOIN}"/>'
        )
        self.path(f"M{at} m-3 -3 l6 6 m-6 0 l6 -6" if times else f"M{at} m-4 0 h8 m-4 -4 v8")

    def brace(self, x: float, top: float, low: float, count: int) -> None:
        """A brace to the left of what stands there so many times."""
        self.path(f"M{_number(x)} {_number(top)} h-5 V{_number(low)} h5", "brace")
        self.text(x - 12, (top + low) / 2 + 5, times_text(count), "times", "end")

    def arc(
        self, axis: float, edge: int, fork: float, join: float, kind: str, lines: Sequence[str]
    ) -> None:
        """A shortcut beside what ends at an edge, and what lies on it."""
        self.kinds.append(kind)
        reach, near = _number(edge + ARC), _number(edge - 8)
        top, middle, low = _number(fork), _number((fork + join) / 2), _number(join)
        self.path(
            f"M{_number(axis)} {top} H{near} "
            f"C{reach} {top} {reach} {_number(fork + 14)} {reach} {middle} "
            f"S{reach} {low} {near} {low} H{_number(axis + JOIN + 1)}",
            kind,
        )
        self.node(axis, join)
        for index, text in enumerate(lines):
            y = (fork + join) / 2 + 4 + 15 * index - 7.5 * (len(lines) - 1)
            self.text(edge + ARC + 8, y, text, "soft")


def times_text(count: int) -> str:
    """How often something stands there."""
    return f"\u00d7 {count}"


def brace_width(count: int) -> int:
    """What a brace and its count take, left of what they embrace."""
    return 14 + text_width(times_text(count), SIZES["times"][0], bold=True)


def label_width(lines: Sequence[str]) -> int:
    """What an arc's label takes."""
    return max((text_width(text, SIZES["soft"][0]) for text in lines), default=0)


def label_lines(lines: Sequence[str], width: int | None) -> tuple[str, ...]:
    """An arc's label, in lines of at most a width if one is given."""
    if width is None:
        return tuple(lines)
    return tuple(part for text in lines for part in folded(text, width, SIZES["soft"][0]))


def _number(value: float) -> str:
    """A coordinate, to a tenth of a pixel."""
    return f"{value:.1f}".removesuffix(".0")
