"""A single image is prepared as the feeds prepare a run's test images."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from resgen.train.data import sources
from resgen.train.data.decoding import decode
from resgen.train.data.feed import Making, MemoryFeed
from resgen.train.data.filefeed import FileFeed
from resgen.train.data.images import Data, Files, Wanted
from resgen.train.data.order import Order
from resgen.train.data.preparing import Preparation
from resgen.train.recipe.keys import Augment


def folder(path: Path, *, mode: str, widths: tuple[int, ...]) -> Data:
    """Class folders of one split and a test split."""
    for split in ("train", "test"):
        for kind in ("cat", "dog"):
            (path / split / kind).mkdir(parents=True)
            for number in range(4):
                size = (widths[number % len(widths)], 11)
                image = Image.effect_noise(size, 80).convert("RGB")
                image = Image.merge("RGB", (*image.split()[:2], image.transpose(1).split()[2]))
                image.convert(mode).save(path / split / kind / f"{number}.png")
    return sources.load(Wanted(f"folder:{path}", channels=3, size=(9, 9), classes=2))


@pytest.mark.parametrize("widths", [(12,), (12, 20)], ids=["in memory", "from disk"])
@pytest.mark.parametrize(("mode", "channels"), [("L", 1), ("L", 3), ("RGB", 3)])
def test_an_image_alone_is_what_the_feed_gives(
    tmp_path: Path, widths: tuple[int, ...], mode: str, channels: int
) -> None:
    data = folder(tmp_path, mode=mode, widths=widths)
    keys = {
        "recipe": Augment(test_crop=0.8), "order": Order(len(data.train), 2, 0),
        "channels": channels, "size": (9, 9), "train_size": (9, 9),
        "device": torch.device("cpu"), "layout": torch.channels_last,
    }  # fmt: skip
    in_memory = len(widths) == 1
    assert isinstance(data.train, Files) != in_memory
    making = Making.of(data, **keys)
    feed = MemoryFeed.of(data, making) if in_memory else FileFeed(data, making, processes=0)
    with feed.open():
        (batch,) = feed.still("test", [torch.arange(8)])
    prepared = Preparation((9, 9), channels, data.mean, data.std, 0.8)
    files = sorted((tmp_path / "test").glob("*/*.png"))
    mine = torch.stack([prepared.picture(decode(str(each), prepared.mode)) for each in files])
    torch.testing.assert_close(mine, batch.images, rtol=0, atol=2e-6)


def test_a_network_of_grey_images_sees_colour_as_pillow_does() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    picture = Image.fromarray(pixels)
    for channels, mean in ((1, (0.5,)), (3, (0.5,)), (1, (0.5, 0.4, 0.3))):
        prepared = Preparation((64, 64), channels, mean, (0.25,) * len(mean), None)
        assert prepared.mode == "L"
        mine = prepared.picture(picture)
        assert mine.shape == (channels, 64, 64)
        assert torch.equal(mine, prepared.picture(picture.convert("L")))
        grey = np.asarray(picture.convert("L")) / 255
        theirs: Tensor = torch.tensor((grey - np.mean(mean)) / 0.25).float()
        torch.testing.assert_close(mine[0], theirs, rtol=0, atol=1e-5)
