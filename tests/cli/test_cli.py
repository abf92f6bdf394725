"""The commands: formats, exit codes, and the fields others rely on."""

from __future__ import annotations

import csv
import io
import json

import pytest
from typer.testing import CliRunner, Result

import resgen.proof
from resgen import cost, load_spec, resolve
from resgen.cli import app
from resgen.errors import CheckFailed
from resgen.proof import Check, Proof

FIELDS = {
    "name", "input", "classes", "params", "macs", "flops", "residual_adds", "activations",
    "counting", "stages", "shortcuts", "plain_twin", "proof",
}  # fmt: skip


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, list(arguments))


def test_json_is_one_object_with_exact_integers() -> None:
    data = json.loads(run("summarize", "resnet50", "--format", "json").stdout)
    assert data.keys() >= FIELDS
    assert data["input"] == [3, 224, 224]
    assert (data["params"], data["macs"]) == (25_557_032, 4_089_184_256)
    assert data["flops"] == 2 * data["macs"]
    assert data["residual_adds"] == 5_519_360
    assert data["shortcuts"].keys() >= {
        "identity", "identity_padded", "projection", "none", "params", "macs",
    }  # fmt: skip
    assert data["plain_twin"]["params"] == 25_557_032 - 2_776_576
    assert data["proof"]["ok"] is True
    assert all(check["holds"] for check in data["proof"]["checks"])
    assert sum(stage["params"] for stage in data["stages"]) == data["params"]


def test_without_measuring_there_is_no_proof() -> None:
    data = json.loads(run("summarize", "resnet50", "--no-measure", "--format", "json").stdout)
    assert data["proof"] is None


def test_several_specs_make_one_list() -> None:
    done = run("summarize", "resnet18", "resnet34", "--no-measure", "--format", "json")
    assert [each["name"] for each in json.loads(done.stdout)] == ["resnet18", "resnet34"]


@pytest.mark.parametrize("by", ["stage", "block", "layer"])
def test_the_rows_of_a_csv_add_up_to_its_total(by: str) -> None:
    done = run("summarize", "resnet50", "--no-measure", "--format", "csv", "--by", by)
    *rows, total = list(csv.DictReader(io.StringIO(done.stdout)))
    assert total["row"] == "total"
    for column in ("params", "macs", "flops", "residual_adds", "activations"):
        assert sum(int(row[column]) for row in rows) == int(total[column])


def test_markdown_says_how_it_counts() -> None:
    text = run("summarize", "resnet50", "--no-measure", "--format", "markdown").stdout
    assert "25557032" in text.replace(",", "")
    assert "1 MAC = one multiply-add" in text


def test_a_proof_that_fails_ends_with_code_1_and_the_first_difference(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    bad = Proof((Check("additions", False, "layer1.0: no addition in the trace"),))
    monkeypatch.setattr(resgen.proof, "prove", lambda plan, module: bad)
    done = run("summarize", "cifar/resnet20")
    assert "FAILS   layer1.0: no addition in the trace" in done.stdout
    assert isinstance(done.exception, CheckFailed)
    assert done.exception.exit_code == 1
    assert str(done.exception) == "resnet20: additions: layer1.0: no addition in the trace"


def test_the_python_names_answer_as_the_command_does() -> None:
    books = cost(resolve(load_spec("resnet50")))
    data = json.loads(run("summarize", "resnet50", "--no-measure", "--format", "json").stdout)
    for field in ("params", "macs", "flops", "activations", "residual_adds"):
        assert getattr(books, field) == data[field]


def test_help_and_version() -> None:
    assert "summarize" in run("--help").stdout
    assert run("--version").stdout == f"resgen {resgen.__version__}\n"
