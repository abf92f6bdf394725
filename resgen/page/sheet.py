"""One network -> its data sheet: drawing, costs, layers, proof, spec, commands."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from resgen.cost import COUNTING, cost, shortcut_costs
from resgen.cost.conventions import CONVENTIONS
from resgen.page import tables
from resgen.page.rendering import rendered
from resgen.page.svg import Picture, picture
from resgen.page.tables import Cell, Table
from resgen.plan import Plan, elements, resolve
from resgen.proof import Check, Proof
from resgen.proof.proof import closed_form
from resgen.report.bars import panels
from resgen.report.draw import draw
from resgen.report.kinds import in_paths
from resgen.report.rows import Row, rows, total
from resgen.report.tables import FORMATS, PathRow, heading, others, path_rows, plainly
from resgen.spec import Spec, load_spec
from resgen.spec.resolved import resolved_text
from resgen.spec.text import plain, spec_text
from resgen.words import memory, short, size

Prove = Callable[[Plan], Proof]
"""How a network is measured: `resgen.proof.prove` on its compiled module."""


@dataclass(frozen=True)
class Typed:
    """How a command names a network."""

    source: str
    overrides: tuple[str, ...] = ()

    @property
    def words(self) -> list[str]:
        """`resnet50 --with classes=10`."""
        return [self.source, *(word for each in self.overrides for word in ("--with", each))]


@dataclass(frozen=True)
class Command:
    """A command, and what it is for."""

    text: str
    purpose: str


@dataclass(frozen=True)
class Sheet:
    """What a page says of one network; `key` begins every id in it."""

    key: str
    name: str
    about: str
    figures: tuple[tuple[str, str, str], ...]
    """(what, to the digit, in short)"""
    drawing: Picture | None
    charts: tuple[Picture, ...]
    stages: Table
    paths: Table
    apart: Table
    counted: Table
    layers: Table
    checks: tuple[Check, ...]
    measured: bool
    references: tuple[str, ...]
    written: str
    resolved: str
    commands: tuple[Command, ...]

    @property
    def ok(self) -> bool:
        """Whether all that was checked holds."""
        return all(check.holds for check in self.checks)


def spec_page(
    source: str, overrides: Sequence[str] = (), *, prove: Prove | None = None, command: str = ""
) -> str:
    """The data sheet of a spec as an HTML document.

    prove: measures the network; without, the closed form is checked alone and nothing imports
    torch. Raises UserError for what is no spec.
    """
    spec = load_spec(source, overrides)
    plan = resolve(spec)
    sheet = sheet_of(plan, spec, "net", prove, typed=Typed(source, tuple(overrides)))
    return rendered("sheet.html.j2", title=plan.name, command=command, sheet=sheet)


def sheet_of(
    plan: Plan, spec: Spec, key: str, prove: Prove | None, *, typed: Typed | None = None
) -> Sheet:
    """What a page says of a network; commands where it has a name that they know it by."""
    books = cost(plan)
    proof = None if prove is None else prove(plan)
    added = shortcut_costs(plan)
    about = ", ".join(heading(plan).split("   ")[1:])
    about = about.replace("->", "\u2192").replace("none shortcuts", "no shortcuts")
    shortcuts = f"{added.identity} identity, {added.projection} projection shortcuts"
    drawing = picture(
        draw([plan]), f"{key}-drawing", title=f"Layers of {plan.name}",
        description=f"{about}. {len(plan.stages)} stages, {plan.blocks} blocks; {shortcuts}.",
        kind="drawn",
    )  # fmt: skip
    charts = [
        picture(
            p.svg, f"{key}-chart-{n}", title=f"{p.title} by stage", description=p.said, kind="drawn"
        )
        for n, p in enumerate(panels(plan), 1)
    ]
    return Sheet(
        key,
        plan.name,
        about,
        (
            ("params", f"{books.params:,}", short(books.params)),
            ("MACs", f"{books.macs:,}", short(books.macs)),
            ("FLOPs", f"{books.flops:,}", short(books.flops)),
            ("activations", f"{books.activations:,}", short(books.activations)),
            ("weighted layers", f"{plan.weighted_layers}", f"{plan.blocks} blocks"),
            *(
                ("weights", f"{each * books.params:,} bytes", f"{memory(each * books.params)}")
                for format_, each in FORMATS
                if format_ == "fp32"
            ),
        ),
        drawing,
        tuple(each for each in charts if each is not None),
        _parts(f"{key}-stages", "Cost by stage", plan, "stage"),
        _paths(f"{key}-paths", plan),
        _apart(f"{key}-apart", plan),
        _counted(f"{key}-counted", plan),
        _parts(f"{key}-layers", "Cost by layer", plan, "layer"),
        proof.checks if proof else closed_form(plan),
        proof is not None,
        tuple(spec.reference),
        spec_text(plain(spec)),
        resolved_text(spec),
        _commands(plan, typed),
    )


def _parts(key: str, caption: str, plan: Plan, by: str) -> Table:
    """The rows of a report, every digit of them."""
    finer = by != "stage"
    heads = ["part", *(["kind"] if finer else []), "output", *([] if finer else ["blocks"])]
    found = [_cells(row, finer) for row in rows(plan, by)]
    return Table(
        key, f"{caption} of {plan.name}",
        (*heads, "params", "MACs", "FLOPs", "activations", "additions"),
        tuple(found), (_cells(total(plan), finer),), note=f"{COUNTING}.",
    )  # fmt: skip


def _cells(row: Row, finer: bool) -> tuple[Cell, ...]:
    books = row.books
    amounts = (books.params, row.macs, 2 * row.macs, books.activations, books.residual_adds)
    values = map(tables.count, amounts)
    shape = tables.number(size(row.output).replace("x", "\u00d7"), elements(row.output))
    if finer:
        return (tables.name(row.name), tables.word(plainly(row.kind)), shape, *values)
    blocks = tables.count(row.blocks) if row.blocks else tables.NONE
    return (tables.name(row.name), shape, blocks, *values)


def _paths(key: str, plan: Plan) -> Table:
    found = [
        (tables.name(_path(row)), *map(tables.count, (row.number, row.params, row.macs)))
        for row in path_rows(plan, cost(plan))
    ]
    return Table(
        key, "Main path and shortcuts", ("path", "number", "params", "MACs"), tuple(found),
        sortable=False,
    )  # fmt: skip


def _path(row: PathRow) -> str:
    if row.label == "main path" or row.kind.startswith("transition"):
        return row.label or row.kind
    return "blocks without" if row.kind == "none" else f"{row.kind} shortcuts"


def _apart(key: str, plan: Plan) -> Table:
    books = cost(plan)
    adds = [("residual additions", books.residual_adds)]
    found = [
        (
            tables.name(what),
            tables.count(amount),
            tables.number(f"{amount / books.macs:.2%}" if books.macs else "\u2013", amount),
        )
        for what, amount in [*adds, *others(books, in_paths(plan))]
    ]
    return Table(
        key, "Operations counted apart from the MACs", ("operation", "number", "of the MACs"),
        tuple(found), sortable=False,
    )  # fmt: skip


def _counted(key: str, plan: Plan) -> Table:
    """The same network in the figures of other tools."""
    found = []
    for rule in CONVENTIONS.values():
        note = rule.note(plan)
        said = f"{rule.says}. {note[:1].upper()}{note[1:]}." if note else f"{rule.says}."
        macs = total(plan, rule.macs).macs
        found.append((tables.name(rule.name), tables.count(macs), tables.word(said)))
    return Table(
        key, "Its MACs as others count them", ("by", "MACs", "what that is"), tuple(found),
        sortable=False, kind="prose",
    )  # fmt: skip


_DATA = {("1x8x8", 10): "digits", ("3x32x32", 10): "cifar10", ("3x32x32", 100): "cifar100"}
"""Images of the network's own size."""


def _commands(plan: Plan, typed: Typed | None) -> tuple[Command, ...]:
    if typed is None:
        return ()
    data = _DATA.get((size(plan.input), plan.classes), "folder:PATH")
    network, file = typed.words, plan.name.replace(" ", "-")
    found = (
        (["summarize", *network], "these figures and the proof, in the terminal"),
        (["summarize", *network, "--draw", f"{file}.svg"], "the drawing, beside its plain twin"),
        (["build", *network, "-o", f"{file}.py"], "the network as a file that needs only torch"),
        (["train", *network, "--data", data, "--out", f"runs/{file}"], "its weights"),
    )
    return tuple(Command(shlex.join(["resgen", *words]), purpose) for words, purpose in found)
