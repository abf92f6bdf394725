"""Killed at random moments and resumed until the end: the same bits, rows and records."""

from __future__ import annotations

import json
import random
import shutil
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from resgen.tensors import checkpoint
from resgen.train.run import lock, metrics
from resgen.train.run.metrics import without_times
from tests.launched import Run, Start
from tests.train.run.test_resume import assert_equal_bits

SEED = 20151210
"""Of the moments; one that fails comes again with it."""
KILLS = 3
DROPPING = "drop_path: 0.3\nhead: {dropout: 0.3}\n"
Pair = Callable[..., list[Run]]


def records(folder: Path) -> dict[str, str]:
    """spec, recipe, and how it ended, but for the time it took."""
    result = json.loads((folder / "result.json").read_text())
    result.pop("seconds")
    texts = {name: (folder / name).read_text() for name in ("spec.yaml", "recipe.yaml")}
    return {**texts, "result": json.dumps(result)}


@pytest.mark.slow
@pytest.mark.parametrize("processes", [1, 2])
@pytest.mark.parametrize("source", ["memory", "files, 0 workers", "files, 2 workers"])
def test_a_run_killed_at_random_moments_ends_as_one_that_was_not(
    start: Start, start_two: Pair, tiny: Callable[..., str], pictures: str, tmp_path: Path,
    source: str, processes: int,
) -> None:  # fmt: skip
    workers = source.partition(", ")[2]
    data = ["--data", pictures, "--workers", workers[0]] if workers else ["--data", "digits"]
    spec = tiny(classes=2 if workers else 10, more=DROPPING)
    batch = 8 if workers else 240
    command = [
        "train", spec, *data, "--set", f"batch={batch}", "--set", "ema={decay: 0.9}",
        "--epochs", "4", "--device", "cpu", "--save-every", "0", "--out",
    ]  # fmt: skip

    def begin(out: str, *more: str) -> list[Run]:
        if processes == 2:
            return start_two(*command, out, *more)
        return [start(*command, out, *more)]

    before = time.monotonic()
    whole = begin("whole")
    assert [run.end() for run in whole] == [0] * processes, [run.err for run in whole]
    duration = time.monotonic() - before
    moments = random.Random(f"{SEED} {source} {processes}")
    killed = steps = 0
    while True:
        # Killed before its first file, a run leaves its lock, and there is nothing to resume.
        there = any(path.name != lock.NAME for path in (tmp_path / "cut").glob("*"))
        runs = begin("cut", *["--resume"] * there)
        if killed < KILLS:
            # At any moment of what is left: while loading, stepping, saving or evaluating.
            end = time.monotonic() + duration * moments.uniform(0.2, 1.0) * (1 - 0.2 * killed)
            while time.monotonic() < end and all(run.alive() for run in runs):
                time.sleep(0.002)
            ended = [run for run in runs if not run.alive()]
            if not ended:
                killed += 1
                for run in runs:
                    with suppress(ProcessLookupError):  # it may end before the signal comes
                        run.signal(signal.SIGKILL, group=True)
                    run.process.join()
                steps = max(steps, _step(tmp_path / "cut"))
                continue
        assert [run.end() for run in runs] == [0] * processes, [run.err for run in runs]
        if killed:
            break
        # It was over before its moment came; the next moments are earlier ones.
        duration *= 0.6
        assert duration > 0.05, "it was never killed"
        shutil.rmtree(tmp_path / "cut")
    states = [checkpoint.load(tmp_path / name / "last.pt") for name in ("whole", "cut")]
    assert states[1]["step"] == states[0]["total"]
    assert_equal_bits(*states)
    rows = [without_times(metrics.read(tmp_path / name)) for name in ("whole", "cut")]
    assert rows[0] == rows[1]
    assert records(tmp_path / "whole") == records(tmp_path / "cut")
    shutil.rmtree(tmp_path / "cut")


def _step(folder: Path) -> int:
    path = folder / "last.pt"
    return int(checkpoint.load(path)["step"]) if path.exists() else 0
