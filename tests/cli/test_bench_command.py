"""`resgen bench`: what it prints, and what it refuses."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from resgen.cli import app
from resgen.timing import peaks
from resgen.timing.cases import MODES
from tests.timed import TINY


def command(*words: str) -> Result:
    return CliRunner().invoke(app, ["bench", *words])


@pytest.fixture
def spec(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.chdir(tmp_path)
    Path("tiny.yaml").write_text(json.dumps(TINY))
    return "tiny.yaml"


ON = ("--device", "cpu", "--precision", "fp32", "--roofline", "50G,5GB", "--batch", "2")


def test_the_command_prints_and_draws(spec: str) -> None:
    words = (*ON, "--rounds", "1", "--format", "json", "--plot", "a.svg", "--with", "classes=7")
    done = command(spec, spec, *words)
    assert done.exit_code == 0, done.exception
    data = json.loads(done.stdout)
    assert [each["with"] for each in data["networks"]] == [["classes=7"]] * 2
    assert data["peaks"] == {
        "device": "a device", "bytes_per_second": 5e9, "flops_per_second": {"fp32": 5e10},
    }  # fmt: skip
    assert [each["mode"] for each in data["results"][::2]] == list(MODES)
    assert Path("a.svg").exists()


def test_without_a_network_it_is_the_device_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    real = peaks.measured
    monkeypatch.setattr(peaks, "measured", lambda *given: real(*given, scale=0.02))
    done = command("--device", "cpu", "--format", "json")
    assert done.exit_code == 0, done.exception
    data = json.loads(done.stdout)
    assert set(data["peaks"]["flops_per_second"]) == {"fp32", "bf16"}
    assert data["results"] == []


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("tiny.yaml", "--mode", "fast"), "--mode fast: fast is none of latency, inference"),
        (("tiny.yaml", "--batch", "0"), "--batch 0: must be whole numbers from 1"),
        (("tiny.yaml", "--batch", "2,"), "--batch nothing: must be whole numbers from 1"),
        (("tiny.yaml", "--batch", "2,2"), "--batch 2,2: 2 stands there twice"),
        (("tiny.yaml", "--precision", "int4"), "--precision int4: int4 is none of auto, fp32"),
        (("tiny.yaml", "--device", "tpu"), "--device tpu: must be one of auto, cuda, mps, cpu"),
        (("tiny.yaml", "--plot", "a.txt"), "a.txt: end the file's name in .png, .svg or .pdf"),
        (("tiny.yaml", "--force"), "--force says nothing without --plot; add it"),
        (("tiny.yaml", "--roofline", "x"), "--roofline x: cannot be read: No such file"),
        (("--batch", "2"), "--batch says nothing without a network; add it, or leave it out"),
        (("no.yaml",), "no.yaml: no such file"),
        (
            ("tiny.yaml", "--plot", "a.svg", "--batch", ",".join(map(str, range(1, 30)))),
            "--plot a.svg: 59 panels, one for each mode, batch and precision, are more than the",
        ),
    ],
    ids=lambda value: " ".join(value)[:40] if isinstance(value, tuple) else None,
)
def test_what_cannot_be_meant_is_refused(spec: str, words: tuple[str, ...], sentence: str) -> None:
    done = command(*words)
    assert str(done.exception).startswith(sentence)
    assert getattr(done.exception, "exit_code", None) == 2
