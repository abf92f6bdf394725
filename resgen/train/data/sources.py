"""A data name -> its images: uint8, split into training, held-out and test images.

digits        the 1,797 images inside scikit-learn, 8x8, one channel
cifar10, cifar100   the original files, from cifar10:PATH or the folder `data`
folder:PATH   class folders under `train`, and under `val` or `test`
synthetic     images drawn from a seed, shaped as the network wants them
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from resgen.errors import UserError
from resgen.train.data import cifar
from resgen.train.data import folder as image_folder
from resgen.train.data.images import Data, Images, Wanted, cut
from resgen.train.data.seeds import generator

NAMES = ("digits", "cifar10", "cifar100", "folder:PATH", "synthetic")


def load(wanted: Wanted) -> Data:
    """The data by name, checked against the network. Raises UserError where they do not fit."""
    kind, _, path = wanted.name.partition(":")
    if kind == "digits" and not path:
        data = _digits(wanted)
    elif kind in ("cifar10", "cifar100"):
        data = cifar.load(kind, Path(path or "data"), wanted)
    elif kind == "folder" and path:
        data = image_folder.load(Path(path), wanted)
    elif kind == "synthetic" and not path:
        data = _synthetic(wanted)
    else:
        raise UserError(f"--data {wanted.name}: no such data; known are {', '.join(NAMES)}")
    _check(data, wanted)
    return _channels_last(data if data.mean else _measured(data))


def _channels_last(data: Data) -> Data:
    """Images in memory laid out as they are cropped: once, for all networks that share them."""
    import torch

    splits: dict[str, Any] = {
        name: Images(split.pixels.contiguous(memory_format=torch.channels_last), split.labels)
        for name in ("train", "heldout", "test")
        if isinstance(split := getattr(data, name), Images)
    }
    return replace(data, **splits)


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
