"""Data sets: what is read, how it is cut, and the sentence for each way to be unfit."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from sklearn.datasets import load_digits

from resgen.errors import UserError
from resgen.train.data import gathering
from resgen.train.data.images import Data, Files, Images, Wanted
from resgen.train.data.sources import load

GREY = {"channels": 1, "size": (8, 8)}


def fingerprints(images: Images) -> list[bytes]:
    return [pixels.numpy().tobytes() for pixels in images.pixels]


def test_digits_are_sklearns_images_each_once() -> None:
    data = load(Wanted("digits", **GREY))
    assert (len(data.train), len(data.heldout), data.test) == (1437, 360, None)
    assert isinstance(data.train, Images)
    assert isinstance(data.heldout, Images)
    ours = fingerprints(data.train) + fingerprints(data.heldout)
    theirs = [
        np.round(image * 255 / 16).astype(np.uint8).tobytes() for image in load_digits().images
    ]
    assert sorted(ours) == sorted(theirs)


def test_mean_and_deviation_are_those_of_the_training_pixels() -> None:
    data = load(Wanted("digits", **GREY))
    assert isinstance(data.train, Images)
    pixels = data.train.pixels.double() / 255
    assert data.mean[0] == pytest.approx(float(pixels.mean()))
    assert data.std[0] == pytest.approx(float(pixels.std(correction=0)))


def test_the_held_out_cut_is_the_same_for_every_call_and_size_is_kept() -> None:
    one, other = (load(Wanted("digits", heldout=100, **GREY)) for _ in range(2))
    assert isinstance(one.heldout, Images)
    assert isinstance(other.heldout, Images)
    assert len(one.heldout) == 100
    assert torch.equal(one.heldout.pixels, other.heldout.pixels)


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        (Wanted("digit", **GREY), "--data digit: no such data; known are digits, cifar10"),
        (Wanted("digits", classes=1000, **GREY), "has 10 classes and the network 1000; write"),
        (Wanted("digits", heldout=1797, **GREY), "--heldout 1797: must be at least 1 and less"),
        (Wanted("cifar10:/nowhere"), "put cifar-10-python.tar.gz or cifar-10-binary.tar.gz"),
        (Wanted("folder:/nowhere"), "--data folder:/nowhere: no such folder"),
    ],
)
def test_what_does_not_fit_is_said_in_one_sentence(wanted: Wanted, message: str) -> None:
    with pytest.raises(UserError) as caught:
        load(wanted)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


# ---- class folders


@pytest.fixture
def folders(tmp_path: Path) -> Callable[..., Path]:
    """PATH/SPLIT/CLASS/N.png, each image one colour that tells its class and number."""

    def make(
        splits: dict[str, int], classes: tuple[str, ...] = ("cat", "dog"), mode: str = "RGB"
    ) -> Path:
        for split, count in splits.items():
            for label, name in enumerate(classes):
                folder = tmp_path / "data" / split / name
                folder.mkdir(parents=True, exist_ok=True)
                for number in range(count):
                    colour = (label * 100, number, 7) if mode == "RGB" else label * 100 + number
                    Image.new(mode, (8, 8), colour).save(folder / f"{number:03}.png")
        return tmp_path / "data"

    return make


def two(path: Path, **more: object) -> Data:
    return load(Wanted(f"folder:{path}", classes=2, size=(8, 8), **more))  # type: ignore[arg-type]


def test_small_folders_are_decoded_into_memory_with_their_labels(
    folders: Callable[..., Path],
) -> None:
    data = two(folders({"train": 20, "test": 3}))
    assert data.classes == ("cat", "dog")
    assert (len(data.train), len(data.heldout), len(data.test or ())) == (36, 4, 6)
    for split in (data.train, data.heldout, data.test):
        assert isinstance(split, Images)
        assert torch.equal(split.pixels[:, 0, 0, 0].long(), split.labels * 100)


def test_val_is_watched_and_nothing_is_cut_from_train(folders: Callable[..., Path]) -> None:
    data = two(folders({"train": 5, "val": 2}))
    assert (len(data.train), len(data.heldout), data.test) == (10, 4, None)


def test_large_folders_stay_on_disk(folders: Callable[..., Path]) -> None:
    path = folders({"train": 5})
    data, small = two(path, memory_limit=100), two(path)
    assert isinstance(data.train, Files)
    assert (data.mean, data.std) == (small.mean, small.std)


def test_of_large_folders_some_images_are_measured(
    folders: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = folders({"train": 5})
    assert gathering._every(2000, 100) == 1
    assert gathering._every(2001, 100) == 2
    assert gathering._every(100, 2**28) == 100
    monkeypatch.setattr(gathering, "MEASURED", (3, 2**28))
    data, small = two(path, memory_limit=100), two(path)
    assert isinstance(small.train, Images)
    assert (data.mean, data.std) == (small.mean, small.std)
    picked = small.train.pixels[::3, 0].double() / 255
    assert data.mean[0] == pytest.approx(float(picked.mean()))
    assert data.std[0] == pytest.approx(float(picked.std(correction=0)))


def test_images_of_several_sizes_stay_on_disk(folders: Callable[..., Path]) -> None:
    path = folders({"train": 5})
    Image.new("RGB", (9, 8)).save(path / "train/cat/000.png")
    assert isinstance(two(path).train, Files)


def test_classes_that_differ_between_splits_are_listed(folders: Callable[..., Path]) -> None:
    path = folders({"train": 2, "val": 2})
    shutil.move(path / "val/dog", path / "val/wolf")
    with pytest.raises(UserError) as caught:
        two(path)
    assert "val: other classes than train: without dog, with wolf that train has" in str(
        caught.value
    )


def test_an_empty_class_and_a_missing_train_are_named(folders: Callable[..., Path]) -> None:
    path = folders({"train": 2})
    (path / "train/cat/000.png").unlink()
    (path / "train/cat/001.png").unlink()
    with pytest.raises(UserError, match="train: no images in cat"):
        two(path)
    shutil.rmtree(path / "train")
    with pytest.raises(UserError, match=r"has no folder train \(it holds nothing\)"):
        two(path)


@pytest.mark.parametrize("kind", ["text", "truncated"])
def test_an_unreadable_image_is_named_or_skipped(folders: Callable[..., Path], kind: str) -> None:
    path = folders({"train": 20})
    bad = path / "train/dog/004.png"
    bad.write_bytes(b"no image" if kind == "text" else bad.read_bytes()[:45])
    with pytest.raises(UserError, match=r"dog/004\.png: unreadable image"):
        two(path)
    data = two(path, bad_images="skip")
    assert len(data.train) + len(data.heldout) == 39
    (note,) = data.notes
    assert note.startswith(f"1 unreadable images of train left out, the first {bad}: unreadable")


def test_mixed_modes_are_read_as_colour_with_a_note(folders: Callable[..., Path]) -> None:
    path = folders({"train": 5})
    Image.new("L", (8, 8), 9).save(path / "train/cat/000.png")
    data = two(path)
    assert data.train.channels == 3
    assert data.notes == ("images of several modes: L, RGB; all read as colour",)


def test_colour_images_do_not_fit_a_grey_network(folders: Callable[..., Path]) -> None:
    with pytest.raises(UserError, match="has 3 channels and the network takes 1; write channels"):
        two(folders({"train": 5}), channels=1)
