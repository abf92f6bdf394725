"""Plan -> SVG, in the manner of figure 3 of He et al. 2015.

Boxes are the layers with weights and the pools, from the input down; a shortcut is an arc beside
its block: solid where it is the identity, dashed where it pads with zeros, dotted where it
projects. Blocks that repeat are drawn once, with their count, and so are those that differ only in
their numbers, with ranges. Norms and activations are low boxes, shown where their order is the
point or where every layer is wanted. Text is text; colours are written out, so that every program
shows them, and a browser may take the dark ones.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal
from xml.sax.saxutils import escape, quoteattr

from resgen.errors import UserError
from resgen.files import check_place, write_new
from resgen.plan import Plan
from resgen.report import rendering
from resgen.report.layout import tall, wide
from resgen.report.letters import FAMILY, text_width
from resgen.report.paint import PALETTES, SIZES, attributes, dark_rules
from resgen.report.pen import Pen
from resgen.report.sections import Figure, drawn

__all__ = ["Figure", "check_drawing", "draw", "draw_file"]

MARGIN, _APART = 28, 28
ROOT = "resgen-drawing"


def draw(plans: Sequence[Plan], figure: Figure = Figure()) -> str:
    """The networks as one SVG document: side by side, or wide ones below one another.

    Raises UserError for a part that one of them does not have.
    """
    pen = Pen(PALETTES["dark" if figure.theme == "dark" else "light"])
    right, low = 0.0, 0.0
    residual = plans[1] if len(plans) == 2 and plans[1].plain() == plans[0] else None
    for plan in plans:
        found = drawn(plan, figure, residual if plan is plans[0] else None)
        if figure.wide:
            reach, low = wide(found, pen, MARGIN, low)
            right = max(right, reach)
        else:
            right, end = tall(found, pen, right + _APART if right else MARGIN)
            low = max(low, end)
    kinds = dict.fromkeys(pen.kinds)
    legend = _legend(pen, list(kinds), low + 30)
    width, height = round(max(right, legend) + MARGIN), round(low + (64 if kinds else 34))
    names = " and ".join(plan.name for plan in plans)
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" class="{ROOT}" '
            f'viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
            f'font-family="{FAMILY}" role="img" aria-label={quoteattr(names)}>',
            f"<title>{escape(names)}</title>",
            *([f"<style>{dark_rules(ROOT)}</style>"] if figure.theme == "auto" else []),
            f'<rect {attributes("paper", pen.palette)} width="{width}" height="{height}"/>',
            *pen.lines,
            "</svg>\n",
        ]
    )


def check_drawing(path: Path, networks: int, *, force: bool) -> None:
    """Raises UserError for a number of networks, or a file, that cannot be drawn (into)."""
    if networks > 2:
        raise UserError(f"--draw {path}: draws one or two networks side by side, not {networks}")
    check_place(path, force=force, endings=rendering.SUFFIXES)
    rendering.check(path)


def draw_file(
    plans: Sequence[Plan],
    path: Path,
    *,
    beside: Literal["plain", "nothing"],
    force: bool,
    figure: Figure = Figure(),
) -> None:
    """Writes the drawing of two networks, or of one, beside its plain twin if wanted."""
    residual = any(True for _ in plans[0].named_units())
    if len(plans) == 1 and beside == "plain" and residual and not figure.part:
        plans = [plans[0].plain(), plans[0]]
    write_new(path, rendering.rendered(draw(plans, figure), path), force=force)


_MEANINGS = {
    "identity": "identity",
    "identity-padded": "identity, zero-padded",
    "projection": "projection",
    "part": "drawn in detail above",
}


def _legend(pen: Pen, kinds: Sequence[str], y: float) -> float:
    """Draws the meaning of lines, and of the box that stands for a definition; where that ends."""
    x = float(MARGIN)
    for kind, meaning in _MEANINGS.items():
        if kind in kinds:
            if kind == "part":
                pen.rect("part", x, y - 8, 38, 16, 5)
            else:
                pen.path(f"M{x:g} {y:g} h38", kind)
            pen.text(x + 46, y + 4, meaning, "soft")
            x += 46 + text_width(meaning, SIZES["soft"][0]) + 24
    return x - 24 if x > MARGIN else 0
