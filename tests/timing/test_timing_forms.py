"""What is reported: estimates, ratios, JSON, CSV, tables, plots, and after Ctrl-C."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from jsonschema import validate

from resgen.cost import cost
from resgen.cost.roofline import roofline
from resgen.timing import bench as benches
from resgen.timing import figure, forms
from resgen.timing.bench import Report
from resgen.timing.cases import MODES
from tests.timed import plan, run


@pytest.fixture(scope="module")
def report() -> Report:
    return run(plan(), plan(name="wider", stages=[{"depth": 1, "width": 8}]), plan())


def test_every_round_is_in_the_estimate(report: Report) -> None:
    assert report.rounds == 6
    assert not report.stopped
    for each in report.results:
        assert sorted(each.by_round) == list(range(6))
        assert each.seconds is not None
        assert each.seconds.low is not None
        assert each.images_per_second is not None
        speed = each.images_per_second.median
        assert speed == pytest.approx(each.case.batch / each.seconds.median)
        share = report.share(each)
        assert share == pytest.approx(each.case.flops / each.seconds.median / 1e10)


def test_ratios_are_to_the_first_network_at_the_same(report: Report) -> None:
    for each in report.results:
        first = report.first(each)
        assert first.case.contender.label == "tiny"
        assert first.case[1:] == each.case[1:]
        assert (report.ratio(each) is None) == (first is each)


def test_latency_has_the_percentile_of_all_calls(report: Report) -> None:
    for each in report.results:
        assert (each.slow is not None) == (each.case.mode == "latency")
        if each.slow is not None:
            assert each.turns is not None
            calls = [seconds for row in each.turns.seconds.values() for seconds in row]
            assert len(calls) == 6 * each.turns.each
            assert sum(seconds <= each.slow for seconds in calls) >= 0.95 * len(calls) - 1


NUMBERS = {"type": ["number", "null"]}
ESTIMATE = {
    "type": ["object", "null"], "additionalProperties": False,
    "required": ["median", "low", "high"],
    "properties": {"median": {"type": "number"}, "low": NUMBERS, "high": NUMBERS},
}  # fmt: skip
SCHEMA = {
    "type": "object",
    "required": ["version", "environment", "peaks", "rounds", "seed", "networks", "results"],
    "properties": {
        "version": {"const": 1},
        "environment": {
            "type": "object",
            "required": ["date", "torch", "device", "threads", "layout", "compile", "resgen"],
        },
        "peaks": {
            "type": "object", "required": ["device", "bytes_per_second", "flops_per_second"],
        },
        "networks": {"items": {
            "required": ["label", "name", "input", "params", "macs", "activations"],
        }},
        "results": {"items": {
            "type": "object", "additionalProperties": False,
            "required": ["network", "mode", "batch", "precision", "failed", "rounds"],
            "properties": {
                "network": {"type": "string"}, "mode": {"enum": list(MODES)},
                "batch": {"type": "integer"}, "precision": {"enum": ["fp32", "bf16"]},
                "failed": {"type": ["string", "null"]}, "rounds": {"type": "integer"},
                "calls": {"type": "integer"}, "images_per_second": ESTIMATE, "seconds": ESTIMATE,
                "seconds_95th_percentile": NUMBERS, "to_first": ESTIMATE,
                "flops": {"type": "integer"}, "share_of_peak": NUMBERS,
                "peak_bytes": {"type": ["integer", "null"]},
            },
        }},
    },
}  # fmt: skip


def test_the_json_keeps_to_its_schema(report: Report) -> None:
    data = json.loads(forms.render(report, "json"))
    validate(data, SCHEMA)
    assert [each["label"] for each in data["networks"]] == ["tiny", "wider", "tiny #2"]
    assert data["networks"][0]["macs"] == cost(plan()).macs
    assert data["environment"]["torch"] == torch.__version__


def test_the_json_of_a_bench_is_a_roofline(report: Report, tmp_path: Path) -> None:
    file = tmp_path / "bench.json"
    file.write_text(forms.render(report, "json"))
    assert roofline(str(file), "bf16")[:2] == (2e10, 1e9)


def test_the_csv_has_a_row_a_case(report: Report) -> None:
    rows = list(csv.DictReader(io.StringIO(forms.render(report, "csv"))))
    assert len(rows) == len(report.results)
    for row, each in zip(rows, report.results, strict=True):
        assert row["network"] == each.case.contender.label
        assert float(row["seconds"]) == each.seconds.median  # type: ignore[union-attr]
        assert int(row["params"]) == cost(each.case.contender.plan).params
        assert row["torch"] == torch.__version__


def test_the_table_has_80_columns_and_says_how(report: Report) -> None:
    text = forms.render(report, "table")
    assert max(map(len, text.splitlines())) <= 80
    assert "tiny #2" in text
    assert "in drawn order" in text
    assert text.count("\nlatency, ") == 1
    assert text.count("\ninference, ") == text.count("\ntraining, ") == 2


@pytest.mark.parametrize("ending", ["svg", "png"])
def test_the_plot_names_every_network(report: Report, tmp_path: Path, ending: str) -> None:
    file = tmp_path / f"speed.{ending}"
    figure.draw(report, file, force=False)
    if ending == "svg":
        text = file.read_text()
        for word in ("tiny", "wider", "training, batch 4, fp32", "images a second"):
            assert word in text


def test_ctrl_c_reports_the_rounds_that_were(monkeypatch: pytest.MonkeyPatch) -> None:
    real = benches.race

    def cut(*given: Any, done: Callable[[int], None], **keys: Any) -> None:
        def ended(number: int) -> None:
            done(number)
            if number == 2:
                raise KeyboardInterrupt

        real(*given, done=ended, **keys)

    monkeypatch.setattr(benches, "race", cut)
    found = run(plan())
    assert found.stopped
    assert found.rounds == 2
    assert all(len(each.by_round) == 2 for each in found.results)
    text = " ".join(forms.render(found, "table").split())
    assert "rounds 2 of 6" in text


def test_ctrl_c_before_the_first_round_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    def cut(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(benches, "_warm_up", cut)
    found = run(plan())
    assert {each.failed for each in found.results} == {"stopped before its turn"}
    assert json.loads(forms.render(found, "json"))["stopped"] is True
