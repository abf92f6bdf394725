"""Class folders of noise, small enough to be held in memory."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image


def noise_folders(place: Path) -> Path:
    """place/data: 20 images of 8x8 in each of two classes to train on, 3 to test on."""
    rng = np.random.default_rng(0)
    for split, count in (("train", 20), ("test", 3)):
        for name in ("cat", "dog"):
            (place / "data" / split / name).mkdir(parents=True)
            for number in range(count):
                image = Image.fromarray(rng.integers(0, 256, (8, 8, 3), np.uint8))
                image.save(place / "data" / split / name / f"{number:03}.png")
    return place / "data"
