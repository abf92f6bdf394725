"""What is known of a data set before its images are read, and whether a network can learn it."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import NamedTuple

from resgen.errors import UserError
from resgen.train.data.images import Data, Wanted, check_cut

NAMES = ("digits", "cifar10", "cifar100", "folder:PATH", "hf:NAME|PATH", "synthetic")
# Those that take a path behind a colon, and those that are nothing without it.
_WITH_PATH = ("cifar10", "cifar100", "folder", "hf")
_WITHOUT_PATH = ("digits", "cifar10", "cifar100", "synthetic")

UNKNOWN = ("folder", "hf")
"""Those of which nothing is known before one looks."""


class Facts(NamedTuple):
    """A data set's name, classes, channels (1 for grey), and images to train on and to watch."""

    name: str
    classes: int
    channels: int
    train: int
    heldout: int

    @classmethod
    def of(cls, data: Data) -> Facts:
        """Those of a data set that was read."""
        return cls(
            data.name, len(data.classes), data.train.channels, len(data.train), len(data.heldout)
        )


class Fixed(NamedTuple):
    """A set that is everywhere the same: its images before the cut, and what is cut off."""

    images: int
    heldout: int
    classes: int
    channels: int


FIXED = {
    "digits": Fixed(1797, 360, 10, 1),
    "cifar10": Fixed(50_000, 5_000, 10, 3),
    "cifar100": Fixed(50_000, 5_000, 100, 3),
}
SYNTHETIC = (1280, 256)
"""Images before the cut, and what is cut off; the rest is as the network wants it."""
_CIFAR = (
    "{:,} colour images of 32x32 to train on, {:,} of them held out, and 10,000 to test on; "
    "{} classes. --download fetches it; PATH says where it lies."
)
ABOUT = {
    "digits": (
        "{:,} grey images of 8x8, {:,} of them held out; {} classes. They come with scikit-learn."
    ).format(*FIXED["digits"]),
    "cifar10[:PATH]": _CIFAR.format(*FIXED["cifar10"]),
    "cifar100[:PATH]": _CIFAR.format(*FIXED["cifar100"]),
    "folder:PATH": (
        "Any images, a folder a class: PATH/train/CLASS, and PATH/val/CLASS or a part of train "
        "held out."
    ),
    "hf:NAME|PATH": (
        "A table of Hugging Face's datasets with a column of images and one of labels: parquet "
        "files, a folder that save_to_disk wrote, or a name on the Hub (extra hf)."
    ),
    "synthetic": (
        "{:,} drawn images of the network's own size and classes, {:,} of them held out: for "
        "trying and timing."
    ).format(*SYNTHETIC),
}
"""What each is, for lists of them."""


def split_name(name: str) -> tuple[str, str]:
    """`cifar10:PATH` -> (cifar10, PATH). Raises UserError for a name that no data has."""
    kind, _, path = name.partition(":")
    if kind not in (_WITH_PATH if path else _WITHOUT_PATH):
        raise UserError(f"--data {name}: no such data; known are {', '.join(NAMES)}")
    return kind, path


class Table(NamedTuple):
    """A data set of the library `datasets`: where it is, and what it is to be read by."""

    where: str
    """A folder, a file, or a name on the Hugging Face Hub."""
    image: str | None = None
    """The column of the images; the only one of that type where None, and so of the labels."""
    label: str | None = None
    config: str | None = None
    revision: str | None = None

    @classmethod
    def of(cls, text: str) -> Table:
        """`WHERE,label=fine_label`. Raises UserError for a key that there is not."""
        parts, words = text.split(","), dict[str, str]()
        while len(parts) > 1 and "=" in parts[-1]:
            key, _, value = parts.pop().partition("=")
            if key not in cls._fields[1:] or not value:
                raise UserError(
                    f"--data hf:{text}: {key}={value} says nothing; known are "
                    f"{', '.join(f'{each}=...' for each in cls._fields[1:])}"
                )
            words[key] = value
        return cls(",".join(parts), **words)

    def text(self, where: str) -> str:
        """The same at another place, as it is typed."""
        words = (f",{key}={value}" for key, value in zip(self._fields, self, strict=True) if value)
        return where + "".join(list(words)[1:])

    @property
    def of_hub(self) -> bool:
        """Whether it is, or may be, a name on the Hub: something on this machine comes first."""
        named = re.fullmatch(r"[\w.-]+(/[\w.-]+)?", self.where)
        return named is not None and not Path(self.where).exists()


def placed(name: str) -> Path | None:
    """The file or folder that a name says; of a table it may be a name on the Hub."""
    kind, text = split_name(name)
    if kind == "hf":
        return Path(Table.of(text).where)
    return Path(text) if text else None


def check_folder(path: Path) -> None:
    """Raises UserError where there is no folder of images."""
    if not path.is_dir():
        raise UserError(f"--data folder:{path}: no such folder")


def absolute(name: str) -> str:
    """The name with the whole path, by which the images are found again from any folder."""
    kind, text = split_name(name)
    if not text or (kind == "hf" and Table.of(text).of_hub):
        return name
    where = os.path.abspath(str(placed(name)))
    return f"{kind}:{Table.of(text).text(where) if kind == 'hf' else where}"


def titled(name: str) -> str:
    """What it is called in reports: `digits`, `folder:flowers`, `hf:user/name`."""
    kind, text = split_name(name)
    if kind not in UNKNOWN:
        return kind
    if kind == "hf" and Table.of(text).of_hub:
        return f"hf:{Table.of(text).where}"
    return f"{kind}:{Path(os.path.abspath(str(placed(name)))).name}"


def fixed(kind: str, wanted: Wanted) -> Facts:
    """Those of every set that is known beforehand, from what its publisher says of it."""
    if kind == "synthetic":
        known = Fixed(*SYNTHETIC, wanted.classes, wanted.channels)
    else:
        known = FIXED[kind]
    held = wanted.heldout or known.heldout
    check_cut(held, known.images)
    return Facts(kind, known.classes, known.channels, known.images - held, held)


def check(facts: Facts, wanted: Wanted) -> None:
    """Raises UserError where a network cannot learn a data set."""
    if facts.classes != wanted.classes:
        raise UserError(
            f"{facts.name} has {facts.classes} classes and the network {wanted.classes}; "
            f"write classes: {facts.classes} in the spec, or add --with classes={facts.classes}"
        )
    if facts.channels not in (wanted.channels, 1):
        raise UserError(
            f"{facts.name} has {facts.channels} channels and the network takes {wanted.channels}; "
            f"write channels: {facts.channels} in the spec's input, or add "
            f"--with input.channels={facts.channels}"
        )
    for what, count in (("training", facts.train), ("held-out", facts.heldout)):
        if not count:
            raise UserError(f"{facts.name}: there are no {what} images")
