"""Runs as they stand -> the outcome of an experiment: measures, tests, verdict, tables, figures.

Whatever of a set is finished is concluded from; what is not is told.
"""

from __future__ import annotations

import json
import os
import platform
import shlex
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from resgen.compare.spread import spread
from resgen.cost import cost
from resgen.errors import UserError
from resgen.experiment import forms
from resgen.experiment.figures import draw
from resgen.experiment.judging import Sample, judge, overall
from resgen.experiment.material import Material
from resgen.experiment.measures import KINDS, Measured, measured
from resgen.experiment.model import Expectation, Experiment, Measure, Scale
from resgen.experiment.outcome import Comparison, Outcome, Row, Run
from resgen.experiment.runs import Planned
from resgen.plan import resolve
from resgen.spec import load_spec
from resgen.spec.loading import resolved_data
from resgen.version import __version__
from resgen.words import joined, overridden


def conclude(
    experiment: Experiment, name: str, scale: str, runs: Sequence[Planned], folder: Path
) -> Outcome:
    """Writes experiment.json, tables/ and figures/ into the folder; what they say.

    runs: of every network and seed of the scale, finished or not. Raises UserError for a folder
    that cannot be written.
    """
    at = experiment.scales[scale]
    measures = _measures(experiment)
    found: dict[str, list[Measured]] = {network: [] for network in at.networks}
    for planned in runs:
        found[planned.network].append(measured(planned, measures, experiment.reach))
    samples = {
        measure: {
            network: sample(network, each, measure) for network, each in found.items()
        }
        for measure in measures
    }  # fmt: skip
    tested = [
        (expected, _tested(experiment, expected, at, scale, samples))
        for expected in experiment.expect
    ]
    verdict, sentence = overall(each for _, each in tested)
    rows = {network: _row(network, each, samples) for network, each in found.items() if each}
    series = {
        title: names
        for title, listed in experiment.series.items()
        if (names := [each for each in listed if each in rows])
    }
    present = [m for m in measures if any(each.values for each in samples[m].values())]
    titles = {str(measure): titled(measure, experiment.reach) for measure in present}
    material = Material(
        rows, found, {measure: samples[measure] for measure in present}, titles, series, tested,
        [each for each in experiment.published if each.data == at.data.partition(":")[0]],
    )  # fmt: skip
    try:
        folder.mkdir(parents=True, exist_ok=True)
        outcome = Outcome(
            name=name,
            title=experiment.title,
            claim=experiment.claim,
            source=experiment.source,
            said=experiment.said,
            scale=scale,
            data=at.data,
            recipe=f"{at.recipe} with {overridden(at.set_)}" if at.set_ else at.recipe,
            verdict=verdict,
            sentence=" ".join([sentence, *_unfinished(found)]),
            comparisons=[each for _, each in tested],
            rows=list(rows.values()),
            runs=[_run(each, folder) for every in found.values() for each in every],
            measures=titles,
            series=series,
            published=[
                each.model_dump(mode="json")
                for each in experiment.published
                if each.network in rows
            ],
            figures=draw(material, folder),
            commands=[shlex.join(["resgen", "experiment", name, "--scale", scale])],
            environment=environment(run.planned.folder for each in found.values() for run in each),
        )  # fmt: skip
        forms.write(outcome, folder)
        outcome.write(folder)
    except OSError as error:
        raise UserError(f"{folder}: cannot be written: {error.strerror}") from None
    return outcome


def _measures(experiment: Experiment) -> list[Measure]:
    """Those that are asked for, and those that something is expected of."""
    return list(dict.fromkeys([*experiment.measures, *(e.measure for e in experiment.expect)]))


def titled(measure: Measure, reach: float | None) -> str:
    """What a measure is called, with its unit: `steps to a training error of 10 %`."""
    if measure == "steps" and reach is not None:
        return f"steps to a training error of {100 * reach:g} %"
    return KINDS[measure].named


def sample(network: str, runs: Iterable[Measured], measure: Measure) -> Sample:
    """A measure over a network's seeds.

    A run that diverged came to no error: where errors or steps are compared it counts as one above
    all others, and elsewhere as one without a value.
    """
    values, at_least, diverged, missing = {}, set(), set(), 0
    for run in runs:
        seed = run.planned.seed
        if (found := run.found.get(measure)) is not None:
            values[seed] = found.value
            if found.at_least:
                at_least.add(seed)
        elif run.state == "diverged" and KINDS[measure].worst:
            diverged.add(seed)
        else:
            missing += 1
    return Sample(network, values, frozenset(at_least), frozenset(diverged), missing)


def _tested(
    experiment: Experiment, expected: Expectation, at: Scale, scale: str,
    samples: Mapping[Measure, Mapping[str, Sample]],
) -> Comparison:  # fmt: skip
    def of(network: str) -> Sample:
        there = samples[expected.measure].get(network)
        absent = f"{network} is not in the scale {scale}"
        return there if there is not None else Sample(network, {}, absent=absent)

    than = None if expected.than is None else of(expected.than)
    return judge(
        expected, of(expected.of), than,
        sentence=said(expected, experiment.reach), paired=_paired(expected, at),
    )  # fmt: skip


def _paired(expected: Expectation, at: Scale) -> bool:
    """Whether one of the two begins as the other, trained with the same seed."""
    two = (expected.of, expected.than)
    return any(
        at.networks[a].deepens == b for a, b in (two, two[::-1]) if a in at.networks and b
    )  # fmt: skip


def said(expected: Expectation, reach: float | None) -> str:
    """`plain56's training error is above plain20's`, `... is not above 0.05 by more than 0.01`."""
    kind = KINDS[expected.measure]
    title = titled(expected.measure, reach).removesuffix(f" ({kind.unit})")
    verb = "are" if expected.measure == "steps" else "is"
    relation = f"{expected.relation} to" if expected.relation == "equal" else expected.relation
    if expected.than is not None:
        other = f"{expected.than}'s"
    else:
        assert expected.to is not None
        other = f"{kind.factor * expected.to:g}{' %' if kind.unit else ''}"
    margin = ""
    if expected.margin:
        words = "within" if expected.relation == "equal" else "by more than"
        size = f"{kind.factor * expected.margin:g}"
        if kind.unit == "%":
            size += " point" if size == "1" else " points"
        margin = f", {words} {size}" if expected.relation == "equal" else f" {words} {size}"
    return f"{expected.of}'s {title} {verb} {relation} {other}{margin}"


def _row(
    network: str, runs: Sequence[Measured], samples: Mapping[Measure, Mapping[str, Sample]]
) -> Row:
    spec = load_spec(runs[0].planned.spec)
    plan = resolve(spec)
    books = cost(plan)
    spreads = {
        measure: found
        for measure, by in samples.items()
        if (found := spread([*by[network].values.values()])) is not None
    }
    return Row(
        network, resolved_data(spec), plan.weighted_layers, books.params, books.macs,
        {measure: each.mean for measure, each in spreads.items()},
        {measure: each.deviation for measure, each in spreads.items()},
        sum(run.state == "finished" for run in runs),
    )  # fmt: skip


def _run(run: Measured, folder: Path) -> Run:
    values = {measure: found.value for measure, found in run.found.items()}
    place = os.path.relpath(run.planned.folder, folder)
    planned = run.planned
    return Run(
        planned.network, planned.seed, Path(place).as_posix(), planned.command, run.state, run.why,
        {str(measure): value for measure, value in values.items()},
    )  # fmt: skip


def _unfinished(found: Mapping[str, Sequence[Measured]]) -> list[str]:
    """What is not there yet, or never will be, in a sentence."""
    every = [run for each in found.values() for run in each]
    parts = [
        f"{number} {words[number > 1]}"
        for state, words in _UNFINISHED.items()
        if (number := sum(run.state == state for run in every))
    ]
    return [f"Of {len(every)} runs {joined(parts)}."] if parts else []


_UNFINISHED = {
    "diverged": ("diverged", "diverged"),
    "failed": ("failed", "failed"),
    "missing": ("is not finished", "are not finished"),
}


def environment(folders: Iterable[Path]) -> dict[str, Any]:
    """What computed the runs, as their folders say it, and when this was concluded."""
    kept: dict[str, dict[str, None]] = {}
    for folder in folders:
        try:
            entries = json.loads((folder / "environment.json").read_text(encoding="utf-8"))
        except (OSError, ValueError):
            continue
        for entry in entries if isinstance(entries, list) else []:
            for key in (
                "engine",
                "torch",
                "torchvision",
                "python",
                "cuda",
                "system",
                "cpus",
                "git",
            ):
                if entry.get(key) is not None:
                    kept.setdefault(key, {})[str(entry[key])] = None
    return {
        "resgen": __version__,
        "concluded": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": platform.machine(),
        **{key: "; ".join(values) for key, values in kept.items()},
    }
