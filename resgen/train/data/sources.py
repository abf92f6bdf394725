"""A data name -> its images: uint8, split into training, held-out and test images.

digits        the 1,797 images inside scikit-learn, 8x8, one channel
cifar10, cifar100   the original files, from cifar10:PATH or the folder `data`
folder:PATH   class folders under `train`, and under `val` or `test`
hf:NAME, hf:PATH   tables of the library `datasets`: of the Hub, of parquet files
synthetic     images drawn from a seed, shaped as the network wants them
"""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from resgen.train.data import cifar, facts, keeping, tables
from resgen.train.data import folder as image_folder
from resgen.train.data.gathering import gathered
from resgen.train.data.images import Data, Images, Wanted, cut
from resgen.train.data.levels import measured
from resgen.train.data.seeds import generator
from resgen.train.device.processes import World

_CIFAR = "data"
"""Where CIFAR's files are looked for."""
_FOUND = {"folder": image_folder.found, "hf": tables.found}


def load(wanted: Wanted, world: World | None = None) -> Data:
    """The data by name, checked against the network. Raises UserError where they do not fit.

    Of the processes of a machine the first looks, and decodes what is kept in memory; the others
    get what it found, and map what it decoded. One that sees another folder (containers may have
    disks of their own) looks itself.
    """
    mine: list[Data] = []

    def first() -> tuple[object, Data]:
        mine.append(_read(wanted))
        return _identity(wanted.name), _without_pixels(mine[0])

    if world is None or facts.split_name(wanted.name)[0] in ("digits", "synthetic"):
        data = _read(wanted)
    else:
        place, given = world.once(first)
        if not mine:
            same = place == _identity(wanted.name)
            mine.append((_with_pixels(given) if same else None) or _read(wanted))
        data = mine[0]
    facts.check(facts.Facts.of(data), wanted)
    return data


def _identity(name: str) -> tuple[int, int] | None:
    """Of the file or folder that is read: two processes that have the same one see the same."""
    with suppress(OSError):
        seen = os.stat(facts.placed(name) or _CIFAR)
        return seen.st_dev, seen.st_ino
    return None


def _without_pixels(data: Data) -> Data:
    """What is handed to another process: of images in memory the rest."""
    none = torch.empty(0, dtype=torch.int64)
    return _with(data, {name: each.pick(none) for name, each in _in_memory(data).items()})


def _with_pixels(data: Data) -> Data | None:
    """The same with the images that are kept on this machine; None where they are not."""
    if not _in_memory(data):
        return data
    kept = None if data.entry is None else keeping.opened(data.entry)
    return None if kept is None else _with(data, kept)


def _with(data: Data, splits: dict[str, Any]) -> Data:
    return replace(data, **splits)


def _in_memory(data: Data) -> dict[str, Images]:
    splits = {name: getattr(data, name) for name in ("train", "heldout", "test")}
    return {name: each for name, each in splits.items() if isinstance(each, Images)}


def _read(wanted: Wanted) -> Data:
    kind, path = facts.split_name(wanted.name)
    if kind in _FOUND:
        data = gathered(_FOUND[kind](path, wanted), wanted)
    elif kind == "digits":
        data = _digits(wanted)
    elif kind == "synthetic":
        data = _synthetic(wanted)
    else:
        data = cifar.load(kind, Path(path or _CIFAR), wanted)
    if isinstance(data.train, Images) and not data.mean:
        mean, std = measured([data.train.pixels])
        data = replace(data, mean=mean, std=std)
    name = f"{kind}:{_CIFAR}" if kind in cifar.FORMS and not path else wanted.name
    return _channels_last(replace(data, place=facts.absolute(name)))


def known(wanted: Wanted) -> facts.Facts:
    """What `load` will find, from names and some headers. Raises UserError."""
    kind, path = facts.split_name(wanted.name)
    return _FOUND[kind](path, wanted).facts(wanted)


def classes(wanted: Wanted) -> tuple[str, int]:
    """A data set's name and how many classes it has, with the least looking. Raises UserError."""
    kind, path = facts.split_name(wanted.name)
    if kind == "folder":
        return image_folder.facts(path)
    if kind == "hf":
        return tables.facts(path, wanted.download)
    found = facts.fixed(kind, wanted)
    return found.name, found.classes


def _channels_last(data: Data) -> Data:
    """Images in memory laid out as they are cropped: once, for all networks that share them."""
    splits = {
        name: Images(split.pixels.contiguous(memory_format=torch.channels_last), split.labels)
        for name, split in _in_memory(data).items()
    }
    return _with(data, splits)


def _digits(wanted: Wanted) -> Data:
    from sklearn.datasets import load_digits

    found = load_digits()
    # Grey values 0..16 as bytes; 255/16 is no whole number, so round.
    pixels = torch.from_numpy(found.images).mul(255 / 16).round().to(torch.uint8)[:, None]
    images = Images(pixels, torch.from_numpy(found.target).long())
    train, heldout = cut(images, wanted.heldout or facts.FIXED["digits"].heldout)
    return Data("digits", tuple(map(str, found.target_names)), train, heldout)


def _synthetic(wanted: Wanted) -> Data:
    """One random pattern a class under noise: learnable, and nothing to download."""
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
