"""CIFAR's original files, made small: both forms, archives, damage, and the download."""

from __future__ import annotations

import errno
import os
import pickle
import shutil
import tarfile
from collections.abc import Iterator
from dataclasses import replace
from hashlib import md5
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import numpy as np
import pytest
from torchvision import datasets

from resgen.errors import UserError
from resgen.train.data.images import Images, Wanted
from resgen.train.data.sources import load


def fingerprints(images: Images) -> list[bytes]:
    return [pixels.numpy().tobytes() for pixels in images.pixels]


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


@pytest.mark.parametrize("flips", [1, 400])
@pytest.mark.parametrize("packing", ["gz", "bz2", "xz"])
def test_an_archive_damaged_within_is_named(tmp_path: Path, packing: str, flips: int) -> None:
    folder = tmp_path / "cifar-10-batches-bin"
    binary_cifar10(folder, 20)
    path = tmp_path / f"any.tar.{packing}"
    with tarfile.open(path, f"w:{packing}") as archive:  # type: ignore[call-overload]
        archive.add(folder, folder.name)
    data = bytearray(path.read_bytes())
    for place in range(len(data) // 3, len(data) // 3 + flips):
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
