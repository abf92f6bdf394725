"""Images that were decoded before: a file a data set, mapped into memory by all that train on it.

They lie in $RESGEN_CACHE, or else in `resgen` in the user's folder of caches. A file is known by
what it was made from, and its content by a checksum; it is written beside and moved into place.
Whatever is wrong with it, the images are decoded again.
"""

from __future__ import annotations

import errno
import json
import os
import re
import shutil
import sys
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from hashlib import sha256
from importlib import metadata
from pathlib import Path
from secrets import token_hex
from types import MappingProxyType
from typing import Any, NamedTuple

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from resgen.train.data.images import Entry, Images
from resgen.words import memory

VARIABLE = "RESGEN_CACHE"
"""Names the folder; `off` keeps nothing."""
_FORMAT = 1
# What decides about the bytes that a file is decoded to.
_READERS = ("pillow", "torchvision", "torchcodec")
_TOLD, _SUM = "told", "sum"

Faults = dict[str, list[tuple[int, str]]]
"""For each split the numbers of the images that cannot be read, with why."""


class Kept(NamedTuple):
    """Splits in memory and plain words about them; the file that has them, and what it is told."""

    splits: dict[str, Images]
    words: Mapping[str, Any] = MappingProxyType({})
    entry: Entry | None = None
    notes: tuple[str, ...] = ()


class _Content(NamedTuple):
    told: dict[str, Any]
    tensors: dict[str, Tensor]


class _Unfit(Exception):
    """What is there is no use, and why."""


def folder(env: Mapping[str, str] = os.environ, platform: str = sys.platform) -> Path | None:
    """Where files are kept; None where none are."""
    said = env.get(VARIABLE, "")
    if said:
        return None if said == "off" else Path(said)
    with suppress(RuntimeError):  # a user without a home
        home = Path.home() / ("Library/Caches" if platform == "darwin" else ".cache")
        return Path(env.get("XDG_CACHE_HOME") or home) / "resgen"
    return None


def decoded(
    name: str, what: Sequence[object], key: Callable[[], str], make: Callable[[], Kept | None]
) -> Kept | None:  # fmt: skip
    """The splits that are kept under a name and a key, or those that are made, and then kept.

    `what` tells them from others of the name. None where nothing can be made.
    """

    def content() -> _Content | None:
        made = make()
        return (
            None if made is None else _Content({"words": dict(made.words)}, _tensors(made.splits))
        )

    found, entry, notes = _kept(name, ("decoded", *what), key, content)
    if found is None:
        return None
    return Kept(_splits(found.tensors), found.told["words"], entry, notes)


def unreadable(
    name: str, what: Sequence[object], key: Callable[[], str], look: Callable[[], Faults]
) -> Faults:
    """The images that could not be read when all were looked at, or cannot now."""

    def content() -> _Content:
        return _Content({"faults": look()}, {})

    found, _, _ = _kept(name, ("unreadable", *what), key, content)
    assert found is not None
    return {split: [(n, why) for n, why in each] for split, each in found.told["faults"].items()}


def opened(entry: Entry) -> dict[str, Images] | None:
    """What another process of this machine has just made or checked; None if it cannot be seen."""
    try:
        return _splits(_read(entry, check=False).tensors)
    except (OSError, _Unfit):
        return None


def stamp(words: Iterable[bytes], paths: Iterable[str]) -> str:
    """A hash of some words, of size and times of files, and of what decodes them."""
    found = sha256(repr((_FORMAT, *map(_version, _READERS))).encode())
    for word in words:
        found.update(len(word).to_bytes(8, "little") + word)
    for path in paths:
        seen = os.stat(path)
        # What changes a file changes the last of them, whatever time it is then given.
        times = (seen.st_size, seen.st_mtime_ns, seen.st_ctime_ns)
        found.update(b"".join(each.to_bytes(16, "little", signed=True) for each in times))
    return found.hexdigest()


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return ""


# ---- one file


def _kept(
    name: str, what: Sequence[object], key: Callable[[], str],
    make: Callable[[], _Content | None],
) -> tuple[_Content | None, Entry | None, tuple[str, ...]]:  # fmt: skip
    """The content, where it is kept, and what is to be said of that."""
    place = folder()
    if place is None:
        return make(), None, ()
    kind, _, path = name.partition(":")
    short = re.sub(r"[^\w.-]+", "-", f"{kind}-{os.path.basename(path)}")[:64].strip("-.")
    digest = sha256(repr((name, *what)).encode(errors="surrogateescape")).hexdigest()[:16]
    entry = Entry(place / f"{short}-{digest}.safetensors", key())
    # Others who want the same wait until it is there.
    with _locked(entry.path) as alone:
        why = ""
        try:
            if entry.path.exists():
                return _read(entry), entry, ()
        except _Unfit as unfit:
            why = f" ({unfit})"
        except OSError as error:
            why = f" (what was there could not be read: {error.strerror})"
        made = make()
        if made is None:
            return None, None, ()
        try:
            _write(entry, made, alone)
            size = sum(each.nbytes for each in made.tensors.values())
            said = f"decoded images are kept in {entry.path}: {memory(size)}{why}"
            return _read(entry, check=False), entry, (said,) if made.tensors else ()
        except (OSError, SafetensorError, _Unfit) as error:
            reason = getattr(error, "strerror", None) or str(error).splitlines()[0]
            said = (
                f"{entry.path}: decoded images cannot be kept there ({reason}), and are decoded "
                f"at each start; {VARIABLE} names another folder, or says off"
            )
            return made, None, (said,)


@contextmanager
def _locked(path: Path) -> Iterator[bool]:
    """Alone among those who may write a file, as far as the system has locks."""
    handle = None
    try:
        import fcntl

        path.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(path.with_suffix(".lock"), os.O_CREAT | os.O_RDWR, 0o666)
        fcntl.flock(handle, fcntl.LOCK_EX)
        alone = True
    except (OSError, ImportError):
        alone = False
    try:
        yield alone
    finally:
        if handle is not None:
            os.close(handle)


def _read(entry: Entry, *, check: bool = True) -> _Content:
    """Raises OSError, and _Unfit where it is damaged or of other files."""
    try:
        with safe_open(entry.path, "pt") as file:
            words = file.metadata() or {}
            # Mapped, not read: what is touched is in memory once, for all processes.
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        text, total = words[_TOLD], words[_SUM]
        told = json.loads(text)
        key = told["key"]
    except OSError:
        raise
    except Exception:  # safetensors and JSON raise all kinds
        raise _Unfit("what was there is damaged") from None
    if check and total != _checksum(text, tensors):
        raise _Unfit("what was there is damaged")
    if key != entry.key:
        raise _Unfit("what was there is of other files, or of other versions of their decoder")
    return _Content(told, tensors)


def _write(entry: Entry, content: _Content, alone: bool) -> None:
    """Raises OSError or SafetensorError where it cannot be written."""
    path = entry.path
    path.parent.mkdir(parents=True, exist_ok=True)
    if alone:  # what killed processes have left
        for left in path.parent.glob(f".{path.stem}.*"):
            left.unlink(missing_ok=True)
    if sum(each.nbytes for each in content.tensors.values()) > shutil.disk_usage(path.parent).free:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
    fresh = path.with_name(f".{path.stem}.{os.getpid()}-{token_hex(4)}")
    text = json.dumps({**content.told, "key": entry.key})
    try:
        total = _checksum(text, content.tensors)
        save_file(content.tensors, fresh, metadata={_TOLD: text, _SUM: total})
        os.replace(fresh, path)
    finally:
        with suppress(OSError):
            fresh.unlink(missing_ok=True)


def _checksum(text: str, tensors: Mapping[str, Tensor]) -> str:
    total = zlib.crc32(text.encode())
    for name in sorted(tensors):
        each = tensors[name]
        total = zlib.crc32(f"{name} {each.dtype} {tuple(each.shape)}".encode(), total)
        if each.numel():
            total = zlib.crc32(each.flatten().view(torch.uint8).numpy().data, total)
    return f"{total:08x}"


def _tensors(splits: Mapping[str, Images]) -> dict[str, Tensor]:
    """Images as they lie: (N, H, W, C)."""
    pixels = {f"{name}.pixels": each.pixels.permute(0, 2, 3, 1) for name, each in splits.items()}
    labels = {f"{name}.labels": each.labels for name, each in splits.items()}
    return {name: each.contiguous() for name, each in (pixels | labels).items()}


def _splits(tensors: Mapping[str, Tensor]) -> dict[str, Images]:
    names = [name.removesuffix(".labels") for name in tensors if name.endswith(".labels")]
    return {
        name: Images(tensors[f"{name}.pixels"].permute(0, 3, 1, 2), tensors[f"{name}.labels"])
        for name in names
    }
