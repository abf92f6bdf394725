"""What the classes of blocks are called: the usual one plainly, the odd ones by what they are."""

from __future__ import annotations

from collections.abc import Callable, Set
from itertools import chain, count
from typing import Any, NamedTuple

from resgen.plan import Block, Plan
from resgen.source.called import camel
from resgen.source.classes import structure

TITLES = {
    "basic": "BasicBlock",
    "bottleneck": "Bottleneck",
    "preact_basic": "PreActBasicBlock",
    "preact_bottleneck": "PreActBottleneck",
}


class Kin(NamedTuple):
    """The blocks of one structure, and how many there are in each place, repeats and all.

    first: the network's first block; entries: the first blocks of later stages; inner: the
    blocks behind those.
    """

    blocks: tuple[Block, ...] = ()
    first: int = 0
    entries: int = 0
    inner: int = 0

    @property
    def total(self) -> int:
        """The number of blocks in the whole network."""
        return self.first + self.entries + self.inner

    @property
    def title(self) -> str:
        """The name of the usual class of this kind."""
        kind = self.blocks[0].kind
        return TITLES.get(kind) or camel(kind)

    @property
    def plain(self) -> bool:
        """Whether the blocks have no shortcut."""
        return self.blocks[0].shortcut.kind == "none"


# What stands before the title of an odd structure: the first word that is true of it, beside
# the usual one, and is not taken.
WORDS: dict[str, Callable[[Kin, Kin], bool]] = {
    "First": lambda odd, usual: odd.total == odd.first,
    "Plain": lambda odd, usual: odd.plain and not usual.plain,
    "Entry": lambda odd, usual: odd.inner == 0,
    "Inner": lambda odd, usual: odd.total == odd.inner,
}


def named_blocks(plan: Plan, others: Set[str] = frozenset()) -> dict[str, tuple[Block, ...]]:
    """Class name -> the blocks of one structure, in the order of first use.

    The commonest structure of a title, of equals the earliest, has the title alone.
    """
    kinds = _kinds(plan)
    usual: dict[str, Kin] = {}
    for kin in kinds:
        if kin.title not in usual or kin.total > usual[kin.title].total:
            usual[kin.title] = kin
    named: dict[str, tuple[Block, ...]] = {}
    for kin in kinds:
        known = usual[kin.title]
        taken = named.keys() | usual.keys() | others
        plain = kin is known and kin.title not in others
        name = kin.title if plain else _odd_name(kin, known, taken)
        named[name] = kin.blocks
    return named


def _odd_name(odd: Kin, usual: Kin, taken: Set[str]) -> str:
    """EntryBottleneck; with a number where every word that is true of it is taken."""
    words = [word for word, holds in WORDS.items() if holds(odd, usual)] or [""]
    names = (f"{word}{odd.title}{n}" for n in chain([""], count(2)) for word in words)
    return next(name for name in names if name not in taken)


def _kinds(plan: Plan) -> list[Kin]:
    """Every structure of block, in the order of first use."""
    found: dict[Any, Kin] = {}
    for stage in plan.stages:
        for run in stage.runs:
            key = structure(run.block)
            kin = found.get(key, Kin())
            opens = int(run.first == 0)
            first = opens if stage is plan.stages[0] else 0
            found[key] = Kin(
                (*kin.blocks, run.block),
                kin.first + first,
                kin.entries + opens - first,
                kin.inner + run.count - opens,
            )
    return list(found.values())
