"""Images in memory or on disk, split into those to train on, to watch with, and to test on."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from resgen.errors import UserError
from resgen.train.data.seeds import generator

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class Images:
    """Images in memory: (N, C, H, W) uint8, and (N,) int64 labels."""

    pixels: torch.Tensor
    labels: torch.Tensor

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def channels(self) -> int:
        """1 for grey, 3 for colour."""
        return int(self.pixels.shape[1])

    def to(self, device: torch.device) -> Images:
        """The same on a device; themselves where they are there."""
        return Images(self.pixels.to(device), self.labels.to(device))

    def pick(self, indices: torch.Tensor) -> Images:
        """The images of these indices, in this order."""
        return Images(self.pixels[indices], self.labels[indices])


class Encoded(NamedTuple):
    """An image file's content that lies in no file of its own, and the name it goes by."""

    name: str
    content: bytes


class Stored(Protocol):
    """Image files by number: each a path, or its content."""

    def __len__(self) -> int: ...

    def __getitem__(self, number: int, /) -> str | Encoded: ...


@dataclass(frozen=True)
class Files:
    """Images that are decoded when they are needed: which of those stored, and a label each."""

    stored: Stored
    labels: torch.Tensor
    channels: int = 3
    numbers: torch.Tensor | None = None
    """Of the stored ones; None where they are all of them, in their order."""
    smaller: bool = False
    """Whether JPEGs are decoded smaller where training needs no more: where the set is none that
    could be held in memory, as those are the same by either way."""

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, number: int) -> str | Encoded:
        return self.stored[number if self.numbers is None else int(self.numbers[number])]

    def to(self, device: torch.device) -> Files:
        """Themselves: each batch is moved as it is decoded."""
        return self

    def pick(self, indices: torch.Tensor) -> Files:
        """The files of these indices, in this order; what is stored is shared."""
        numbers = indices if self.numbers is None else self.numbers[indices]
        return replace(self, labels=self.labels[indices], numbers=numbers)


Split = Images | Files


class Entry(NamedTuple):
    """Images that are kept decoded: the file, and what they were made from, as a hash."""

    path: Path
    key: str


@dataclass(frozen=True)
class Data:
    """The images to train on, to watch the training with, and to read once at the end."""

    name: str
    classes: tuple[str, ...]
    train: Split
    heldout: Split
    test: Split | None = None
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()
    notes: tuple[str, ...] = field(default=())
    files: torch.Tensor | None = None
    """Which files the training and held-out images are, packed by `roster.pack`."""
    place: str = ""
    """The name with the whole path, by which the images are found again."""
    entry: Entry | None = None
    """Where this machine keeps them decoded."""

    @property
    def splits(self) -> dict[str, Split]:
        """`train`, `heldout` and, where there is one, `test`."""
        found = {"train": self.train, "heldout": self.heldout, "test": self.test}
        return {name: split for name, split in found.items() if split is not None}

    def to(self, device: torch.device) -> Data:
        """The same with what is held in memory on a device."""
        moved: dict[str, Any] = {name: split.to(device) for name, split in self.splits.items()}
        return replace(self, **moved)

    def describe(self) -> str:
        """`digits: 1,437 training, 360 held-out images, 10 classes`."""
        test = f", {len(self.test):,} test" if self.test is not None else ""
        where = "in memory" if isinstance(self.train, Images) else "read from disk"
        return (
            f"{self.name}: {len(self.train):,} training, {len(self.heldout):,} held-out{test} "
            f"images, {len(self.classes)} classes, {where}"
        )


@dataclass(frozen=True)
class Wanted:
    """What the command asked of the data, and what the network takes."""

    name: str = "digits"
    channels: int = 3
    size: tuple[int, int] = (32, 32)
    classes: int = 10
    heldout: int | None = None
    """Images cut from the training set; the data's own default where None."""
    memory_limit: int = 4 * 2**30
    """Bytes of uint8 up to which a set is held in memory."""
    download: str = "never"
    bad_images: str = "refuse"


def check_cut(heldout: int, images: int) -> None:
    """Raises UserError where so many images cannot be held out."""
    if not 0 < heldout < images:
        raise UserError(
            f"--heldout {heldout}: must be at least 1 and less than the {images:,} training images"
        )


def cut(images: Split, count: int) -> tuple[Split, Split]:
    """(training, held-out): `count` images drawn from a training set, always the same ones.

    The draw does not depend on the run's seed, so that seeds are compared on the same images.
    """
    import torch

    check_cut(count, len(images))
    order = torch.randperm(len(images), generator=generator(0, "held-out"))
    return images.pick(order[count:].sort().values), images.pick(order[:count].sort().values)
