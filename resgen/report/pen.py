"""A pen for drawings in SVG: boxes, arrows, arcs and text, each a line of the document."""

from __future__ import annotations

from xml.sax.saxutils import escape

BOX, HEIGHT, GAP = 178, 24, 14  # a box, and the room between two
ARC, LETTER = 34, 6.6  # an arc's reach, a letter of its label
JOIN, BAR = 7, 20  # half the node where two lines join, the height of a bar where many do


class Pen:
    """What was drawn so far; `tint` is the colour of boxes, `kinds` what the legend says of it."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.kinds: list[str] = []
        self.tint = 0

    def text(self, x: float, y: float, text: str, kind: str, anchor: str = "start") -> None:
        """Text that starts at, is centred at or ends at x."""
        style = f' class="{kind}"' if kind else ""
        where = f' text-anchor="{anchor}"' if anchor != "start" else ""
        self.lines.append(f'<text x="{x}" y="{y}"{style}{where}>{escape(text)}</text>')

    def path(self, way: str, kind: str = "line", *, tip: bool = False) -> None:
        """A line along a way, with the tip of an arrow at its end or without."""
        end = ' marker-end="url(#tip)"' if tip else ""
        self.lines.append(f'<path class="{kind}" d="{way}"{end}/>')

    def arrow(self, axis: float, top: float, low: float) -> None:
        """An arrow down."""
        self.path(f"M{axis} {top} V{low}", tip=True)

    def line(self, axis: float, top: float, low: float) -> None:
        """A line down, if there is any way to go."""
        if low > top:
            self.path(f"M{axis} {top} V{low}")

    def box(
        self, axis: float, y: float, half: int, text: str, kind: str = "", height: int = HEIGHT
    ) -> None:
        """A box around an axis with its text; without a kind of the stage's tint."""
        self.kinds += [kind] if kind == "part" else []
        kind = kind or f"c{self.tint}"
        self.lines.append(
            f'<rect class="box {kind}" x="{int(axis) - half}" y="{y}" width="{2 * half}" '
            f'height="{height}" rx="5"/>'
        )
        self.text(axis, y + height / 2 + 4.5, text, "", "middle")

    def group(self, left: float, top: float, right: float, low: float, title: str) -> None:
        """A frame around what was drawn, its title in the upper left corner."""
        self.lines.append(
            f'<rect class="group" x="{left}" y="{top}" width="{right - left}" '
            f'height="{low - top}" rx="8"/>'
        )
        self.text(left + 8, top + 15, title, "soft")

    def node(self, x: float, y: float, *, times: bool = False) -> None:
        """The circle where values are added, or multiplied."""
        sign = f"M{x - 4} {y} h8 M{x} {y - 4} v8"
        if times:
            sign = f"M{x - 3} {y - 3} l6 6 M{x - 3} {y + 3} l6 -6"
        self.lines.append(
            f'<circle class="sum" cx="{x}" cy="{y}" r="{JOIN}"/><path class="line" d="{sign}"/>'
        )

    def brace(self, x: int, top: float, low: float, count: int) -> None:
        """A brace to the left of what stands there so many times."""
        self.path(f"M{x} {top} h-5 V{low} h5", "brace")
        self.text(x - 12, (top + low) / 2 + 5, f"\u00d7 {count}", "times", "end")

    def arc(
        self, axis: float, edge: int, fork: float, join: float, kind: str, lines: list[str]
    ) -> None:
        """A shortcut beside what ends at an edge, and what lies on it."""
        self.kinds.append(kind)
        reach, middle = edge + ARC, (fork + join) / 2
        self.path(
            f"M{axis} {fork} H{edge - 8} "
            f"C{reach} {fork} {reach} {fork + 14} {reach} {middle} "
            f"S{reach} {join} {edge - 8} {join} H{axis + JOIN + 1}",
            kind,
        )
        self.node(axis, join)
        for index, text in enumerate(lines):
            self.text(reach + 8, middle + 4 + 15 * index - 7.5 * (len(lines) - 1), text, "soft")
