"""Data sets: what is read, how it is cut, and the sentence for each way to be unfit."""

from __future__ import annotations

import errno
import os
import pickle
import shutil
import tarfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from hashlib import md5
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from sklearn.datasets import load_digits
from torchvision import datasets

from resgen.errors import UserError
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


# ---- CIFAR's original files, made small


def binary_cifar10(folder: Path, count: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (6, count, 3072), dtype=np.uint8)
    labels = rng.integers(0, 10, (6, count), dtype=np.uint8)
    folder.mkdir(parents=True)
    names = [*(f"data_batch_{i}.bin" for i in range(1, 6)), "test_batch.bin"]
    for number, name in enumerate(names):
        np.concatenate([labels[number, :, None], pixels[number]], axis=1).tofile(folder / name)
    (folder / "batches.meta.txt").write_text("\n".join(f"class{i}" for i in range(10)) + "\n\n")
    return pixels, labels


@pytest.mark.parametrize("form", ["folder", "parent", "archive"])
def test_binary_cifar10_is_read_pixel_by_pixel(tmp_path: Path, form: str) -> None:
    folder = tmp_path / "cifar-10-batches-bin"
    pixels, labels = binary_cifar10(folder, 20)
    path = {"folder": folder, "parent": tmp_path, "archive": tmp_path / "any.tar.gz"}[form]
    if form == "archive":
        with tarfile.open(path, "w:gz") as archive:
            archive.add(folder, folder.name)
        shutil.rmtree(folder)
    data = load(Wanted(f"cifar10:{path}"))
    assert (len(data.train), len(data.heldout), len(data.test or ())) == (90, 10, 20)
    assert data.classes[3] == "class3"
    assert isinstance(data.test, Images)
    assert np.array_equal(data.test.pixels.numpy(), pixels[5].reshape(-1, 3, 32, 32))
    assert np.array_equal(data.test.labels.numpy(), labels[5])
    assert isinstance(data.train, Images)
    assert isinstance(data.heldout, Images)
    kept = fingerprints(data.train) + fingerprints(data.heldout)
    assert sorted(kept) == sorted(row.tobytes() for row in pixels[:5].reshape(-1, 3072))


def test_binary_cifar100_takes_the_fine_label(tmp_path: Path) -> None:
    folder = tmp_path / "cifar-100-binary"
    folder.mkdir()
    for name, count in (("train.bin", 200), ("test.bin", 100)):
        records = np.zeros((count, 3074), np.uint8)
        records[:, 0], records[:, 1] = 7, np.arange(count) % 100
        records.tofile(folder / name)
    (folder / "fine_label_names.txt").write_text("\n".join(f"c{i}" for i in range(100)))
    data = load(Wanted(f"cifar100:{tmp_path}", classes=100))
    assert isinstance(data.test, Images)
    assert data.test.labels.tolist() == list(range(100))


def test_a_truncated_binary_file_is_named(tmp_path: Path) -> None:
    folder = tmp_path / "cifar-10-batches-bin"
    binary_cifar10(folder, 4)
    path = folder / "data_batch_2.bin"
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(UserError, match=r"data_batch_2\.bin: truncated: its 12,291 bytes"):
        load(Wanted(f"cifar10:{tmp_path}"))


def test_a_damaged_archive_is_named(tmp_path: Path) -> None:
    (tmp_path / "cifar-10-python.tar.gz").write_bytes(b"no archive")
    with pytest.raises(UserError, match=r"cifar-10-python\.tar\.gz: damaged archive"):
        load(Wanted(f"cifar10:{tmp_path}"))


@pytest.mark.parametrize("packing", ["gz", "xz"])
def test_an_archive_damaged_within_is_named(tmp_path: Path, packing: str) -> None:
    folder = tmp_path / "cifar-10-batches-bin"
    binary_cifar10(folder, 20)
    path = tmp_path / f"any.tar.{packing}"
    with tarfile.open(path, f"w:{packing}") as archive:  # type: ignore[call-overload]
        archive.add(folder, folder.name)
    data = bytearray(path.read_bytes())
    for place in range(len(data) // 3, len(data) // 3 + 400):
        data[place] ^= 0x55
    path.write_bytes(data)
    with pytest.raises(UserError, match=rf"any\.tar\.{packing}: damaged archive"):
        load(Wanted(f"cifar10:{path}"))


def test_a_disk_too_full_to_unpack_on_is_not_called_damage(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "cifar-10-batches-bin"
    binary_cifar10(folder, 20)
    path = tmp_path / "any.tar.gz"
    with tarfile.open(path, "w:gz") as archive:
        archive.add(folder, folder.name)

    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(tarfile.TarFile, "extractall", full)
    with pytest.raises(UserError, match=r"any\.tar\.gz: cannot be unpacked: No space left on dev"):
        load(Wanted(f"cifar10:{path}"))


def test_names_of_classes_that_are_no_text_are_named(tmp_path: Path) -> None:
    folder = tmp_path / "cifar-10-batches-bin"
    binary_cifar10(folder, 4)
    (folder / "batches.meta.txt").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UserError, match=r"batches\.meta\.txt: cannot be read as the names"):
        load(Wanted(f"cifar10:{tmp_path}"))


def python_cifar10(folder: Path, count: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(1)
    pixels = rng.integers(0, 256, (6, count, 3072), dtype=np.uint8)
    labels = rng.integers(0, 10, (6, count))
    folder.mkdir(parents=True)
    for number, name in enumerate([*(f"data_batch_{i}" for i in range(1, 6)), "test_batch"]):
        batch = {"data": pixels[number], "labels": labels[number].tolist()}
        (folder / name).write_bytes(pickle.dumps(batch))
    meta = {"label_names": [f"class{i}" for i in range(10)]}
    (folder / "batches.meta").write_bytes(pickle.dumps(meta))
    return pixels, labels


def test_python_cifar10_is_read_by_torchvision(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pixels, labels = python_cifar10(tmp_path / "cifar-10-batches-py", 20)
    monkeypatch.setattr(datasets.CIFAR10, "_check_integrity", lambda _: True)
    monkeypatch.setattr("torchvision.datasets.cifar.check_integrity", lambda *_: True)
    data = load(Wanted(f"cifar10:{tmp_path}"))
    assert isinstance(data.test, Images)
    assert np.array_equal(data.test.pixels.numpy(), pixels[5].reshape(-1, 3, 32, 32))
    assert np.array_equal(data.test.labels.numpy(), labels[5])


def test_pickles_that_are_not_the_published_ones_are_not_opened(tmp_path: Path) -> None:
    python_cifar10(tmp_path / "cifar-10-batches-py", 2)
    with pytest.raises(UserError, match="is not the published one"):
        load(Wanted(f"cifar10:{tmp_path}"))


@pytest.fixture
def publisher(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """CIFAR-10's publisher on this machine, with files and checksums of our own; its log."""
    folder = tmp_path / "server" / "cifar-10-batches-py"
    python_cifar10(folder, 20)
    packed = tmp_path / "server" / "cifar-10-python.tar.gz"
    with tarfile.open(packed, "w:gz") as archive:
        archive.add(folder, folder.name)
    sums = {path.name: md5(path.read_bytes()).hexdigest() for path in folder.iterdir()}
    asked: list[str] = []

    class Handler(SimpleHTTPRequestHandler):
        def __init__(self, *arguments: Any) -> None:
            super().__init__(*arguments, directory=str(packed.parent))

        def log_message(self, *arguments: object) -> None:
            asked.append(self.path)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    # torchvision first asks where the file is, and leaves before it is sent.
    monkeypatch.setattr(server, "handle_error", lambda *_: None)
    Thread(target=server.serve_forever, daemon=True).start()
    cifar = datasets.CIFAR10
    url = f"http://127.0.0.1:{server.server_address[1]}/{packed.name}"
    monkeypatch.setattr(cifar, "url", url)
    monkeypatch.setattr(cifar, "tgz_md5", md5(packed.read_bytes()).hexdigest())
    for key in ("train_list", "test_list"):
        monkeypatch.setattr(cifar, key, [[name, sums[name]] for name, _ in getattr(cifar, key)])
    monkeypatch.setattr(cifar, "meta", {**cifar.meta, "md5": sums["batches.meta"]})
    yield asked
    server.shutdown()


def test_cifar_is_downloaded_only_when_asked_and_only_once(
    tmp_path: Path, publisher: list[str]
) -> None:
    wanted = Wanted(f"cifar10:{tmp_path / 'data'}")
    with pytest.raises(UserError, match="or add --download"):
        load(wanted)
    assert publisher == []
    first = load(replace(wanted, download="allowed"))
    requests = len(publisher)
    assert set(publisher) == {"/cifar-10-python.tar.gz"}
    again = load(replace(wanted, download="allowed"))
    assert len(publisher) == requests
    for data in (first, again):
        assert (len(data.train), len(data.heldout), len(data.test or ())) == (90, 10, 20)


def test_a_failed_download_is_one_sentence(
    tmp_path: Path, publisher: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(datasets.CIFAR10, "url", f"{datasets.CIFAR10.url}.missing")
    with pytest.raises(UserError, match=r"could not be downloaded .* fetch it by other means") as e:
        load(Wanted(f"cifar10:{tmp_path / 'data'}", download="allowed"))
    assert "\n" not in str(e.value)


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
    data = two(folders({"train": 5}), memory_limit=100)
    assert isinstance(data.train, Files)
    assert data.mean == (0.485, 0.456, 0.406)


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
