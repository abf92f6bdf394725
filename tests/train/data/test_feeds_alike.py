"""A set in memory and the same set read from disk give the network the same tensors."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from resgen.train.data.feed import Batch, Feed, Making, MemoryFeed, Piece
from resgen.train.data.filefeed import FileFeed
from resgen.train.data.images import Data, Files, Images, Wanted
from resgen.train.data.order import Order
from resgen.train.data.sources import load
from resgen.train.recipe.keys import Augment

Sets = Callable[[tuple[int, int], str, str], Path]
BOTH = ("train", "val")


@pytest.fixture(scope="module")
def sets(tmp_path_factory: pytest.TempPathFactory) -> Sets:
    """Class folders of waves under noise, made once for each size, ending and mode."""
    made: dict[tuple[object, ...], Path] = {}

    def make(size: tuple[int, int], ending: str, mode: str) -> Path:
        if (size, ending, mode) in made:
            return made[size, ending, mode]
        path = made[size, ending, mode] = tmp_path_factory.mktemp("set")
        rng = np.random.default_rng(0)
        y, x = np.mgrid[0 : size[1], 0 : size[0]]
        for split, count in (("train", 6), ("val", 3)):
            for label, name in enumerate(("cat", "dog")):
                (path / split / name).mkdir(parents=True)
                for number in range(count):
                    waves = [np.sin(x / (5 + number) + c) + np.cos(y / 7) for c in range(3)]
                    noisy = 120 + 50 * np.stack(waves, -1) + rng.normal(0, 15, (*y.shape, 3))
                    image = Image.fromarray(np.clip(noisy + 20 * label, 0, 255).astype(np.uint8))
                    image.convert(mode).save(path / split / name / f"{number}.{ending}")
        return path

    return make


def both(path: Path, side: int, channels: int, **keys: Any) -> tuple[Feed, Feed]:
    """The feed of the set in memory, and that of its files."""
    recipe, size = Augment.model_validate(keys), (side, side)

    def read(limit: int) -> tuple[Data, Making]:
        wanted = Wanted(f"folder:{path}", channels, size, 2, memory_limit=limit)
        data = load(wanted)
        trained = recipe.size or side
        making = Making.of(
            data, recipe=recipe, order=Order(len(data.train), 8, 3, recipe.repeats),
            channels=channels, size=size, train_size=(trained, trained), device=torch.device("cpu"),
            layout=torch.channels_last,
        )  # fmt: skip
        return data, making

    (memory, here), (files, there) = read(2**32), read(0)
    assert isinstance(memory.train, Images)
    assert isinstance(files.train, Files)
    assert (memory.mean, memory.std) == (files.mean, files.std)
    return MemoryFeed.of(memory, here), FileFeed(files, there, processes=0)


def same(one: Batch, other: Batch) -> None:
    assert torch.equal(one.labels, other.labels)
    assert torch.equal(one.images, other.images)
    for images in (one.images, other.images):
        assert images.is_contiguous(memory_format=torch.channels_last)


KEYS: dict[str, dict[str, Any]] = {
    "nothing": {},
    "pad": {"crop": "pad", "pad": 3},
    "random-resized": {"crop": "random-resized", "min_area": 0.2},
    "flip": {"flip": "horizontal"},
    "bicubic": {"crop": "random-resized", "interpolation": "bicubic"},
    "bicubic middle": {"interpolation": "bicubic", "test_crop": 0.7},
    "randaugment": {"random": "randaugment", "random_probability": 1.0},
    "trivialaugment": {"random": "trivialaugment"},
    "erase": {"erase": 0.7},
    "mixup": {"mixup": 0.4},
    "cutmix": {"cutmix": 1.0},
    "repeats": {"repeats": 3, "flip": "horizontal"},
    "size": {"size": 24, "crop": "random-resized"},
    "all": {
        "crop": "random-resized", "flip": "horizontal", "random": "randaugment", "erase": 0.3,
        "mixup": 0.2, "cutmix": 1.0, "interpolation": "bicubic", "repeats": 2, "size": 40,
        "random_magnitude": 7, "random_noise": 1.0, "random_ops": 3, "random_probability": 0.8,
    },
}  # fmt: skip


def test_every_key_of_augmentation_is_tried() -> None:
    assert {key for keys in KEYS.values() for key in keys} == set(Augment.model_fields)


@pytest.mark.parametrize("keys", KEYS.values(), ids=KEYS)
@pytest.mark.parametrize(
    ("shape", "size", "ending"),
    [((32, 32), 32, "png"), ((256, 200), 64, "jpg"), ((32, 32), 48, "jpg")],
)
def test_both_feeds_give_the_same_tensors(
    sets: Sets, shape: tuple[int, int], size: int, ending: str, keys: dict[str, Any]
) -> None:
    memory, files = both(sets(shape, ending, "RGB"), size, 3, **keys)
    # Cut for two processes, in two pieces each: the second process's.
    pieces = [Piece(step, share) for step in (0, 1) for share in (range(4, 6), range(6, 8))]
    for one, other in zip(memory.train(pieces), files.train(pieces), strict=True):
        same(one, other)
    picked = [torch.tensor([4, 0]), torch.arange(6)]
    for one, other in zip(
        memory.still("heldout", picked), files.still("heldout", picked), strict=True
    ):
        same(one, other)


@pytest.mark.parametrize(("mode", "channels"), [("L", 1), ("L", 3)])
def test_of_grey_images_too(sets: Sets, mode: str, channels: int) -> None:
    keys = {"crop": "random-resized", "random": "randaugment", "erase": 0.5}
    memory, files = both(sets((40, 30), "png", mode), 24, channels, **keys)
    pieces = [Piece(0, range(8))]
    (one,), (other,) = memory.train(pieces), files.train(pieces)
    same(one, other)
    assert one.images.shape == (8, channels, 24, 24)


def test_by_the_statistics_of_weights_too(sets: Sets) -> None:
    """Grey images for a network of colour, whose mean and deviation are colour's."""
    path = sets((32, 32), "png", "L")
    found: list[Tensor] = []
    for limit in (2**32, 0):
        wanted = Wanted(f"folder:{path}", 3, (32, 32), 2, memory_limit=limit)
        data = load(wanted)
        data = Data(
            data.name, data.classes, data.train, data.heldout, mean=(0.5, 0.4, 0.3),
            std=(0.2, 0.3, 0.25),
        )  # fmt: skip
        making = Making.of(
            data, recipe=Augment(random="randaugment"), order=Order(12, 8, 0), channels=3,
            size=(32, 32), train_size=(32, 32), device=torch.device("cpu"),
            layout=torch.contiguous_format,
        )  # fmt: skip
        feed: Feed = MemoryFeed.of(data, making) if limit else FileFeed(data, making, processes=0)
        (batch,) = feed.train([Piece(0, range(8))])
        found.append(batch.images)
    assert torch.equal(*found)


def test_workers_make_what_the_process_itself_makes(sets: Sets) -> None:
    path, keys = sets((32, 32), "png", "RGB"), KEYS["all"]
    _, alone = both(path, 32, 3, **keys)
    _, helped = both(path, 32, 3, **keys)
    assert isinstance(helped, FileFeed)
    helped = FileFeed(
        load(Wanted(f"folder:{path}", 3, (32, 32), 2, memory_limit=0)), helped.making, processes=2
    )
    pieces = [Piece(step, range(8)) for step in range(3)]
    with helped.open():
        for one, other in zip(alone.train(pieces), helped.train(pieces), strict=True):
            same(one, other)
