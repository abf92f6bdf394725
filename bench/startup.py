"""How long the commands that need no torch take, against importing torch.

    python bench/startup.py

Each command and `python -c "import torch"` are run in turn, several times, in one go; the
medians and their ratios are printed. Only ratios of one run mean anything.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

RUNS = 7
TORCH = ["-c", "import torch"]


def seconds(arguments: list[str]) -> float:
    start = time.perf_counter()
    subprocess.run([sys.executable, *arguments], capture_output=True, check=False)
    return time.perf_counter() - start


def main() -> None:
    typo = Path(tempfile.mkdtemp()) / "typo.yaml"
    typo.write_text("name: x\nwidht: 3\n")
    commands = {
        "resgen --help": ["-m", "resgen", "--help"],
        "resgen summarize typo.yaml": ["-m", "resgen", "summarize", str(typo)],
        "resgen summarize --no-measure resnet50": [
            *("-m", "resgen", "summarize", "--no-measure", "resnet50"),
        ],
        "resgen build resnet50": ["-m", "resgen", "build", "resnet50"],
        "resgen summarize resnet50 (with the proof)": ["-m", "resgen", "summarize", "resnet50"],
    }
    seconds(TORCH)
    times: dict[str, list[float]] = {name: [] for name in commands}
    torch_times = []
    for _ in range(RUNS):
        torch_times.append(seconds(TORCH))
        for name, arguments in commands.items():
            times[name].append(seconds(arguments))
    torch = statistics.median(torch_times)
    print(f"{'python -c import torch':<44} {torch:6.2f} s   1.00")
    for name, found in times.items():
        median = statistics.median(found)
        print(f"{name:<44} {median:6.2f} s   {median / torch:.2f}")


if __name__ == "__main__":
    main()
