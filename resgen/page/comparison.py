"""Several networks, and runs of them -> what they cost, where they differ, what they got wrong."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from resgen.compare.groups import Group, grouped
from resgen.compare.record import networks, read
from resgen.compare.spread import spread
from resgen.cost import COUNTING, cost
from resgen.errors import each
from resgen.page import tables
from resgen.page.rendering import plain, rendered
from resgen.page.sheet import Prove, Sheet, Typed, sheet_of
from resgen.page.svg import Picture, picture
from resgen.page.tables import Cell, Table
from resgen.page.trained import training
from resgen.plan import Plan, resolve
from resgen.report.formats import change
from resgen.report.plots import outcome, plot
from resgen.spec import Spec, load_spec
from resgen.spec.loading import resolved_data
from resgen.words import joined, short, size


@dataclass(frozen=True)
class Network:
    """One network of a comparison, and the folders of its runs."""

    source: str
    spec: Spec
    plan: Plan
    runs: tuple[Path, ...]


def comparison_page(
    sources: Sequence[str],
    overrides: Sequence[str] = (),
    *,
    prove: Prove | None = None,
    command: str = "",
) -> str:
    """Specs and run folders beside each other as an HTML document.

    Runs of one network that differ in their seeds alone are a group, with mean and deviation.
    Raises UserError for what is neither a spec nor a folder of runs.
    """
    found = each(lambda pair: _network(*pair, overrides), networks(sources))
    groups = grouped(each(read, [run for network in found for run in network.runs]))
    sheets = [
        sheet_of(
            one.plan, one.spec, f"net-{number}", prove, typed=Typed(one.source, tuple(overrides))
        )
        for number, one in enumerate(found, 1)
    ]
    return rendered(
        "comparison.html.j2",
        title=_title(found),
        command=command,
        names=joined([one.plan.name for one in found]),
        costs=_costs(found, sheets, groups),
        keys=_keys(found),
        cloud=_cloud(found),
        training=training(groups),
        sheets=sheets,
    )


def _network(source: str, runs: Sequence[Path], overrides: Sequence[str]) -> Network:
    spec = load_spec(source, overrides)
    return Network(source, spec, resolve(spec), tuple(runs))


def _title(found: Sequence[Network]) -> str:
    names = [one.plan.name for one in found]
    return joined(names) if len(names) < 4 else f"{len(names)} networks compared"


def _costs(found: Sequence[Network], sheets: Sequence[Sheet], groups: Sequence[Group]) -> Table:
    """A row a network, with its difference to the first."""
    errors = [_error(one, groups) for one in found]
    trained = any(error is not None for error in errors)
    rows = []
    first = cost(found[0].plan)
    for one, sheet, error in zip(found, sheets, errors, strict=True):
        books = cost(one.plan)
        cells: list[Cell] = [
            tables.name(one.plan.name),
            tables.number(size(one.plan.input).replace("x", "\u00d7"), one.plan.input[1]),
            tables.count(books.params),
            _change(books.params, first.params),
            tables.count(books.macs),
            _change(books.macs, first.macs),
            tables.rounded(books.flops),
            tables.count(books.activations),
            tables.count(one.plan.weighted_layers),
        ]
        if trained:
            cells.append(tables.percent(error))
        rows.append((*cells, _proof(sheet)))
    heads = ("network", "input", "params", "+/\u2212", "MACs", "+/\u2212", "FLOPs", "activations",
             "layers", *(["error (%)"] if trained else []), "proof")  # fmt: skip
    error_note = " Errors are means over the finished runs: of the test images, or without any of "
    return Table(
        "costs", "What the networks cost", heads, tuple(rows),
        note=f"+/\u2212 against {found[0].plan.name}. {COUNTING}."
        + (f"{error_note}those held out." if trained else ""),
    )  # fmt: skip


def _change(count: int, first: int) -> Cell:
    text = change(count, first)
    return tables.number(text.replace("-", "\u2212").replace("x", "\u00d7"), count - first)


def _proof(sheet: Sheet) -> Cell:
    if not sheet.ok:
        return tables.badge("fails", "bad")
    return tables.badge("holds", "good") if sheet.measured else tables.badge("not measured", "none")


def _error(one: Network, groups: Sequence[Group]) -> float | None:
    """The mean over its finished runs, by what groups are compared by."""
    own = [
        run.errors[group.measure]
        for group in groups
        for run in group.runs
        if run.folder in one.runs and group.measure in run.errors
    ]
    found = spread(own)
    return found.mean if found else None


# ---- what differs

_MOST = 60
"""Letters of a value in the table; the sheets have all."""


def _keys(found: Sequence[Network]) -> Table | None:
    """A row a key of the full specs that is not the same in all of them."""
    flat = [dict(_flat(resolved_data(one.spec), "")) for one in found]
    every = dict.fromkeys(key for one in flat for key in one)
    rows = []
    for key in every:
        values = [_short(one[key]) if key in one else "\u2013" for one in flat]
        if key != "name" and len({str(one.get(key)) for one in flat}) > 1:
            rows.append((tables.name(key), *map(tables.word, values)))
    if len(found) < 2 or not rows:
        return None
    heads = ("key", *(one.plan.name for one in found))
    return Table("keys", "Keys of the full specs that differ", heads, tuple(rows), sortable=False)


def _flat(value: Any, path: str) -> list[tuple[str, Any]]:
    """(key path, plain value) of nested mappings and of lists of mappings."""
    if isinstance(value, dict) and value:
        return [
            pair
            for key, inner in value.items()
            for pair in _flat(inner, f"{path}.{key}" if path else str(key))
        ]
    if isinstance(value, list) and value and all(isinstance(inner, dict) for inner in value):
        return [pair for at, one in enumerate(value) for pair in _flat(one, f"{path}[{at}]")]
    return [(path, value)]


def _short(value: Any) -> str:
    text = plain(value)
    return text if len(text) <= _MOST else f"{text[: _MOST - 3]}..."


def _cloud(found: Sequence[Network]) -> Picture | None:
    """Params against MACs; of networks that all were trained, errors against both."""
    points = [(one.plan, outcome(str(run))[1]) for one in found for run in one.runs]
    if not all(one.runs for one in found) or any(end is None for _, end in points):
        points = [(one.plan, None) for one in found]
    if len(points) < 2:
        return None
    plans, ends = zip(*points, strict=True)
    document = plot(plans, ends, "svg").decode()
    said = "; ".join(
        f"{one.plan.name}: {short(cost(one.plan).params)} params, {short(cost(one.plan).macs)} MACs"
        for one in found
    )
    return picture(document, "cloud", title="Networks by what they cost", description=said)
