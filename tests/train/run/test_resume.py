"""Interrupted anywhere and resumed: the same bits, the same rows, and nothing ever lost."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from resgen.errors import Interrupted, UserError
from resgen.tensors import checkpoint
from resgen.train.data.images import Wanted
from resgen.train.run import metrics, runs
from resgen.train.run.loop import Stepper
from resgen.train.run.metrics import without_times
from resgen.train.run.signals import Stop

Make = Callable[..., runs.Job]

EVERYTHING: dict[str, Any] = {
    "optimizer": {"kind": "adamw", "lr": 0.01, "weight_decay": 0.02, "decay": "weights"},
    "augment": {
        "crop": "pad", "pad": 1, "flip": "horizontal", "random": "randaugment",
        "erase": 0.3, "mixup": 0.2, "cutmix": 1.0,
    },
    "loss": {"kind": "binary", "label_smoothing": 0.1},
    "ema": {"decay": 0.9},
    "clip": 1.0,
    "accumulate": 3,
    "precise_bn": 2,
}  # fmt: skip


def assert_equal_bits(one: dict[str, Any], other: dict[str, Any]) -> None:
    for part in ("model", "average", "optimizer", "random", "best", "count"):
        assert checkpoint.digest({"x": one[part]}) == checkpoint.digest({"x": other[part]}), part


class StopAt(Stop):
    """Someone presses Ctrl-C in a step."""

    def __init__(self, step: int, monkeypatch: pytest.MonkeyPatch) -> None:
        super().__init__()
        call = Stepper.__call__

        def counted(stepper: Stepper, batches: Any, *, step: int, rate: float) -> bool:
            if step + 1 == self.step:
                self.asked = "SIGINT"
            return call(stepper, batches, step=step, rate=rate)

        self.step = step
        monkeypatch.setattr(Stepper, "__call__", counted)


@pytest.mark.parametrize("recipe_", [{}, EVERYTHING], ids=["plain", "everything"])
@pytest.mark.parametrize("step", [1, 7, 16])
def test_a_run_stopped_at_any_step_and_resumed_has_the_same_bits(
    job: Make, step: int, recipe_: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = job("whole", recipe_=recipe_)
    runs.train(whole)
    with monkeypatch.context() as patch:
        stop = StopAt(step, patch)
        patch.setattr(runs, "Stop", lambda: stop)
        with pytest.raises(Interrupted, match=f"stopped after step {step} of 22"):
            runs.train(job("cut", recipe_=recipe_))
    cut = job("cut", recipe_=recipe_, start="resume")
    assert checkpoint.load(cut.settings.out / "last.pt")["step"] == step
    runs.train(cut)
    states = [checkpoint.load(each.settings.out / "last.pt") for each in (whole, cut)]
    assert_equal_bits(*states)
    rows = [without_times(metrics.read(each.settings.out)) for each in (whole, cut)]
    assert rows[0] == rows[1]


def test_rows_written_after_the_checkpoint_are_cut_on_resume(job: Make) -> None:
    whole = job("run")
    runs.train(whole)
    folder = whole.settings.out
    rows = metrics.read(folder)
    # As if killed between the second epoch's row and its checkpoint, and in a third's row.
    os.replace(folder / "previous.pt", folder / "last.pt")
    with (folder / metrics.NAME).open("a") as file:
        file.write('{"epoch": 3, "st')
    runs.train(job("run", start="resume"))
    assert without_times(metrics.read(folder)) == without_times(rows)


def test_resuming_a_finished_run_changes_nothing(job: Make) -> None:
    (first,) = runs.train(job("run"))
    before = (job("run").settings.out / "metrics.jsonl").read_bytes()
    (again,) = runs.train(job("run", start="resume"))
    assert again == first
    assert (job("run").settings.out / "metrics.jsonl").read_bytes() == before


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"seed": 1}, "of another run: seed was 0 there and is 1 here"),
        ({"recipe_": {"optimizer": {"lr": 0.1}}}, r"recipe\.optimizer\.lr was 0\.05 there and is"),
        ({"recipe_": {"length": "3 epochs"}}, "recipe.length was 2 epochs there and is 3 epochs"),
    ],
)
def test_a_checkpoint_of_another_run_is_refused(
    job: Make, changes: dict[str, Any], message: str
) -> None:
    runs.train(job("run"))
    with pytest.raises(UserError, match=message):
        runs.train(job("run", start="resume", **changes))


def test_a_checkpoint_of_another_network_is_refused(job: Make, tiny: Callable[..., str]) -> None:
    runs.train(job("run"))
    other = tiny("other")
    with pytest.raises(UserError, match=r"network\.name was tiny there and is other here"):
        runs.train(job("run", specs=[other], start="resume"))


def test_a_used_folder_is_refused_and_force_starts_over(job: Make) -> None:
    first = job("run")
    runs.train(first)
    before = sorted(p.name for p in first.settings.out.iterdir())
    with pytest.raises(UserError, match=r"not empty .* add --resume to go on, --force"):
        runs.train(job("run"))
    assert sorted(p.name for p in first.settings.out.iterdir()) == before
    runs.train(job("run", start="force", recipe_={"length": "1 epochs"}))
    assert len(metrics.read(first.settings.out)) == 1


def test_killed_at_random_moments_and_resumed_ends_with_the_same_bits(
    job: Make, tiny: Callable[..., str], tmp_path: Path
) -> None:
    command = [
        sys.executable, "-m", "resgen", "train", tiny(), "--epochs", "12", "--device", "cpu",
        "--save-every", "0", "--out",
    ]  # fmt: skip
    env = {**os.environ, "OMP_NUM_THREADS": "1"}
    subprocess.run([*command, "whole"], cwd=tmp_path, env=env, check=True, capture_output=True)
    killed = 0
    for attempt in range(20):
        more = ["--resume"] if attempt else []
        process = subprocess.Popen(
            [*command, "cut", *more],
            cwd=tmp_path, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        if killed == 2:
            assert process.wait() == 0
            break
        before = _written(tmp_path / "cut")
        while _written(tmp_path / "cut") == before and process.poll() is None:
            time.sleep(0.01)
        time.sleep(0.02 + 0.05 * attempt)
        killed += process.poll() is None
        process.kill()
        process.wait()
    states = [checkpoint.load(tmp_path / name / "last.pt") for name in ("whole", "cut")]
    assert states[0]["step"] == states[1]["step"] == states[0]["total"]
    assert_equal_bits(*states)
    rows = [without_times(metrics.read(tmp_path / name)) for name in ("whole", "cut")]
    assert rows[0] == rows[1]


def _written(folder: Path) -> int:
    path = folder / "last.pt"
    return path.stat().st_mtime_ns if path.exists() else 0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_saves_and_exits_130(
    tiny: Callable[..., str], tmp_path: Path, number: signal.Signals
) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "resgen", "train", tiny(), "--epochs", "5000", "--out", "run"],
        cwd=tmp_path, env={**os.environ, "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    while not metrics.read(tmp_path / "run") and process.poll() is None:
        time.sleep(0.05)
    process.send_signal(number)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert out == ""
    assert f"error: {number.name}: stopped after step " in err.splitlines()[-1]
    assert "Traceback" not in err
    state = checkpoint.load(tmp_path / "run" / "last.pt")
    assert state["step"] >= metrics.read(tmp_path / "run")[-1]["step"]


def test_every_random_state_is_plain_and_comes_back(job: Make) -> None:
    runs.train(job("run"))
    state = torch.load(job("run").settings.out / "last.pt", weights_only=True)
    assert set(state["random"]) == {"python", "numpy", "torch", "cuda"}
    json.dumps({k: v for k, v in state["random"].items() if k != "torch"})


def test_there_must_be_something_to_resume(job: Make) -> None:
    with pytest.raises(UserError, match="there is nothing to resume; leave --resume out"):
        runs.train(job("none", start="resume"))


def test_files_and_dropout_have_the_same_bits_resumed_and_with_any_number_of_workers(
    job: Make, tiny: Callable[..., str], pictures: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = Wanted(pictures, channels=1, size=(8, 8), classes=2)
    specs = [tiny(classes=2, more="drop_path: 0.3\nhead: {dropout: 0.3}\n")]
    recipe_ = {"batch": 8, "augment": {"crop": "random-resized", "flip": "horizontal"}}

    def run(out: str, **settings: Any) -> dict[str, Any]:
        made = job(out, specs=specs, data=data, recipe_=recipe_, **settings)
        runs.train(made)
        return checkpoint.load(made.settings.out / "last.pt")

    whole = run("whole", workers=0)
    with monkeypatch.context() as patch:
        stop = StopAt(3, patch)
        patch.setattr(runs, "Stop", lambda: stop)
        with pytest.raises(Interrupted, match="stopped after step 3 of 12"):
            run("cut", workers=0)
    assert_equal_bits(run("cut", workers=0, start="resume"), whole)
    assert_equal_bits(run("two", workers=2), whole)
    assert_equal_rows(job, "whole", "cut", "two")


@pytest.mark.parametrize("kind", ["sgd", "adamw", "lamb"])
def test_a_checkpoint_of_a_gpu_goes_on_on_a_cpu(
    job: Make, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    """What CUDA's optimizers have in their groups, and its generator, are left aside."""
    recipe_ = {"optimizer": {"kind": kind, "lr": 0.01}}
    with monkeypatch.context() as patch:
        stop = StopAt(3, patch)
        patch.setattr(runs, "Stop", lambda: stop)
        with pytest.raises(Interrupted):
            runs.train(job("cut", recipe_=recipe_))
    runs.train(job("whole", recipe_=recipe_))
    last = job("cut").settings.out / "last.pt"
    saved = checkpoint.load(last)
    for group in saved["optimizer"]["param_groups"]:
        group |= {"fused": True, "foreach": False, "capturable": True}
    saved["random"]["cuda"] = torch.zeros(16, dtype=torch.uint8)
    checkpoint.save(saved, last.parent)
    runs.train(job("cut", recipe_=recipe_, start="resume"))
    ends = [checkpoint.load(job(out).settings.out / "last.pt") for out in ("cut", "whole")]
    assert_equal_bits(*ends)
    assert_equal_rows(job, "cut", "whole")


def assert_equal_rows(job: Make, *outs: str) -> None:
    found = [without_times(metrics.read(job(out).settings.out)) for out in outs]
    assert all(rows == found[0] for rows in found)
