"""A data name and a trained network -> the images it is tested on, in its own numbers of classes.

Classes are matched by name: a data set may have them in another order, or fewer of them.
"""

from __future__ import annotations

import os
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Literal, NamedTuple

import torch

from resgen.errors import UserError
from resgen.inference.trained import Trained
from resgen.train.data import roster, sources
from resgen.train.data.facts import FIXED, split_name
from resgen.train.data.folder import SPLITS
from resgen.train.data.images import Files, Images, Split, Wanted, cut
from resgen.train.data.listing import classes_of, find
from resgen.train.data.paths import Paths
from resgen.words import joined

Which = Literal["auto", "train", "heldout", "test"]
_WORDS = {"train": "training", "heldout": "held-out", "test": "test"}


class Subject(NamedTuple):
    """Images and the network's own numbers of their classes."""

    data: str
    split: str
    """`test`, `held-out`, `training`; empty for a folder of classes alone."""
    images: Split
    notes: tuple[str, ...] = ()

    @property
    def title(self) -> str:
        """`digits, held-out`."""
        return f"{self.data}, {self.split}" if self.split else self.data


def chosen(trained: Trained, data: str | None, which: Which, *, download: str = "never") -> Subject:
    """The images asked for; of a run's own data its test images, or else its held-out ones.

    Raises UserError where there are none, and for classes that the network does not have.
    """
    name = data or trained.origin.place
    if not name:
        raise UserError(
            f"{trained.label}: was trained on {trained.origin.data}, and where that lies is not "
            "in its checkpoint; say it: --data folder:PATH"
        )
    kind, path = split_name(name)
    if kind == "folder":
        with _readable(path):
            return _of_folder(Path(path), trained, which)
    return _of_fixed(name, kind, trained, which, download)


@contextmanager
def _readable(path: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise UserError(f"{error.filename or path}: cannot be read: {error.strerror}") from None


# ---- class folders


def _of_folder(path: Path, trained: Trained, which: Which) -> Subject:
    if not path.is_dir():
        raise UserError(f"folder:{path}: no such folder; --data folder:PATH says where it lies")
    name = f"folder:{Path(os.path.abspath(path)).name}"
    there = [split for split in SPLITS if (path / split).is_dir()]
    if not there or {*classes_of(path)} <= {*trained.classes}:
        if which != "auto":
            raise UserError(
                f"--split {which}: {path} has no folder train, val or test; leave it out where it "
                "is a folder of classes"
            )
        return _split(path, name, "", trained)
    if which in ("auto", "test") and "test" in there:
        return _split(path / "test", name, "test", trained)
    if which in ("auto", "heldout") and "val" in there:
        return _split(path / "val", name, "held-out", trained)
    if which == "train" and "val" in there and "train" in there:
        return _split(path / "train", name, "training", trained)
    if which == "test" or "train" not in there:
        raise UserError(f"--split {which}: {path} has no such images (it has {joined(there)})")
    # Where the held-out images are, they were cut from the training images.
    found, classes = _trained_on(path, name, trained)
    train, heldout = cut(found, trained.origin.heldout)
    images = train if which == "train" else heldout
    split = "train" if which == "train" else "heldout"
    return _named(Subject(name, _WORDS[split], images), classes, trained)


def _split(path: Path, name: str, split: str, trained: Trained) -> Subject:
    notes: list[str] = []
    classes = classes_of(path)
    _refuse_unknown(str(path), classes, trained)
    images = find(path, classes, notes)
    return _named(Subject(name, split, images, tuple(notes)), classes, trained)


def _trained_on(path: Path, name: str, trained: Trained) -> tuple[Files, tuple[str, ...]]:
    """The training images before the run's cut, in the order they were cut in."""
    origin, way_out = trained.origin, f"; test on all of them: --data folder:{path / 'train'}"
    if origin.data != name:
        raise UserError(
            f"{path}: has neither test nor val, and which of its training images were held out "
            f"is known of the run's own data only ({origin.data}){way_out}"
        )
    if origin.files is None:
        classes = classes_of(path / "train")
        found = find(path / "train", classes, [])
    else:
        names = _names(origin.files, trained)
        # train/CLASS/...
        of = [each.split(os.sep)[1] for each in names]
        classes = tuple(sorted({*of}))
        numbers = {each: number for number, each in enumerate(classes)}
        paths = Paths.of(str(path / " ")[:-1], names)
        found = Files(paths, torch.tensor([numbers[each] for each in of]))
    if len(found) != origin.train + origin.heldout:
        raise UserError(
            f"{path}: has {len(found):,} training images where the run had "
            f"{origin.train + origin.heldout:,}, so which it held out is not known{way_out}"
        )
    return found, classes


def _names(files: torch.Tensor, trained: Trained) -> list[str]:
    try:
        names = roster.unpack(files)
    except (zlib.error, ValueError):
        names = []
    if not names or any(name.count(os.sep) < 2 for name in names):
        raise UserError(f"{trained.file}: the names of its files are damaged")
    return names


# ---- the other data


def _of_fixed(name: str, kind: str, trained: Trained, which: Which, download: str) -> Subject:
    origin, prepared = trained.origin, trained.preparation
    known = FIXED.get(kind)
    height, width = trained.spec.input.size
    called, classes = kind, known.classes if known else len(trained.classes)
    if kind == "hf":  # classes are matched by name; it may have others
        called, classes = sources.classes(Wanted(name, download=download))
    data = sources.load(
        Wanted(
            name,
            channels=known.channels if known else prepared.channels,
            size=(height, width),
            classes=classes,
            heldout=origin.heldout if origin.data == called else None,
            download=download,
        )
    )
    split = which if which != "auto" else "heldout" if data.test is None else "test"
    if split != "test" and origin.data == called and _cut_otherwise(origin.files, data.files):
        raise UserError(
            f"{name}: has other images than {trained.label} was trained on, so which were held out "
            "is not known; --split test takes its test images"
        )
    images = data.splits.get(split)
    if images is None:
        raise UserError(f"--split {which}: {called} has no such images; give heldout or train")
    return _named(Subject(called, _WORDS[split], images, data.notes), data.classes, trained)


def _cut_otherwise(before: torch.Tensor | None, now: torch.Tensor | None) -> bool:
    """Whether held-out images were cut from others than those that are there now."""
    if before is None or now is None:
        return False
    own = any(each.startswith("val ") for each in roster.unpack(now))
    return not own and roster.digest(before) != roster.digest(now)


# ---- classes


def _named(subject: Subject, classes: Sequence[str], trained: Trained) -> Subject:
    """The same images under the network's numbers of their classes."""
    _refuse_unknown(subject.data, classes, trained)
    numbers = torch.tensor([trained.classes.index(name) for name in classes])
    images, notes = subject.images, list(subject.notes)
    if absent := [name for name in trained.classes if name not in classes]:
        notes.append(f"no images of {len(absent)} of its classes: {_some(absent)}")
    labels = numbers[images.labels]
    mapped = (
        Images(images.pixels, labels)
        if isinstance(images, Images)
        else replace(images, labels=labels)
    )
    return subject._replace(images=mapped, notes=tuple(notes))


def _refuse_unknown(where: str, classes: Sequence[str], trained: Trained) -> None:
    if unknown := [name for name in classes if name not in trained.classes]:
        raise UserError(
            f"{where}: has classes that {trained.label} was not trained on: {_some(unknown)}; it "
            f"knows {_some(trained.classes)}, and classes are matched by name"
        )


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - 5} more" if len(names) > 5 else ""
    return ", ".join(names[:5]) + more
