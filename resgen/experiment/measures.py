"""A run's folder -> the numbers that an experiment asks for.

What a run's own files say is read; what a trained network has to be asked for is computed once
and kept beside it, in analysis.json.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, NamedTuple

from resgen.compare.record import Record, read
from resgen.errors import ResgenError
from resgen.experiment.commands import START
from resgen.experiment.model import Measure
from resgen.experiment.runs import Planned
from resgen.files import write_whole
from resgen.report.points import RESULT
from resgen.train.run.metrics import Row

ANALYSIS = "analysis.json"


class Found(NamedTuple):
    """A value; what it is made of, layer by layer; whether the true one can only be above it."""

    value: float
    layers: tuple[tuple[str, float], ...] = ()
    at_least: bool = False


class Kind(NamedTuple):
    """A measure: what it is called, its unit and by how much a value is multiplied for it.

    worst: whether a run that diverged is above all others. scalar: whether a figure shows it as
    one number a run.
    """

    title: str
    unit: str = ""
    factor: float = 1.0
    worst: bool = False
    scalar: bool = False

    @property
    def named(self) -> str:
        """`training error (%)`."""
        return f"{self.title} ({self.unit})" if self.unit else self.title

    def text(self, value: float) -> str:
        """A value as it stands in a table, in its unit."""
        return f"{self.factor * value:.2f}" if self.unit == "%" else f"{value:.4g}"

    def signed(self, value: float) -> str:
        """A difference, likewise."""
        return f"{self.factor * value:+.2f}" if self.unit == "%" else f"{value:+.4g}"


KINDS: Mapping[Measure, Kind] = {
    "train_error": Kind("training error", "%", 100, worst=True, scalar=True),
    "heldout_error": Kind("held-out error", "%", 100, worst=True, scalar=True),
    "test_error": Kind("test error", "%", 100, worst=True, scalar=True),
    "steps": Kind("steps", worst=True, scalar=True),
    "response": Kind("median response"),
    "gradient": Kind("gradient norm of the first convolution"),
    "zeroed": Kind("difference of zeroed blocks to the identity"),
    "difference": Kind("difference to the network it was deepened from"),
}
_ERRORS = {"train_error": "train_error", "heldout_error": "last_error", "test_error": "test_error"}


@dataclass(frozen=True)
class Measured:
    """A run, how it ended and its values."""

    planned: Planned
    state: Literal["finished", "diverged", "failed", "missing"]
    why: str
    record: Record | None = None
    found: Mapping[Measure, Found] = field(default_factory=dict)

    @property
    def rows(self) -> Sequence[Row]:
        """Its epochs."""
        return () if self.record is None else self.record.rows


def measured(planned: Planned, measures: Sequence[Measure], reach: float | None) -> Measured:
    """What the measures are of a run; none of one that has not finished."""
    state, why = planned.standing.state, planned.standing.why
    try:
        record = read(planned.folder)
    except ResgenError as error:
        return Measured(planned, "missing" if state == "finished" else state, why or str(error))
    if state != "finished" or record.state != "finished":
        return Measured(planned, state if state != "finished" else "missing", why, record)
    found: dict[Measure, Found] = {}
    asked: list[Measure] = []
    for measure in measures:
        if measure in _ERRORS:
            if (error_ := record.errors.get(_ERRORS[measure])) is not None:
                found[measure] = Found(error_)
        elif measure == "steps":
            found[measure] = steps(record.rows, reach)
        else:
            asked.append(measure)
    analysed, told = _analysed(planned, asked)
    return Measured(planned, state, told, record, {**found, **analysed})


def steps(rows: Sequence[Row], reach: float | None) -> Found:
    """Steps until an epoch's training error was `reach`; as many as there were where none was."""
    assert reach is not None, "an experiment that measures steps says what is to be reached"
    for row in rows:
        if row["train_error"] <= reach:
            return Found(float(row["step"]))
    return Found(float(rows[-1]["step"]), at_least=True)


# ---- what a network has to be asked for


def _analysed(planned: Planned, asked: Sequence[Measure]) -> tuple[dict[Measure, Found], str]:
    """From analysis.json, or computed and put there; why there is none of some."""
    kept = _kept(planned.folder)
    told = []
    for measure in asked:
        if measure in kept:
            continue
        try:
            found = ANALYSES[measure](planned)
        except ResgenError as error:
            told.append(str(error))
            continue
        kept[measure] = None if found is None else {"value": found.value, "layers": found.layers}
        _keep(planned.folder, kept)
    values = {
        measure: Found(each["value"], tuple((name, value) for name, value in each["layers"]))
        for measure in asked
        if (each := kept.get(measure)) is not None
    }
    return values, "; ".join(told)


def _of(folder: Path) -> str:
    """What an analysis was made of: another end of the run makes it void."""
    return hashlib.sha256((folder / RESULT).read_bytes()).hexdigest()


def _kept(folder: Path) -> dict[str, Any]:
    try:
        found = json.loads((folder / ANALYSIS).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    sound = isinstance(found, dict) and found.get("of") == _of(folder)
    return dict(found["found"]) if sound and isinstance(found.get("found"), dict) else {}


def _keep(folder: Path, kept: Mapping[str, Any]) -> None:
    text = json.dumps({"of": _of(folder), "found": kept}, indent=1)
    write_whole(folder / ANALYSIS, text + "\n")


def _response(planned: Planned) -> Found:
    from resgen.analysis import responses

    found = responses(planned.folder)
    return Found(found.median, tuple((each.name, each.std) for each in found.layers))


def _gradient(planned: Planned) -> Found:
    from resgen.analysis import gradients

    found = gradients(planned.folder)
    main = (each for each in found.layers if each.path == "main")
    return Found(found.first, tuple((each.name, each.norm) for each in main))


def _zeroed(planned: Planned) -> Found | None:
    """None where no block has an identity to be."""
    from resgen.analysis import zeroed

    largest = zeroed(planned.folder).largest
    return None if largest is None else Found(largest)


def _difference(planned: Planned) -> Found | None:
    """Of the trained network and the deepened one that the run began as."""
    from resgen.analysis import difference

    if planned.after is None:
        return None
    return Found(difference(planned.after.folder, planned.folder / START).largest)


ANALYSES: dict[Measure, Callable[[Planned], Found | None]] = {
    "response": _response,
    "gradient": _gradient,
    "zeroed": _zeroed,
    "difference": _difference,
}
