"""Standard output and error, which can fail like any file: a full disk, a reader that left."""

from __future__ import annotations

import errno
import io
import os
import sys
import warnings
from shutil import get_terminal_size
from typing import IO, Any, TextIO

import typer

from resgen import ink
from resgen.errors import UserError
from resgen.spec.language import OldWord
from resgen.words import folded

_OUTPUT, _ERRORS = 1, 2


class _Stream(io.FileIO):
    """A descriptor that fails once, with a sentence, or not at all.

    Where the reader has gone (`resgen build ... | head`) the rest is dropped, and the
    command goes on: its files, its checks and its exit code do not depend on who reads.
    """

    failed = False

    def write(self, data: Any, /) -> int:
        """Writes the bytes. Raises UserError where standard output cannot take them."""
        if not self.failed:
            try:
                return super().write(data)
            except OSError as error:
                self.failed = True
                # Without standard error there is nobody to tell.
                if self.fileno() != _ERRORS and error.errno != errno.EPIPE:
                    why = "it is closed" if error.errno == errno.EBADF else error.strerror
                    raise UserError(f"standard output: cannot be written: {why}") from None
        return len(data)


def say(text: str, *, err: bool = False, plain: bool = False) -> None:
    """Prints text for people: coloured where it is shown, plain where it is piped.

    `plain` is for what programs read (JSON, CSV): the same wherever it goes.
    On a terminal, long lines on standard error are broken between words; in a pipe a sentence
    stays one line.
    """
    stream = sys.stderr if err else sys.stdout
    if err and stream.isatty():
        text = folded(text, max(40, get_terminal_size().columns))
    typer.echo(text if plain else ink.written(text, stream), err=err, color=True)


def guard() -> None:
    """From here on, all that is printed goes through such streams; old words are notes."""
    sys.stdout = _guarded(sys.stdout, _OUTPUT)
    sys.stderr = _guarded(sys.stderr, _ERRORS)
    warnings.simplefilter("once", OldWord)
    warnings.showwarning = _noted(warnings.showwarning)


def _noted(otherwise: Any) -> Any:
    """Shows an old word of a spec in one line, of one process; other warnings as before."""

    def show(message: Any, category: Any, *where: Any, **more: Any) -> None:
        if not issubclass(category, OldWord):
            otherwise(message, category, *where, **more)
        elif os.environ.get("RANK", "0") == "0":
            say(f"note: {message}", err=True)

    return show


def _guarded(stream: TextIO | None, number: int) -> TextIO:
    if stream is None:
        # Closed by the caller. Its number is taken, or the next file opened would get it and
        # all that is printed; for reading only, so that printing fails as on what is closed.
        held = os.open(os.devnull, os.O_RDONLY)
        if held != number:
            os.dup2(held, number)
            os.close(held)
        return _text(_Stream(number, "wb", closefd=False))
    if not _is(stream, number):
        return stream  # a test's, or a notebook's
    return _text(_Stream(number, "wb", closefd=False), stream)


def _is(stream: IO[str], number: int) -> bool:
    try:
        return stream.fileno() == number
    except (OSError, ValueError):
        return False


def _text(raw: _Stream, like: TextIO | None = None) -> TextIO:
    """A text stream on top; a character the encoding has not is spelt out."""
    return io.TextIOWrapper(
        io.BufferedWriter(raw),
        encoding="utf-8" if like is None else like.encoding,
        errors="backslashreplace",
        line_buffering=raw.isatty() or raw.fileno() == _ERRORS,
    )
