"""Plan -> SVG, in the manner of figure 3 of He et al. 2015.

Boxes are the layers with weights and the pools, in a column from the input down; a
shortcut is an arc beside its block: solid where it is the identity, dashed where it
pads with zeros, dotted where it projects. Blocks that repeat are drawn once, with
their count. Text is text, and colours follow the reader's light or dark scheme.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Literal
from xml.sax.saxutils import escape, quoteattr

from resgen.cost import cost
from resgen.errors import UserError
from resgen.files import check_place, write_new
from resgen.plan import Block, Layer, Plan
from resgen.plan.layers import (
    Conv,
    EfficientChannelAttention,
    GlobalAvgPool,
    Linear,
    PaddedIdentity,
    SqueezeExcitation,
    StandardizedConv,
)
from resgen.report.kinds import kind_of
from resgen.words import short, size

BOX, HEIGHT, GAP = 178, 24, 14  # a box, and the room between two
LEFT, ARC, LETTER = 118, 34, 6.6  # left of the boxes, an arc's reach, a letter of its label
TOP, MARGIN, JOIN = 92, 28, 7
_HIDDEN = ("norm", "activation", "free")

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


def draw(plans: Sequence[Plan]) -> str:
    """The networks side by side as one SVG document."""
    columns: list[_Column] = []
    for plan in plans:
        columns.append(_Column(plan, columns[-1].right + MARGIN if columns else MARGIN))
    kinds = dict.fromkeys(kind for column in columns for kind in column.kinds)
    width = max(columns[-1].right + MARGIN, 500 if len(kinds) > 2 else 360)
    bottom = max(column.y for column in columns) + 30
    height = bottom + (34 if kinds else 4)
    names = " and ".join(plan.name for plan in plans)
    body = [line for column in columns for line in column.lines]
    body += _legend(list(kinds), bottom)
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" '
            f'width="{width}" height="{height}" role="img" aria-label={quoteattr(names)}>',
            f"<title>{escape(names)}</title>",
            f"<style>{STYLE}</style>",
            '<defs><marker id="tip" markerWidth="7" markerHeight="7" refX="5.5" refY="3" '
            'orient="auto"><path class="tip" d="M0,0 L6,3 L0,6 z"/></marker></defs>',
            f'<rect width="{width}" height="{height}" fill="var(--paper)"/>',
            *body,
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
    residual = any(block.residual_adds for _, block in plans[0].named_blocks())
    if len(plans) == 1 and beside == "plain" and residual:
        plans = [plans[0].plain(), plans[0]]
    write_new(path, draw(plans), force=force)


class _Column:
    """One network, drawn downwards; `y` is where the pen is."""

    def __init__(self, plan: Plan, x: int) -> None:
        self.left, self.x = x, x + LEFT
        self.middle = self.x + BOX / 2
        self.lines: list[str] = []
        self.kinds: list[str] = []
        self.right = _right(plan, self.x + BOX)
        self.tint = 0
        books = cost(plan)
        self._text(self.middle, 36, plan.name, "title", "middle")
        about = f"{short(books.params)} params \u00b7 {short(books.macs)} MACs"
        self._text(self.middle, 56, about, "soft", "middle")
        self._text(self.middle, TOP - 8, f"image {size(plan.input)}", "soft", "middle")
        self.y: float = TOP
        self._stack(plan.stem)
        for index, stage in enumerate(plan.stages):
            self.tint = 1 + index % 5
            start = self.y
            for run in stage.runs:
                self._block(run.block, run.count)
            self._text(self.left, start + 34, stage.name, "stage")
            self._text(self.left, start + 50, size(stage.output), "soft")
            blocks = f"{stage.depth} block{'s' if stage.depth != 1 else ''}"
            self._text(self.left, start + 65, blocks, "soft")
        self.tint = 0
        self._stack(plan.head)

    def _stack(self, layers: Sequence[Layer]) -> None:
        for layer in layers:
            if layer.op.line not in _HIDDEN:
                self._arrow(self.y, self.y + GAP)
                self.y += GAP
                self._box(layer)

    def _block(self, block: Block, count: int) -> None:
        shown = [layer for layer in block.main if layer.op.line not in _HIDDEN]
        start, fork = self.y, self.y + 8
        self._arrow(start, start + GAP + 6)
        self.y += GAP + 6
        for index, layer in enumerate(shown):
            if index:
                self._arrow(self.y, self.y + GAP)
                self.y += GAP
            self._box(layer)
        join = self.y + GAP + JOIN
        if block.shortcut.kind == "none":
            self._line(self.y, join + JOIN)
        else:
            self._arrow(self.y, join - JOIN)
            self._shortcut(block, fork, join)
        if count > 1:
            x, top, low = self.x - 10, fork + 8, join - 8
            self.lines.append(f'<path class="brace" d="M{x} {top} h-5 V{low} h5"/>')
            self._text(x - 12, (top + low) / 2 + 5, f"\u00d7 {count}", "times", "end")
        self.y = join + JOIN

    def _shortcut(self, block: Block, fork: float, join: float) -> None:
        kind = block.shortcut.kind
        self.kinds.append(kind)
        edge, reach = self.x + BOX, self.x + BOX + ARC
        middle = (fork + join) / 2
        self.lines.append(
            f'<path class="{kind}" d="M{self.middle} {fork} H{edge - 8} '
            f"C{reach} {fork} {reach} {fork + 14} {reach} {middle} "
            f'S{reach} {join} {edge - 8} {join} H{self.middle + JOIN + 1}"/>'
        )
        self._sum(join)
        labels = _labels(block)
        for index, text in enumerate(labels):
            y = middle + 4 + 15 * index - 7.5 * (len(labels) - 1)
            self._text(reach + 8, y, text, "soft")

    def _sum(self, y: float) -> None:
        x = self.middle
        self.lines.append(
            f'<circle class="sum" cx="{x}" cy="{y}" r="{JOIN}"/>'
            f'<path class="line" d="M{x - 4} {y} h8 M{x} {y - 4} v8"/>'
        )

    def _box(self, layer: Layer) -> None:
        self.lines.append(
            f'<rect class="box c{self.tint}" x="{self.x}" y="{self.y}" width="{BOX}" '
            f'height="{HEIGHT}" rx="5"/>'
        )
        self._text(self.middle, self.y + 16.5, box_text(layer), "", "middle")
        self.y += HEIGHT

    def _arrow(self, top: float, low: float) -> None:
        self.lines.append(
            f'<path class="line" d="M{self.middle} {top} V{low}" marker-end="url(#tip)"/>'
        )

    def _line(self, top: float, low: float) -> None:
        self.lines.append(f'<path class="line" d="M{self.middle} {top} V{low}"/>')

    def _text(self, x: float, y: float, text: str, kind: str, anchor: str = "start") -> None:
        style = f' class="{kind}"' if kind else ""
        where = f' text-anchor="{anchor}"' if anchor != "start" else ""
        self.lines.append(f'<text x="{x}" y="{y}"{style}{where}>{escape(text)}</text>')


_TITLES = {
    GlobalAvgPool: "avg pool",
    SqueezeExcitation: "squeeze, excite",
    EfficientChannelAttention: "channel attention",
}


def _right(plan: Plan, edge: int) -> int:
    """Where a column ends: at the boxes of a plain network, else behind the longest label."""
    blocks = [block for _, block in plan.named_blocks() if block.shortcut.kind != "none"]
    letters = max((len(label) for block in blocks for label in _labels(block)), default=0)
    title = max(0, round(len(plan.name) * 11 - BOX) // 2)
    return edge + max(title, ARC + 10 + round(letters * LETTER) if blocks else 20)


def box_text(layer: Layer) -> str:
    """3x3 conv, 64, /2."""
    op = layer.op
    if isinstance(op, Conv):
        words = [f"{op.kernel_size}x{op.kernel_size} conv", str(op.out_channels)]
        words += [f"/{op.stride}"] if op.stride > 1 else []
        words += [f"{op.groups} groups"] if op.groups > 1 else []
        words += [f"dilated {op.dilation}"] if op.dilation > 1 else []
        if isinstance(op, StandardizedConv):
            words[0] = words[0].replace("conv", "ws conv")
        return ", ".join(words)
    if isinstance(op, Linear):
        return f"fc {op.out_features}"
    if type(op) in _TITLES:
        return _TITLES[type(op)]
    kernel, stride = getattr(op, "kernel_size", 0), getattr(op, "stride", 1)
    if not kernel:
        return kind_of(op).replace(" /", ", /")
    kind = re.sub(r" \d+x\d+.*", "", kind_of(op)).replace("pool", " pool")
    return f"{kernel}x{kernel} {kind}" + (f", /{stride}" if stride > 1 else "")


def _labels(block: Block) -> list[str]:
    """What lies on the shortcut, a line each."""
    found = []
    for layer in block.shortcut_layers:
        if isinstance(layer.op, PaddedIdentity):
            stride = f", /{layer.op.stride}" if layer.op.stride > 1 else ""
            found.append(f"pad to {layer.op.out_channels}{stride}")
        elif layer.op.line not in ("norm", "activation") and type(layer.op).__name__ != "Identity":
            found.append(box_text(layer))
    return found


_MEANINGS = {
    "identity": "identity",
    "identity-padded": "identity, zero-padded",
    "projection": "projection",
}


def _legend(kinds: Sequence[str], y: float) -> list[str]:
    lines, x = [], float(MARGIN)
    for kind, meaning in _MEANINGS.items():
        if kind in kinds:
            lines.append(f'<path class="{kind}" d="M{x} {y} h38"/>')
            lines.append(f'<text class="soft" x="{x + 46}" y="{y + 4}">{meaning}</text>')
            x += 60 + 7 * len(meaning) + 14
    return lines
