"""What stands at a path; writing files whole or not at all."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Literal

from resgen.errors import UserError


def kind(path: Path) -> Literal["file", "folder", "nothing"]:
    """What stands at a path; nothing where no file can have such a name."""
    try:
        return "folder" if path.is_dir() else "file" if path.exists() else "nothing"
    except (OSError, ValueError):
        return "nothing"


def write_new(path: Path, text: str, *, force: bool) -> None:
    """Writes a text file atomically; refuses one that exists unless forced.

    Raises UserError for a file that exists and a place that cannot be written.
    """
    if path.is_dir():
        raise UserError(f"{path}: is a directory; name a file in it")
    if path.exists() and not force:
        raise UserError(f"{path}: already exists; give --force to overwrite it")
    try:
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                file.write(text)
            umask = os.umask(0)
            os.umask(umask)
            os.chmod(temporary, 0o666 & ~umask)
            os.replace(temporary, path)
        except BaseException:
            os.unlink(temporary)
            raise
    except OSError as error:
        raise UserError(f"{path}: cannot be written: {error.strerror}") from None
