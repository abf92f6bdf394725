"""An outcome -> its tables, each as Markdown, CSV and JSON: networks, comparisons, runs.

Markdown is for reading: errors in %, mean and deviation in one cell. CSV and JSON have every number
in full, errors as fractions.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from resgen.experiment.measures import KINDS
from resgen.experiment.outcome import Outcome
from resgen.files import write_whole
from resgen.words import short

FOLDER = "tables"
Table = tuple[list[dict[str, Any]], list[dict[str, str]]]
"""Its rows in full, and as they are read."""


def networks(outcome: Outcome) -> Table:
    """A row a network: cost, and each measure over its seeds."""
    full, read = [], []
    for row in outcome.rows:
        data: dict[str, Any] = {
            "network": row.network,
            "layers": row.layers,
            "params": row.params,
            "macs": row.macs,
            "n": row.n,
        }
        cells = {
            "network": row.network,
            "layers": f"{row.layers}",
            "params": f"{row.params:,}",
            "MACs": short(row.macs),
            "n": f"{row.n}",
        }
        for measure, title in outcome.measures.items():
            mean, deviation = row.means.get(measure), row.deviations.get(measure)
            data |= {measure: mean, f"{measure}_deviation": deviation}
            kind = KINDS[measure]  # type: ignore[index]
            apart = "" if deviation is None else f" ({kind.text(deviation)})"
            cells[title] = "-" if mean is None else f"{kind.text(mean)}{apart}"
        full.append(data)
        read.append(cells)
    return full, read


def comparisons(outcome: Outcome) -> Table:
    """A row an expectation: its test, difference, interval and verdict."""
    full, read = [], []
    for each in outcome.comparisons:
        kind = KINDS[each.measure]  # type: ignore[index]
        full.append(
            {
                "expectation": each.sentence,
                "measure": each.measure,
                "verdict": each.verdict,
                "test": each.test,
                "n": each.n[0],
                "n_other": each.n[1],
                "difference": each.mean,
                "low": each.low,
                "high": each.high,
                "agree": each.agree[0],
                "of": each.agree[1],
                "why": each.why,
            }
        )
        unit = " points" if kind.unit == "%" else ""
        interval = "-"
        if each.low is not None and each.high is not None:
            interval = f"{kind.signed(each.low)} to {kind.signed(each.high)}"
        read.append(
            {
                "expectation": each.sentence,
                "difference": "-" if each.mean is None else f"{kind.signed(each.mean)}{unit}",
                "interval": interval,
                "test": each.test,
                "n": f"{each.n[0]}, {each.n[1]}" if each.n[1] else f"{each.n[0]}",
                "agree": f"{each.agree[0]} of {each.agree[1]}",
                "verdict": f"{each.verdict}: {each.why}" if each.why else each.verdict,
            }
        )
    return full, read


def runs(outcome: Outcome) -> Table:
    """A row a run: its state and values, and the command that makes it again."""
    full, read = [], []
    for run in outcome.runs:
        about = {"network": run.network, "seed": run.seed, "state": run.state, "why": run.why}
        values = {measure: run.values.get(measure) for measure in outcome.measures}
        full.append({**about, **values, "folder": run.folder, "command": run.command})
        cells = {
            title: "-" if (value := values[measure]) is None else KINDS[measure].text(value)  # type: ignore[index]
            for measure, title in outcome.measures.items()
        }
        told = f"{run.state}: {run.why}" if run.why else run.state
        read.append({"network": run.network, "seed": f"{run.seed}", "state": told, **cells})
    return full, read


TABLES = {"networks": networks, "comparisons": comparisons, "runs": runs}


def write(outcome: Outcome, folder: Path) -> None:
    """Writes every table in every form."""
    (folder / FOLDER).mkdir(parents=True, exist_ok=True)
    for name, make in TABLES.items():
        full, read = make(outcome)
        for ending, text in (
            ("md", markdown(read)),
            ("csv", as_csv(full)),
            ("json", json.dumps(full, indent=2)),
        ):
            write_whole(folder / FOLDER / f"{name}.{ending}", text.rstrip("\n") + "\n")


def markdown(rows: Sequence[dict[str, str]]) -> str:
    """Rows of the same keys; numbers flush right."""
    if not rows:
        return ""
    header = list(rows[0])
    right = [all(row[key][:1] in "+-0123456789" for row in rows) for key in header]
    lines = [header, [" ---: " if flush else " --- " for flush in right]]
    lines[1] = [each.strip() for each in lines[1]]
    lines += [[row[key].replace("|", "\\|") for key in header] for row in rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def as_csv(rows: Sequence[dict[str, Any]]) -> str:
    """Rows of the same keys; what is not there is empty."""
    if not rows:
        return ""
    out = io.StringIO()
    writer = csv.DictWriter(out, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return out.getvalue()
