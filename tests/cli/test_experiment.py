"""`resgen experiment`: run, listed, interrupted and taken up."""

from __future__ import annotations

import json
import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from resgen.cli.experiment import experiment as command
from resgen.errors import CheckFailed, UserError
from resgen.experiment import planning, running
from resgen.experiment.runs import Planned
from resgen.experiment.worker import perform
from resgen.train.run import fit, metrics
from tests.concluded import instead
from tests.experiments import CPU, NETWORKS, weights
from tests.training import typed_as

TWO = {name: NETWORKS[name] for name in ("small", "wide")}
HERE = Path(__file__).parents[2]


@pytest.fixture
def run(experiment: Callable[..., str], monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """`resgen experiment width.yaml WORDS`, in this process, its runs too."""
    monkeypatch.setitem(sys.modules, "resgen.experiment.conclusion", instead())
    monkeypatch.setattr(running, "run", _here)
    return lambda *words, **changes: typed_as(
        command, experiment(**{"networks": TWO, "seeds": 1, **changes}), "--device", "cpu", *words
    )


def _here(planned: list[Planned], **_: Any) -> Any:
    for each in planned:
        yield running.Ended(each, perform(each.commands, each.folder / "log.txt"))


def outcome() -> dict[str, Any]:
    found = json.loads(Path("experiments/width-digits/experiment.json").read_text())
    assert isinstance(found, dict)
    return found


def test_it_trains_each_network_and_says_what_came_of_it(
    run: Callable[..., None], capsys: pytest.CaptureFixture[str]
) -> None:
    run()
    out, err = capsys.readouterr()
    assert out.splitlines() == [
        "claim     A wider network has a lower training error.",
        "verdict   undecided: nothing is tested here",
        "report    experiments/width-digits/report.html",
    ]
    assert Path("experiments/width-digits/report.html").is_file()
    lines = err.splitlines()
    assert lines[0] == "experiments/width-digits: 2 runs"
    assert [line.split(":")[0] for line in lines[1:]] == [
        "1 of 2  small (seed 0)", "2 of 2  wide (seed 0)",
    ]  # fmt: skip
    assert "training " in lines[1]
    assert max(map(len, lines)) <= 80
    assert [each["state"] for each in outcome()["runs"]] == ["finished"] * 2
    # Again, with one seed more: nothing that is there is run.
    run("--seeds", "2")
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "experiments/width-digits: 4 runs, 2 of them already there"
    assert [line.split(":")[0] for line in lines[1:]] == [
        "3 of 4  small (seed 1)", "4 of 4  wide (seed 1)",
    ]  # fmt: skip
    run("--seeds", "2", "--quiet")
    assert capsys.readouterr().err == ""


def test_a_run_that_fails_is_named_and_the_others_go_on(
    run: Callable[..., None], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fit, "sentence", _failing_once())
    with pytest.raises(CheckFailed) as failed:
        run()
    assert failed.value.exit_code == 1
    assert failed.value.lines[0] == "1 of 2 runs are not finished"
    assert failed.value.lines[1].startswith("small (seed 0): failed: exit code 1: ")
    assert "no room on device" in failed.value.lines[1]
    assert [each["state"] for each in outcome()["runs"]] == ["failed", "finished"]
    lines = capsys.readouterr().err.splitlines()
    assert lines[1].startswith("1 of 2  small (seed 0): failed: exit code 1: ")
    assert max(map(len, lines)) <= 80
    # What failed is tried again, what is finished is not.
    run()
    assert [each["state"] for each in outcome()["runs"]] == ["finished"] * 2
    assert capsys.readouterr().err.splitlines()[0].endswith("2 runs, 1 of them already there")


def _failing_once() -> Callable[..., str]:
    left = [1]

    def sentence(*_: object) -> str:
        if left:
            left.pop()
            raise RuntimeError("no room on device")
        return "fits"

    return sentence


def test_a_run_that_diverges_is_told_and_not_run_again(
    run: Callable[..., None], capsys: pytest.CaptureFixture[str]
) -> None:
    wild = {**TWO, "wide": {"spec": "wide.yaml", "set": ["optimizer.lr=1e38"]}}
    for attempt in (1, 2):
        with pytest.raises(CheckFailed) as failed:
            run(networks=wild)
        assert failed.value.lines[0] == "1 of 2 runs are not finished"
        assert failed.value.lines[1].startswith("wide (seed 0): diverged: wide: the loss")
        assert len(capsys.readouterr().err.splitlines()) == (3 if attempt == 1 else 1)


def test_what_there_is_to_run_is_counted(
    run: Callable[..., None], capsys: pytest.CaptureFixture[str]
) -> None:
    run("--plan", "--seeds", "3")
    assert not Path("experiments").exists()
    lines = capsys.readouterr().out.splitlines()
    assert lines[3].split() == ["small", "3", "0", "0", "0", "3"]
    assert lines[-1] == "experiments/width-digits: 6 of 6 runs left"


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("--list", "--plan"), "--list and --plan exclude each other"),
        (("--list", "--jobs", "2"), "--list and --jobs exclude each other"),
        (("--jobs", "2", "--on", "ray"), "--jobs and --on ray exclude each other"),
        (("--address", "auto"), "--address says nothing without --on ray"),
        (("--epochs", "2", "--set", "length=3 epochs"), "--epochs and --set length exclude"),
    ],
)
def test_options_that_do_not_go_together(
    run: Callable[..., None], words: tuple[str, ...], says: str
) -> None:
    with pytest.raises(UserError, match=says):
        run(*words)


def test_without_ray_a_sentence_says_how_to_get_it(
    run: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(UserError, match=r"--on ray: Ray is not installed; pip install 'resgen\[r"):
        run("--on", "ray")


# ---- in processes of its own


def started(*words: str, **more: Any) -> subprocess.Popen[str]:
    """The command, with workers, in a session of its own."""
    return subprocess.Popen(
        [sys.executable, "-m", "tests.concluded", *words],
        env={**os.environ, "PYTHONPATH": str(HERE), "OMP_NUM_THREADS": "1"},
        start_new_session=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **more,
    )  # fmt: skip


def reached(folder: Path, epochs: int, process: subprocess.Popen[str]) -> None:
    """Waits until a run has come so far."""
    end = time.monotonic() + 240
    while len(metrics.read(folder) if folder.is_dir() else []) < epochs:
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < end
        time.sleep(0.02)


def trains(folder: Path) -> int:
    """How often a run was begun or taken up."""
    return (folder / "log.txt").read_text().count("$ resgen train")


@pytest.mark.slow
def test_interrupted_and_killed_it_goes_on_and_comes_to_the_same_end(
    experiment: Callable[..., str], tmp_path: Path
) -> None:
    path = experiment(seeds=1, networks=TWO, set=["length=12 epochs"])
    alone = planning.plan(path, planning.Choice(), Path("alone"), CPU)
    alone.write()
    for each in alone.planned:
        assert perform(each.commands, each.folder / "log.txt") == 0
    small, wide = planning.plan(path, planning.Choice(), Path("experiments"), CPU).planned
    words = ("experiment", path, "--device", "cpu", "--jobs", "1")

    first = started(*words)
    reached(small.folder, 2, first)
    first.terminate()  # the command alone; it asks its workers to save
    _, err = first.communicate(timeout=240)
    assert first.returncode == 130, err
    assert err.splitlines()[-1] == (
        "error: SIGTERM: what was going on is saved; the same command goes on"
    )
    assert small.standing.state == "missing"
    assert 2 <= len(metrics.read(small.folder)) < 12

    second = started(*words)
    reached(wide.folder, 2, second)
    os.killpg(second.pid, signal.SIGKILL)
    second.communicate(timeout=240)
    assert small.standing.state == "finished"
    assert wide.standing.state == "missing"
    before = (small.folder / "result.json").read_bytes()

    third = started(*words)
    out, err = third.communicate(timeout=240)
    assert third.returncode == 0, err
    assert err.splitlines()[0].endswith("2 runs, 1 of them already there")
    assert "verdict   undecided" in out
    assert (small.folder / "result.json").read_bytes() == before
    assert (trains(small.folder), trains(wide.folder)) == (2, 2)
    for each, other in zip((small, wide), alone.planned, strict=True):
        assert weights(each.folder) == weights(other.folder)
        rows = [metrics.without_times(metrics.read(run.folder)) for run in (each, other)]
        assert rows[0] == rows[1]
    ends = [json.loads((run.folder / "result.json").read_text()) for run in alone.planned]
    assert [each["values"] for each in outcome()["runs"]] == [
        {key: end[key] for key in ("train_error", "last_error")} for end in ends
    ]


@pytest.mark.slow
def test_a_command_that_is_killed_alone_leaves_no_run_behind(
    experiment: Callable[..., str],
) -> None:
    path = experiment(seeds=1, networks=TWO, set=["length=2000 epochs"])
    small = planning.plan(path, planning.Choice(), Path("experiments"), CPU).planned[0]
    process = started("experiment", path, "--device", "cpu", "--jobs", "1")
    reached(small.folder, 2, process)
    process.kill()
    process.communicate(timeout=240)
    end = time.monotonic() + 240
    while (small.folder / ".lock").exists():  # its worker saves it, and goes
        assert time.monotonic() < end
        time.sleep(0.05)
    assert "SIGTERM" in (small.folder / "log.txt").read_text()


@pytest.fixture
def shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`resgen` as a command of the shell."""
    (tmp_path / "bin").mkdir()
    script = tmp_path / "bin" / "resgen"
    script.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m resgen "$@"\n')
    script.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    monkeypatch.setenv("PYTHONPATH", str(HERE))


@pytest.mark.slow
@pytest.mark.usefixtures("shell")
def test_nothing_is_left_once_a_shell_has_executed_the_list(
    run: Callable[..., None], capsys: pytest.CaptureFixture[str]
) -> None:
    grown = {name: NETWORKS[name] for name in ("small", "grown")}
    said = {"networks": grown, "series": {}, "expect": [
        {"measure": "train_error", "of": "grown", "is": "below", "than": "small"}]}  # fmt: skip
    run("--list", **said)
    (line,) = capsys.readouterr().out.splitlines()
    assert line.count(" && ") == 2
    Path("runs.txt").write_text(f"{line}\n")
    spread = "tr '\\n' '\\0' < runs.txt | xargs -0 -n 1 -P 4 sh -c"
    subprocess.run(["sh", "-c", spread], check=True, capture_output=True)
    run(**said)
    assert capsys.readouterr().err.splitlines() == [
        "experiments/width-digits: 2 runs, 2 of them already there"
    ]
    assert [each["state"] for each in outcome()["runs"]] == ["finished"] * 2


def test_nobody_waits_for_torch_who_only_lists(experiment: Callable[..., str]) -> None:
    path = experiment()
    code = (
        "import sys\nfrom resgen.cli import main\n"
        "try:\n    main()\nexcept SystemExit:\n    pass\nprint('torch' in sys.modules)"
    )
    for words in (("--list",), ("--plan",), ("--help",), ("--scale", "nothing")):
        done = subprocess.run(
            [sys.executable, "-c", code, "experiment", path, *words],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.stdout.splitlines()[-1] == "False", done.stderr
