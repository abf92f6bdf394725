"""Whole runs of a recipe, one a seed, and one killed again and again: accuracy, time, bits.

    python bench/cifar.py --data folder:PATH
    python bench/cifar.py --data cifar10:PATH --seeds 0 1 2 --kills 5 --format json

Each seed is one `resgen train` in a process of its own. Then the last seed's run is made
once more, ended by SIGKILL at random moments and taken up with `--resume`; its weights,
optimizer, generators and metrics must be those of the run that nobody disturbed.
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import subprocess
import sys
import time
from pathlib import Path

import torch

from resgen.tensors import checkpoint
from resgen.train.run import metrics


def command(
    spec: str, data: str, recipe: str, *, seed: int, out: Path, device: str = "auto"
) -> list[str]:
    """One run, as a user types it."""
    return [
        sys.executable, "-m", "resgen", "train", spec, "--data", data, "--recipe", recipe,
        "--seed", str(seed), "--out", str(out), "--device", device, "--quiet",
    ]  # fmt: skip


def whole(
    spec: str, data: str, recipe: str, *, seed: int, out: Path, device: str = "auto"
) -> dict[str, float]:
    """A run from its first step to its last: errors in %, minutes of the whole process."""
    typed = command(spec, data, recipe, seed=seed, out=out, device=device)
    start = time.monotonic()
    subprocess.run(typed, check=True, stdout=subprocess.DEVNULL)
    minutes = (time.monotonic() - start) / 60
    result = json.loads((out / "result.json").read_text())
    return {
        "seed": seed,
        "training_error": round(100 * result["train_error"], 2),
        "heldout_error": round(100 * result["last_error"], 2),
        "test_error": round(100 * result["test_error"], 2),
        "minutes": round(minutes, 2),
    }


def killed(typed: list[str], undisturbed: Path, out: Path, moments: list[float]) -> dict[str, bool]:
    """The same run under SIGKILL at these seconds after its start, and whether it ends alike."""
    last = out / checkpoint.LAST

    def start() -> subprocess.Popen[bytes]:
        more = "--resume" if last.exists() else "--force"
        return subprocess.Popen([*typed, more], stdout=subprocess.DEVNULL)

    for before, moment in zip([0.0, *moments], moments, strict=False):
        process = start()
        try:
            process.wait(moment - before)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        step = checkpoint.load(last)["step"] if last.exists() else None
        print(f"killed after {moment:.0f} s; the checkpoint is of step {step}", file=sys.stderr)
    assert start().wait() == 0
    rows = [metrics.without_times(metrics.read(folder)) for folder in (undisturbed, out)]
    return {
        "same_bits": _state(undisturbed) == _state(out),
        "same_metrics": rows[0] == rows[1],
    }


def _state(folder: Path) -> str:
    """A hash of all that the next step would depend on."""
    state = checkpoint.load(folder / checkpoint.LAST)
    return checkpoint.digest({key: value for key, value in state.items() if key != "clock"})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", required=True, help="folder:PATH or cifar10:PATH")
    parser.add_argument("--spec", default="cifar/resnet20")
    parser.add_argument("--recipe", default="cifar-short")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--kills", type=int, default=5, help="0: leave that part out")
    parser.add_argument("--out", type=Path, default=Path("runs/bench-cifar"))
    parser.add_argument("--format", choices=("table", "json"), default="table")
    asked = parser.parse_args()
    task = (asked.spec, asked.data, asked.recipe)
    runs = []
    for seed in asked.seeds:
        runs.append(whole(*task, seed=seed, out=asked.out / f"seed-{seed}"))
        print("  ".join(f"{key} {value:g}" for key, value in runs[-1].items()), file=sys.stderr)
    correct = [100 - run["test_error"] for run in runs]
    result: dict[str, object] = {
        "command": " ".join(sys.argv),
        "device": torch.cuda.get_device_name() if torch.cuda.is_available() else "CPU",
        "torch": torch.__version__,
        "threads": torch.get_num_threads(),
        "runs": runs,
        "test_accuracy_mean": round(statistics.mean(correct), 2),
        "test_accuracy_range": [round(min(correct), 2), round(max(correct), 2)],
    }
    if len(runs) > 1:
        result["test_accuracy_standard_deviation"] = round(statistics.stdev(correct), 2)
    if asked.kills:
        last = asked.seeds[-1]
        draw = random.Random(last)
        seconds = 60 * runs[-1]["minutes"]
        moments = sorted(draw.uniform(0, seconds) for _ in range(asked.kills))
        out = asked.out / f"seed-{last}-killed"
        typed = command(*task, seed=last, out=out)
        result["killed_after_seconds"] = [round(moment) for moment in moments]
        result |= killed(typed, asked.out / f"seed-{last}", out, moments)
    if asked.format == "json":
        print(json.dumps(result, indent=2))
        return
    for key, value in result.items():
        if key != "runs":
            print(f"{key.replace('_', ' ')}: {value}")


if __name__ == "__main__":
    main()
