"""Writing files whole or not at all."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from resgen.errors import UserError


def write_whole(path: Path, data: str | bytes) -> None:
    """path <- data: the old file or the new one at every moment, never a part of one.

    Raises UserError where it cannot be written; nothing is left of the attempt.
    """
    content = data.encode() if isinstance(data, str) else data
    try:
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=".", suffix=".new")
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            umask = os.umask(0)
            os.umask(umask)
            os.chmod(temporary, 0o666 & ~umask)
            os.replace(temporary, path)
        except BaseException:
            os.unlink(temporary)
            raise
    except OSError as error:
        raise UserError(f"{path}: cannot be written: {error.strerror}") from None


def write_new(path: Path, text: str, *, force: bool) -> None:
    """Writes a text file whole; refuses one that exists unless forced.

    Raises UserError for a file that exists and a place that cannot be written.
    """
    if path.is_dir():
        raise UserError(f"{path}: is a directory; name a file in it")
    if path.exists() and not force:
        raise UserError(f"{path}: already exists; give --force to overwrite it")
    write_whole(path, text)
