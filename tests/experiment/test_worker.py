"""One process, several commands: each as it would be alone."""

from __future__ import annotations

import subprocess
import sys
import warnings
from collections.abc import Callable
from pathlib import Path

import pytest

from resgen.experiment.planning import Study
from resgen.experiment.worker import perform
from tests.experiments import weights
from tests.training import typed


def test_a_run_is_the_same_as_the_command_typed_alone(
    study: Callable[..., Study], tmp_path: Path
) -> None:
    before = sys.argv, sys.stdout, sys.stderr, warnings.showwarning
    runs = study().planned[:3]
    for each in runs:
        assert perform(each.commands, each.folder / "log.txt") == 0
        assert each.standing.state == "finished"
    assert (sys.argv, sys.stdout, sys.stderr, warnings.showwarning) == before
    assert [path.name for path in Path.cwd().rglob("start.safetensors")]
    for each in runs[::2]:
        words = list(each.argv[2:])
        words[words.index("--out") + 1] = str(tmp_path / "alone" / each.network)
        words.remove("--resume")
        typed(*words)
        assert weights(tmp_path / "alone" / each.network) == weights(each.folder)
    log = (runs[2].folder / "log.txt").read_text()
    assert log.startswith("$ resgen deepen ")
    assert "outputs differ by 0.0" in log
    assert log.endswith("\nexit code 0\n")
    command = log.splitlines()
    assert sum(line.startswith("$ resgen") for line in command) == 2
    # Again it trains nothing: not a byte of the run is another.
    files = {path: path.read_bytes() for path in runs[1].folder.glob("*") if path.suffix != ".txt"}
    assert perform(runs[1].commands, runs[1].folder / "log.txt") == 0
    assert {path: path.read_bytes() for path in files} == files


def test_the_first_command_that_fails_is_the_last(tmp_path: Path) -> None:
    log = tmp_path / "log.txt"
    commands = [["resgen", "list", "resnet50"], ["resgen", "build", "nothing-like-it"],
                ["resgen", "list"]]  # fmt: skip
    assert perform(commands, log) == 2
    lines = log.read_text().splitlines()
    assert [line for line in lines if line.startswith("$")] == [
        "$ resgen list resnet50", "$ resgen build nothing-like-it",
    ]  # fmt: skip
    assert lines[-2].startswith("error: nothing-like-it: no such file")
    assert lines[-1] == "exit code 2"


def test_a_mistake_of_ours_is_in_the_log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken() -> None:
        raise MemoryError("no room")

    monkeypatch.setattr("resgen.cli.main", broken)
    assert perform([["resgen", "list"]], tmp_path / "log.txt") == 1
    assert (tmp_path / "log.txt").read_text().endswith("MemoryError: no room\nexit code 1\n")


def test_a_worker_ends_with_its_parent() -> None:
    worker = subprocess.Popen(
        [sys.executable, "-m", "resgen.experiment.worker"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    )  # fmt: skip
    out, _ = worker.communicate(timeout=240)  # closes its input, as a parent that dies does
    assert out == b""
    assert worker.returncode is not None
