"""An experiment's folder -> its claim, the verdict, and everything they rest on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from resgen.errors import ResgenError
from resgen.experiment.outcome import Comparison, Outcome, Row, Run, read_outcome
from resgen.page import tables
from resgen.page.rendering import pairs, rendered
from resgen.page.sheet import Prove, Sheet, sheet_of
from resgen.page.svg import Picture, picture
from resgen.page.tables import Cell, Table
from resgen.plan import resolve
from resgen.spec import load_spec
from resgen.words import joined

TONES = {
    "holds": "good",
    "does not hold": "bad",
    "undecided": "open",
    "not tested": "none",
    "finished": "good",
    "diverged": "bad",
    "failed": "bad",
    "missing": "open",
}
"""How verdicts and states of runs are coloured; the words are always there."""


@dataclass(frozen=True)
class Figure:
    """A file of the folder in the page; without a picture where it could not be read."""

    caption: str
    file: str
    picture: Picture | None


def experiment_page(folder: Path, prove: Prove | None = None, *, command: str = "") -> str:
    """What came of an experiment as an HTML document.

    prove: measures its networks; without, their closed forms alone are checked. Raises UserError
    where the folder holds no experiment.
    """
    found = read_outcome(folder)
    return rendered(
        "experiment.html.j2",
        title=found.title,
        command=command,
        found=found,
        tone=TONES[found.verdict],
        facts=_facts(found),
        tests=_tests(found.comparisons),
        rows=_rows(found),
        runs=_runs(found),
        lost=_lost(found.runs),
        figures=_figures(folder, found),
        sheets=_sheets(found.rows, prove),
        environment=tables.facts(
            "environment", "Environment of the runs", pairs(found.environment.items())
        ),
    )


def _facts(found: Outcome) -> list[tuple[str, str, str]]:
    done = sum(run.state == "finished" for run in found.runs)
    seeds = len({run.seed for run in found.runs})
    return [
        ("scale", found.scale, ""),
        ("networks", f"{len(found.rows)}", ", ".join(found.series)),
        ("seeds", f"{seeds}", "of each network"),
        ("runs", f"{done}", "finished" if done == len(found.runs) else f"of {len(found.runs)}"),
    ]


# ---- figures as text


def value_text(measure: str, value: float | None, *, sign: bool = False) -> str:
    """Errors are fractions and shown in %; anything else in four digits."""
    if value is None:
        return "\u2013"
    plus = "+" if sign and value else ""
    if measure.endswith("_error"):
        text = f"{100 * value:{plus}.2f}"
    elif float(value).is_integer() and abs(value) < 10**7:
        text = f"{int(value):{plus},}"
    else:
        text = f"{value:{plus}.4g}"
    return text.replace("-", "\u2212")


def _mean(row: Row, measure: str) -> Cell:
    value = row.means.get(measure)
    if value is None:
        return tables.NONE
    text, deviation = value_text(measure, value), row.deviations.get(measure)
    if deviation is not None:
        text += f" \u00b1 {value_text(measure, deviation)}"
    return tables.number(text, value)


def _head(found: Outcome, measure: str) -> str:
    return found.measures.get(measure, measure.replace("_", " "))


# ---- tables


def _tests(comparisons: Sequence[Comparison]) -> Table:
    """What was claimed, how it was tested, and what came of it."""
    rows = []
    for one in comparisons:
        low, high = (value_text(one.measure, each, sign=True) for each in (one.low, one.high))
        interval = f"{low} to {high}" if one.low is not None else "\u2013"
        rows.append(
            (
                tables.name(one.sentence),
                tables.badge(one.verdict, TONES[one.verdict]),
                tables.number(value_text(one.measure, one.mean, sign=True), one.mean),
                tables.number(interval, one.low),
                tables.number(" and ".join(map(str, dict.fromkeys(n for n in one.n if n)))),
                tables.number("{} of {}".format(*one.agree)),
                tables.word(f"{one.test}: {one.why}" if one.why else one.test),
            )
        )  # fmt: skip
    heads = ("claim", "verdict", "difference", "interval", "n", "seeds agree", "test")
    points = any(one.measure.endswith("_error") for one in comparisons)
    note = "Differences of means, and their intervals; of errors, in points of a per cent."
    return Table(
        "tests",
        "What was tested",
        heads,
        tuple(rows),
        sortable=False,
        kind="prose",
        note=note if points else "",
    )


def _rows(found: Outcome) -> Table:
    """The networks over their seeds, beside what was published of them."""
    measures = [m for m in found.measures if any(m in row.means for row in found.rows)]
    published: dict[str, dict[str, float]] = {}
    for each in found.published:
        unit = " (%)" if "error" in each["what"] else ""
        on = f", {each['data']}" if each.get("data") else ""
        what = f"published {each['what']}{unit}{on}"
        published.setdefault(what, {})[each["network"]] = each["value"]
    rows = []
    for row in found.rows:
        cells = [
            tables.name(row.network), tables.count(row.layers), tables.count(row.params),
            tables.rounded(row.macs), tables.count(row.n),
            *(_mean(row, measure) for measure in measures),
            *(_published(what, values.get(row.network)) for what, values in published.items()),
        ]  # fmt: skip
        rows.append(tuple(cells))
    heads = (
        "network", "layers", "params", "MACs", "n", *(_head(found, each) for each in measures),
        *published,
    )  # fmt: skip
    note = "Mean \u00b1 standard deviation over the finished runs."
    return Table(
        "rows",
        "The networks over their seeds",
        heads,
        tuple(rows),
        note=f"{note} {_sources(found)}",
    )


def _published(what: str, value: float | None) -> Cell:
    measure = "test_error" if "error" in what else ""
    return tables.NONE if value is None else tables.number(value_text(measure, value), value)


def _sources(found: Outcome) -> str:
    """Where published figures stand, and of which networks where there are several places."""
    places: dict[str, list[str]] = {}
    for each in found.published:
        places.setdefault(str(each["where"]), []).append(str(each["network"]))
    if len(places) == 1:
        return f"Published: {next(iter(places))}."
    return "".join(f"Published of {joined(of)}: {where}. " for where, of in places.items()).strip()


def _runs(found: Outcome) -> Table:
    """Every run, those that did not finish first."""
    order = sorted(found.runs, key=lambda run: run.state == "finished")
    measures = [m for m in found.measures if any(m in run.values for run in order)]
    rows = tuple(
        (
            tables.name(run.network), tables.count(run.seed),
            tables.badge(run.state, TONES[run.state]),
            *(tables.number(value_text(m, run.values.get(m)), run.values.get(m)) for m in measures),
            tables.path(run.folder),
        )
        for run in order
    )  # fmt: skip
    heads = ("network", "seed", "state", *(_head(found, each) for each in measures), "folder")
    return Table("runs", "Every run", heads, rows)


def _lost(runs: Sequence[Run]) -> list[tuple[str, str]]:
    """(which run, what became of it) of those that did not finish."""
    return [
        (f"{run.network}, seed {run.seed}", f"{run.state}{f': {run.why}' if run.why else ''}")
        for run in runs
        if run.state != "finished"
    ]


# ---- figures and networks


def _figures(folder: Path, found: Outcome) -> list[Figure]:
    made = []
    for number, (file, caption) in enumerate(found.figures.items(), 1):
        try:
            document = (folder / file).read_text(encoding="utf-8")
        except (OSError, ValueError):
            document = ""
        drawn = picture(document, f"figure-{number}", title=caption)
        made.append(Figure(caption, file, drawn))
    return made


def _sheets(rows: Sequence[Row], prove: Prove | None) -> list[Sheet]:
    """The networks; one whose spec this version does not read is left out."""
    sheets = []
    for number, row in enumerate(rows, 1):
        try:
            spec = load_spec(row.spec)
            sheets.append(sheet_of(resolve(spec), spec, f"net-{number}", prove))
        except ResgenError:
            continue
    return sheets
