"""Class folders -> images: PATH/train/CLASS/*.jpg, and PATH/val or PATH/test beside it.

`val` is watched during training in place of a cut from the training set; `test` is
read once at the end. Small images of one size are decoded once and kept in memory.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import torch

from resgen.errors import UserError
from resgen.train.data import roster
from resgen.train.data.decoding import WAY_OUT, Header, as_pixels, decode, header
from resgen.train.data.facts import Facts
from resgen.train.data.images import Data, Files, Images, Split, Wanted, check_cut, cut
from resgen.train.data.levels import measured
from resgen.train.data.listing import Found, classes_of, find
from resgen.train.device.machine import processors

SPLITS = ("train", "val", "test")
# Channel statistics of ImageNet's training set, for weights that are taken for its own.
IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))

MEASURED = (2000, 2**28)
"""The most images whose mean and deviation are measured, and the most pixels of them."""


def load(path: Path, wanted: Wanted) -> Data:
    """The class folders under a path. Raises UserError for every way they can be unfit."""
    notes: list[str] = []
    classes, found = _found(path, wanted, notes)
    if wanted.bad_images == "skip":
        found = {name: _without_bad(name, each, notes) for name, each in found.items()}
    splits = _read(found, wanted, notes)
    train, heldout = splits["train"], splits.get("val")
    if heldout is None:
        train, heldout = cut(train, _share(len(train), wanted))
    mean, std = measured(_sample(train))
    name = f"folder:{path.name}"
    files = roster.pack(
        os.path.relpath(each, path) for split in ("train", "val") if split in found
        for each in found[split].paths
    )  # fmt: skip
    return Data(name, classes, train, heldout, splits.get("test"), mean, std, tuple(notes), files)


def facts(path: Path, wanted: Wanted) -> Facts:
    """What `load` will give, from the names of the files and some headers. Raises UserError."""
    classes, found = _found(path, wanted, [])
    train = len(found["train"].paths)
    held = len(found["val"].paths) if "val" in found else _share(train, wanted)
    if "val" not in found:
        check_cut(held, train)
        train -= held
    return Facts(f"folder:{path.name}", len(classes), _channels(_headers(found)), train, held)


def _sample(train: Split) -> Iterator[torch.Tensor]:
    """Training images, evenly spaced, by which all are normalised; in memory or not the same."""
    count = len(train)
    if isinstance(train, Images):
        _, _, height, width = train.pixels.shape
        yield train.pixels[:: _every(count, height * width)]
        return
    sizes = [header(path).size for path in train.paths[:: max(1, count // 16)]]
    pixels = sum(width * height for width, height in sizes) // len(sizes)
    paths = train.paths[:: _every(count, pixels)]
    mode = "L" if train.channels == 1 else "RGB"
    with ThreadPoolExecutor(processors()) as pool:
        yield from pool.map(lambda path: as_pixels(decode(path, mode)), paths)


def _every(count: int, pixels: int) -> int:
    """1 where all images are measured, else how far apart they are."""
    return max(1, -(-count // MEASURED[0]), count * pixels // MEASURED[1])


def _share(train: int, wanted: Wanted) -> int:
    """As even a share of the training set as CIFAR's 5,000 of 50,000."""
    return wanted.heldout or max(1, train // 10)


def _found(
    path: Path, wanted: Wanted, notes: list[str]
) -> tuple[tuple[str, ...], dict[str, Found]]:
    """The classes, and the files of each split that is there."""
    if not path.is_dir():
        raise UserError(f"--data folder:{path}: no such folder")
    try:
        if not (path / "train").is_dir():
            held = ", ".join(sorted(each.name for each in path.iterdir())[:5]) or "nothing"
            raise UserError(f"--data folder:{path}: has no folder train (it holds {held})")
        classes = classes_of(path / "train")
        there = [name for name in SPLITS if (path / name).is_dir()]
        found = {name: find(path / name, classes, notes) for name in there}
    except OSError as error:
        raise UserError(f"{error.filename or path}: cannot be read: {error.strerror}") from None
    if "val" in found and wanted.heldout is not None:
        raise UserError(f"--heldout {wanted.heldout}: folder:{path} has its held-out images in val")
    return classes, found


def _without_bad(name: str, found: Found, notes: list[str]) -> Found:
    def fault(path: str) -> str | None:
        try:
            decode(path)
        except UserError as error:
            return str(error).removesuffix(f"; {WAY_OUT}")
        return None

    with ThreadPoolExecutor(processors()) as pool:
        faults = list(pool.map(fault, found.paths))
    kept = [number for number, each in enumerate(faults) if each is None]
    if bad := [each for each in faults if each is not None]:
        notes.append(f"{len(bad)} unreadable images of {name} left out, the first {bad[0]}")
    left = Found(tuple(found.paths[i] for i in kept), tuple(found.labels[i] for i in kept))
    if empty := sorted(set(found.labels) - set(left.labels)):
        raise UserError(f"{name}: none of the images of {len(empty)} classes can be read; {bad[0]}")
    return left


def _read(found: dict[str, Found], wanted: Wanted, notes: list[str]) -> dict[str, Split]:
    """The splits in memory if they are small and of one size, else as files."""
    count = sum(len(each.paths) for each in found.values())
    looked = _headers(found)
    sizes = Counter(each.size for each in looked)
    channels = _channels(looked)
    notes += _modes(looked, channels)
    (width, height), _ = sizes.most_common(1)[0]
    if len(sizes) == 1 and count * channels * width * height <= wanted.memory_limit:
        images = _decode_all(found, (width, height))
        if images is not None:
            return dict(images)
    return {
        name: Files(each.paths, torch.tensor(each.labels), channels) for name, each in found.items()
    }


def _modes(looked: Sequence[Header], channels: int) -> Iterator[str]:
    """What is not read as it lies in the files."""
    modes = sorted({each.mode for each in looked})
    if len(modes) > 1:
        read = "colour" if channels == 3 else "grey"
        yield f"images of several modes: {', '.join(modes)}; all read as {read}"
    if any(mode.startswith("I") for mode in modes):
        yield "images of 16 bits: the high byte of each value is read"
    if any(each.transparent for each in looked):
        yield "images with transparency: it is left out, the colours under it are read"
    if any(each.pages for each in looked):
        yield "files of several pages or frames: the first of each is read"


def _channels(looked: Sequence[Header]) -> int:
    """1 where all images are grey, else 3."""
    return 1 if all(each.grey for each in looked) else 3


def _headers(found: dict[str, Found]) -> list[Header]:
    """Of a thousand images or so."""
    paths = [path for each in found.values() for path in each.paths]
    return [header(path) for path in paths[:: max(1, len(paths) // 1000)]]


def _decode_all(found: dict[str, Found], size: tuple[int, int]) -> dict[str, Images] | None:
    """All images as bytes, or None where one has another size."""

    def pixels(path: str) -> tuple[bytes, bool] | None:
        image = decode(path)
        return (image.tobytes(), image.mode == "RGB") if image.size == size else None

    rows: dict[str, list[tuple[bytes, bool]]] = {}
    width, height = size
    with ThreadPoolExecutor(processors()) as pool:
        for name, each in found.items():
            rows[name] = [row for row in pool.map(pixels, each.paths, chunksize=64) if row]
            if len(rows[name]) < len(each.paths):
                return None
    # Every image is looked at here, so one of colour is not missed.
    colour = any(of_colour for each in rows.values() for _, of_colour in each)
    done: dict[str, Images] = {}
    for name, each in found.items():
        joined = bytearray().join(
            row if of_colour or not colour else bytes(np.repeat(np.frombuffer(row, np.uint8), 3))
            for row, of_colour in rows.pop(name)
        )
        flat = torch.frombuffer(joined, dtype=torch.uint8)
        shaped = flat.view(len(each.paths), height, width, -1).permute(0, 3, 1, 2)
        done[name] = Images(shaped, torch.tensor(each.labels))
    return done
