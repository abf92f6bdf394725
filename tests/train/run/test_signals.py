"""A signal ends a run: after its step where it takes steps, at once before and behind them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from resgen.errors import Interrupted, UserError
from resgen.tensors import checkpoint
from resgen.train.data import sources, workers
from resgen.train.run import metrics, runs, signals
from resgen.train.run.metrics import without_times
from resgen.train.run.signals import Stop
from tests.launched import Start, rows, until
from tests.train.run.test_resume import assert_equal_bits

Make = Callable[..., runs.Job]

DROPPING = "drop_path: 0.3\nhead: {dropout: 0.3}\n"


def ignored(pid: int) -> set[signal.Signals]:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    (mask,) = (int(line.split()[1], 16) for line in lines if line.startswith("SigIgn"))
    return {number for number in signal.Signals if mask >> (number - 1) & 1}


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads /proc")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGUSR1])
def test_a_signal_to_the_whole_group_saves_and_ends_the_workers_too(
    start: Start, tiny: Callable[..., str], pictures: str, tmp_path: Path, number: signal.Signals
) -> None:
    spec = tiny(classes=2, more=DROPPING)
    # Images take longer than steps, so that the signal meets a run that waits for its workers.
    command = [
        "train", spec, "--data", pictures, "--epochs", "12", "--device", "cpu", "--workers", "2",
        "--set", "batch=12", "--set", "augment.random=randaugment", "--set", "augment.random_ops=8",
    ]  # fmt: skip
    run = start(*command, "--out", "cut")
    until(lambda: rows(run, "cut"), alive=run)
    assert len(run.others()) >= 2
    assert all(number in ignored(pid) for pid in run.others())
    time.sleep(0.1)  # into the next epoch
    run.signal(number, group=True)
    assert run.end() == 130, run.err
    assert f"error: {number.name}: stopped after step " in run.err
    assert "saved in cut" in run.err
    assert "Traceback" not in run.err
    assert not run.others()
    assert start(*command, "--out", "cut", "--resume").end() == 0
    assert start(*command, "--out", "whole").end() == 0
    assert_equal_bits(*(checkpoint.load(tmp_path / out / "last.pt") for out in ("cut", "whole")))
    one, other = (without_times(metrics.read(tmp_path / out)) for out in ("cut", "whole"))
    assert one == other


def test_a_worker_that_dies_ends_the_run_with_a_sentence(
    start: Start, tiny: Callable[..., str], pictures: str
) -> None:
    run = start(
        "train", tiny(classes=2), "--data", pictures, "--set", "batch=4", "--epochs", "5000",
        "--device", "cpu", "--workers", "2", "--out", "run",
    )  # fmt: skip
    until(lambda: rows(run), alive=run)
    os.kill(min(run.others()), signal.SIGKILL)
    assert run.end() == 2
    assert "error: a process that decodes images died" in run.err.splitlines()[-1]
    assert "Traceback" not in run.err


def test_workers_are_born_deaf_and_their_death_raises_nowhere_else() -> None:
    before = signal.pthread_sigmask(signal.SIG_BLOCK, []), signal.getsignal(signal.SIGCHLD)
    with workers.born():
        assert signal.SIGTERM in signal.pthread_sigmask(signal.SIG_BLOCK, [])
        signal.signal(signal.SIGCHLD, slow_load)
    assert (
        signal.pthread_sigmask(signal.SIG_BLOCK, []), signal.getsignal(signal.SIGCHLD)
    ) == before  # fmt: skip


def slow_load(*_: Any) -> None:
    signal.raise_signal(signal.SIGTERM)
    time.sleep(60)


def test_a_signal_while_data_are_loaded_ends_at_once(
    job: Make, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(sources, "load", slow_load)
    with pytest.raises(Interrupted) as caught:
        runs.train(job())
    assert str(caught.value) == "SIGTERM: stopped before the first step; there was nothing to save"
    assert caught.value.exit_code == 130
    assert not (tmp_path / "run").exists()


def test_a_signal_while_the_test_set_is_read_ends_at_once_and_resumes(
    job: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    short = {"length": "2 steps"}
    with monkeypatch.context() as patch:
        patch.setattr(runs.Trainer, "_result", slow_load)
        with pytest.raises(Interrupted, match=r"SIGTERM: stopped after the last step; saved in .*"):
            runs.train(job(recipe_=short))
    (result,) = runs.train(job(recipe_=short, start="resume"))
    (whole,) = runs.train(job("whole", recipe_=short))
    assert result.last_error == whole.last_error


def test_a_signal_is_no_failure_that_code_on_the_way_could_take_for_its_own() -> None:
    def read() -> None:
        try:
            signal.raise_signal(signal.SIGINT)
        except Exception:
            raise UserError("damaged") from None

    with pytest.raises(Interrupted), Stop():
        read()


def test_where_it_is_held_a_signal_only_shows_and_ends_the_run_behind() -> None:
    seen: list[str | None] = []

    def run(stop: Stop) -> None:
        with stop.held():
            signal.raise_signal(signal.SIGTERM)
            seen.append(stop.asked)
        seen.append("still here")

    with pytest.raises(Interrupted, match="SIGTERM: stopped"), Stop() as stop:
        run(stop)
    assert seen == ["SIGTERM"]


def test_what_comes_minutes_before_the_end_is_not_counted_with_the_end() -> None:
    """SLURM sends the signal it was told to send, and at the end SIGTERM: the run is saving."""
    code = """
import signal
from resgen.train.run import signals
now = 100.0
signals.time.monotonic = lambda: now
with signals.Stop() as stop:
    with stop.held():
        for number in (signal.SIGUSR1, signal.SIGUSR1, signal.SIGTERM, signal.SIGUSR1):
            signal.raise_signal(number)
            print(stop.asked)
            now += 60
        signal.raise_signal(signal.SIGTERM)
"""
    done = subprocess.run([sys.executable, "-uc", code], capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (130, "SIGUSR1\n" * 4, "")


@pytest.mark.parametrize("apart", [0.0, signals.APART])
def test_one_signal_sent_twice_is_one_and_a_later_one_exits_at_once(apart: float) -> None:
    code = f"""
import signal
from resgen.train.run import signals
now = 100.0
signals.time.monotonic = lambda: now
with signals.Stop() as stop:
    with stop.held():
        signal.raise_signal(signal.SIGINT)
        now += {apart}
        signal.raise_signal(signal.SIGTERM)
        print(stop.asked)
        stop.asked = None
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    expected = (130, "") if apart else (0, "SIGINT\n")
    assert (done.returncode, done.stdout, done.stderr) == (*expected, "")
