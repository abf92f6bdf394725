"""Stopped and started again by a launcher, on other numbers of processes: the same run."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from PIL import Image

from resgen.tensors import checkpoint
from resgen.train.run import metrics
from resgen.train.run.metrics import without_times
from tests.launched import LONG, Run, Start, rows, until
from tests.train.run.test_resume import assert_equal_bits

DROPPING = "drop_path: 0.3\nhead: {dropout: 0.3}\n"


@pytest.fixture
def photographs(tmp_path: Path) -> str:
    """A class folder of JPEGs of two sizes, which are read from disk in every epoch."""
    for split, count in (("train", 24), ("val", 5), ("test", 3)):
        for label, kind in enumerate(("cat", "dog")):
            folder = tmp_path / "photographs" / split / kind
            folder.mkdir(parents=True)
            for number in range(count):
                image = Image.effect_noise((12 + number % 2, 12), 40 + 60 * label)
                image.save(folder / f"{number}.jpg")
    return f"folder:{tmp_path / 'photographs'}"


def torchrun(folder: Path, *words: str) -> subprocess.Popen[str]:
    launcher = ["--standalone", "--nproc-per-node=2", "--max-restarts=2"]
    log = (folder / "torchrun.log").open("a")
    return subprocess.Popen(
        [sys.executable, "-m", "torch.distributed.run", *launcher, "-m", "resgen", *words],
        cwd=folder, text=True, stdout=log, stderr=log, start_new_session=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )  # fmt: skip


def training(launched: subprocess.Popen[str]) -> dict[int, int]:
    """Rank -> process, of those that train now."""
    found = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            parent = int(stat.read_text().rpartition(")")[2].split()[1])
            variables = (stat.parent / "environ").read_text().split("\0")
        except (OSError, ValueError):
            continue
        if parent == launched.pid:
            found |= {int(v[5:]): int(stat.parent.name) for v in variables if v[:5] == "RANK="}
    return found


def done(launched: subprocess.Popen[str], folder: Path) -> int:
    try:
        return launched.wait(LONG)
    except subprocess.TimeoutExpired:
        os.killpg(launched.pid, signal.SIGTERM)
        raise AssertionError((folder / "torchrun.log").read_text()) from None


def going(launched: subprocess.Popen[str], end: float) -> None:
    assert launched.poll() is None
    assert time.monotonic() < end


def started(folder: Path) -> list[int]:
    path = folder / "environment.json"
    return [each["step"] for each in json.loads(path.read_text())] if path.exists() else []


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="reads /proc")
def test_torchrun_restarts_a_killed_run_and_the_bits_are_those_of_an_undisturbed_one(
    tiny: Callable[..., str], photographs: str, tmp_path: Path
) -> None:
    command = [
        "train", tiny(classes=2, more=DROPPING), "--data", photographs, "--set", "batch=8",
        "--epochs", "8", "--save-every", "0", "--device", "cpu", "--workers", "1", "--auto-resume",
        "--out",
    ]  # fmt: skip
    assert done(torchrun(tmp_path, *command, "whole"), tmp_path) == 0
    launched = torchrun(tmp_path, *command, "cut")
    end = time.monotonic() + LONG
    for turn, rank in enumerate((1, 0)):
        # Each of the two is killed once, some epochs after its start.
        while (
            len(metrics.read(tmp_path / "cut")) < 2 + 2 * turn
            or len(started(tmp_path / "cut")) < turn + 1
        ):
            going(launched, end)
            time.sleep(0.01)
        os.kill(training(launched)[rank], signal.SIGKILL)
    assert done(launched, tmp_path) == 0, (tmp_path / "torchrun.log").read_text()
    begun = started(tmp_path / "cut")
    assert begun[0] == 0
    assert len(begun) == 3
    assert 0 < begun[1] < begun[2] < 48
    assert_equal_bits(*(checkpoint.load(tmp_path / out / "last.pt") for out in ("whole", "cut")))
    one, other = (without_times(metrics.read(tmp_path / out)) for out in ("whole", "cut"))
    assert one == other


@pytest.mark.slow
def test_a_requeued_job_goes_on_by_the_same_command(
    tiny: Callable[..., str], photographs: str, tmp_path: Path
) -> None:
    """A scheduler ends all of a job's processes, torchrun among them, and starts it again."""
    command = [
        "train", tiny(classes=2, more=DROPPING), "--data", photographs, "--set", "batch=8",
        "--epochs", "30", "--device", "cpu", "--workers", "1", "--auto-resume", "--out", "run",
    ]  # fmt: skip
    launched = torchrun(tmp_path, *command)
    end = time.monotonic() + LONG
    while len(metrics.read(tmp_path / "run")) < 2:
        going(launched, end)
        time.sleep(0.01)
    for pid in training(launched).values():
        os.killpg(pid, signal.SIGTERM)
    os.killpg(launched.pid, signal.SIGTERM)
    assert done(launched, tmp_path) != 0
    log = (tmp_path / "torchrun.log").read_text()
    assert log.count("error: ") == 1
    assert "saved in run; the same command goes on" in log
    step = checkpoint.load(tmp_path / "run/last.pt")["step"]
    assert done(torchrun(tmp_path, *command), tmp_path) == 0
    assert started(tmp_path / "run") == [0, step]


@pytest.mark.slow
def test_a_run_goes_on_with_other_numbers_of_processes(
    start: Start, start_two: Callable[..., list[Run]], tiny: Callable[..., str], tmp_path: Path
) -> None:
    """Two processes, one, and two: the same steps on the same images, but for rounding.

    Without batch norm, whose statistics are those of a process's own images.
    """
    command = [
        "train", tiny(more="norm: {kind: group, groups: 4}\n"), "--set", "batch=240",
        "--set", "ema={decay: 0.9}", "--epochs", "60", "--device", "cpu", "--precision", "fp32",
        "--set", "optimizer.lr=0.01", "--auto-resume", "--out",
    ]  # fmt: skip
    whole = start(*command, "whole", name="whole")
    assert whole.end() == 0, whole.err
    for number, processes in enumerate((2, 1)):
        runs = start_two(*command, "cut") if processes == 2 else [start(*command, "cut")]
        there = number and rows(runs[0], "cut")
        until(lambda: rows(runs[0], "cut") > there + 3, alive=runs[0])  # noqa: B023
        runs[-1].signal(signal.SIGTERM)
        assert [run.end() for run in runs] == [130] * processes, [run.err for run in runs]
    pair = start_two(*command, "cut")
    assert [run.end() for run in pair] == [0, 0], [run.err for run in pair]
    record = json.loads((tmp_path / "cut/environment.json").read_text())
    assert [each["processes"] for each in record] == [2, 1, 2]
    one, other = (checkpoint.load(tmp_path / out / "last.pt") for out in ("whole", "cut"))
    for name, weight in one["model"].items():
        torch.testing.assert_close(other["model"][name], weight, rtol=1e-2, atol=1e-3)
    ours, theirs = (metrics.read(tmp_path / out) for out in ("cut", "whole"))
    assert [row["step"] for row in ours] == [row["step"] for row in theirs]
    for mine, yours in zip(ours, theirs, strict=True):
        # Every image of an epoch is counted once, also where the number changed within it.
        assert abs(mine["train_loss"] - yours["train_loss"]) < 1e-2
        assert mine["train_error"] * 1200 == pytest.approx(round(mine["train_error"] * 1200))
