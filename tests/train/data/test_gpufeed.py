"""Files that the device decodes: the other feeds' images, by a decoder of its own."""

from __future__ import annotations

import io
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from resgen.errors import UserError
from resgen.train.data.feed import Making, Piece
from resgen.train.data.filefeed import FileFeed
from resgen.train.data.gpufeed import GpuFeed, nvjpeg
from resgen.train.data.images import Data, Wanted
from resgen.train.data.order import Order
from resgen.train.data.sources import load
from resgen.train.recipe.keys import Augment

PIECES = [Piece(step, share) for step in (0, 1) for share in (range(4), range(4, 8))]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """JPEGs, one on its side, one grey, one of four colours; a PNG; of several sizes."""
    y, x = np.mgrid[0:60, 0:80]
    for split, label in ((s, k) for s in ("train", "val") for k in (0, 1)):
        place = tmp_path / split / ("cat", "dog")[label]
        place.mkdir(parents=True)
        for number in range(6):
            waves = [np.sin(x / (5 + number) + c) + np.cos(y / (7 + label)) for c in range(3)]
            image = Image.fromarray((127 + 60 * np.stack(waves, -1)).astype(np.uint8))
            image = image.crop((0, 0, 80 - number, 60))
            exif = Image.Exif()
            exif[0x0112] = 6 if number == 1 else 1
            mode = {2: "L", 3: "CMYK"}.get(number, "RGB")
            ending = "png" if number == 4 else "jpg"
            image.convert(mode if ending == "jpg" else "RGB").save(
                place / f"{number}.{ending}", exif=exif
            )
    return tmp_path


def made(
    path: Path, device: str = "cpu", crop: str = "random-resized", **keys: Any
) -> tuple[Data, Making]:
    data = load(Wanted(f"folder:{path}", 3, (24, 24), 2, memory_limit=0))
    recipe = Augment.model_validate({"crop": crop, "flip": "horizontal", **keys})
    making = Making.of(
        data, recipe=recipe, order=Order(len(data.train), 8, 1), channels=3, size=(24, 24),
        train_size=(24, 24), device=torch.device(device), layout=torch.channels_last,
    )  # fmt: skip
    return data, making


def by_pillow(contents: list[Tensor], mode: str, device: torch.device) -> list[Tensor]:
    """In the place of nvJPEG; it refuses what that does."""
    pictures = []
    for content in contents:
        with Image.open(io.BytesIO(content.numpy().tobytes())) as image:
            if image.mode == "CMYK":
                raise RuntimeError("four colours")
            found = np.array(image.convert("L" if mode == "GRAY" else "RGB"))
        pictures.append(torch.from_numpy(found).view(*found.shape[:2], -1).permute(2, 0, 1))
    return [each.to(device) for each in pictures]


@pytest.mark.parametrize("crop", ["none", "pad", "random-resized"])
def test_all_but_the_decoder_is_as_for_files(path: Path, crop: str) -> None:
    pytest.importorskip("simplejpeg")
    data, making = made(path, crop=crop)
    seen: list[int] = []

    def decoder(contents: list[Tensor], mode: str, device: torch.device) -> list[Tensor]:
        seen.append(len(contents))
        return by_pillow(contents, mode, device)

    mine = GpuFeed(data, making, threads=2, decoder=decoder)
    theirs = FileFeed(data, making, processes=0)
    for one, other in zip(mine.train(PIECES), theirs.train(PIECES), strict=True):
        assert torch.equal(one.images, other.images)
        assert torch.equal(one.labels, other.labels)
        assert one.images.is_contiguous(memory_format=torch.channels_last)
    # Of sixteen pictures; half of the set are plain JPEGs.
    assert sum(seen) in range(5, 12)
    every = [torch.tensor([5, 0, 3]), torch.arange(12)]
    for one, other in zip(
        mine.still("heldout", every), theirs.still("heldout", every), strict=True
    ):
        assert torch.equal(one.images, other.images)
        assert torch.equal(one.labels, other.labels)


def test_what_the_decoder_refuses_is_decoded_here(path: Path) -> None:
    data, making = made(path)

    def refuses(*_: Any) -> list[Tensor]:
        raise RuntimeError("nvJPEG says no")

    mine = GpuFeed(data, making, threads=1, decoder=refuses)
    theirs = FileFeed(data, making, processes=0)
    for one, other in zip(mine.train(PIECES), theirs.train(PIECES), strict=True):
        assert torch.equal(one.images, other.images)


def test_a_damaged_file_is_named(path: Path) -> None:
    data, making = made(path)
    bad = path / "train" / "dog" / "0.jpg"
    bad.write_bytes(bad.read_bytes()[:300])
    feed = GpuFeed(data, making, threads=2, decoder=by_pillow)
    with pytest.raises(UserError, match=r"dog/0\.jpg: unreadable image"):
        list(feed.train([Piece(step, range(8)) for step in range(3)]))


def test_without_a_gpu_or_torchcodec_there_is_one_sentence(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with pytest.raises(UserError, match="--decode gpu: needs a CUDA device"):
        nvjpeg(torch.device("cpu"))
    monkeypatch.setitem(sys.modules, "torchcodec", None)
    monkeypatch.setitem(sys.modules, "torchcodec.decoders", None)
    with pytest.raises(UserError, match=r"needs torchcodec .*resgen\[nvjpeg\]"):
        nvjpeg(torch.device("cuda"))


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_nvjpegs_pixels_are_libjpegs_but_for_rounding(path: Path) -> None:
    pytest.importorskip("torchcodec")
    device = torch.device("cuda")
    data, here = made(path)
    _, there = made(path, "cuda")
    mine = GpuFeed(data, there, threads=2, decoder=nvjpeg(device))
    theirs = FileFeed(data, here, processes=0)
    for one, other in zip(mine.train(PIECES), theirs.train(PIECES), strict=True):
        assert one.images.device.type == "cuda"
        # In deviations of the images; a grey level is a sixtieth of one or so.
        assert float((one.images.cpu() - other.images).abs().mean()) < 0.05
        assert torch.equal(one.labels.cpu(), other.labels)
