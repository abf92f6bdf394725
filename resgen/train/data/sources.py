"""A data name -> its images: uint8, split into training, held-out and test images.

digits        the 1,797 images inside scikit-learn, 8x8, one channel
cifar10, cifar100   the original files, from cifar10:PATH or the folder `data`
folder:PATH   class folders under `train`, and under `val` or `test`
synthetic     images drawn from a seed, shaped as the network wants them
"""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

from resgen.train.data import cifar, facts
from resgen.train.data import folder as image_folder
from resgen.train.data.images import Data, Images, Wanted, cut
from resgen.train.data.levels import measured
from resgen.train.data.seeds import generator

_CIFAR = "data"
"""Where CIFAR's files are looked for."""


def load(wanted: Wanted) -> Data:
    """The data by name, checked against the network. Raises UserError where they do not fit."""
    kind, path = facts.split_name(wanted.name)
    if kind == "digits":
        data = _digits(wanted)
    elif kind == "folder":
        data = image_folder.load(Path(path), wanted)
    elif kind == "synthetic":
        data = _synthetic(wanted)
    else:
        data = cifar.load(kind, Path(path or _CIFAR), wanted)
    facts.check(facts.Facts.of(data), wanted)
    if isinstance(data.train, Images) and not data.mean:
        mean, std = measured([data.train.pixels])
        data = replace(data, mean=mean, std=std)
    return _channels_last(replace(data, place=_place(kind, path)))


def _place(kind: str, path: str) -> str:
    path = path or (_CIFAR if kind in cifar.FORMS else "")
    return f"{kind}:{os.path.abspath(path)}" if path else kind


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
    train, heldout = cut(images, wanted.heldout or facts.FIXED["digits"].heldout)
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

    count, held = facts.SYNTHETIC
    train, heldout = cut(draw(count), wanted.heldout or held)
    return Data("synthetic", tuple(map(str, range(wanted.classes))), train, heldout, draw(256))
