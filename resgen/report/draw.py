"""Plan -> SVG, in the manner of figure 3 of He et al. 2015.

Boxes are the layers with weights and the pools, in a column from the input down; a
shortcut is an arc beside its block: solid where it is the identity, dashed where it
pads with zeros, dotted where it projects. Blocks that repeat are drawn once, with
their count. Text is text, and colours follow the reader's light or dark scheme.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal
from xml.sax.saxutils import escape, quoteattr

from resgen.cost import cost
from resgen.errors import UserError
from resgen.files import check_place, write_new
from resgen.plan import Plan, Stage
from resgen.report.boxes import text_width
from resgen.report.compose import MAIN, Composer
from resgen.report.pen import BOX, Pen
from resgen.report.pieces import Piece, Row
from resgen.words import short, size

LEFT, TOP, MARGIN, STAGE = 118, 92, 28, 72  # left of the boxes, above and around; a stage's words

STYLE = """
svg { --paper: #ffffff; --ink: #1c2330; --soft: #657083; --line: #4a5568;
  --c0: #eceff4; --e0: #a9b3c4; --c1: #dcebfb; --e1: #6ba3dc; --c2: #ddf3e4; --e2: #5db37f;
  --c3: #fdeccf; --e3: #d9a044; --c4: #fadcd9; --e4: #d9766c; --c5: #e9dff7; --e5: #9d7fce; }
@media (prefers-color-scheme: dark) { svg {
  --paper: #12161d; --ink: #e8ecf3; --soft: #98a3b5; --line: #b4bdcb;
  --c0: #2a313d; --e0: #5c687c; --c1: #173352; --e1: #4b8ccc; --c2: #17402a; --e2: #46a06c;
  --c3: #4a3714; --e3: #c48f38; --c4: #4d2320; --e4: #cf6d63; --c5: #362752; --e5: #9474cb; } }
text { font-family: system-ui, -apple-system, "Segoe UI", Roboto, "DejaVu Sans", sans-serif;
  font-size: 12.5px; fill: var(--ink); }
.title { font-size: 19px; font-weight: 650; }
.soft { fill: var(--soft); font-size: 11.5px; }
.stage { font-size: 12.5px; font-weight: 600; }
.times { font-size: 15px; font-weight: 600; }
.line { stroke: var(--line); stroke-width: 1.4; fill: none; }
.brace { stroke: var(--soft); stroke-width: 1.2; fill: none; }
.identity, .identity-padded, .projection { stroke: var(--ink); stroke-width: 1.7; fill: none; }
.identity-padded { stroke-dasharray: 7 4; }
.projection { stroke-dasharray: 0.1 4.6; stroke-linecap: round; stroke-width: 2.5; }
.sum { fill: var(--paper); stroke: var(--ink); stroke-width: 1.5; }
.tip { fill: var(--line); }
rect.box { stroke-width: 1.2; }
""" + "".join(f".c{i} {{ fill: var(--c{i}); stroke: var(--e{i}); }}\n" for i in range(6))
PATHS = """.bar { fill: var(--paper); stroke: var(--line); }
.part { fill: var(--paper); stroke: var(--soft); stroke-dasharray: 4 3; }
.group { fill: none; stroke: var(--soft); stroke-width: 1.2; stroke-dasharray: 4 3; }
"""


def draw(plans: Sequence[Plan]) -> str:
    """The networks side by side as one SVG document."""
    columns: list[_Column] = []
    for plan in plans:
        columns.append(_Column(plan, columns[-1].right + MARGIN if columns else MARGIN))
    kinds = dict.fromkeys(kind for column in columns for kind in column.pen.kinds)
    bottom = max(column.y for column in columns) + 30
    legend, reach = _legend(list(kinds), bottom)
    least = reach if "part" in kinds else 500 if len(kinds) > 2 else 360
    width, height = max(columns[-1].right + MARGIN, least), bottom + (34 if kinds else 4)
    names = " and ".join(plan.name for plan in plans)
    style = STYLE + PATHS * any(column.paths for column in columns)
    body = [line for column in columns for line in column.pen.lines]
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" '
            f'width="{width}" height="{height}" role="img" aria-label={quoteattr(names)}>',
            f"<title>{escape(names)}</title>",
            f"<style>{style}</style>",
            '<defs><marker id="tip" markerWidth="7" markerHeight="7" refX="5.5" refY="3" '
            'orient="auto"><path class="tip" d="M0,0 L6,3 L0,6 z"/></marker></defs>',
            f'<rect width="{width}" height="{height}" fill="var(--paper)"/>',
            *body,
            *legend,
            "</svg>\n",
        ]
    )


def check_drawing(path: Path, networks: int, *, force: bool) -> None:
    """Raises UserError for a number of networks, or a file, that cannot be drawn (into)."""
    if networks > 2:
        raise UserError(f"--draw {path}: draws one or two networks side by side, not {networks}")
    check_place(path, force=force, endings=(".svg",))


def draw_file(
    plans: Sequence[Plan], path: Path, *, beside: Literal["plain", "nothing"], force: bool
) -> None:
    """Writes the drawing of two networks, or of one, beside its plain twin if wanted."""
    residual = any(True for _ in plans[0].named_units())
    if len(plans) == 1 and beside == "plain" and residual:
        plans = [plans[0].plain(), plans[0]]
    write_new(path, draw(plans), force=force)


class _Column:
    """One network, drawn downwards; `y` is where the pen is."""

    def __init__(self, plan: Plan, x: int) -> None:
        self.pen = Pen()
        composer = Composer(plan)
        self.paths = composer.fits
        stem = composer.row(plan.stem)
        stages = [_pieces(composer, stage) for stage in plan.stages]
        head = composer.row(plan.head)
        pieces = [stem, *(piece for found in stages for piece in found), head]
        half = max(MAIN, *(piece.left for piece in pieces))
        beside = [text_width(size(stage.output), 11.5) + 60 for stage in plan.stages]
        self.left, self.axis = x, float(x + max(LEFT, *beside * self.paths, 0) + half)
        self.right = int(self.axis) + max(_title(plan), *map(_reach, pieces))
        books = cost(plan)
        self.pen.text(self.axis, 36, plan.name, "title", "middle")
        about = f"{short(books.params)} params \u00b7 {short(books.macs)} MACs"
        self.pen.text(self.axis, 56, about, "soft", "middle")
        self.pen.text(self.axis, TOP - 8, f"image {size(plan.input)}", "soft", "middle")
        self.y: float = stem.draw(self.pen, self.axis, TOP)
        for index, (stage, found) in enumerate(zip(plan.stages, stages, strict=True)):
            self.pen.tint = 1 + index % 5
            self._stage(stage, found)
        self.pen.tint = 0
        self.y = head.draw(self.pen, self.axis, self.y)

    def _stage(self, stage: Stage, pieces: Sequence[Piece]) -> None:
        start = self.y
        for piece in pieces:
            self.y = piece.draw(self.pen, self.axis, self.y)
        if self.y < start + STAGE:  # the room that the words beside it take
            self.pen.line(self.axis, self.y, start + STAGE)
            self.y = start + STAGE
        self.pen.text(self.left, start + 34, stage.name, "stage")
        self.pen.text(self.left, start + 50, size(stage.output), "soft")
        if stage.depth:
            blocks = f"{stage.depth} block{'s' if stage.depth != 1 else ''}"
            self.pen.text(self.left, start + 65, blocks, "soft")


def _pieces(composer: Composer, stage: Stage) -> list[Piece]:
    """What stands before the blocks of a stage, and its blocks."""
    before = stage.runs[:1] if stage.before else ()
    found: list[Piece] = [composer.row(run.block.main) for run in before]
    return [*found, *(composer.block(run.block, run.count) for run in stage.blocks)]


def _title(plan: Plan) -> int:
    """How far a network's name reaches to the right of its axis, and a box does at least."""
    return MAIN + max(0, round(len(plan.name) * 11 - BOX) // 2)


def _reach(piece: Piece) -> int:
    """How far a piece reaches to the right of its axis, with some room behind."""
    return piece.right + (20 if isinstance(piece, Row) else 0)


_MEANINGS = {
    "identity": "identity",
    "identity-padded": "identity, zero-padded",
    "projection": "projection",
    "part": "drawn in detail above",
}


def _legend(kinds: Sequence[str], y: float) -> tuple[list[str], int]:
    """The meaning of lines, and of the box that stands for a definition; where that ends."""
    lines, x = [], float(MARGIN)
    for kind, meaning in _MEANINGS.items():
        if kind in kinds:
            sample = f'<path class="{kind}" d="M{x} {y} h38"/>'
            if kind == "part":
                sample = f'<rect class="{kind}" x="{x}" y="{y - 8}" width="38" height="16" rx="5"/>'
            lines.append(sample)
            lines.append(f'<text class="soft" x="{x + 46}" y="{y + 4}">{meaning}</text>')
            x += 60 + 7 * len(meaning) + 14
    return lines, int(x)
