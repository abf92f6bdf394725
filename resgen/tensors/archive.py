"""A file -> what lies in it, tensors and plain values; nothing in it is run.

What a file is follows from its first bytes, not from its name.
"""

from __future__ import annotations

import re
import stat
import warnings
import zipfile
from pathlib import Path
from typing import Any

from resgen.errors import UserError

# First bytes of what else is found under such names, and what to do about it.
_FOREIGN = (
    (b"version https://git-lfs", "a Git LFS pointer in place of the file: git lfs pull fetches it"),
    (b"<", "a web page or other markup saved under this name: download the file itself"),
    (b"\x1f\x8b", "compressed by gzip: unpack it first"),
    (b"\x89HDF", "an HDF5 file, as Keras writes: .safetensors and torch's files are read"),
    (b"\x93NUMPY", "a NumPy array: .safetensors and torch's files are read"),
    (b"GGUF", "a GGUF file: .safetensors and torch's files are read"),
)
_DAMAGED = "damaged, or not a file of weights: .safetensors and torch's files are read"


def read(path: Path) -> Any:
    """The content of a file that torch or safetensors wrote.

    Raises UserError, with what the file is instead, for one that cannot be read.
    """
    head = _head(path)
    for start, what in _FOREIGN:
        if head.lstrip().startswith(start):
            raise UserError(f"{path}: {what}")
    if head.startswith(b"PK\x03\x04"):
        _check_zip(path)
        return _torch(path)
    # Eight bytes of length, then JSON.
    if head[8:9] == b"{" or path.suffix == ".safetensors":
        return _safetensors(path)
    return _torch(path)


def words(path: Path) -> dict[str, str] | None:
    """The metadata of a .safetensors file; None of another. Raises UserError like `read`."""
    if _head(path)[8:9] != b"{":
        return None
    from safetensors import safe_open

    try:
        with safe_open(path, "pt") as file:
            found: dict[str, str] | None = file.metadata()
    except Exception as error:
        raise _unsafe(path, error) from None
    return found or {}


def _head(path: Path) -> bytes:
    """The first bytes of a regular file that can be read and is not empty."""
    try:
        kind = path.stat().st_mode
        if stat.S_ISDIR(kind):
            raise UserError(f"{path}: is a directory; name a file in it")
        if not stat.S_ISREG(kind):
            raise UserError(f"{path}: is no regular file")
        with path.open("rb") as file:
            head = file.read(64)
    except FileNotFoundError:
        folder = "" if path.parent.is_dir() else f", nor a folder {path.parent}"
        raise UserError(f"{path}: no such file{folder}") from None
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror}") from None
    if not head:
        raise UserError(f"{path}: damaged: it is empty")
    return head


def _check_zip(path: Path) -> None:
    """Refuses archives that torch did not write, and those whose checksums tell of damage."""
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
            if any(name.endswith("/constants.pkl") for name in names):
                raise UserError(
                    f"{path}: a TorchScript program; save its weights alone: "
                    "torch.save(torch.jit.load(FILE).state_dict(), FILE)"
                )
            if not any(name.endswith("/data.pkl") for name in names):
                raise UserError(f"{path}: a zip archive, but not one that torch wrote")
            bad = [name for name in names if not _whole(archive, name)]
    except (zipfile.BadZipFile, OSError, EOFError, ValueError, NotImplementedError):
        raise UserError(f"{path}: damaged: cut short, or changed after it was written") from None
    # torch can be told to write no checksums; then none of them is right.
    if bad and len(bad) < len(names):
        raise UserError(f"{path}: damaged: a part of it does not match its checksum")


def _whole(archive: zipfile.ZipFile, name: str) -> bool:
    try:
        with archive.open(name) as part:
            while part.read(2**20):
                pass
    except zipfile.BadZipFile as error:
        if "CRC" not in str(error):
            raise
        return False
    return True


def _torch(path: Path) -> Any:
    import torch

    try:
        with warnings.catch_warnings():
            # torch speaks of its own past and future here, to nobody.
            warnings.simplefilter("ignore")
            return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        # torch's own words advise to run what is in the file.
        if found := re.search(r"(?i)unsupported (?:global: )?GLOBAL ([\w.]{1,100})", str(error)):
            raise UserError(
                f"{path}: holds {found[1]}, which would have to be run to be read; save its "
                "tensors alone: torch.save(model.state_dict(), FILE)"
            ) from None
        raise UserError(f"{path}: {_DAMAGED}") from None


def _safetensors(path: Path) -> Any:
    from safetensors.torch import load_file

    try:
        return load_file(path)
    except Exception as error:
        raise _unsafe(path, error) from None


def _unsafe(path: Path, error: Exception) -> UserError:
    reason = (str(error).splitlines() or [type(error).__name__])[0]
    return UserError(f"{path}: damaged, or no .safetensors file: {reason[:150]}")
