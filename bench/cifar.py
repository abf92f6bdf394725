"""Whole runs of a recipe, one a seed, and one killed again and again: accuracy, time, bits.

    python bench/cifar.py --data folder:PATH
    python bench/cifar.py --data cifar10:PATH --seeds 0 1 2 --kills 5 --format json

Each seed is one `resgen train` in a process of its own. Then the last seed's run is made
once more, ended by SIGKILL at random moments and taken up with `--resume`; its weights,
optimizer and metrics must be those of the run that nobody disturbed.
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

from resgen.train import checkpoint, metrics


def command(asked: argparse.Namespace, seed: int, out: Path, *more: str) -> list[str]:
    """One run, as a user types it."""
    return [
        sys.executable, "-m", "resgen", "train", asked.spec, "--data", asked.data,
        "--recipe", asked.recipe, "--seed", str(seed), "--out", str(out), "--quiet", *more,
    ]  # fmt: skip


def whole(asked: argparse.Namespace, seed: int) -> dict[str, float]:
    """A run from its first step to its last: errors in %, minutes of the whole process."""
    out = asked.out / f"seed-{seed}"
    start = time.monotonic()
    subprocess.run(command(asked, seed, out), check=True, stdout=subprocess.DEVNULL)
    minutes = (time.monotonic() - start) / 60
    result = json.loads((out / "result.json").read_text())
    return {
        "seed": seed,
        "training_error": round(100 * result["train_error"], 2),
        "heldout_error": round(100 * result["last_error"], 2),
        "test_error": round(100 * result["test_error"], 2),
        "minutes": round(minutes, 2),
    }


def killed(asked: argparse.Namespace, seed: int, seconds: float) -> dict[str, object]:
    """The same run under SIGKILL at random moments, and whether it ends alike."""
    out = asked.out / f"seed-{seed}-killed"
    draw = random.Random(seed)
    moments = sorted(draw.uniform(0, seconds) for _ in range(asked.kills))
    steps = []
    for before, moment in zip([0.0, *moments], moments, strict=False):
        more = ["--resume"] if (out / checkpoint.LAST).exists() else ["--force"]
        process = subprocess.Popen(command(asked, seed, out, *more), stdout=subprocess.DEVNULL)
        try:
            process.wait(moment - before)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        last = out / checkpoint.LAST
        steps.append(checkpoint.load(last)["step"] if last.exists() else None)
    start = ["--resume"] if (out / checkpoint.LAST).exists() else ["--force"]
    subprocess.run(command(asked, seed, out, *start), check=True, stdout=subprocess.DEVNULL)
    one, other = asked.out / f"seed-{seed}", out
    return {
        "seed": seed,
        "killed_after_seconds": [round(moment) for moment in moments],
        "checkpoint_found_at_step": steps,
        "same_bits": _state(one) == _state(other),
        "same_metrics": _rows(one) == _rows(other),
    }


def _state(folder: Path) -> str:
    """A hash of all that the next step would depend on."""
    state = checkpoint.load(folder / checkpoint.LAST)
    return checkpoint.digest({key: value for key, value in state.items() if key != "clock"})


def _rows(folder: Path) -> list[metrics.Row]:
    return [
        {key: value for key, value in row.items() if key not in metrics.TIMES}
        for row in metrics.read(folder)
    ]


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
    device = torch.cuda.get_device_name() if torch.cuda.is_available() else "CPU"
    runs = []
    for seed in asked.seeds:
        runs.append(whole(asked, seed))
        if asked.format == "table":
            print("  ".join(f"{key} {value:g}" for key, value in runs[-1].items()), flush=True)
    correct = [100 - run["test_error"] for run in runs]
    result: dict[str, object] = {
        "command": " ".join(sys.argv),
        "device": device,
        "torch": torch.__version__,
        "threads": torch.get_num_threads(),
        "runs": runs,
        "test_accuracy": {
            "mean": round(statistics.mean(correct), 2),
            "standard_deviation": round(statistics.stdev(correct), 2) if len(runs) > 1 else None,
            "range": [round(min(correct), 2), round(max(correct), 2)],
        },
    }
    if asked.kills:
        result["killed"] = killed(asked, asked.seeds[-1], 60 * runs[-1]["minutes"])
    if asked.format == "json":
        print(json.dumps(result, indent=2))
        return
    for key in ("device", "torch", "threads", "test_accuracy", "killed"):
        print(f"{key}: {result.get(key)}")


if __name__ == "__main__":
    main()
