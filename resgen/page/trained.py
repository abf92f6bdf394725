"""Groups of runs -> their errors over seeds, what differs, curves, and how each run was made."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from resgen.compare.forms import NOTE, RULE, WORDS, about, all_of, notes, said, value_text
from resgen.compare.groups import Group
from resgen.compare.record import MEASURES, Record
from resgen.page import tables
from resgen.page.rendering import pairs
from resgen.page.svg import Picture, picture
from resgen.page.tables import Table
from resgen.train.run.figures import curves


@dataclass(frozen=True)
class Against:
    """What makes a group another than the first: keys, and the differences of errors."""

    title: str
    keys: Table | None
    said: tuple[str, ...]


@dataclass(frozen=True)
class Made:
    """How a run was made."""

    title: str
    command: str
    places: Table


@dataclass(frozen=True)
class Training:
    """All that a page says of runs."""

    groups: Table
    notes: tuple[str, ...]
    against: tuple[Against, ...]
    curves: Picture | None
    runs: Table
    made: tuple[Made, ...]


def training(groups: Sequence[Group]) -> Training | None:
    """None where there are no runs."""
    if not groups:
        return None
    return Training(
        _errors(groups),
        tuple(f"{group.label}: {note}" for group in groups for note in notes(group)),
        tuple(
            _against(groups[0], group, number) for number, group in enumerate(groups[1:], 1)
        ),
        _curves(groups),
        _runs(groups),
        tuple(
            _made(record, f"run-{number}")
            for number, (record, _) in enumerate((p for g in groups for p in all_of(g)), 1)
        ),
    )  # fmt: skip


def _shown(groups: Sequence[Group]) -> list[str]:
    """The measures that any group has."""
    return [measure for measure in MEASURES if any(g.values(measure) for g in groups)]


def _errors(groups: Sequence[Group]) -> Table:
    measures = _shown(groups)
    rows = []
    for group in groups:
        spreads = [group.spread(measure) for measure in measures]
        cells = [
            tables.percent(found.mean, found.deviation) if found else tables.NONE
            for found in spreads
        ]
        rows.append(
            (tables.name(group.label), tables.count(len(group.runs)), *cells,
             tables.word(about(group)))
        )  # fmt: skip
    heads = ("runs", "n", *(f"{MEASURES[m]} (%)" for m in measures), "what they are")
    note = f"{NOTE[0].upper()}{NOTE[1:]} {RULE}" if len(groups) > 1 else NOTE
    note = f"{note[0].upper()}{note[1:]}"
    return Table("groups", "Errors over the seeds", heads, tuple(rows), note=note)


def _against(first: Group, group: Group, number: int) -> Against:
    rows = tuple(
        (tables.name(key.lstrip(".")), tables.word(value_text(one)), tables.word(value_text(its)))
        for key, one, its in group.apart
    )
    title = f"{group.label} against {first.label}"
    keys = Table(
        f"apart-{number}", "What differs", ("key", first.label, group.label), rows, sortable=False
    )
    lines = tuple(
        f"{WORDS[measure]} error: {said(group.differing[measure])}"
        for measure in dict.fromkeys((group.measure, "train_error"))
        if measure in group.differing
    )
    other = any(key.startswith("data") for key, *_ in group.apart)
    why = "tested on other images" if other else "no finished runs on one side"
    return Against(title, keys if rows else None, lines or (f"not compared: {why}",))


def _curves(groups: Sequence[Group]) -> Picture | None:
    rows = {g.label: [run.rows for run in (*g.runs, *g.others) if run.rows] for g in groups}
    shown = {label: own for label, own in rows.items() if own}
    if not shown:
        return None
    data = dict.fromkeys(str(run.data["name"]) for g in groups for run in g.runs if run.data)
    title = f"Errors over epochs, {', '.join(data)}" if data else "Errors over epochs"
    ends = []
    for label, own in shown.items():
        last = own[0][-1]
        if "heldout_error" in last:
            ends.append(f"{label} ends at {last['heldout_error']:.2%} held out")
    document = curves(shown, "svg", title=", ".join(data)).decode()
    return picture(document, "curves", title=title, description="; ".join(ends))


def _runs(groups: Sequence[Group]) -> Table:
    """Those that did not finish first."""
    measures = _shown(groups)
    found = [(group, run, state) for group in groups for run, state in all_of(group)]
    found.sort(key=lambda each: each[2] in ("finished", "again"))
    rows = tuple(
        (
            tables.name(group.label),
            tables.number("?") if run.seed is None else tables.count(run.seed),
            tables.badge(*_STATES[state]),
            *(tables.percent(run.errors.get(measure)) for measure in measures),
            tables.NONE if run.best_epoch is None
            else tables.number(f"{run.best_epoch:g}", run.best_epoch),
            tables.path(str(run.folder)),
        )
        for group, run, state in found
    )  # fmt: skip
    heads = ("runs", "seed", "state", *(f"{MEASURES[m]} (%)" for m in measures), "best epoch",
             "folder")  # fmt: skip
    return Table("runs", "Every run", heads, rows)


_STATES = {
    "finished": ("finished", "good"),
    "again": ("seed counted already", "none"),
    "diverged": ("diverged", "bad"),
    "unfinished": ("unfinished", "open"),
}


def _made(run: Record, key: str) -> Made:
    entries = environments(run)
    first = entries[0] if entries else {}
    places = [(name, value) for name, value in first.items() if name != "command"]
    places += [
        (f"resumed at step {each.get('step', '?')}", each.get("started")) for each in entries[1:]
    ]
    seed = "" if run.seed is None else f", seed {run.seed}"
    return Made(
        f"{run.name}{seed}",
        str(first.get("command") or ""),
        tables.facts(key, f"Environment of {run.folder}", pairs(places)),
    )


def environments(run: Record) -> list[dict[str, Any]]:
    """What environment.json says, an entry a start; none of a damaged file."""
    try:
        found = json.loads((run.folder / "environment.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return []
    entries = found if isinstance(found, list) else [found]
    return [entry for entry in entries if isinstance(entry, dict)]
