"""A data name -> its images: uint8, split into training, held-out and test images.

digits        the 1,797 images inside scikit-learn, 8x8, one channel
cifar10, cifar100   the original files, from cifar10:PATH or the folder `data`
folder:PATH   class folders under `train`, and under `val` or `test`
synthetic     images drawn from a seed, shaped as the network wants them
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from resgen.errors import UserError
from resgen.train.seeds import generator

if TYPE_CHECKING:
    import torch

NAMES = ("digits", "cifar10", "cifar100", "folder:PATH", "synthetic")


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

    def pick(self, indices: torch.Tensor) -> Images:
        """The images of these indices, in this order."""
        return Images(self.pixels[indices], self.labels[indices])


@dataclass(frozen=True)
class Files:
    """Images on disk, decoded when they are needed: a path and a label each."""

    paths: tuple[str, ...]
    labels: torch.Tensor
    channels: int = 3

    def __len__(self) -> int:
        return len(self.labels)

    def pick(self, indices: torch.Tensor) -> Files:
        """The files of these indices, in this order."""
        paths = tuple(self.paths[i] for i in indices.tolist())
        return Files(paths, self.labels[indices], self.channels)


Split = Images | Files


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


def load(wanted: Wanted) -> Data:
    """The data by name, checked against the network. Raises UserError where they do not fit."""
    from resgen.train import cifar, folder

    kind, _, path = wanted.name.partition(":")
    if kind == "digits" and not path:
        data = _digits(wanted)
    elif kind in ("cifar10", "cifar100"):
        data = cifar.load(kind, Path(path or "data"), wanted)
    elif kind == "folder" and path:
        data = folder.load(Path(path), wanted)
    elif kind == "synthetic" and not path:
        data = _synthetic(wanted)
    else:
        raise UserError(f"--data {wanted.name}: no such data; known are {', '.join(NAMES)}")
    _check(data, wanted)
    return data if data.mean else _measured(data)


def cut(images: Split, count: int) -> tuple[Split, Split]:
    """(training, held-out): `count` images drawn from a training set, always the same ones.

    The draw does not depend on the run's seed, so that seeds are compared on the same images.
    """
    import torch

    if not 0 < count < len(images):
        raise UserError(
            f"--heldout {count}: must be at least 1 and less than the {len(images):,} "
            "training images"
        )
    order = torch.randperm(len(images), generator=generator(0, "held-out"))
    return images.pick(order[count:].sort().values), images.pick(order[:count].sort().values)


def _digits(wanted: Wanted) -> Data:
    import torch
    from sklearn.datasets import load_digits

    found = load_digits()
    # Grey values 0..16 as bytes; 255/16 is no whole number, so round.
    pixels = torch.from_numpy(found.images).mul(255 / 16).round().to(torch.uint8)[:, None]
    images = Images(pixels, torch.from_numpy(found.target).long())
    train, heldout = cut(images, wanted.heldout or 360)
    return Data("digits", tuple(map(str, found.target_names)), train, heldout)


def _synthetic(wanted: Wanted) -> Data:
    """One random pattern a class under noise: learnable, and nothing to download."""
    import torch

    rng = generator(0, "synthetic")
    height, width = wanted.size
    patterns = torch.rand(wanted.classes, wanted.channels, height, width, generator=rng)

    def draw(count: int) -> Images:
        labels = torch.arange(count) % wanted.classes
        noise = torch.rand(count, wanted.channels, height, width, generator=rng)
        return Images(((patterns[labels] + noise) * 127.5).to(torch.uint8), labels)

    train, heldout = cut(draw(1280), wanted.heldout or 256)
    return Data("synthetic", tuple(map(str, range(wanted.classes))), train, heldout, draw(256))


def _check(data: Data, wanted: Wanted) -> None:
    if len(data.classes) != wanted.classes:
        raise UserError(
            f"{data.name} has {len(data.classes)} classes and the network {wanted.classes}; "
            f"write classes: {len(data.classes)} in the spec"
        )
    have = data.train.channels
    if have not in (wanted.channels, 1):
        raise UserError(
            f"{data.name} has {have} channels and the network takes {wanted.channels}; "
            f"write channels: {have} in the spec's input"
        )
    for what, split in (("training", data.train), ("held-out", data.heldout)):
        if not len(split):
            raise UserError(f"{data.name}: there are no {what} images")


def _measured(data: Data) -> Data:
    """The data with the mean and deviation of each channel over its training images."""
    assert isinstance(data.train, Images)
    # Counting byte values is exact and needs no copy of the set in floating point.
    import torch

    means, deviations = [], []
    values = torch.arange(256, dtype=torch.float64) / 255
    for channel in data.train.pixels.unbind(1):
        counts = torch.bincount(channel.flatten().int(), minlength=256).double()
        mean = (counts * values).sum() / counts.sum()
        spread = (counts * (values - mean) ** 2).sum() / counts.sum()
        means.append(float(mean))
        deviations.append(max(float(spread.sqrt()), 1 / 255))
    return replace(data, mean=tuple(means), std=tuple(deviations))
