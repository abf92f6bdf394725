"""What is known of a data set before its images are read, and whether a network can learn it."""

from __future__ import annotations

from typing import NamedTuple

from resgen.errors import UserError
from resgen.train.data.images import Data, Wanted, check_cut

NAMES = ("digits", "cifar10", "cifar100", "folder:PATH", "synthetic")
# Those that take a path behind a colon, and the one that is nothing without it.
_WITH_PATH = ("cifar10", "cifar100", "folder")
_WITHOUT_PATH = ("digits", "cifar10", "cifar100", "synthetic")


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


def fixed(kind: str, wanted: Wanted) -> Facts:
    """Those of every set but a folder's, from what its publisher says of it."""
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
