"""How long a run waits for its images: decoded at each start, the first time, and kept.

    python bench/loading.py
    python bench/loading.py --images 60000 --side 32 --rounds 3
    python bench/loading.py --names 1281167

Each start is a process of its own that reads a class folder of JPEGs; importing is not counted.
Its seconds are given as a clock shows them and as its processors have worked, which others that
use them change less. The kinds of start take turns. `--names` measures what names take instead.
"""

from __future__ import annotations

import argparse
import os
import pickle
import statistics
import subprocess
import sys
import tempfile
from multiprocessing.reduction import ForkingPickler
from pathlib import Path

import numpy as np
from PIL import Image

START = """
import sys, time
from resgen.train.data.images import Wanted
from resgen.train.data.sources import load
side = int(sys.argv[2])
start = time.perf_counter(), time.process_time()
data = load(Wanted(f"folder:{sys.argv[1]}", 3, (side, side), 10))
data.train.pixels[:: max(1, len(data.train) // 64)].sum()
print(time.perf_counter() - start[0], time.process_time() - start[1])
"""


def pictures(folder: Path, count: int, side: int) -> None:
    """JPEGs of waves under noise, in ten classes."""
    rng = np.random.default_rng(0)
    wave = 120 + 60 * np.sin(np.arange(side) / 5)[:, None, None]
    for label in range(10):
        (folder / "train" / f"class-{label}").mkdir(parents=True)
        for number in range(count // 10):
            noisy = wave + rng.normal(0, 20, (side, side, 3)) + 8 * label
            image = Image.fromarray(np.clip(noisy, 0, 255).astype(np.uint8))
            image.save(folder / "train" / f"class-{label}" / f"{number:06}.jpg", quality=75)


def seconds(folder: Path, side: int, cache: str) -> tuple[float, float]:
    """One start: by the clock, and of processors."""
    done = subprocess.run(
        [sys.executable, "-c", START, str(folder), str(side)],
        env={**os.environ, "RESGEN_CACHE": cache}, capture_output=True, text=True, check=True,
    )  # fmt: skip
    clock, worked = map(float, done.stdout.split())
    return clock, worked


def starts(count: int, side: int, rounds: int) -> None:
    """Prints the medians of each kind of start."""
    with tempfile.TemporaryDirectory() as place:
        folder, cache = Path(place) / "set", Path(place) / "cache"
        pictures(folder, count, side)
        taken: dict[str, list[tuple[float, float]]] = {
            "nothing kept": [],
            "first": [],
            "from then on": [],
        }
        for _ in range(rounds):
            taken["nothing kept"].append(seconds(folder, side, "off"))
            for file in cache.glob("*"):
                file.unlink()
            taken["first"].append(seconds(folder, side, str(cache)))
            taken["from then on"].append(seconds(folder, side, str(cache)))
    print(f"{count:,} JPEGs of {side}x{side}, medians of {rounds} starts")
    for kind, each in taken.items():
        clock, worked = (statistics.median(column) for column in zip(*each, strict=True))
        print(f"  {kind:14} {clock:7.2f} s, {worked:7.2f} s of processors")


def names(count: int) -> None:
    """Prints the bytes of ImageNet's names as one buffer, as strings, and as a worker gets them."""
    import torch

    from resgen.train.data.images import Files
    from resgen.train.data.paths import Paths

    called = [f"n{n % 1000:08}/n{n % 1000:08}_{n // 1000 * 7}.JPEG" for n in range(count)]
    paths = Paths.of("imagenet/train/", called)
    files = Files(paths, torch.zeros(count, dtype=torch.int64)).pick(torch.arange(count))
    strings = (sum(map(sys.getsizeof, paths)) + 8 * count) / 1e6
    assert files.numbers is not None
    held = (paths.text, paths.ends, files.labels, files.numbers)
    mine = sum(each.nbytes for each in held) / 1e6
    print(f"{count:,} names: {mine:.0f} MB with labels and numbers")
    print(f"  as strings {strings:.0f} MB, pickled {len(pickle.dumps([*paths])) / 1e6:.0f} MB")
    print(f"  a worker is sent {len(ForkingPickler.dumps(files)):,} bytes")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--images", type=int, default=60_000)
    parser.add_argument("--side", type=int, default=32)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--names", type=int, help="of so many files, and nothing else")
    asked = parser.parse_args()
    if asked.names:
        names(asked.names)
    else:
        starts(asked.images, asked.side, asked.rounds)
