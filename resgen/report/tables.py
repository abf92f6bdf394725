"""Rows, books and proof -> the report as text for a terminal of 80 columns."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from resgen.cost import COUNTING, Cost, cost, cost_of_layers, shortcut_costs
from resgen.cost.conventions import Convention
from resgen.cost.roofline import Roofline
from resgen.plan import Layer, Plan
from resgen.plan.layers import residuals, without_shortcuts
from resgen.proof import Check, Proof
from resgen.report import roofline
from resgen.report.kinds import in_paths
from resgen.report.rows import Row, rows, total
from resgen.words import COLUMNS, aligned, hung, joined, memory, overridden, short, size, wrapped

FORMATS = (("fp32", 4), ("bf16", 2), ("int8", 1))


def table(
    plan: Plan,
    proof: Proof | None,
    by: str = "stage",
    convention: Convention | None = None,
    extra: Sequence[str] = (),
    roof: Roofline | None = None,
) -> str:
    """The report of one network; `extra` lines stand before the proof.

    roof: the device under whose peaks the rows are looked at.
    """
    books = cost(plan)
    lines = [*wrapped(heading(plan)), ""]
    lines += _cells(plan, by, convention, roof)
    lines += ["", *_paths(plan, books), *_apart(books, in_paths(plan))]
    lines += roofline.lines(plan, roof) if roof else []
    if extra:
        lines += ["", *extra]
    lines += ["", *proof_lines(proof), "", *rule_lines((plan,), convention)]
    return "\n".join(lines)


def heading(plan: Plan) -> str:
    """resnet50   3x224x224 -> 1000 classes   bottleneck blocks, projection shortcuts."""
    said = dict(plan.about)
    out = f"{plan.classes} classes" if plan.classes else f"{plan.head[-1].output[0]} features"
    kinds = (run.block.kind for stage in plan.stages for run in stage.blocks)
    blocks = joined(dict.fromkeys(map(plainly, kinds))) if plan.blocks else "no"
    words = f"{blocks} blocks, {said['shortcut']} shortcuts"
    if said["order"] != "original":
        words += f", {said['order']}"
    return f"{plan.name}   {size(plan.input)} -> {out}   {words}"


def rule_lines(plans: Sequence[Plan], convention: Convention | None) -> list[str]:
    """What was overridden; the counting rule, and where the MACs are another's, whose they are."""
    typed = plans[0].overrides
    lines = wrapped(f"With {overridden(typed)}.") if typed else []
    lines += wrapped(f"{COUNTING}.")
    if convention:
        lines += wrapped(f"MACs column by --convention {convention.name}: {convention.says}.")
        for plan in plans:
            lines += wrapped(f"{plan.name}: {total(plan, convention.macs).macs:,} MACs.")
            if note := convention.note(plan):
                lines += wrapped(f"{plan.name}: {note}.")
    return lines


def _cells(plan: Plan, by: str, convention: Convention | None, roof: Roofline | None) -> list[str]:
    """The table: by stage with the number of blocks, by block and layer with the kind.

    Under a roofline, what bounds a row stands in the place of its output and params.
    """
    rule = convention.macs if convention else None
    found = [*rows(plan, by, rule), total(plan, rule)]
    kinds = by != "stage"
    header = ["", *(["kind"] if kinds else []), *([] if roof else ["output"])]
    header += [*(["blocks"] if not kinds else []), *([] if roof else ["params"]), "MACs"]
    header += roofline.HEADER if roof else ["FLOPs"]
    body = []
    for row in found:
        kind = plainly(row.kind).replace("identity-padded", "identity+pad")
        cells = [row.name, *([kind] if kinds else []), *([] if roof else [size(row.output)])]
        cells += [str(row.blocks or "-")] if not kinds else []
        cells += [*([] if roof else [f"{row.books.params:,}"]), short(row.macs)]
        body.append([*cells, *(roofline.cells(row.moved, roof) if roof else [short(2 * row.macs)])])
    left = 2 if kinds else 1
    lines = aligned(header, body, left)
    if roof or max(map(len, lines)) <= COLUMNS:
        return lines
    # FLOPs go: they are 2 x MACs.
    return aligned(header[:-1], [cells[:-1] for cells in body], left)


def plainly(kind: str) -> str:
    """A kind of block without its order, which is said once."""
    return kind.removeprefix("preact_")


class PathRow(NamedTuple):
    """Main path, transitions or a kind of shortcut: how many of what, and what they cost."""

    label: str
    number: int
    kind: str
    params: int
    macs: int


def path_rows(plan: Plan, books: Cost) -> list[PathRow]:
    """Main path against shortcuts, kind by kind; a label stands in the first row of its own."""
    ends = cost_of_layers(without_shortcuts(plan.stem + plan.head))
    added = shortcut_costs(plan)
    between = [stage.runs[0].block.layers for stage in plan.stages if stage.before]
    before = cost_of_layers(without_shortcuts(tuple(layer for row in between for layer in row)))
    found = [
        PathRow(
            "main path", plan.blocks, "blocks" if plan.blocks != 1 else "block",
            books.params - ends.params - before.params - added.params,
            books.macs - ends.macs - before.macs - added.macs,
        )
    ]  # fmt: skip
    if between:
        word = "transitions" if len(between) > 1 else "transition"
        found.append(PathRow("", len(between), word, before.params, before.macs))
    first = len(found)
    kinds: dict[str, list[int]] = {
        kind: [0, 0, 0] for kind in ("identity", "identity-padded", "projection", "none")
    }
    for kind, count, layers in _shortcuts(plan):
        costs = cost_of_layers(layers)
        for index, amount in enumerate((1, costs.params, costs.macs)):
            kinds[kind][index] += count * amount
    for kind, (number, params, macs) in kinds.items():
        if number:
            label = "shortcuts" if len(found) == first else ""
            found.append(PathRow(label, number, kind.replace("-", ", "), params, macs))
    return found


def _paths(plan: Plan, books: Cost) -> list[str]:
    """Main path against shortcuts, kind by kind, and what the weights weigh."""
    lines = [
        f"{label:<11}{number:>4} {kind:<17}{params:>13,} params {macs:>17,} MACs"
        for label, number, kind, params, macs in path_rows(plan, books)
    ]
    weights = ", ".join(f"{memory(each * books.params)} {name}" for name, each in FORMATS)
    return [*lines, f"weights    {weights}"]


def _shortcuts(plan: Plan) -> Iterator[tuple[str, int, tuple[Layer, ...]]]:
    """Of every residual unit its kind, how often it is there and its layers; `none` of blocks."""
    for unit in residuals(plan.stem + plan.head):
        yield unit.shortcut.kind, 1, unit.added
    for stage in plan.stages:
        for run in stage.runs:
            units = list(run.block.units)
            for unit in units:
                yield unit.shortcut.kind, run.count, unit.added
            if not units and not (stage.before and run is stage.runs[0]):
                yield "none", run.count, ()


def others(books: Cost, paths: bool) -> list[tuple[str, int]]:
    """The operations that are no multiply-adds of convolutions or linear layers, by their kind."""
    found = (
        ("norm", books.norm),
        ("activation", books.activation),
        ("pool", books.pool),
        ("bias", books.bias),
        ("products and sums" if paths else "products", books.elementwise),
    )
    return [(what, count) for what, count in found if count]


def _apart(books: Cost, paths: bool) -> list[str]:
    """What is counted apart from the MACs."""
    share = f" ({books.residual_adds / books.macs:.2%} of the MACs)" if books.macs else ""
    named = ", ".join(f"{what} {short(count)}" for what, count in others(books, paths))
    return [
        *hung(
            "additions",
            f"{books.residual_adds:,} elements a forward pass{share}, counted apart",
            11,
        ),
        *hung("other", f"{named} operations, counted apart", 11),
        *hung(
            "outputs",
            f"{short(books.activations)} activations: elements put out by convolutions",
            11,
        ),
    ]


def proof_lines(proof: Proof | None) -> list[str]:
    """The proof as a few lines a person believes."""
    if proof is None:
        return hung("proof", "not measured (--no-measure): the figures are the closed form's", 11)
    return ["proof", *check_lines(proof.checks)]


def check_lines(checks: Iterable[Check]) -> list[str]:
    """Claims, each with whether it holds."""
    return [
        line
        for check in checks
        for line in hung("  holds" if check.holds else "  FAILS", check.text)
    ]


def fold_lines(before: Plan, after: Plan) -> list[str]:
    """What folding leaves of a network's cost: the lines of the books that it changes."""
    books = [("before", cost(before)), ("folded", cost(after))]
    header = ("", "params", "MACs", "norm operations", "bias operations")
    body = [
        (name, *(f"{value:,}" for value in (each.params, each.macs, each.norm, each.bias)))
        for name, each in books
    ]
    return aligned(header, body)


def deepened_lines(small: Plan, large: Plan, stages: Iterable[tuple[str, int, int]]) -> list[str]:
    """What a deeper network is made of: a line a stage, then what both cost."""
    body = [(name, str(copied), str(added)) for name, copied, added in stages]
    rows = aligned(("", "blocks copied", "identity blocks"), body)
    books = [(plan.name, plan.weighted_layers, cost(plan)) for plan in (small, large)]
    costs = [
        (name, str(layers), f"{each.params:,}", f"{each.macs:,}") for name, layers, each in books
    ]
    return [*rows, "", *aligned(("", "layers", "params", "MACs"), costs)]


def row_values(row: Row) -> list[str]:
    """One row in exact integers, for CSV and Markdown."""
    books = row.books
    figures = (row.blocks, books.params, row.macs, 2 * row.macs,
               books.residual_adds, books.activations)  # fmt: skip
    return [row.name, row.kind, size(row.output), *map(str, figures)]
