"""Plan, cost and proof -> rows, and rows -> table, JSON, CSV or Markdown text."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from resgen.cost import (
    COUNTING,
    Cost,
    cost,
    cost_of_block,
    cost_of_layers,
    cost_of_stage,
    shortcut_costs,
)
from resgen.layers import Layer, Shape
from resgen.plan import Block, Plan
from resgen.proof import Proof

SCHEMA_VERSION = 1


class Row(NamedTuple):
    """One line of a report: a part of the network under its module name, and its books."""

    name: str
    what: str
    output: Shape
    blocks: int
    books: Cost


def rows(plan: Plan, by: str = "stage") -> list[Row]:
    """The network's parts, `by` stage, block or layer. They add up to the total.

    Blocks in a row that are the same share one row (`layer1.1-2`), their books summed.
    """
    made = _layer_rows(plan.stem, "") if by == "layer" else [_whole("stem", plan.stem)]
    for stage in plan.stages:
        if by == "stage":
            made.append(Row(stage.name, "", stage.output, stage.depth, cost_of_stage(stage)))
            continue
        for run in stage.runs:
            last = run.first + run.count - 1
            name = f"{stage.name}.{run.first}" + (f"-{last}" if run.count > 1 else "")
            made += _block_rows(name, run.block, run.count, by)
    made += _layer_rows(plan.head, "") if by == "layer" else [_whole("head", plan.head)]
    return made


def _whole(name: str, layers: tuple[Layer, ...]) -> Row:
    return Row(name, "", layers[-1].output, 0, cost_of_layers(layers))


def _block_rows(name: str, block: Block, count: int, by: str) -> Iterable[Row]:
    kind = block.shortcut.kind
    joined = Cost(residual_adds=block.residual_adds)
    shortcut = cost_of_block(block).plus(cost_of_block(block.plain), -1).plus(joined, -1)
    if by == "block":
        main = cost_of_block(block.plain).plus(joined)
        yield Row(name, block.kind, block.output, count, Cost().plus(main, count))
        if kind != "none":
            yield Row(f"{name} shortcut", kind, block.output, 0, Cost().plus(shortcut, count))
        return
    yield from _layer_rows(block.main, f"{name}.", count)
    if kind != "none":
        if not block.shortcut.layers:
            yield Row(f"{name} shortcut", kind, block.output, 0, Cost())
        yield from _layer_rows(block.shortcut_layers, f"{name}.", count, kind)
        books = cost_of_block(block).plus(cost_of_layers(block.layers), -1)
        yield Row(f"{name} addition", "add", block.output, 0, Cost().plus(books, count))
    yield from _layer_rows(block.after, f"{name}.", count)


def _layer_rows(layers: Iterable[Layer], prefix: str, count: int = 1, what: str = "") -> list[Row]:
    made = []
    for layer in layers:
        books = Cost().plus(cost_of_layers((layer,)), count)
        kind = type(layer.op).__name__
        made.append(Row(prefix + layer.name, f"{what} {kind}".strip(), layer.output, 0, books))
    return made


# --- one network ---------------------------------------------------------------------


def as_data(plan: Plan, proof: Proof | None, by: str = "stage") -> dict[str, Any]:
    """The report as plain values: exact integers, ready for JSON."""
    books, twin = cost(plan), cost(plan.plain())
    data: dict[str, Any] = {
        "version": SCHEMA_VERSION,
        "name": plan.name,
        "input": list(plan.input),
        "classes": plan.classes,
        "params": books.params,
        "macs": books.macs,
        "flops": books.flops,
        "residual_adds": books.residual_adds,
        "activations": books.activations,
        "elementwise": {
            "norm": books.norm,
            "activation": books.activation,
            "pool": books.pool,
            "bias": books.bias,
            "product": books.elementwise,
        },
        "counting": COUNTING,
        "weighted_layers": plan.weighted_layers,
        "stages": [_row_data(row) for row in rows(plan)],
        "shortcuts": shortcut_costs(plan)._asdict(),
        "plain_twin": {"params": twin.params, "macs": twin.macs},
        "proof": None
        if proof is None
        else {"ok": proof.ok, "checks": [check._asdict() for check in proof.checks]},
    }
    if by != "stage":
        data[f"{by}s"] = [_row_data(row) for row in rows(plan, by)]
    return data


def _row_data(row: Row) -> dict[str, Any]:
    data: dict[str, Any] = {"name": row.name, "output": list(row.output)}
    if row.what:
        data["kind"] = row.what
    if row.blocks:
        data["blocks"] = row.blocks
    books = row.books
    return data | {
        "params": books.params,
        "macs": books.macs,
        "flops": books.flops,
        "residual_adds": books.residual_adds,
        "activations": books.activations,
    }


def table(plan: Plan, proof: Proof | None, by: str = "stage") -> str:
    """The report as text for a terminal."""
    books = cost(plan)
    lines = [heading(plan), ""]
    lines += _aligned(*_table_cells(plan, by, books))
    lines += ["", *_shortcut_lines(plan), *_other_lines(books)]
    lines += ["", *proof_lines(proof), "", f"{COUNTING}."]
    return "\n".join(lines)


def heading(plan: Plan) -> str:
    """resnet50   3x224x224 -> 1000 classes   bottleneck, projection shortcuts."""
    said = dict(plan.about)
    out = f"{plan.classes} classes" if plan.classes else f"{plan.head[-1].output[0]} features"
    words = f"{said['block']} blocks, {said['shortcut']} shortcuts"
    if said["order"] != "original":
        words += f", {said['order']}"
    return f"{plan.name}   {size(plan.input)} -> {out}   {words}"


def size(shape: Shape) -> str:
    """(3, 224, 224) -> 3x224x224."""
    return "x".join(map(str, shape))


def _table_cells(plan: Plan, by: str, books: Cost) -> tuple[list[str], list[list[str]]]:
    header = ["", "output", "blocks", "params", "MACs", "FLOPs"]
    body = [_cells(row) for row in rows(plan, by)]
    total = Row("total", "", (plan.head[-1].output[0],), plan.blocks, books)
    return header, [*body, _cells(total)]


def _cells(row: Row) -> list[str]:
    return [
        row.name if not row.what else f"{row.name}  {row.what}",
        size(row.output),
        str(row.blocks or "-"),
        f"{row.books.params:,}",
        short(row.books.macs),
        short(row.books.flops),
    ]


def short(count: int) -> str:
    """4089184256 -> 4.089 G; exact below a thousand."""
    if count < 1000:
        return str(count)
    for unit, scale in (("T", 10**12), ("G", 10**9), ("M", 10**6), ("k", 10**3)):
        # Half a step below the scale would otherwise print as 1000.0 of the unit under it.
        if count >= scale * 0.99995:
            value = count / scale
            return f"{value:.{3 if scale >= 10**9 else 1}f} {unit}"
    raise AssertionError(count)


def _aligned(header: Sequence[str], body: Sequence[Sequence[str]]) -> list[str]:
    """Columns, the first flush left, the others flush right; never cut off."""
    widths = [max(len(line[i]) for line in (header, *body)) for i in range(len(header))]
    return [
        "  ".join(
            cell.ljust(width) if i == 0 else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in (header, *body)
    ]


def _shortcut_lines(plan: Plan) -> list[str]:
    counts = shortcut_costs(plan)
    plain = counts.identity - counts.identity_padded
    found = [
        (plain, "identity"),
        (counts.identity_padded, "identity, padded"),
        (counts.projection, "projection"),
        (counts.none, "none"),
    ]
    lines = []
    for number, kind in found:
        if not number:
            continue
        label = "shortcuts" if not lines else ""
        params = macs = 0
        for stage in plan.stages:
            for run in stage.runs:
                if run.block.shortcut.kind == kind.replace(", ", "-"):
                    added = cost_of_layers(run.block.shortcut_layers)
                    params += run.count * added.params
                    macs += run.count * added.macs
        figures = "" if kind == "none" else f"{params:>13,} params  {macs:>15,} MACs"
        lines.append(f"{label:<10} {number:>4} {kind:<17}{figures}".rstrip())
    return lines


def _other_lines(books: Cost) -> list[str]:
    share = f" ({books.residual_adds / books.macs:.2%} of the MACs)" if books.macs else ""
    lines = [f"additions  {books.residual_adds:,} elements a forward pass{share}, counted apart"]
    rest = [
        (books.norm, "norm"),
        (books.activation, "activation"),
        (books.pool, "pool"),
        (books.bias, "bias"),
        (books.elementwise, "products"),
    ]
    named = ", ".join(f"{what} {short(count)}" for count, what in rest if count)
    return [*lines, f"other      {named} operations; {short(books.activations)} activations"]


def proof_lines(proof: Proof | None) -> list[str]:
    """The proof as a few lines a person believes."""
    if proof is None:
        return ["proof      not measured (--no-measure): the figures are the closed form's"]
    return ["proof"] + [
        f"  {'holds' if check.holds else 'FAILS'}   {check.text}" for check in proof.checks
    ]


# --- many networks -------------------------------------------------------------------

_COMPARED = ("network", "params", "MACs", "FLOPs", "additions", "layers", "proof")


def comparison(found: Sequence[tuple[Plan, Proof | None]]) -> str:
    """Several networks in one table, and the first failure of any proof."""
    body = []
    for plan, proof in found:
        books = cost(plan)
        verdict = "-" if proof is None else "holds" if proof.ok else "FAILS"
        body.append(
            [
                plan.name,
                f"{books.params:,}",
                short(books.macs),
                short(books.flops),
                f"{books.residual_adds:,}",
                str(plan.weighted_layers),
                verdict,
            ]
        )
    lines = _aligned(_COMPARED, body)
    for plan, proof in found:
        for check in proof.checks if proof else ():
            if not check.holds:
                lines += ["", f"{plan.name}: {check.text}"]
                break
    shapes = {size(plan.input) for plan, _ in found}
    return "\n".join([*lines, "", f"input {', '.join(sorted(shapes))}; {COUNTING}."])


_EXACT = (
    "network",
    "name",
    "kind",
    "output",
    "blocks",
    "params",
    "macs",
    "flops",
    "residual_adds",
    "activations",
)


def _exact_rows(found: Sequence[tuple[Plan, Proof | None]], by: str) -> list[list[str]]:
    made = []
    for plan, _ in found:
        total = Row("total", "", (plan.head[-1].output[0],), plan.blocks, cost(plan))
        parts = rows(plan, by) if len(found) == 1 else []
        for row in [*parts, total]:
            books = row.books
            figures = (
                row.blocks, books.params, books.macs, books.flops,
                books.residual_adds, books.activations,
            )  # fmt: skip
            made.append([plan.name, row.name, row.what, size(row.output), *map(str, figures)])
    return made


def as_csv(found: Sequence[tuple[Plan, Proof | None]], by: str) -> str:
    """Exact integers, one row a part (of one network) or a network (of several)."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow([*_EXACT, "counting"])
    writer.writerows([*row, COUNTING] for row in _exact_rows(found, by))
    return out.getvalue().rstrip("\n")


def as_markdown(found: Sequence[tuple[Plan, Proof | None]], by: str) -> str:
    """The CSV's rows as a Markdown table, with the counting rule below it."""
    lines = [f"| {' | '.join(_EXACT)} |", "|" + "|".join([" --- "] * 4 + [" ---: "] * 6) + "|"]
    lines += [f"| {' | '.join(row)} |" for row in _exact_rows(found, by)]
    lines += ["", f"{COUNTING}; input {', '.join(size(plan.input) for plan, _ in found)}."]
    for plan, proof in found:
        if proof:
            lines += ["", *(f"- {plan.name}: {line.strip()}" for line in proof_lines(proof)[1:])]
    return "\n".join(lines)


def render(found: Sequence[tuple[Plan, Proof | None]], form: str, by: str) -> str:
    """One or several networks in the format asked for."""
    if form == "json":
        data = [as_data(plan, proof, by) for plan, proof in found]
        return json.dumps(data[0] if len(data) == 1 else data, indent=2)
    if form == "csv":
        return as_csv(found, by)
    if form == "markdown":
        return as_markdown(found, by)
    return table(*found[0], by=by) if len(found) == 1 else comparison(found)
