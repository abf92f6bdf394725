"""Encoded images -> a data set: in memory if they are small and of one size, else as they lie."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import cache, partial

import torch
from torch import Tensor

from resgen.errors import UserError
from resgen.train.data import keeping
from resgen.train.data.decoding import WAY_OUT, Header, as_pixels, decode, header
from resgen.train.data.facts import Facts
from resgen.train.data.images import Data, Files, Images, Split, Wanted, check_cut, cut
from resgen.train.data.levels import measured
from resgen.train.device.machine import processors

MEASURED = (2000, 2**28)
"""The most images whose mean and deviation are measured, and the most pixels of them."""
_AT_ONCE = 64
"""Images that a thread decodes one after another."""

Splits = dict[str, Files]
"""`train`, and `val` and `test` where they are there."""


@dataclass(frozen=True)
class Found:
    """What lies somewhere, before an image is read."""

    name: str
    place: str
    """Where that is: what is kept of its images is kept under it."""
    classes: tuple[str, ...]
    splits: Splits
    files: Callable[[Splits], Tensor]
    """What those images are called that a run trains on and watches, by `roster.pack`."""
    stamp: Callable[[], str]
    """A hash that is another one when an image is; may take a while."""
    notes: tuple[str, ...] = ()

    def facts(self, wanted: Wanted) -> Facts:
        """What `gathered` will give, from some headers. Raises UserError."""
        train = len(self.splits["train"])
        held = len(self.splits["val"]) if "val" in self.splits else _share(train, wanted)
        if "val" not in self.splits:
            check_cut(held, train)
            train -= held
        return Facts(self.name, len(self.classes), _channels(_headers(self.splits)), train, held)


def gathered(found: Found, wanted: Wanted) -> Data:
    """The images of each split. Raises UserError for every way they can be unfit."""
    notes, key = list(found.notes), cache(found.stamp)
    splits = found.splits
    if wanted.bad_images == "skip":
        splits = _without_bad(found, key, notes)
    looked = _headers(splits)
    channels = _channels(looked)
    notes += _modes(looked, channels)
    files = found.files(splits)
    splits = {name: replace(each, channels=channels) for name, each in splits.items()}
    parts: dict[str, Split] = {"train": splits["train"]}
    if "val" in splits:
        parts["heldout"] = splits["val"]
    else:
        parts["train"], parts["heldout"] = cut(
            splits["train"], _share(len(splits["train"]), wanted)
        )
    if "test" in splits:
        parts["test"] = splits["test"]
    on_disk = {name: each for name, each in parts.items() if isinstance(each, Files)}
    entry, kept = None, None
    size = _one_size(looked, on_disk, channels, wanted.memory_limit)
    if size is not None:
        what = (wanted.heldout, wanted.bad_images)
        kept = keeping.decoded(
            found.place, what, key, partial(_decoded, on_disk, size, channels)
        )  # fmt: skip
        if kept is not None:
            parts, entry = {**kept.splits}, kept.entry
            notes += kept.notes
    if kept is None:
        # What memory would hold is the same if it is read from disk: it is decoded in full.
        holds = size is None and _one_size(looked, on_disk, channels, Wanted.memory_limit)
        parts = {name: replace(each, smaller=not holds) for name, each in on_disk.items()}
    mean, std = measured(_sample(parts["train"]))
    return Data(
        found.name, found.classes, parts["train"], parts["heldout"], parts.get("test"),
        mean, std, tuple(notes), files, found.place, entry,
    )  # fmt: skip


def _share(train: int, wanted: Wanted) -> int:
    """As even a share of the training set as CIFAR's 5,000 of 50,000."""
    return wanted.heldout or max(1, train // 10)


def _sample(train: Split) -> Iterator[Tensor]:
    """Training images, evenly spaced, by which all are normalised; in memory or not the same."""
    count = len(train)
    if isinstance(train, Images):
        _, _, height, width = train.pixels.shape
        yield train.pixels[:: _every(count, height * width)]
        return
    some = range(0, count, max(1, count // 16))
    sizes = [header(train[number]).size for number in some]
    pixels = sum(width * height for width, height in sizes) // len(sizes)
    mode = "L" if train.channels == 1 else "RGB"
    numbers = range(0, count, _every(count, pixels))
    with ThreadPoolExecutor(processors()) as pool:
        yield from pool.map(lambda number: as_pixels(decode(train[number], mode)), numbers)


def _every(count: int, pixels: int) -> int:
    """1 where all images are measured, else how far apart they are."""
    return max(1, -(-count // MEASURED[0]), count * pixels // MEASURED[1])


# ---- images that cannot be read


def _without_bad(found: Found, key: Callable[[], str], notes: list[str]) -> Splits:
    faults = keeping.unreadable(found.place, (), key, partial(_faults, found.splits))
    left = {}
    for name, files in found.splits.items():
        left[name] = files
        if bad := faults.get(name, []):
            notes.append(f"{len(bad)} unreadable images of {name} left out, the first {bad[0][1]}")
            good = torch.ones(len(files), dtype=torch.bool)
            good[[number for number, _ in bad]] = False
            left[name] = files.pick(good.nonzero().flatten())
            gone = {*files.labels.tolist()} - {*left[name].labels.tolist()}
            if gone:
                raise UserError(
                    f"{name}: none of the images of {len(gone)} classes can be read; {bad[0][1]}"
                )
    return left


def _faults(splits: Splits) -> keeping.Faults:
    """Of all images, by decoding them."""
    return {name: list(_faults_of(files)) for name, files in splits.items()}


def _faults_of(files: Files) -> Iterator[tuple[int, str]]:
    def fault(number: int) -> str | None:
        try:
            decode(files[number])
        except UserError as error:
            return str(error).removesuffix(f"; {WAY_OUT}")
        return None

    with ThreadPoolExecutor(processors()) as pool:
        for number, why in enumerate(pool.map(fault, range(len(files)))):
            if why is not None:
                yield number, why


# ---- what they are like


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


def _headers(splits: Splits) -> list[Header]:
    """Of a thousand images or so."""
    every = max(1, sum(map(len, splits.values())) // 1000)
    return [
        header(files[number]) for files in splits.values() for number in range(0, len(files), every)
    ]


# ---- into memory


def _one_size(
    looked: Sequence[Header], splits: Splits, channels: int, limit: int
) -> tuple[int, int] | None:
    """(width, height) of all images, as far as they were looked at, if so many bytes hold them."""
    (size, seen), *_ = Counter(each.size for each in looked).most_common(1)
    count = sum(map(len, splits.values()))
    fits = count * channels * size[0] * size[1] <= limit
    return size if fits and seen == len(looked) else None


class _Odd(Exception):
    """An image is not like those that were looked at."""


class _OfColour(_Odd):
    pass


def _decoded(splits: Splits, size: tuple[int, int], channels: int) -> keeping.Kept | None:
    """All images as bytes, or None where one has another size."""
    try:
        return keeping.Kept(
            {name: _in_memory(files, size, channels) for name, files in splits.items()}
        )
    except _OfColour:  # every image is looked at here, so the one of colour is not missed
        return _decoded(splits, size, 3)
    except _Odd:
        return None


def _in_memory(files: Files, size: tuple[int, int], channels: int) -> Images:
    width, height = size
    pixels = torch.empty(len(files), height, width, channels, dtype=torch.uint8)

    def fill(first: int) -> None:
        for number in range(first, min(first + _AT_ONCE, len(files))):
            image = decode(files[number], None if channels == 1 else "RGB")
            if image.size != size:
                raise _Odd
            if channels == 1 and image.mode == "RGB":
                raise _OfColour
            pixels[number] = as_pixels(image).permute(1, 2, 0)

    with ThreadPoolExecutor(processors()) as pool:
        for _ in pool.map(fill, range(0, len(files), _AT_ONCE)):
            pass
    return Images(pixels.permute(0, 3, 1, 2), files.labels)
