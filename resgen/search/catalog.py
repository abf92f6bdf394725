"""The shipped networks, each resolved and costed from its spec: name, cost, reference."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from fnmatch import fnmatchcase
from itertools import groupby
from typing import NamedTuple

from resgen.cost import COUNTING, cost
from resgen.errors import UserError
from resgen.plan import Shape, resolve
from resgen.spec import load_spec, shipped
from resgen.spec.mistakes import near
from resgen.words import aligned, joined, short, size, wrapped

JSON_VERSION = 1


class Item(NamedTuple):
    """One shipped network; family is the folder of its spec."""

    name: str
    family: str
    input: Shape
    classes: int
    params: int
    macs: int
    reference: tuple[str, ...]


def catalog(pattern: str = "*", family: str | None = None) -> tuple[Item, ...]:
    """The shipped networks whose name, with or without its folder, matches a pattern.

    A pattern without `*`, `?` or `[` matches names that contain it. Raises UserError
    where none does, and where no family has the name given.
    """
    whole = pattern if any(c in pattern for c in "*?[") else f"*{pattern}*"
    known = shipped.names()
    if family is not None:
        families = list(dict.fromkeys(name.partition("/")[0] for name in known))
        if family not in families:
            meant = near(family, families)
            hint = f"did you mean {joined(meant, 'or')}?" if meant else f"known: {joined(families)}"
            raise UserError(f"{family}: no family of shipped networks has this name; {hint}")
        known = tuple(name for name in known if name.startswith(f"{family}/"))
    found = [
        name
        for name in known
        if fnmatchcase(name, whole) or fnmatchcase(name.rpartition("/")[2], whole)
    ]
    if not found:
        meant = shipped.guesses("spec", pattern)
        hint = f"did you mean {joined(meant, 'or')}?" if meant else "`resgen list` shows them all"
        raise UserError(f"{pattern}: no shipped network has such a name; {hint}")
    return tuple(_item(name) for name in found)


def _item(name: str) -> Item:
    spec = load_spec(name)
    plan = resolve(spec)
    books = cost(plan)
    family = name.rpartition("/")[0]
    return Item(name, family, plan.input, plan.classes, books.params, books.macs, spec.reference)


def _clipped(line: str) -> str:
    """A line in 80 columns; a long reference is whole in the JSON."""
    return line if len(line.rstrip()) <= 80 else f"{line[:77]}..."


def as_json(items: Iterable[Item]) -> str:
    """Exact integers, one object a network."""
    networks = [
        {**item._asdict(), "input": list(item.input), "reference": list(item.reference)}
        for item in items
    ]
    content = {"version": JSON_VERSION, "counting": COUNTING, "networks": networks}
    return json.dumps(content, indent=2)


def as_table(items: Sequence[Item]) -> str:
    """A paragraph a family, a line a network; references after the first are in the JSON."""
    header = ["", "input", "params", "MACs", "same as"]
    lines: list[str] = []
    for family, members in groupby(items, lambda item: item.family):
        body = [_cells(item) for item in members]
        width = max(len(row[-1]) for row in [header, *body])
        padded = [[*row[:-1], row[-1].ljust(width)] for row in [[family, *header[1:]], *body]]
        lines += [*map(_clipped, aligned(padded[0], padded[1:])), ""]
    count = f"{len(items)} network{'s' if len(items) != 1 else ''}"
    return "\n".join([*lines, *wrapped(f"{count}. {COUNTING}.")])


def _cells(item: Item) -> list[str]:
    first = item.reference[0] if item.reference else "-"
    more = f" +{len(item.reference) - 1}" if len(item.reference) > 1 else ""
    name = item.name.rpartition("/")[2]
    return [f"  {name}", size(item.input), short(item.params), short(item.macs), first + more]
