"""Runs -> groups that differ only in seed, and what makes one group another than the first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from resgen.compare.record import MEASURES, Record
from resgen.compare.spread import Difference, Spread, difference, spread
from resgen.train.run.differing import differences
from resgen.words import listed


@dataclass(frozen=True)
class Group:
    """Runs of one network, recipe and data, each with a seed of its own."""

    label: str
    runs: tuple[Record, ...]
    """Finished, by their seeds."""
    others: tuple[Record, ...]
    """That diverged, or did not come to their end."""
    again: tuple[Record, ...]
    """Of a seed that is there already: no further draw, and left out of all figures."""
    apart: tuple[tuple[str, Any, Any], ...] = ()
    """(key, the first group's value, this one's) of all that differs between the two."""
    differing: dict[str, Difference] = field(default_factory=dict)
    """By measure, this group's mean error less the first group's, on the same images."""

    def values(self, measure: str) -> list[float]:
        """One value a run that has it."""
        return [run.errors[measure] for run in self.runs if measure in run.errors]

    def spread(self, measure: str) -> Spread | None:
        """Mean and deviation of a measure, as fractions; None where no run has it."""
        return spread(self.values(measure))

    @property
    def seeds(self) -> str:
        """`seeds 0 to 2`, `seed 1`, `no finished run`."""
        known = [run.seed for run in self.runs if run.seed is not None]
        unknown = len(self.runs) - len(known)
        if not self.runs:
            return "no finished run"
        more = f"{unknown} of unknown seed" if unknown else ""
        if not known:
            return more
        said = f"seed{'s' if len(known) > 1 else ''} {listed(known)}"
        return f"{said}, {more}" if more else said

    @property
    def folder(self) -> Path:
        """That of one of its runs."""
        return (*self.runs, *self.others, *self.again)[0].folder

    @property
    def measure(self) -> str:
        """What groups are compared by: the test error, or without one the last held-out error."""
        return "test_error" if self.values("test_error") else "last_error"


def grouped(records: Sequence[Record]) -> list[Group]:
    """The groups in the order of their first runs; differences are to the first group."""
    members: list[list[Record]] = []
    for record in records:
        for each in members:
            if not _apart(each[0], record):
                each.append(record)
                break
        else:
            members.append([record])
    labels = _labels([each[0].name for each in members])
    groups = [_group(label, each) for label, each in zip(labels, members, strict=True)]
    first = groups[:1]
    return first + [
        _beside(groups[0], members[0][0], group, each[0])
        for group, each in zip(groups[1:], members[1:], strict=True)
    ]


def _group(label: str, records: Sequence[Record]) -> Group:
    # Of a seed's runs the finished one counts.
    order = sorted(records, key=lambda each: each.state != "finished")
    taken: list[Record] = []
    again = []
    for record in order:
        known = record.seed is not None
        if known and any(record.seed == each.seed for each in taken):
            again.append(record)
        else:
            taken.append(record)
    taken.sort(key=lambda each: (each.seed is None, each.seed or 0))
    return Group(
        label,
        tuple(each for each in taken if each.state == "finished"),
        tuple(each for each in taken if each.state != "finished"),
        tuple(again),
    )


def _beside(first: Group, its: Record, group: Group, one: Record) -> Group:
    """A group with what makes it another than the first."""
    apart = tuple(_apart(its, one))
    found = {}
    if not any(_of_images(key) for key, *_ in apart):
        for measure in MEASURES:
            before, now = first.spread(measure), group.spread(measure)
            if before is not None and now is not None:
                found[measure] = difference(before, now)
    return Group(group.label, group.runs, group.others, group.again, apart, found)


def _of_images(key: str) -> bool:
    """Whether groups that differ in it were tested on other images."""
    return key.startswith("data")


def _apart(one: Record, other: Record) -> list[tuple[str, Any, Any]]:
    """Where two runs differ but for their seeds; what one of them does not say does not differ."""
    mine, its = one.facts, other.facts
    found = []
    for key in mine:
        if mine[key] is None or its[key] is None:
            continue
        pairs = differences(mine[key], its[key], key)
        if key == "data":
            pairs = (each for each in pairs if all(_has(side, each[0]) for side in (mine, its)))
        found += list(pairs)
    return found


def _has(facts: dict[str, Any], key: str) -> bool:
    """Whether a run says something of its data: earlier ones know its name only."""
    return key.removeprefix("data.") in facts["data"]


def _labels(names: Sequence[str]) -> list[str]:
    """`resnet20`; of several groups of this name `resnet20 [1]`, `resnet20 [2]`."""
    return [
        f"{name} [{names[: at + 1].count(name)}]" if names.count(name) > 1 else name
        for at, name in enumerate(names)
    ]
