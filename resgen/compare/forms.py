"""Groups of runs -> text of 80 columns, JSON values, CSV and Markdown rows."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Sequence
from typing import Any

from resgen.compare.groups import Group
from resgen.compare.record import MEASURES, Record
from resgen.compare.spread import Difference, Spread
from resgen.errors import one_line
from resgen.words import aligned, hung, wrapped

SCHEMA_VERSION = 1
NOTE = (
    "errors in %, the mean over the seeds with its standard deviation: training with the weights "
    "of each step of the last epoch; held out and test with the last weights."
)
RULE = (
    "Differences of means in points, the group's less the first's, with Welch's 95 % interval, "
    "each by itself: within the spread where 0 lies in it."
)
_MOST = 6
"""Differences between two groups that are named; JSON has all."""


def table(groups: Sequence[Group]) -> str:
    """The groups' errors, which runs they are, and what differs from the first group."""
    header = ("runs", "n", *MEASURES.values())
    rows = [(g.label, str(len(g.runs)), *(_cell(g.spread(m)) for m in MEASURES)) for g in groups]
    lines = aligned(header, rows)
    lines.append("")
    for group in groups:
        lines += hung("", f"{group.label}: {about(group)}", 0)
        lines += [line for note in notes(group) for line in hung("", note, 2)]
    for group in groups[1:]:
        lines += ["", *wrapped(f"{group.label} against {groups[0].label}"), *_against(group)]
    lines += ["", *wrapped(NOTE)]
    return "\n".join([*lines, *(wrapped(RULE) if len(groups) > 1 else [])])


def _cell(found: Spread | None) -> str:
    """`1.57 (0.50)`; of one value without a deviation."""
    if found is None:
        return "-"
    if found.deviation is None:
        return f"{100 * found.mean:.2f} (-)"
    return f"{100 * found.mean:.2f} ({100 * found.deviation:.2f})"


def about(group: Group) -> str:
    """Its seeds, data, device and precision."""
    one = (*group.runs, *group.others, *group.again)[0]
    data = "unknown data" if one.data is None else str(one.data.get("name"))
    place = ", ".join(str(one.place[key]) for key in ("device", "precision") if one.place[key])
    return ", ".join(part for part in (group.seeds, data, place) if part)


def notes(group: Group) -> list[str]:
    """What is not in the figures, and why."""
    found = []
    for run in group.others:
        seed = "a run of unknown seed" if run.seed is None else f"seed {run.seed}"
        why = "diverged" if run.state == "diverged" else f"has not ended, {run.why}"
        found.append(f"left out: {seed} {why} ({run.folder})")
    for run in group.again:
        found.append(f"left out: seed {run.seed} once more ({run.folder})")
    return [one_line(each) for each in found]


def _against(group: Group) -> list[str]:
    lines = []
    for key, before, now in group.apart[:_MOST]:
        lines += hung("", f"{key.lstrip('.')}: {value_text(before)} -> {value_text(now)}", 2)
    if len(group.apart) > _MOST:
        lines.append(f"  and {len(group.apart) - _MOST} more keys")
    if not group.differing:
        other = any(key.startswith("data") for key, *_ in group.apart)
        why = "tested on other images" if other else "no finished runs on one side"
        return [*lines, f"  not compared: {why}"]
    for measure in dict.fromkeys((group.measure, "train_error")):
        if measure in group.differing:
            words = WORDS[measure]
            lines += hung("", f"{words} error: {said(group.differing[measure])}", 2)
    return lines


WORDS = {"train_error": "training", "last_error": "held-out", "test_error": "test"}


def value_text(value: Any) -> str:
    """A key's value in at most 40 letters."""
    text = "none" if value is None else json.dumps(value) if not isinstance(value, str) else value
    return one_line(text if len(text) <= 40 else f"{text[:37]}...")


def said(found: Difference) -> str:
    """`-0.60 points (-1.55 to +0.35), within the spread`."""
    points = f"{100 * found.mean:+.2f} points"
    if found.low is not None and found.high is not None:
        points += f" ({100 * found.low:+.2f} to {100 * found.high:+.2f})"
    return f"{points}, {_VERDICTS[found.verdict]}"


_VERDICTS = {
    "unknown": "of which nothing can be said: of one seed there is no spread",
    "equal": "the same in every run",
    "constant": "of which no interval can be given: neither has any spread",
    "within": "within the spread",
    "beyond": "beyond the spread",
}


# ---- for other programs


def group_data(group: Group) -> dict[str, Any]:
    """A group as plain values, errors as fractions."""
    one = (*group.runs, *group.others, *group.again)[0]
    return {
        "label": group.label,
        "n": len(group.runs),
        "seeds": [run.seed for run in group.runs],
        "data": one.data,
        "recipe": one.recipe,
        **one.place,
        "errors": {
            measure: {**found._asdict(), "values": group.values(measure)}
            for measure in MEASURES
            if (found := group.spread(measure)) is not None
        },
        "left_out": [
            {"folder": str(run.folder), "seed": run.seed, "state": run.state, "why": run.why}
            for run in (*group.others, *group.again)
        ],
        "folders": [str(run.folder) for run in group.runs],
        "differs": [{"key": key, "first": before, "here": now} for key, before, now in group.apart],
        "differences": {key: each._asdict() for key, each in group.differing.items()},
    }


def as_json(groups: Sequence[Group]) -> str:
    """All groups in one object with a version."""
    data = {"version": SCHEMA_VERSION, "groups": [group_data(each) for each in groups]}
    return json.dumps(data, indent=2)


_RUN = ("network", "group", "seed", "state", *MEASURES, "best_epoch", "folder")
_GROUP = (
    "network", "group", "n", "seeds",
    *(f"{measure}_{part}" for measure in MEASURES for part in ("mean", "deviation")),
    "measure", "difference", "low", "high", "verdict", "differs",
)  # fmt: skip


def _run_rows(groups: Sequence[Group]) -> list[list[Any]]:
    return [
        [
            run.name, group.label, run.seed, state,
            *(run.errors.get(measure) for measure in MEASURES), run.best_epoch, str(run.folder),
        ]
        for group in groups
        for run, state in all_of(group)
    ]  # fmt: skip


def all_of(group: Group) -> Iterable[tuple[Record, str]]:
    """Its runs, each with its state; `again` of those left out because their seed is there."""
    yield from ((run, run.state) for run in (*group.runs, *group.others))
    yield from ((run, "again") for run in group.again)


def _group_rows(groups: Sequence[Group]) -> list[list[Any]]:
    rows = []
    for group in groups:
        spreads = [group.spread(measure) for measure in MEASURES]
        found = group.differing.get(group.measure)
        name = (*group.runs, *group.others, *group.again)[0].name
        rows.append(
            [
                name, group.label, len(group.runs),
                " ".join(str(run.seed) for run in group.runs),
                *(part for each in spreads for part in (each[1:] if each else (None, None))),
                group.measure, *(found or (None,) * 4),
                " ".join(key for key, *_ in group.apart),
            ]
        )  # fmt: skip
    return rows


def _rows(groups: Sequence[Group], by: str) -> tuple[Sequence[str], list[list[str]]]:
    header, rows = (_RUN, _run_rows(groups)) if by == "run" else (_GROUP, _group_rows(groups))
    return header, [[_plain(value) for value in row] for row in rows]


def _plain(value: Any) -> str:
    return "" if value is None else one_line(str(value))


def as_csv(groups: Sequence[Group], by: str) -> str:
    """A row a run or a group, errors as fractions in full."""
    out = io.StringIO()
    header, rows = _rows(groups, by)
    csv.writer(out, lineterminator="\n").writerows([header, *rows])
    return out.getvalue().rstrip("\n")


def as_markdown(groups: Sequence[Group], by: str) -> str:
    """The CSV's rows as a Markdown table."""
    header, rows = _rows(groups, by)
    lines = [f"| {' | '.join(header)} |", f"|{'|'.join([' --- '] * len(header))}|"]
    return "\n".join([*lines, *(f"| {' | '.join(_escaped(row))} |" for row in rows)])


def _escaped(row: Sequence[str]) -> list[str]:
    return [cell.replace("|", "\\|") for cell in row]


def run_table(groups: Sequence[Group]) -> str:
    """A row a run, errors in %."""
    header = ("runs", "seed", "state", *MEASURES.values())
    rows = [
        (
            group.label, "?" if run.seed is None else str(run.seed), state,
            *(f"{100 * run.errors[m]:.2f} %" if m in run.errors else "-" for m in MEASURES),
        )
        for group in groups
        for run, state in all_of(group)
    ]  # fmt: skip
    return "\n".join(aligned(header, rows))


def render(groups: Sequence[Group], form: str, by: str) -> str:
    """The comparison alone, in the format asked for: `by` run or group."""
    if form == "json":
        return as_json(groups)
    if form == "csv":
        return as_csv(groups, by)
    if form == "markdown":
        return as_markdown(groups, by)
    return run_table(groups) if by == "run" else table(groups)
