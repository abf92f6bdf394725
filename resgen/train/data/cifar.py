"""CIFAR-10 and CIFAR-100 from their original files, an archive or the folder it unpacks to.

Two forms of the files are read: the Python version, by torchvision, which first checks
each file's published checksum since it unpickles them; and the binary version, records
of label bytes followed by 3,072 pixels, which needs no such trust.
"""

from __future__ import annotations

import lzma
import os
import tarfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from torchvision import datasets

from resgen.errors import UserError
from resgen.train.data import keeping
from resgen.train.data.images import Data, Images, Wanted, cut
from resgen.train.data.levels import measured

PIXELS = 3 * 32 * 32


@dataclass(frozen=True)
class Form:
    """What the publisher's files of one data set are called."""

    archive: str
    """The Python version's archive."""
    binary_archive: str
    folder: str
    binary_folder: str
    train: tuple[str, ...]
    test: str
    names: str
    labels: int
    """Label bytes before a binary record's pixels; the last of them is the class."""
    reader: Callable[..., Any]


FORMS = {
    "cifar10": Form(
        "cifar-10-python.tar.gz", "cifar-10-binary.tar.gz", "cifar-10-batches-py",
        "cifar-10-batches-bin", tuple(f"data_batch_{i}.bin" for i in range(1, 6)),
        "test_batch.bin", "batches.meta.txt", 1, datasets.CIFAR10,
    ),
    "cifar100": Form(
        "cifar-100-python.tar.gz", "cifar-100-binary.tar.gz", "cifar-100-python",
        "cifar-100-binary", ("train.bin",), "test.bin", "fine_label_names.txt", 2,
        datasets.CIFAR100,
    ),
}  # fmt: skip


def load(kind: str, path: Path, wanted: Wanted) -> Data:
    """5,000 of the training images are held out, as in He 2015. Raises UserError."""
    form = FORMS[kind]
    if wanted.download == "allowed" and not _present(path, form):
        _download(path, form)
    place, source = f"{kind}:{os.path.abspath(path)}", _source(path, form, kind)
    kept = keeping.decoded(
        place, (wanted.heldout,), lambda: _stamp(source), lambda: _read(source, form, wanted)
    )  # fmt: skip
    assert kept is not None
    splits, words = kept.splits, kept.words
    return Data(
        kind, tuple(words["classes"]), splits["train"], splits["heldout"], splits["test"],
        tuple(words["mean"]), tuple(words["std"]), kept.notes, entry=kept.entry,
    )  # fmt: skip


def _read(source: Path, form: Form, wanted: Wanted) -> keeping.Kept:
    with _unpacked(source, form) as folder:
        read = _binary if folder.name == form.binary_folder else _python
        whole, test, classes = read(folder, form)
    held = wanted.heldout or min(5000, max(1, len(whole) // 10))
    train, heldout = cut(whole, held)
    assert isinstance(train, Images)
    assert isinstance(heldout, Images)
    mean, std = measured([train.pixels])
    words = {"classes": classes, "mean": mean, "std": std}
    return keeping.Kept({"train": train, "heldout": heldout, "test": test}, words)


def _stamp(source: Path) -> str:
    files = sorted(source.iterdir()) if source.is_dir() else [source]
    try:
        return keeping.stamp([file.name.encode() for file in files], map(str, files))
    except OSError as error:
        raise UserError(f"{error.filename or source}: cannot be read: {error.strerror}") from None


def _present(path: Path, form: Form) -> bool:
    names = (form.archive, form.binary_archive, form.folder, form.binary_folder)
    return path.is_file() or path.name in names or any((path / name).exists() for name in names)


def _download(path: Path, form: Form) -> None:
    """By one process of each machine, while the others wait for it."""
    try:
        form.reader(str(path), download=True)
    except (OSError, RuntimeError) as error:
        raise UserError(
            f"{form.archive} could not be downloaded ({error}); fetch it by other means "
            f"and put it in {path}"
        ) from None


def _source(path: Path, form: Form, kind: str) -> Path:
    """The folder of the files, or the archive that has them."""
    for folder in (path, path / form.folder, path / form.binary_folder):
        if folder.is_dir() and folder.name in (form.folder, form.binary_folder):
            return folder
    for archive in (path, path / form.archive, path / form.binary_archive):
        if archive.is_file():
            return archive
    raise UserError(
        f"--data {kind}: put {form.archive} or {form.binary_archive}, or what it unpacks to, "
        f"into {path}, write {kind}:PATH, or add --download"
    )


@contextmanager
def _unpacked(archive: Path, form: Form) -> Iterator[Path]:
    """The folder itself, or what is in the archive, for as long as it is read."""
    if archive.is_dir():
        yield archive
        return
    with TemporaryDirectory() as place:
        try:
            with tarfile.open(archive) as files:
                files.extractall(place, filter="data")
                # The checksum stands at the end, where tarfile does not read.
                while files.fileobj is not None and files.fileobj.read(2**20):
                    pass
        except OSError as error:
            # gzip tells of damage by the class of a failed read, without its number.
            what = f"cannot be unpacked: {error.strerror}" if error.errno else "damaged archive"
            raise UserError(f"{archive}: {what}") from None
        except (tarfile.TarError, EOFError, zlib.error, lzma.LZMAError) as error:
            raise UserError(f"{archive}: damaged archive ({error})") from None
        for name in (form.folder, form.binary_folder):
            if (Path(place) / name).is_dir():
                yield Path(place) / name
                return
        raise UserError(f"{archive}: holds neither {form.folder} nor {form.binary_folder}")


def _python(folder: Path, form: Form) -> tuple[Images, Images, tuple[str, ...]]:
    try:
        parts = [form.reader(str(folder.parent), train=train) for train in (True, False)]
    except RuntimeError:
        raise UserError(
            f"{folder}: a file is missing or is not the published one (its checksum differs)"
        ) from None
    train, test = (
        Images(torch.from_numpy(part.data).permute(0, 3, 1, 2).contiguous(),
               torch.tensor(part.targets))
        for part in parts
    )  # fmt: skip
    return train, test, tuple(parts[0].classes)


def _binary(folder: Path, form: Form) -> tuple[Images, Images, tuple[str, ...]]:
    names = folder / form.names
    if not names.is_file():
        raise UserError(f"{names}: no such file")
    try:
        classes = tuple(names.read_text(encoding="utf-8").split())
    except (OSError, UnicodeDecodeError):
        raise UserError(f"{names}: cannot be read as the names of classes") from None
    batches = [_records(folder / name, form, len(classes)) for name in form.train]
    train = Images(
        torch.cat([batch.pixels for batch in batches]),
        torch.cat([batch.labels for batch in batches]),
    )
    return train, _records(folder / form.test, form, len(classes)), classes


def _records(path: Path, form: Form, classes: int) -> Images:
    try:
        content = np.fromfile(path, dtype=np.uint8)
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror}") from None
    size = form.labels + PIXELS
    if not len(content) or len(content) % size:
        raise UserError(
            f"{path}: truncated: its {len(content):,} bytes are no whole number of "
            f"{size:,}-byte records"
        )
    records = torch.from_numpy(content).view(-1, size)
    labels = records[:, form.labels - 1].long()
    if int(labels.max()) >= classes:
        raise UserError(f"{path}: a label {int(labels.max())}, but there are {classes} classes")
    return Images(records[:, form.labels :].reshape(-1, 3, 32, 32).clone(), labels)
