"""A network -> the sections of its drawing: stem, stages, head, or one part of it."""

from __future__ import annotations

import difflib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

from resgen.cost import Cost, cost, cost_of_layers
from resgen.errors import UserError
from resgen.plan import Block, Layer, Plan, Run, Shape, Stage
from resgen.report.compose import Composer
from resgen.report.letters import text_width
from resgen.report.paint import TINTS, Theme
from resgen.report.pieces import Card, Piece
from resgen.report.units import bare
from resgen.words import joined, short, size

Detail = Literal["block", "stage", "layer"]


@dataclass(frozen=True, slots=True)
class Figure:
    """How a drawing is wanted.

    detail: a box a stage, the layers with weights, or every layer; by default blocks, and of a
    part every layer. wide: for a page's whole width. part: only a stage or block, `layer2.0`.
    theme: light, with dark colours that a browser may take; or one of the two.
    """

    detail: Detail | None = None
    wide: bool = False
    part: str = ""
    theme: Theme = "auto"


class Section(NamedTuple):
    """Pieces below one another, and the words that stand beside them."""

    name: str
    words: tuple[str, ...]
    pieces: list[Piece]
    tint: int = 0


class Drawn(NamedTuple):
    """What is drawn of a network, and the words above and below it."""

    title: str
    about: str
    above: str
    below: str
    sections: list[Section]


def drawn(plan: Plan, figure: Figure, twin: Plan | None = None) -> Drawn:
    """The sections of a figure. Raises UserError for a part that the network does not have.

    twin: the residual network whose plain twin this is; it is drawn level with it.
    """
    detail = figure.detail or ("layer" if figure.part else "block")
    if twin and detail != "stage" and not figure.part:
        found = drawn(twin, figure)
        sections = [each._replace(pieces=[*map(bare, each.pieces)]) for each in found.sections]
        return found._replace(title=plan.name, about=_about(cost(plan)), sections=sections)
    composer = Composer(plan, every=detail == "layer", wide=figure.wide)
    if figure.part:
        return _part(plan, figure.part, detail, composer)
    books, before = cost(plan), [plan.input, *(stage.output for stage in plan.stages)]
    sections = [Section("", (), [composer.row(plan.stem)])]
    for index, stage in enumerate(plan.stages):
        sections.append(_stage(stage, before[index], 1 + index % TINTS, detail, composer))
    sections.append(Section("", (), [composer.row(plan.head)]))
    return Drawn(plan.name, _about(books), f"image {size(plan.input)}", "", sections)


def _stage(stage: Stage, before: Shape, tint: int, detail: Detail, composer: Composer) -> Section:
    shape, depth = size(stage.output), stage.depth
    if detail == "stage":
        return Section(stage.name, (shape,), [_card(stage, before, composer)], tint)
    words = (shape, f"{depth} block{'s' * (depth != 1)}") if depth else (shape,)
    return Section(stage.name, words, composer.stage(stage), tint)


def _card(stage: Stage, before: Shape, composer: Composer) -> Card:
    """A stage in two lines: its blocks, and their shortcuts."""
    kinds: Counter[str] = Counter()
    shortcuts: Counter[str] = Counter()
    for run in stage.blocks:
        kinds[run.block.kind.replace("_", " ")] += run.count
        shortcuts[run.block.shortcut.kind] += run.count
    words = [f"{count} \u00d7 {kind}" for kind, count in kinds.items()] or ["transition"]
    words.append(str(stage.output[0]))
    start = before if len(before) == 3 else stage.output
    if stage.runs and len(stage.output) == 3:
        start = stage.runs[0].block.input
        shrinks = start[1] // max(1, stage.output[1])
        words += [f"/{shrinks}"] if shrinks > 1 else []
    names = {"none": "no shortcut", "identity-padded": "zero-padded"}
    said = [f"{n} {names.get(kind, kind)}" for kind, n in shortcuts.items() if kind != "none"]
    lines = (", ".join(words), joined(said) if said else names["none"])
    half = max(composer.main, *(text_width(text) // 2 + 10 for text in lines))
    return Card(*lines, half)


def _part(plan: Plan, part: str, detail: Detail, composer: Composer) -> Drawn:
    """A stage or a block alone, between what goes in and what comes out."""
    for index, stage in enumerate(plan.stages):
        tint = 1 + index % TINTS
        if stage.name == part:
            start = stage.runs[0].block.input if stage.runs else stage.output
            section = _stage(stage, start, tint, detail, composer)
            layers = [x for run in stage.runs for x in run.block.layers * run.count]
            return _alone(plan, part, (start, stage.output), layers, section._replace(name=""))
        for run in stage.runs:
            if block := _block(run, stage.name, part):
                piece = composer.row(block.main)
                pieces = [piece] if block.kind == "transition" else [composer.block(block, 1)]
                ends = (block.input, block.output)
                return _alone(plan, part, ends, block.layers, Section("", (), [*pieces], tint))
    names = [name for name, _ in plan.named_blocks()] + [stage.name for stage in plan.stages]
    near = difflib.get_close_matches(part, names, n=1)
    hint = f"; did you mean {near[0]}?" if near else f"; the first is {names[0]}" if names else ""
    raise UserError(f"--part {part}: {plan.name} has no stage or block of this name{hint}")


def _block(run: Run, stage: str, part: str) -> Block | None:
    """The run's block, where it is of this name."""
    head, _, number = part.rpartition(".")
    if head != stage or not number.isdecimal():
        return None
    return run.block if run.first <= int(number) < run.first + run.count else None


def _alone(
    plan: Plan, part: str, ends: tuple[Shape, Shape], layers: Sequence[Layer], section: Section
) -> Drawn:
    books = cost_of_layers(tuple(layers))
    above, below = size(ends[0]), size(ends[1])
    return Drawn(f"{plan.name} {part}", _about(books), above, below, [section._replace(words=())])


def _about(books: Cost) -> str:
    return f"{short(books.params)} params \u00b7 {short(books.macs)} MACs"
