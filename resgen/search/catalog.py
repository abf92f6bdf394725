"""The shipped networks, each resolved and costed from its spec: name, cost, reference."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from fnmatch import fnmatchcase
from itertools import groupby
from types import MappingProxyType
from typing import NamedTuple

from resgen.cost import COUNTING, cost
from resgen.errors import UserError
from resgen.plan import Shape, resolve
from resgen.spec import load_spec, shipped
from resgen.spec.mistakes import near
from resgen.words import COLUMNS, aligned, joined, short, size, wrapped

JSON_VERSION = 1
_LISTS = ("input", "blocks", "shortcuts", "reference")


class Item(NamedTuple):
    """One shipped network; family is the folder of its spec, blocks the kinds of its blocks."""

    name: str
    family: str
    input: Shape
    classes: int
    params: int
    macs: int
    activations: int
    layers: int
    blocks: tuple[str, ...]
    shortcuts: tuple[str, ...]
    reference: tuple[str, ...]


MEASURES = ("params", "macs", "activations", "layers")
"""What of a network is a number that lists are sorted and bounded by."""


class Wanted(NamedTuple):
    """Which networks are wanted: of a kind of block, of a shortcut, within bounds.

    least, most: the bounds of some of MEASURES, which are within.
    """

    block: str | None = None
    shortcut: str | None = None
    least: Mapping[str, int] = MappingProxyType({})
    most: Mapping[str, int] = MappingProxyType({})

    def holds(self, item: Item) -> bool:
        """Whether a network is one of them."""
        return (
            (self.block is None or self.block in item.blocks)
            and (self.shortcut is None or self.shortcut in item.shortcuts)
            and all(getattr(item, key) >= bound for key, bound in self.least.items())
            and all(getattr(item, key) <= bound for key, bound in self.most.items())
        )


def chosen(items: Sequence[Item], wanted: Wanted, sort: str = "given") -> tuple[Item, ...]:
    """Those that are wanted, smallest first by one of MEASURES, by `name`, or as they are.

    Raises UserError for a block or shortcut that none of the items has.
    """
    for key, word, known in (
        ("--block", wanted.block, {block for item in items for block in item.blocks}),
        ("--shortcut", wanted.shortcut, {word for item in items for word in item.shortcuts}),
    ):
        if word is not None and word not in known:
            meant = near(word, sorted(known))
            hint = f"did you mean {joined(meant, 'or')}?" if meant else _known(known)
            raise UserError(f"{key} {word}: none of {len(items)} networks has it; {hint}")
    found = [item for item in items if wanted.holds(item)]
    if sort == "name":
        found.sort(key=lambda item: item.name.rpartition("/")[2])
    elif sort != "given":
        found.sort(key=lambda item: (getattr(item, sort), item.name))
    return tuple(found)


def _known(words: Collection[str]) -> str:
    if len(words) > 16:
        return "`resgen list --format json` has those of each"
    return f"there are {joined(sorted(words))}"


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
    blocks = (run.block.kind for stage in plan.stages for run in stage.blocks)
    return Item(
        name, name.rpartition("/")[0], plan.input, plan.classes,
        books.params, books.macs, books.activations, plan.weighted_layers,
        tuple(dict.fromkeys(kind.removeprefix("preact_") for kind in blocks)),
        tuple(dict.fromkeys(dict(plan.about)["shortcut"].split(", "))), spec.reference,
    )  # fmt: skip


def as_json(items: Iterable[Item]) -> str:
    """Exact integers, one object a network."""
    networks = [
        {**item._asdict(), **{key: list(getattr(item, key)) for key in _LISTS}} for item in items
    ]
    content = {"version": JSON_VERSION, "counting": COUNTING, "networks": networks}
    return json.dumps(content, indent=2)


def as_table(items: Sequence[Item], sort: str = "given") -> str:
    """A paragraph a family, or sorted a line a network; of several references the first."""
    lines: list[str] = []
    for family, members in groupby(items, lambda item: item.family if sort == "given" else None):
        body = [_cells(item, family) for item in members]
        lines += [*_rows([family or "", "input", "params", "MACs"], body), ""]
    count = f"{len(items)} network{'s' if len(items) != 1 else ''}"
    return "\n".join([*lines, *wrapped(f"{count}. {COUNTING}.")])


def _rows(header: list[str], body: list[tuple[list[str], str]]) -> list[str]:
    """The rows; a reference that does not fit behind its own has the next line."""
    first, *lines = aligned(header, [cells for cells, _ in body])
    made = [f"{first}  same as"]
    for line, (_, reference) in zip(lines, body, strict=True):
        fits = len(line) + 2 + len(reference) <= COLUMNS
        made += [f"{line}  {reference}"] if fits else [line, f"      = {reference}"]
    return made


def _cells(item: Item, family: str | None) -> tuple[list[str], str]:
    first = item.reference[0] if item.reference else "-"
    more = f" +{len(item.reference) - 1}" if len(item.reference) > 1 else ""
    name = item.name if family is None else f"  {item.name.rpartition('/')[2]}"
    return [name, size(item.input), short(item.params), short(item.macs)], first + more
