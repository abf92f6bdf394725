"""Class folders -> images: PATH/train/CLASS/*.jpg, and PATH/val or PATH/test beside it.

`val` is watched during training in place of a cut from the training set; `test` is
read once at the end. Small images of one size are decoded once and kept in memory.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from itertools import chain
from pathlib import Path

from torch import Tensor

from resgen.errors import UserError
from resgen.train.data import keeping, roster
from resgen.train.data.facts import check_folder
from resgen.train.data.gathering import Found, Splits
from resgen.train.data.images import Files, Wanted
from resgen.train.data.listing import classes_of, find
from resgen.train.data.paths import Paths

SPLITS = ("train", "val", "test")
# Channel statistics of ImageNet's training set, for weights that are taken for its own.
IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))


def found(where: str, wanted: Wanted) -> Found:
    """The classes, and the files of each split that is there. Raises UserError."""
    path, notes = Path(where), list[str]()
    try:
        classes = _classes(path)
        there = [name for name in SPLITS if (path / name).is_dir()]
        splits = {name: find(path / name, classes, notes) for name in there}
    except OSError as error:
        raise UserError(f"{error.filename or path}: cannot be read: {error.strerror}") from None
    if "val" in splits and wanted.heldout is not None:
        raise UserError(f"--heldout {wanted.heldout}: folder:{path} has its held-out images in val")
    return Found(
        f"folder:{path.name}", f"folder:{os.path.abspath(path)}", classes, splits, _called,
        lambda: _stamp(path, splits), tuple(notes),
    )  # fmt: skip


def facts(where: str) -> tuple[str, int]:
    """Name and number of classes; no class folder is looked into. Raises UserError."""
    try:
        return f"folder:{Path(where).name}", len(_classes(Path(where)))
    except OSError as error:
        raise UserError(f"{error.filename or where}: cannot be read: {error.strerror}") from None


def _classes(path: Path) -> tuple[str, ...]:
    check_folder(path)
    if not (path / "train").is_dir():
        held = ", ".join(sorted(each.name for each in path.iterdir())[:5]) or "nothing"
        raise UserError(f"--data folder:{path}: has no folder train (it holds {held})")
    return classes_of(path / "train")


def _called(splits: Splits) -> Tensor:
    return roster.pack(
        f"{split}/{name}"
        for split in ("train", "val") if split in splits
        for name in _names(splits[split])
    )  # fmt: skip


def _names(files: Files) -> Iterator[str]:
    assert isinstance(files.stored, Paths)
    if files.numbers is None:
        return files.stored.names()
    return map(files.stored.name, files.numbers.tolist())


def _stamp(path: Path, splits: Splits) -> str:
    """Of all names, labels, sizes and times."""
    words, every = [], list[Paths]()
    for split, files in splits.items():
        assert isinstance(files.stored, Paths)
        names = (files.stored.text, files.stored.ends, files.labels)
        words += [split.encode(), *(each.numpy().tobytes() for each in names)]
        every.append(files.stored)
    try:
        return keeping.stamp(words, chain.from_iterable(every))
    except OSError as error:
        raise UserError(f"{error.filename or path}: cannot be read: {error.strerror}") from None
