"""What figures are drawn of, and how each network looks in all of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import fmean
from typing import Any

from resgen.experiment.judging import Sample
from resgen.experiment.measures import KINDS, Measured
from resgen.experiment.model import Expectation, Measure, Published
from resgen.experiment.outcome import Comparison, Row
from resgen.experiment.style import DASHES, OF_SERIES
from resgen.report.look import COLOURS


@dataclass(frozen=True)
class Material:
    """What figures are drawn of; all mappings by network, in the experiment's order."""

    rows: Mapping[str, Row]
    runs: Mapping[str, Sequence[Measured]]
    samples: Mapping[Measure, Mapping[str, Sample]]
    titles: Mapping[str, str]
    """measure -> its name with its unit."""
    series: Mapping[str, Sequence[str]]
    comparisons: Sequence[tuple[Expectation, Comparison]]
    published: Sequence[Published]

    @property
    def scalars(self) -> list[Measure]:
        """Measures that are a number a run and not its layers', and that some run has."""
        return [
            measure
            for measure, by in self.samples.items()
            if KINDS[measure].scalar and any(sample.values for sample in by.values())
        ]

    def look(self, network: str) -> tuple[str, str]:
        """(colour, dashes): the place in its series, and which series."""
        for number, names in enumerate(self.series.values()):
            if network in names:
                place = list(names).index(network)
                return COLOURS[place % len(COLOURS)], OF_SERIES[number % len(OF_SERIES)]
        place = list(self.rows).index(network)
        return COLOURS[place % len(COLOURS)], DASHES[place // len(COLOURS) % len(DASHES)]

    def grown(self, of: Callable[[Row], float]) -> bool:
        """Whether there are series, and something of a network grows along every one."""
        return bool(self.series) and all(
            len(names) > 1 and all(of(self.rows[a]) < of(self.rows[b]) for a, b in pairwise(names))
            for names in self.series.values()
        )

    def known(self, measure: Measure) -> list[Published]:
        """What papers say of it on this data."""
        title = KINDS[measure].title
        return [p for p in self.published if p.what == title and p.network in self.rows]

    def epochs(self) -> dict[str, list[Any]]:
        """Of each network that was trained, its runs' epochs."""
        found = {n: [each.rows for each in runs if each.rows] for n, runs in self.runs.items()}
        return {name: each for name, each in found.items() if each}

    def layers(self, measure: Measure) -> dict[str, list[float]]:
        """The means over seeds of each network's layers, in order."""
        found = {}
        for name, runs in self.runs.items():
            each = [run.found[measure].layers for run in runs if measure in run.found]
            values = [[value for _, value in layers] for layers in each if layers]
            if values:
                found[name] = [fmean(column) for column in zip(*values, strict=True)]
        return found
