"""Where a network's costs are: a bar a part, as SVG, in the colours of the drawing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple
from xml.sax.saxutils import quoteattr

from resgen.cost import Cost
from resgen.plan import Plan
from resgen.report.draw import ROOT
from resgen.report.letters import FAMILY, text_width
from resgen.report.paint import dark_rules
from resgen.report.pen import Pen
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
    pen = Pen()
    pen.text(0, 14, f"{title}, {short(whole)}", "stage")
    for index, (row, value, text, tint) in enumerate(zip(parts, values, said, tints, strict=True)):
        y = TOP + STEP * index
        reach = round(room * value / most, 1) if most else 0
        pen.text(left - 8, y + 12, row.name, "", "end")
        pen.rect(f"c{tint}", left, y, reach, BAR, 2)
        pen.text(left + reach + 7, y + 12, text, "soft")
    pen.path(f"M{left} {TOP - 4} V{height - 5}")
    pairs = [f"{row.name} {text}" for row, text in zip(parts, said, strict=True)]
    svg = "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" class="{ROOT}" '
            f'viewBox="0 0 {WIDTH} {height}" '
            f'width="{WIDTH}" height="{height}" font-family="{FAMILY}" '
            f'role="img" aria-label={quoteattr(title)}>',
            f"<style>{dark_rules(ROOT)}</style>",
            *pen.lines,
            "</svg>\n",
        ]
    )
    return Panel(title, svg, ", ".join(pairs).replace(" \u00b7 ", ", "))
