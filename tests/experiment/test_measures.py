"""A run's numbers: read where its files say them, computed once where a network must be asked."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from resgen.errors import UserError
from resgen.experiment import measures
from resgen.experiment.measures import ANALYSIS, KINDS, Found, measured, steps
from resgen.experiment.model import Measure
from resgen.experiment.runs import Planned
from tests.experiment.studies import diverged, ended, planned


def test_every_measure_has_a_name() -> None:
    from typing import get_args

    assert set(KINDS) == set(get_args(Measure))
    assert KINDS["train_error"].named == "training error (%)"
    assert KINDS["train_error"].text(0.0123) == "1.23"
    assert KINDS["response"].signed(-0.25) == "-0.25"


def test_errors_are_those_of_the_runs_end(tmp_path: Path) -> None:
    run = ended(tmp_path, "deep", 0, [0.9, 0.4, 0.25], test=0.3)
    found = measured(run, ["train_error", "heldout_error", "test_error"], None)
    assert found.state == "finished"
    assert {key: each.value for key, each in found.found.items()} == {
        "train_error": 0.25, "heldout_error": 0.25, "test_error": 0.3
    }  # fmt: skip
    assert len(found.rows) == 3


def test_without_test_images_there_is_no_test_error(tmp_path: Path) -> None:
    found = measured(ended(tmp_path, "deep", 0, [0.5]), ["test_error", "train_error"], None)
    assert set(found.found) == {"train_error"}


def test_steps_are_those_of_the_first_epoch_at_or_below_what_is_to_be_reached(
    tmp_path: Path,
) -> None:
    run = ended(tmp_path, "deep", 0, [0.9, 0.2, 0.1, 0.3])
    rows = measured(run, [], None).rows
    assert steps(rows, 0.2) == Found(20.0)
    assert steps(rows, 0.15) == Found(30.0)
    # One that never was there took more than it had.
    assert steps(rows, 0.05) == Found(40.0, at_least=True)
    assert measured(run, ["steps"], 0.1).found["steps"].value == 30


def test_a_run_that_has_not_finished_has_no_values_and_says_why(tmp_path: Path) -> None:
    found = measured(planned(tmp_path, "deep", 0), ["train_error"], None)
    assert (found.state, dict(found.found), found.rows) == ("missing", {}, ())
    found = measured(diverged(tmp_path, "deep", 1), ["train_error"], None)
    assert (found.state, found.why) == ("diverged", "the loss became NaN at step 20")
    assert not found.found
    assert len(found.rows) == 1, "its curve is drawn"


# ---- analyses


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Every analysis that was made, each finding 0.5 in two layers."""
    made: list[str] = []

    def analysis(run: Planned) -> Found:
        made.append(run.network)
        return Found(0.5, (("conv1", 0.25), ("conv2", 0.75)))

    monkeypatch.setitem(measures.ANALYSES, "response", analysis)
    return made


def test_an_analysis_is_made_once_and_kept_beside_the_run(
    tmp_path: Path, counted: list[str]
) -> None:
    run = ended(tmp_path, "deep", 0, [0.5])
    first = measured(run, ["response"], None).found["response"]
    assert measured(run, ["response"], None).found["response"] == first
    assert first.layers == (("conv1", 0.25), ("conv2", 0.75))
    assert counted == ["deep"]
    # A run that ended anew is asked anew; so is one whose file is damaged.
    result = json.loads((run.folder / "result.json").read_text())
    (run.folder / "result.json").write_text(json.dumps({**result, "train_error": 0.1}))
    measured(run, ["response"], None)
    assert len(counted) == 2
    (run.folder / ANALYSIS).write_text("{")
    measured(run, ["response"], None)
    assert len(counted) == 3


def test_what_there_is_nothing_of_is_kept_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = []
    monkeypatch.setitem(measures.ANALYSES, "zeroed", lambda run: made.append(run))
    run = ended(tmp_path, "deep", 0, [0.5])
    assert not measured(run, ["zeroed"], None).found
    assert not measured(run, ["zeroed"], None).found
    assert len(made) == 1


def test_an_analysis_that_cannot_be_made_is_told_and_the_others_are_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, counted: list[str]
) -> None:
    def refuse(run: Planned) -> Found:
        raise UserError("its images are gone")

    monkeypatch.setitem(measures.ANALYSES, "gradient", refuse)
    found = measured(ended(tmp_path, "deep", 0, [0.5]), ["gradient", "response"], None)
    assert (set(found.found), found.why, found.state) == (
        {"response"}, "its images are gone", "finished",
    )  # fmt: skip
