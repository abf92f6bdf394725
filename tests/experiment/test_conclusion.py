"""An experiment concluded: the outcome file, its tables and figures, of a set whole or in part."""

from __future__ import annotations

import csv
import json
import re
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import pytest

from resgen.experiment import measures
from resgen.experiment.conclusion import conclude, said
from resgen.experiment.measures import Found
from resgen.experiment.model import Expectation, Experiment
from resgen.experiment.outcome import Outcome, read_outcome
from resgen.experiment.runs import Planned
from tests.experiment.studies import diverged, ended, experiment, of, planned

DEEP, SHALLOW = [0.31, 0.28, 0.35], [0.02, 0.05, 0.01]


def study(root: Path) -> list[Planned]:
    """Three seeds each; the deep network ends at DEEP, the shallow one at SHALLOW."""
    return [
        ended(root, network, seed, [0.9, 0.6, error])
        for network, errors in (("deep", DEEP), ("shallow", SHALLOW))
        for seed, error in enumerate(errors)
    ]


def concluded(
    root: Path, runs: list[Planned], found: Experiment | None = None, scale: str = "small"
) -> Outcome:
    """The outcome, which is the same when it is read back."""
    made = conclude(found or experiment(), "depth", scale, runs, root / "out")
    assert read_outcome(root / "out") == made
    return made


def test_a_whole_set(tmp_path: Path) -> None:
    made = concluded(tmp_path, study(tmp_path))
    assert (made.verdict, made.sentence) == ("holds", "The one expectation holds.")
    (comparison,) = made.comparisons
    assert comparison.sentence == "deep's training error is above shallow's"
    assert (comparison.measure, comparison.n, comparison.agree) == ("train_error", (3, 3), (3, 3))
    assert comparison.mean == pytest.approx(sum(DEEP) / 3 - sum(SHALLOW) / 3)
    deep, shallow = made.rows
    assert (deep.network, deep.n, deep.layers) == ("deep", 3, 6)
    assert deep.means["train_error"] == pytest.approx(sum(DEEP) / 3)
    assert deep.params == shallow.params > 0
    assert deep.spec["stages"][1]["width"] == 16
    assert [run.seed for run in made.runs] == [0, 1, 2, 0, 1, 2]
    assert all((tmp_path / "out" / run.folder / "result.json").exists() for run in made.runs)
    assert made.runs[4].values == {"train_error": 0.05}
    assert made.runs[4].command.startswith("resgen train ")
    assert made.commands == ["resgen experiment depth --scale small"]
    assert made.measures == {"train_error": "training error (%)"}
    assert made.environment["engine"] == "cpu (1 threads), fp32, x"


def test_concluded_again_it_differs_in_nothing_but_the_time(tmp_path: Path) -> None:
    runs = study(tmp_path)

    def files() -> dict[str, bytes]:
        concluded(tmp_path, runs)
        return {
            str(path): re.sub(rb'"concluded": "[^"]*"', b"", path.read_bytes())
            for path in sorted((tmp_path / "out").rglob("*"))
            if path.is_file()
        }

    first = files()
    assert first == files()
    assert len(first) == 1 + 9 + 2 * 3


def test_a_set_in_part_is_concluded_from_what_is_there(tmp_path: Path) -> None:
    runs = study(tmp_path)
    some = [*runs[:2], planned(tmp_path, "deep", 3), *runs[3:5], diverged(tmp_path, "shallow", 3)]
    made = concluded(tmp_path, some)
    assert made.sentence.endswith(" Of 6 runs 1 diverged and 1 is not finished.")
    assert [run.state for run in made.runs] == [
        "finished", "finished", "missing", "finished", "finished", "diverged",
    ]  # fmt: skip
    (comparison,) = made.comparisons
    # What diverged is above what it is compared with.
    assert comparison.verdict == "undecided"
    assert "of shallow's runs 1 diverged" in comparison.why
    assert "of deep's runs 1 without a value" in comparison.why


def test_nothing_finished_is_no_mistake(tmp_path: Path) -> None:
    made = concluded(tmp_path, [planned(tmp_path, "deep", 0), planned(tmp_path, "shallow", 0)])
    assert made.verdict == "undecided"
    assert (made.figures, made.measures) == ({}, {})
    assert "2 are not finished" in made.sentence


def test_what_a_scale_has_not_is_not_tested(tmp_path: Path) -> None:
    made = concluded(tmp_path, [ended(tmp_path, "shallow", 0, [0.5])], scale="large")
    assert made.verdict == "not tested"
    assert made.comparisons[0].why == "deep is not in the scale large"


def test_a_network_that_begins_as_the_other_is_its_pair(tmp_path: Path) -> None:
    plain = experiment(of("train_error", "deep", "below", "shallow"))
    keys = plain.model_dump(mode="json", by_alias=True, exclude_unset=True)
    networks = keys["scales"]["small"]["networks"]
    networks["deep"] = {"spec": "digits/plain56", "deepens": "shallow"}
    runs = [
        ended(tmp_path, network, seed, [error])
        for network, errors in (("deep", (0.1, 0.5, 0.3)), ("shallow", (0.12, 0.53, 0.32)))
        for seed, error in enumerate(errors)
    ]
    assert concluded(tmp_path, runs, plain).comparisons[0].verdict == "undecided"
    made = concluded(tmp_path, runs, Experiment.model_validate(keys))
    assert made.comparisons[0].test == "paired t interval, 95 %"
    assert made.comparisons[0].verdict == "holds"


@pytest.mark.parametrize(
    ("keys", "sentence"),
    [
        (of("train_error", "a", "above", "b"), "a's training error is above b's"),
        (
            of("heldout_error", "a", "not above", "b", margin=0.01),
            "a's held-out error is not above b's by more than 1 point",
        ),
        (of("steps", "a", "below", "b"), "a's steps to a training error of 10 % are below b's"),
        (
            of("train_error", "a", "equal", "b", margin=0.005),
            "a's training error is equal to b's, within 0.5 points",
        ),
        (
            {"measure": "difference", "of": "a", "is": "equal", "to": 0},
            "a's difference to the network it was deepened from is equal to 0",
        ),
        (
            {"measure": "train_error", "of": "a", "is": "above", "to": 0.6},
            "a's training error is above 60 %",
        ),
    ],
)
def test_an_expectation_in_words(keys: dict[str, Any], sentence: str) -> None:
    assert said(Expectation.model_validate(keys), 0.1) == sentence


# ---- tables


def test_tables_say_the_same_in_three_forms(tmp_path: Path) -> None:
    made = concluded(tmp_path, study(tmp_path))
    tables = tmp_path / "out" / "tables"
    full = json.loads((tables / "networks.json").read_text())
    assert full[0]["train_error"] == made.rows[0].means["train_error"]
    with (tables / "networks.csv").open() as file:
        assert [float(row["train_error"]) for row in csv.DictReader(file)] == [
            row["train_error"] for row in full
        ]
    assert (tables / "networks.md").read_text().splitlines()[2] == (
        "| deep | 6 | 4,962 | 133.8 k | 3 | 31.33 (3.51) |"
    )
    lines = (tables / "comparisons.md").read_text().splitlines()
    assert lines[2].startswith("| deep's training error is above shallow's | +28.67 points | +2")
    assert lines[2].endswith("| Welch's t interval, 95 % | 3, 3 | 3 of 3 | holds |")
    with (tables / "runs.csv").open() as file:
        assert [row["command"] for row in csv.DictReader(file)] == [r.command for r in made.runs]


# ---- figures


@pytest.fixture
def everything(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Outcome:
    """An experiment with every measure, in series that grow in depth."""
    layers = tuple((f"conv{i}", 0.1 * i) for i in range(1, 6))
    for name in ("response", "gradient"):
        monkeypatch.setitem(measures.ANALYSES, name, lambda run: Found(0.3, layers))
    return concluded(
        tmp_path, study(tmp_path),
        experiment(
            of("train_error", "deep", "above", "shallow"),
            of("steps", "deep", "not below", "shallow", margin=5),
            of("response", "deep", "below", "shallow"),
            of("gradient", "deep", "above", "shallow"),
            measures=["heldout_error"], reach=0.3,
            series={"all": ["shallow"], "more": ["deep"]},
            published=[
                {
                    "network": "deep", "value": 0.3, "what": "training error", "data": "digits",
                    "where": "nowhere",
                }
            ],
        ),
    )  # fmt: skip


def test_every_figure_is_an_svg_whose_text_is_text_and_a_png(
    everything: Outcome, tmp_path: Path
) -> None:
    names = [Path(file).stem for file in everything.figures]
    assert names == ["curves", "networks", "responses", "gradients", "comparisons"]
    for file, caption in everything.figures.items():
        path = tmp_path / "out" / file
        text = path.read_text()
        root = ET.fromstring(text)
        assert root.get("aria-label") == caption
        words = [each.text or "" for each in root.iter("{http://www.w3.org/2000/svg}text")]
        assert any("deep" in word for word in words), "text was drawn as paths"
        # Ink takes the colour of the page, and nothing else is near black or white.
        assert "currentColor" in text
        assert "prefers-color-scheme: dark" in text
        assert not re.search(r"(fill|stroke): ?(#000000|#ffffff|#1f2329|black|white)", text)
        assert "<metadata>" not in text
        assert path.with_suffix(".png").read_bytes().startswith(b"\x89PNG")


def test_published_figures_are_drawn_on_their_own_data_alone(
    everything: Outcome, tmp_path: Path
) -> None:
    assert "published" in (tmp_path / "out/figures/networks.svg").read_text()
    runs = study(tmp_path / "other")
    found = {"network": "deep", "value": 0.3, "what": "training error", "data": "cifar10"}
    concluded(
        tmp_path / "other", runs, experiment(published=[{**found, "where": "nowhere"}])
    )  # fmt: skip
    assert "published" not in (tmp_path / "other/out/figures/networks.svg").read_text()
