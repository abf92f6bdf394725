"""Where a network's costs are: a bar a part, as SVG, in the colours of the drawing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple
from xml.sax.saxutils import escape, quoteattr

from resgen.cost import Cost
from resgen.plan import Plan
from resgen.report.boxes import text_width
from resgen.report.draw import STYLE
from resgen.report.rows import Row, rows
from resgen.words import short


class Panel(NamedTuple):
    """One amount over the parts of a network: its chart, and the same in words."""

    title: str
    svg: str
    said: str


AMOUNTS: tuple[tuple[str, Callable[[Cost], int]], ...] = (
    ("params", lambda books: books.params),
    ("MACs", lambda books: books.macs),
    ("activations", lambda books: books.activations),
)
WIDTH, STEP, BAR, TOP = 360, 24, 15, 30
_STYLE = """.bar { stroke-width: 1; }
.value { fill: var(--soft); font-size: 11.5px; }
.base { stroke: var(--line); stroke-width: 1; }
"""


def panels(plan: Plan) -> list[Panel]:
    """Params, MACs and activations by stage, stem and head, each as a chart of its own."""
    parts = rows(plan)
    stages = [stage.name for stage in plan.stages]
    tints = [1 + stages.index(row.name) % 5 if row.name in stages else 0 for row in parts]
    return [_panel(title, parts, tints, of) for title, of in AMOUNTS]


def _panel(
    title: str, parts: Sequence[Row], tints: Sequence[int], of: Callable[[Cost], int]
) -> Panel:
    values = [of(row.books) for row in parts]
    whole, most = sum(values), max(values, default=0)
    said = [f"{short(value)} \u00b7 {value / whole:.0%}" if value else "0" for value in values]
    left = 8 + max(text_width(row.name, 12.5) for row in parts)
    room = WIDTH - left - 14 - max(text_width(text, 11.5) for text in said)
    height = TOP + STEP * len(parts) + 4
    lines = [f'<text class="stage" x="0" y="14">{escape(f"{title}, {short(whole)}")}</text>']
    for index, (row, value, text, tint) in enumerate(zip(parts, values, said, tints, strict=True)):
        y = TOP + STEP * index
        reach = round(room * value / most, 1) if most else 0
        lines += [
            f'<text x="{left - 8}" y="{y + 12}" text-anchor="end">{escape(row.name)}</text>',
            f'<rect class="bar c{tint}" x="{left}" y="{y}" width="{reach}" height="{BAR}" rx="2"/>',
            f'<text class="value" x="{left + reach + 7}" y="{y + 12}">{text}</text>',
        ]
    lines.append(f'<path class="base" d="M{left} {TOP - 4} V{height - 5}"/>')
    pairs = [f"{row.name} {text}" for row, text in zip(parts, said, strict=True)]
    svg = "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" '
            f'width="{WIDTH}" height="{height}" role="img" aria-label={quoteattr(title)}>',
            f"<style>{STYLE}{_STYLE}</style>",
            *lines,
            "</svg>\n",
        ]
    )
    return Panel(title, svg, ", ".join(pairs).replace(" \u00b7 ", ", "))
