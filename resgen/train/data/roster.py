"""Which files a run trains on: a resumed run needs the very same ones, in the same order."""

from __future__ import annotations

import shlex
import zlib
from collections.abc import Iterable
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

from resgen.errors import UserError

if TYPE_CHECKING:
    from torch import Tensor


def pack(names: Iterable[str]) -> Tensor:
    """Names as bytes in a tensor, for a checkpoint; a million of them are some megabytes."""
    import torch

    # No file's name has a zero byte; any other byte may be in one.
    joined = "\0".join(names).encode(errors="surrogateescape")
    return torch.frombuffer(bytearray(zlib.compress(joined)), dtype=torch.uint8)


def unpack(packed: Tensor) -> list[str]:
    """The names that were packed. Raises zlib.error for other bytes."""
    joined = zlib.decompress(packed.numpy().tobytes())
    return joined.decode(errors="surrogateescape").split("\0")


def digest(packed: Tensor | None) -> str | None:
    """A short word for the names, which differs where one of them does."""
    if packed is None:
        return None
    return sha256("\0".join(unpack(packed)).encode(errors="surrogateescape")).hexdigest()[:12]


def same_files(saved: Tensor | None, mine: Tensor | None, path: Path) -> None:
    """Raises UserError, with the first file that is missing or new, where they differ.

    The order of training follows from the whole set. Checkpoints of earlier versions, and of data
    that is not files, have no names.
    """
    if saved is None or mine is None or saved.equal(mine):
        return
    try:
        before, now = unpack(saved), unpack(mine)
    except zlib.error:
        raise UserError(f"{path}: the names of its files are damaged") from None
    if before == now:  # packed by another zlib
        return
    gone, new = sorted({*before} - {*now}), sorted({*now} - {*before})
    parts = [
        f"{len(names):,} {'is' if len(names) == 1 else 'are'} {what}, the first {names[0]}"
        for names, what in ((gone, "gone"), (new, "new"))
        if names
    ]
    option = shlex.join(["--init-from", str(path)])
    raise UserError(
        f"{path}: the images are others than this run began with: {' and '.join(parts)}; make them "
        f"the same again, or begin a new run from its weights: {option} --out NEW"
    )
