"""What came of an experiment, as one JSON file: `experiment.json`, all that a report needs."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

NAME = "experiment.json"
Verdict = Literal["holds", "does not hold", "undecided", "not tested"]


@dataclass(frozen=True)
class Run:
    """One run of a network with a seed."""

    network: str
    seed: int
    folder: str
    """Relative to experiment.json."""
    command: str
    """That makes it again, safe to repeat."""
    state: Literal["finished", "diverged", "failed", "missing"]
    why: str = ""
    values: dict[str, float] = field(default_factory=dict)
    """By measure; errors as fractions."""


@dataclass(frozen=True)
class Row:
    """One network over its seeds."""

    network: str
    spec: dict[str, Any]
    """Resolved, as `resgen build -o x.yaml` writes it."""
    layers: int
    params: int
    macs: int
    means: dict[str, float]
    deviations: dict[str, float | None]
    n: int


@dataclass(frozen=True)
class Comparison:
    """One expectation, tested over seeds."""

    sentence: str
    """`plain56's training error is above plain20's`"""
    test: str
    """Its name: `Welch's t interval, 95 %`."""
    n: tuple[int, int]
    """Runs of the network, and of the other; 0 where it is compared with a number."""
    mean: float | None
    """Of the difference."""
    low: float | None
    high: float | None
    agree: tuple[int, int]
    """(seeds that agree, seeds)."""
    verdict: Verdict
    why: str = ""
    measure: str = ""
    """Whose difference it is."""


@dataclass(frozen=True)
class Outcome:
    """The claim, its verdict, and everything it rests on."""

    name: str
    title: str
    claim: str
    source: str
    said: str
    scale: str
    data: str
    recipe: str
    """As a sentence: name and changes."""
    verdict: Verdict
    sentence: str
    """The verdict in words."""
    comparisons: list[Comparison]
    rows: list[Row]
    runs: list[Run]
    measures: dict[str, str]
    """What is measured -> what it is called, with its unit."""
    series: dict[str, list[str]]
    published: list[dict[str, Any]]
    figures: dict[str, str]
    """Figure's file in the folder (SVG) -> its caption."""
    commands: list[str]
    environment: dict[str, Any]

    def write(self, folder: Path) -> None:
        """Writes experiment.json."""
        from resgen.files import write_whole

        write_whole(folder / NAME, json.dumps(asdict(self), indent=2) + "\n")


def read_outcome(folder: Path) -> Outcome:
    """The outcome of an experiment's folder. Raises UserError where there is none."""
    from resgen.errors import UserError

    try:
        found = json.loads((folder / NAME).read_text(encoding="utf-8"))
        return Outcome(
            **{
                **found,
                "comparisons": [
                    Comparison(**{**each, "n": tuple(each["n"]), "agree": tuple(each["agree"])})
                    for each in found["comparisons"]
                ],
                "rows": [Row(**each) for each in found["rows"]],
                "runs": [Run(**each) for each in found["runs"]],
            }
        )
    except (OSError, ValueError, TypeError, KeyError):
        raise UserError(
            f"{folder}: holds no finished experiment ({NAME}); `resgen experiment` writes one"
        ) from None
