"""Plan, cost and proof -> the report as table, JSON, CSV or Markdown text."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from resgen.cost import COUNTING, cost, shortcut_costs
from resgen.cost.conventions import Convention
from resgen.cost.roofline import Roofline
from resgen.plan import Plan
from resgen.proof import Proof
from resgen.report import roofline
from resgen.report.rows import Row, rows, total
from resgen.report.tables import FORMATS, heading, row_values, rule_lines, table
from resgen.words import aligned, overridden, short, size, wrapped

__all__ = ["Entry", "as_data", "heading", "render", "rows", "table"]

SCHEMA_VERSION = 1


class Entry(NamedTuple):
    """What is known of one network: its Plan, and its proof where it was measured.

    training: the memory of a training step as plain values; lines: the same as text.
    error: what its run ended with, as a fraction, where it was trained; of several the mean.
    runs: what is known of its runs, as plain values. roof: what its layers are held against.
    """

    plan: Plan
    proof: Proof | None = None
    training: dict[str, Any] | None = None
    lines: tuple[str, ...] = ()
    error: float | None = None
    runs: list[dict[str, Any]] | None = None
    roof: Roofline | None = None


def as_data(
    plan: Plan,
    proof: Proof | None,
    by: str = "stage",
    convention: Convention | None = None,
    training: dict[str, Any] | None = None,
    roof: Roofline | None = None,
) -> dict[str, Any]:
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
        "weight_bytes": {name: each * books.params for name, each in FORMATS},
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
        data[f"{by}s"] = [
            _row_data(row) | (roofline.values(row.moved, roof) if roof else {})
            for row in rows(plan, by)
        ]
    if roof:
        data["roofline"] = roofline.summary(plan, roof)
    if convention:
        data["convention"] = {
            "name": convention.name,
            "says": convention.says,
            "macs": total(plan, convention.macs).macs,
            "rows": [
                {"name": row.name, "macs": row.macs} for row in rows(plan, by, convention.macs)
            ],
            "note": convention.note(plan),
        }
    if training is not None:
        data["training"] = training
    if plan.overrides:
        data["overrides"] = list(plan.overrides)
    return data


def _row_data(row: Row) -> dict[str, Any]:
    data: dict[str, Any] = {"name": row.name, "output": list(row.output)}
    if row.kind:
        data["kind"] = row.kind
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


# --- many networks -------------------------------------------------------------------

SORTS: dict[str, Callable[[Plan], Any]] = {
    "given": lambda plan: 0,
    "name": lambda plan: plan.name,
    "params": lambda plan: cost(plan).params,
    "macs": lambda plan: cost(plan).macs,
    "activations": lambda plan: cost(plan).activations,
    "layers": lambda plan: plan.weighted_layers,
}
_COMPARED = ("network", "params", "+/-", "MACs", "+/-", "FLOPs", "layers", "proof")


def comparison(found: Sequence[Entry], convention: Convention | None = None) -> str:
    """Several networks in one table, differences against the first, and what failed."""
    rule = convention.macs if convention else None
    first = total(found[0].plan, rule)
    body = []
    for plan, proof, *_ in found:
        whole = total(plan, rule)
        verdict = "-" if proof is None else "holds" if proof.ok else "FAILS"
        body.append(
            [
                plan.name,
                f"{whole.books.params:,}",
                change(whole.books.params, first.books.params),
                short(whole.macs),
                change(whole.macs, first.macs),
                short(2 * whole.macs),
                str(plan.weighted_layers),
                verdict,
            ]
        )
    header = [*_COMPARED]
    if any(entry.error is not None for entry in found):
        header.append("error")
        for line, entry in zip(body, found, strict=True):
            line.append("-" if entry.error is None else f"{entry.error:.2%}")
    lines = aligned(header, body)
    for plan, proof, *_ in found:
        for check in proof.checks if proof else ():
            if not check.holds:
                lines += ["", f"{plan.name}: {check.text}"]
                break
    for entry in found:
        if entry.lines:
            lines += ["", entry.plan.name, *entry.lines]
    inputs = ", ".join(dict.fromkeys(size(entry.plan.input) for entry in found))
    lines += ["", *wrapped(f"+/- against {found[0].plan.name}; input {inputs}.")]
    return "\n".join([*lines, *rule_lines([entry.plan for entry in found], convention)])


def change(count: int, first: int) -> str:
    """`+1.50%`, `x2.3`, `=`."""
    if count == first or not first:
        return "="
    change = count / first - 1
    return f"{change:+.2%}" if abs(change) < 9.995 else f"x{count / first:.1f}"


# --- exports -------------------------------------------------------------------------

_EXACT = (
    "network", "row", "kind", "output", "blocks",
    "params", "macs", "flops", "residual_adds", "activations",
)  # fmt: skip
_BOUND = ("bytes", "operations_per_byte", "bound")


def _exact_rows(found: Sequence[Entry], by: str, convention: Convention | None) -> list[list[str]]:
    rule = convention.macs if convention else None
    made = []
    for entry in found:
        parts = rows(entry.plan, by, rule) if len(found) == 1 else []
        for row in (*parts, total(entry.plan, rule)):
            bounds = roofline.exact(row.moved, entry.roof) if entry.roof else []
            made.append([entry.plan.name, *row_values(row), *bounds])
    return made


def _exact_header(found: Sequence[Entry]) -> list[str]:
    return [*_EXACT, *(_BOUND if found[0].roof else ())]


def _counting(convention: Convention | None) -> str:
    return COUNTING if convention is None else f"{COUNTING}; MACs by {convention.says}"


def as_csv(found: Sequence[Entry], by: str, convention: Convention | None = None) -> str:
    """Exact integers, one row a part (of one network) or a network (of several)."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    inputs = {entry.plan.name: size(entry.plan.input) for entry in found}
    typed = overridden(found[0].plan.overrides) if found[0].plan.overrides else None
    writer.writerow([*_exact_header(found), "input", "counting", *(["with"] if typed else [])])
    for row in _exact_rows(found, by, convention):
        writer.writerow([*row, inputs[row[0]], _counting(convention), *([typed] if typed else [])])
    return out.getvalue().rstrip("\n")


def as_markdown(found: Sequence[Entry], by: str, convention: Convention | None = None) -> str:
    """The CSV's rows as a Markdown table, with the counting rule below it."""
    header = _exact_header(found)
    rule = [" --- "] * 4 + [" ---: "] * (len(header) - 4)
    lines = [f"| {' | '.join(header)} |", "|" + "|".join(rule) + "|"]
    lines += [f"| {' | '.join(row)} |" for row in _exact_rows(found, by, convention)]
    inputs = ", ".join(dict.fromkeys(size(entry.plan.input) for entry in found))
    typed = found[0].plan.overrides
    with_ = f"; with {overridden(typed)}" if typed else ""
    lines += ["", f"{_counting(convention)}; input {inputs}{with_}."]
    for plan, proof, *_ in found:
        if proof:
            lines += ["", *(f"- {plan.name}: {_verdict(c)} {c.text}" for c in proof.checks)]
    return "\n".join(lines)


def _verdict(check: Any) -> str:
    return "holds:" if check.holds else "FAILS:"


def render(found: Sequence[Entry], form: str, by: str, convention: Convention | None = None) -> str:
    """One or several networks in the format asked for."""
    if form == "json":
        data = [
            as_data(e.plan, e.proof, by, convention, e.training, e.roof)
            | ({} if e.runs is None else {"runs": e.runs})
            for e in found
        ]
        return json.dumps(data[0] if len(data) == 1 else data, indent=2)
    if form == "csv":
        return as_csv(found, by, convention)
    if form == "markdown":
        return as_markdown(found, by, convention)
    if len(found) > 1:
        return comparison(found, convention)
    entry = found[0]
    return table(entry.plan, entry.proof, by, convention, entry.lines, entry.roof)
