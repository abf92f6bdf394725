"""Files written whole or not at all, and the places for them looked at before the work."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from secrets import token_hex
from stat import S_ISDIR, S_ISREG
from typing import Literal

from resgen.errors import UserError
from resgen.words import joined


def kind(path: Path) -> Literal["file", "folder", "nothing"]:
    """What stands at a path; nothing where no file can have such a name."""
    try:
        return "folder" if path.is_dir() else "file" if path.exists() else "nothing"
    except (OSError, ValueError):
        return "nothing"


def check_place(path: Path, *, force: bool, endings: Sequence[str] = ()) -> None:
    """Raises UserError where a file could not be written, before anything is made for it.

    That is: another ending than those given, a file that exists and is not forced, anything
    there that is no file, no folder around it, and a name or folder the system refuses.
    """
    mode = _mode(path)
    if mode is not None and S_ISDIR(mode):
        raise UserError(f"{path}: is a folder; name a file in it")
    if endings and path.suffix not in endings:
        raise UserError(f"{path}: end the file's name in {joined(endings, 'or')}")
    if mode is not None and not S_ISREG(mode):
        raise UserError(f"{path}: is no ordinary file; name another")
    if mode is not None and not force:
        raise UserError(f"{path}: already exists; give --force to overwrite it")
    _check_folder(path, _target(path).parent)


def check_folder(path: Path) -> None:
    """Raises UserError where `path` is no folder to write in and none can be made there."""
    mode = _mode(path)
    if mode is not None and not S_ISDIR(mode):
        raise UserError(f"{path}: is a file; name a folder")
    place = _target(path)
    while not os.path.lexists(place):
        place = place.parent
    _check_folder(path, place)


def make_folder(path: Path) -> None:
    """Makes a folder, and those around it, where it is not there. Raises UserError."""
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"{path}: cannot be made: {error.strerror}") from None


def write_new(path: Path, data: bytes | str, *, force: bool) -> None:
    """Writes a file whole; refuses one that exists unless forced. Raises UserError."""
    check_place(path, force=force)
    write_whole(path, data)


def write_whole(path: Path, data: bytes | str) -> None:
    """Makes `data` the content of a file, in one move: it has all of it, or is as it was.

    A link stays a link, to the new content; a file keeps its permissions. Raises UserError
    with the system's reason.
    """
    write_all({path: data})


def write_all(files: Mapping[Path, bytes | str]) -> None:
    """Writes each file whole; see `write_whole`."""
    for path, data in files.items():
        _replace(path, data)
    for folder in {_target(path).parent for path in files}:
        _sync(folder)


def _replace(path: Path, data: bytes | str) -> None:
    content = data.encode("utf-8", "backslashreplace") if isinstance(data, str) else data
    target = _target(path)
    # A name of its own, and a short one: the target's may be as long as names can be.
    fresh = target.with_name(f".resgen-{os.getpid()}-{token_hex(4)}")
    try:
        with fresh.open("xb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        with suppress(FileNotFoundError):
            fresh.chmod(target.stat().st_mode & 0o777)
        os.replace(fresh, target)
    except OSError as error:
        raise UserError(f"{path}: cannot be written: {error.strerror}") from None
    finally:
        with suppress(OSError):
            fresh.unlink(missing_ok=True)


def _target(path: Path) -> Path:
    """The file itself, where `path` is a link to it."""
    return Path(os.path.realpath(path))


def _mode(path: Path) -> int | None:
    """What is there, as stat says it; None for nothing. Raises UserError for an unfit name."""
    try:
        return path.stat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise UserError(f"{path}: cannot be written: {error.strerror}") from None


def _check_folder(path: Path, folder: Path) -> None:
    """Raises UserError where `folder` is not there or takes no new files."""
    shown = os.path.relpath(folder) if not path.is_absolute() else folder
    if not os.path.exists(folder):
        raise UserError(f"{path}: there is no folder {shown}; make it first")
    if not os.path.isdir(folder):
        raise UserError(f"{path}: {shown} is a file; name a folder")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise UserError(f"{path}: cannot be written: the folder {shown} takes no new files")


def _sync(folder: Path) -> None:
    """Makes the new name last through a loss of power, where a folder can be opened."""
    with suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
