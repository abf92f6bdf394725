"""What either feed makes of known pictures, against torchvision and NumPy, picture by picture."""

from __future__ import annotations

from functools import lru_cache
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor
from torchvision.transforms import v2

from resgen.train.data.feed import Feed, Making, MemoryFeed, Piece
from resgen.train.data.filefeed import FileFeed
from resgen.train.data.images import Wanted
from resgen.train.data.order import Order
from resgen.train.data.sources import load
from resgen.train.recipe.keys import Augment

SIDE = 16
KINDS = ["memory", "files"]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twenty noisy pictures of 40x30 to train on, six to watch with, in two classes."""
    path, rng = tmp_path_factory.mktemp("set"), np.random.default_rng(0)
    for split, count in (("train", 10), ("val", 3)):
        for name in ("cat", "dog"):
            (path / split / name).mkdir(parents=True)
            for number in range(count):
                pixels = rng.integers(0, 256, (30, 40, 3), dtype=np.uint8) // (1, 2, 3)
                image = Image.fromarray(pixels.astype(np.uint8))
                image.save(path / split / name / f"{number}.png")
    return path


def made(place: Path, kind: str, *, seed: int = 0, **keys: Any) -> Feed:
    recipe = Augment.model_validate(keys)
    limit = 2**32 if kind == "memory" else 0
    data = load(Wanted(f"folder:{place}", 3, (SIDE, SIDE), 2, memory_limit=limit))
    trained = recipe.size or SIDE
    making = Making.of(
        data, recipe=recipe, order=Order(20, 20, seed), channels=3, size=(SIDE, SIDE),
        train_size=(trained, trained), device=torch.device("cpu"), layout=torch.channels_last,
    )  # fmt: skip
    return MemoryFeed.of(data, making) if kind == "memory" else FileFeed(data, making, processes=0)


def pictures(place: Path, split: str) -> list[Tensor]:
    files = [file for name in ("cat", "dog") for file in sorted((place / split / name).iterdir())]
    return [torch.from_numpy(np.array(Image.open(file))).permute(2, 0, 1) for file in files]


@lru_cache(maxsize=1)
def statistics(place: Path) -> tuple[Tensor, Tensor]:
    """The mean and deviation of all training pixels, in grey levels."""
    every = torch.stack(pictures(place, "train")).double()
    mean, std = every.mean((0, 2, 3)), every.std((0, 2, 3), correction=0)
    return mean[:, None, None], std[:, None, None]


def normalised(place: Path, picture: Tensor) -> Tensor:
    mean, std = statistics(place)
    return ((picture.double() - mean) / std).float()


def trained_on(feed: Feed, step: int = 0, seed: int = 0) -> list[Tensor]:
    """A step's images in the order of their files."""
    (batch,) = feed.train([Piece(step, range(20))])
    return list(batch.images[Order(20, 20, seed).indices(step).argsort()])


def middle(picture: Tensor, share: float, how: str = "bilinear", side: int = SIDE) -> Tensor:
    scaled = v2.Resize(round(side / share), v2.InterpolationMode(how), antialias=True)
    cut: Tensor = v2.CenterCrop(side)(scaled(picture.contiguous()))
    return cut


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("keys", [{}, {"test_crop": 0.6}, {"interpolation": "bicubic"}])
def test_tested_on_is_the_middle_normalised(place: Path, kind: str, keys: dict[str, Any]) -> None:
    (batch,) = made(place, kind, **keys).still("heldout", [torch.arange(6)])
    share, how = keys.get("test_crop", 0.875), keys.get("interpolation", "bilinear")
    for image, picture in zip(batch.images, pictures(place, "val"), strict=True):
        expected = normalised(place, middle(picture, share, how))
        torch.testing.assert_close(image, expected, rtol=0, atol=1e-5)
    assert batch.labels.tolist() == [0, 0, 0, 1, 1, 1]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("side", [SIDE, 12])
def test_trained_on_is_the_middle_where_nothing_is_drawn(place: Path, kind: str, side: int) -> None:
    found = trained_on(made(place, kind, size=side))
    for image, picture in zip(found, pictures(place, "train"), strict=True):
        expected = normalised(place, middle(picture, 1.0, side=side))
        torch.testing.assert_close(image, expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("pad", [1, 3])
def test_pad_and_flip_are_windows_of_the_padded_picture(place: Path, kind: str, pad: int) -> None:
    feed = made(place, kind, crop="pad", pad=pad, flip="horizontal")
    places = []
    for step in range(4):
        for image, picture in zip(trained_on(feed, step), pictures(place, "train"), strict=True):
            padded, windows = F.pad(middle(picture, 1.0), [pad] * 4), {}
            for top, left in product(range(2 * pad + 1), repeat=2):
                window = padded[:, top : top + SIDE, left : left + SIDE]
                windows[top, left, False], windows[top, left, True] = window, window.flip(2)
            mean, std = statistics(place)
            pixels = (image * std + mean).round().byte()
            (one,) = [w for w, values in windows.items() if torch.equal(values, pixels)]
            places.append(one)
    tops, lefts, mirrored = zip(*places, strict=True)
    assert set(tops) == set(lefts) == set(range(2 * pad + 1))
    assert 20 < sum(mirrored) < 60
    # Each step and each image draws for itself.
    assert len({tuple(places[20 * step : 20 * step + 20]) for step in range(4)}) == 4


@pytest.mark.parametrize("kind", KINDS)
def test_a_crop_of_the_least_area_of_one_is_the_whole_picture(place: Path, kind: str) -> None:
    """Where no rectangle fits, the largest of an allowed shape: 40x30 is one of 4:3."""
    found = trained_on(made(place, kind, crop="random-resized", min_area=1.0))
    scaled = v2.Resize((SIDE, SIDE), antialias=True)
    for image, picture in zip(found, pictures(place, "train"), strict=True):
        expected = normalised(place, scaled(picture.contiguous()))
        if not torch.allclose(image, expected, atol=1e-4):
            # A rectangle a row or column short of the whole.
            assert float((image - expected).abs().mean()) < 0.3
    assert sum(
        torch.allclose(image, normalised(place, scaled(picture.contiguous())), atol=1e-4)
        for image, picture in zip(found, pictures(place, "train"), strict=True)
    ) > 15  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_seeds_and_steps_draw_differently(place: Path, kind: str) -> None:
    keys = {"crop": "random-resized", "min_area": 0.2}
    feed, other = made(place, kind, **keys), made(place, kind, seed=1, **keys)
    first, second = trained_on(feed), trained_on(feed, step=1)
    third = trained_on(other, seed=1)
    for one, two, three in zip(first, second, third, strict=True):
        assert not torch.equal(one, two)
        assert not torch.equal(one, three)
