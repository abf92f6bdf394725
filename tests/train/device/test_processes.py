"""One process against two: the same batches, the same gradients, each image counted once."""

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

from resgen.tensors import checkpoint
from resgen.train.run import metrics

# Puts each step's gradients into `seen`.
SPY = """
import torch
from resgen.train.run.loop import Stepper

seen = []
update = Stepper._update
def spy(stepper, loss, step):
    seen.append([p.grad.to("cpu", copy=True) for p in stepper.module.parameters()])
    return update(stepper, loss, step)
Stepper._update = spy
"""

# Trains a network without batch norm for a few steps, and saves its last gradients.
SCRIPT = (
    SPY
    + """
from pathlib import Path
from torch import nn
from resgen.train.device import processes
from resgen.train.device.voice import together
from resgen.train.run import runs
from resgen.train.data.images import Wanted
from resgen.train.device.engine import Engine
from resgen.train.run.network import Network, load
from resgen.train.recipe import Recipe
from resgen.train.run.settings import Settings

torch.set_num_threads(1)
torch.manual_seed(0)

class Small(Network):
    def make(self):
        return nn.Sequential(nn.Conv2d(1, 8, 3), nn.ReLU(), nn.Flatten(), nn.Linear(288, 10))

    def prove(self, _):
        return [(True, "")]

of_the_digits = load("digits/plain20")
network = Small(of_the_digits.spec, of_the_digits.plan, of_the_digits.trained)
engine = Engine(torch.device("cpu"), "fp32", "contiguous", "off")

def train(world, out, batch, accumulate):
    recipe = Recipe.model_validate({
        "description": "", "length": "13 steps", "batch": batch, "accumulate": accumulate,
        "optimizer": {"lr": 0.1},
        "augment": {"crop": "pad", "pad": 1, "flip": "horizontal", "erase": 0.2},
    })
    settings = Settings(out=out, voice="full")
    runs.train(runs.Job([network], recipe, Wanted(heldout=361), settings, engine, world))
    if world.first:
        torch.save(seen, out / "gradients.pt")
    seen.clear()

with together() as voice, processes.joined(engine.device, voice) as world:
    for batch, accumulate in ((127, 1), (64, 3)):
        train(world, Path(f"{world.size}-{batch}-{accumulate}"), batch, accumulate)
"""
)


def launch(
    processes: int, command: list[str], folder: Path, **env: str
) -> subprocess.CompletedProcess[str]:
    launcher = ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={processes}"]
    return subprocess.run(
        [sys.executable, *launcher, *command], cwd=folder, text=True, capture_output=True,
        env={**os.environ, "OMP_NUM_THREADS": "1", **env}, timeout=120,
    )  # fmt: skip


# Keeps the running statistics of each process before they are judged, and as they are judged.
JUDGED = """
from pathlib import Path
import torch
from resgen.train.data.images import Wanted
from resgen.train.device import processes
from resgen.train.device.engine import Engine
from resgen.train.device.voice import together
from resgen.train.recipe import Recipe
from resgen.train.run import evaluation, network, runs, trainer
from resgen.train.run.settings import Settings

torch.set_num_threads(1)
seen = []

def watched(call):
    def spied(module, *more, **how):
        seen.append({name: each.clone() for name, each in module.named_buffers()})
        return call(module, *more, **how)
    return spied

trainer.judge = watched(trainer.judge)
evaluation.evaluate = watched(evaluation.evaluate)
engine = Engine(torch.device("cpu"), "fp32", "contiguous", "off")
recipe = Recipe.model_validate({
    "description": "", "length": "3 steps", "batch": 64, "optimizer": {"lr": 0.1},
})
with together() as voice, processes.joined(engine.device, voice) as world:
    settings = Settings(out=Path("judged"), voice="quiet")
    net = network.load("digits/resnet20")
    runs.train(runs.Job([net], recipe, Wanted("digits"), settings, engine, world))
    torch.save(seen, f"seen-{world.rank}.pt")
"""


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    folder = tmp_path_factory.mktemp("processes")
    (folder / "script.py").write_text(SCRIPT)

    def train(processes: int, batch: int, accumulate: int) -> Path:
        out = folder / f"{processes}-{batch}-{accumulate}"
        if not out.exists():
            done = launch(processes, ["script.py"], folder)
            assert done.returncode == 0, done.stderr
            (folder / f"stderr-{processes}").write_text(done.stderr)
        return out

    return train


@pytest.mark.parametrize(("batch", "accumulate"), [(127, 1), (64, 3)])
def test_gradients_of_two_processes_are_those_of_one(
    runs: Callable[..., Path], batch: int, accumulate: int
) -> None:
    one, two = (torch.load(runs(n, batch, accumulate) / "gradients.pt") for n in (1, 2))
    assert len(one) == len(two) == 13
    for mine, theirs in zip(one, two, strict=True):
        for gradient, other in zip(mine, theirs, strict=True):
            assert float((gradient - other).abs().max()) < 1e-6


def test_every_held_out_image_is_counted_once(runs: Callable[..., Path]) -> None:
    rows: list[list[dict[str, Any]]] = [metrics.read(runs(n, 127, 1)) for n in (1, 2)]
    assert len(rows[0]) == len(rows[1])
    for one, two in zip(*rows, strict=True):
        # 361 images: a share of 181 and one of 180. Errors are whole images of all of them.
        for key in ("heldout_error", "train_error"):
            assert one[key] == pytest.approx(two[key], abs=1e-12)
        assert one["heldout_loss"] == pytest.approx(two["heldout_loss"], rel=1e-5)
        assert two["heldout_error"] * 361 == pytest.approx(round(two["heldout_error"] * 361))


def test_all_processes_judge_the_network_of_the_first(tmp_path: Path) -> None:
    (tmp_path / "script.py").write_text(JUDGED)
    done = launch(2, ["script.py"], tmp_path)
    assert done.returncode == 0, done.stderr
    (before, judged), (others, its) = (
        torch.load(tmp_path / f"seen-{rank}.pt") for rank in range(2)
    )
    # Each has seen its own images, and none was told of the others'.
    assert not torch.equal(before["bn1.running_mean"], others["bn1.running_mean"])
    saved = checkpoint.load(tmp_path / "judged" / "last.pt")["model"]
    for name, value in before.items():
        for same in (judged[name], its[name], saved[name]):
            assert torch.equal(same, value)


def test_one_process_writes_and_speaks(runs: Callable[..., Path]) -> None:
    out = runs(2, 127, 1)
    said = (out.parent / "stderr-2").read_text()
    assert said.count("held-out images") == 2  # two runs, one line each
    assert "2 processes, 64 of 127 images each at a time" in said
    assert checkpoint.load(out / "last.pt")["step"] == 13
    assert json.loads((out / "environment.json").read_text())[0]["processes"] == 2


def test_a_mistake_ends_all_processes_with_its_sentence(
    tiny: Callable[..., str], tmp_path: Path
) -> None:
    (tmp_path / "used").mkdir()
    (tmp_path / "used" / "file").touch()
    done = launch(2, ["-m", "resgen", "train", tiny(), "--out", "used"], tmp_path)
    assert done.returncode != 0
    assert done.stderr.count("error: ") == 1  # each of them found it, and one says it
    assert "error: --out used: not empty (it holds file)" in done.stderr
    assert [path.name for path in (tmp_path / "used").iterdir()] == ["file"]


def test_a_signal_to_one_process_stops_both_at_one_step(
    tiny: Callable[..., str], tmp_path: Path
) -> None:
    # Five steps an epoch: the processes must also agree where no step is a tenth one.
    arguments = ["train", tiny(), "--set", "batch=256", "--epochs", "5000", "--out", "run"]
    process = [
        subprocess.Popen(
            [sys.executable, "-m", "resgen", *arguments],
            cwd=tmp_path, stderr=subprocess.PIPE, text=True,
            env={
                **os.environ, "OMP_NUM_THREADS": "1", "RANK": str(rank), "LOCAL_RANK": str(rank),
                "WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "29513",
            },
        )
        for rank in range(2)
    ]  # fmt: skip
    while not metrics.read(tmp_path / "run") and process[0].poll() is None:
        time.sleep(0.05)
    process[1].send_signal(signal.SIGTERM)
    said = [each.communicate(timeout=60)[1] for each in process]
    assert [each.returncode for each in process] == [130, 130], said
    step = checkpoint.load(tmp_path / "run" / "last.pt")["step"]
    assert f"error: a signal to another process: stopped after step {step} of" in said[0]
    assert "error" not in said[1]
