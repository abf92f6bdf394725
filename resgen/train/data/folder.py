"""Class folders -> images: PATH/train/CLASS/*.jpg, and PATH/val or PATH/test beside it.

`val` is watched during training in place of a cut from the training set; `test` is
read once at the end. Small images of one size are decoded once and kept in memory.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import torch
from PIL import Image
from torchvision.datasets.folder import IMG_EXTENSIONS, make_dataset

from resgen.errors import UserError
from resgen.train.data.facts import Facts
from resgen.train.data.images import Data, Files, Images, Split, Wanted, check_cut, cut
from resgen.train.device.machine import processors

SPLITS = ("train", "val", "test")
# Channel statistics of ImageNet's training set, for sets too large to be measured.
_IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))


class Found(NamedTuple):
    """A split's files and their labels."""

    paths: tuple[str, ...]
    labels: tuple[int, ...]


def load(path: Path, wanted: Wanted) -> Data:
    """The class folders under a path. Raises UserError for every way they can be unfit."""
    classes, found = _found(path, wanted)
    notes: list[str] = []
    if wanted.bad_images == "skip":
        found = {name: _without_bad(name, each, notes) for name, each in found.items()}
    splits = _read(found, wanted, notes)
    train, heldout = splits["train"], splits.get("val")
    if heldout is None:
        train, heldout = cut(train, _share(len(train), wanted))
    small = isinstance(train, Images)
    mean, std = ((), ()) if small else _IMAGENET
    name = f"folder:{path.name}"
    return Data(name, classes, train, heldout, splits.get("test"), mean, std, tuple(notes))


def facts(path: Path, wanted: Wanted) -> Facts:
    """What `load` will give, from the names of the files and some headers. Raises UserError."""
    classes, found = _found(path, wanted)
    channels = _channels(header[1] for header in _headers(found))
    train = len(found["train"].paths)
    held = len(found["val"].paths) if "val" in found else _share(train, wanted)
    if "val" not in found:
        check_cut(held, train)
        train -= held
    return Facts(f"folder:{path.name}", len(classes), channels, train, held)


def _share(train: int, wanted: Wanted) -> int:
    """As even a share of the training set as CIFAR's 5,000 of 50,000."""
    return wanted.heldout or max(1, train // 10)


def _found(path: Path, wanted: Wanted) -> tuple[tuple[str, ...], dict[str, Found]]:
    """The classes, and each split's files."""
    if not path.is_dir():
        raise UserError(f"--data folder:{path}: no such folder")
    if not (path / "train").is_dir():
        held = ", ".join(sorted(each.name for each in path.iterdir())[:5]) or "nothing"
        raise UserError(f"--data folder:{path}: has no folder train (it holds {held})")
    classes = _classes(path / "train")
    found = {name: _find(path / name, classes) for name in SPLITS if (path / name).is_dir()}
    if "val" in found and wanted.heldout is not None:
        raise UserError(f"--heldout {wanted.heldout}: folder:{path} has its held-out images in val")
    return classes, found


def _classes(path: Path) -> tuple[str, ...]:
    names = tuple(sorted(entry.name for entry in os.scandir(path) if entry.is_dir()))
    if not names:
        raise UserError(f"{path}: has no class folders")
    return names


def _find(path: Path, classes: tuple[str, ...]) -> Found:
    here = _classes(path)
    missing = sorted(set(classes) - set(here))
    extra = sorted(set(here) - set(classes))
    if missing or extra:
        differences = [f"without {_list(missing)}"] * bool(missing)
        differences += [f"with {_list(extra)} that train has not"] * bool(extra)
        raise UserError(f"{path}: other classes than train: {', '.join(differences)}")
    numbers = {name: number for number, name in enumerate(classes)}
    files = make_dataset(str(path), numbers, extensions=IMG_EXTENSIONS, allow_empty=True)
    counts = Counter(label for _, label in files)
    empty = [name for name in classes if not counts[numbers[name]]]
    if empty:
        raise UserError(f"{path}: no images in {_list(empty)}")
    return Found(tuple(name for name, _ in files), tuple(label for _, label in files))


def _list(names: Sequence[str]) -> str:
    more = f" and {len(names) - 5} more" if len(names) > 5 else ""
    return ", ".join(names[:5]) + more


def decode(path: str, mode: str) -> Image.Image:
    """One image in a mode. Raises UserError that names it where it cannot be read."""
    try:
        with Image.open(path) as image:
            return image.convert(mode)
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise UserError(
            f"{path}: unreadable image ({error}); repair or remove it, or add --skip-bad-images"
        ) from None


def _without_bad(name: str, found: Found, notes: list[str]) -> Found:
    def good(path: str) -> bool:
        try:
            decode(path, "RGB")
        except UserError:
            return False
        return True

    with ThreadPoolExecutor(processors()) as pool:
        kept = [i for i, fine in enumerate(pool.map(good, found.paths)) if fine]
    bad = sorted(set(range(len(found.paths))) - set(kept))
    if bad:
        first = found.paths[bad[0]]
        notes.append(f"{len(bad)} unreadable images of {name} left out, the first {first}")
    return Found(tuple(found.paths[i] for i in kept), tuple(found.labels[i] for i in kept))


def _read(found: dict[str, Found], wanted: Wanted, notes: list[str]) -> dict[str, Split]:
    """The splits in memory if they are small and of one size, else as files."""
    count = sum(len(each.paths) for each in found.values())
    looked = _headers(found)
    sizes = Counter(size for size, _ in looked)
    modes = Counter(mode for _, mode in looked)
    if len(modes) > 1:
        notes.append(f"images of several modes: {', '.join(sorted(modes))}; all read as colour")
    channels = _channels(modes)
    mode = "L" if channels == 1 else "RGB"
    (width, height), _ = sizes.most_common(1)[0]
    if len(sizes) == 1 and count * channels * width * height <= wanted.memory_limit:
        images = _decode_all(found, mode, (width, height))
        if images is not None:
            return dict(images)
    return {
        name: Files(each.paths, torch.tensor(each.labels), channels) for name, each in found.items()
    }


def _channels(modes: Iterable[str]) -> int:
    """1 where all images are grey, else 3."""
    return 1 if set(modes) <= {"L", "1"} else 3


def _headers(found: dict[str, Found]) -> list[tuple[tuple[int, int], str]]:
    """(size, mode) of a thousand images or so."""
    paths = [path for each in found.values() for path in each.paths]
    return [_header(path) for path in paths[:: max(1, len(paths) // 1000)]]


def _header(path: str) -> tuple[tuple[int, int], str]:
    try:
        with Image.open(path) as image:
            return image.size, image.mode
    except (OSError, SyntaxError) as error:
        raise UserError(
            f"{path}: unreadable image ({error}); repair or remove it, or add --skip-bad-images"
        ) from None


def _decode_all(
    found: dict[str, Found], mode: str, size: tuple[int, int]
) -> dict[str, Images] | None:
    """All images as bytes, or None where one has another size."""

    def pixels(path: str) -> bytes | None:
        image = decode(path, mode)
        return image.tobytes() if image.size == size else None

    done: dict[str, Images] = {}
    width, height = size
    with ThreadPoolExecutor(processors()) as pool:
        for name, each in found.items():
            rows = list(pool.map(pixels, each.paths, chunksize=64))
            if None in rows:
                return None
            joined = bytearray().join(row for row in rows if row is not None)
            flat = torch.frombuffer(joined, dtype=torch.uint8)
            shaped = flat.view(len(rows), height, width, -1).permute(0, 3, 1, 2).contiguous()
            done[name] = Images(shaped, torch.tensor(each.labels))
    return done
