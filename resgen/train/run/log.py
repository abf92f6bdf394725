"""What the run says while it runs: a bar on a terminal, plain lines elsewhere, on stderr.

Nothing here ever ends a run: where stderr is gone or its disk is full, the log goes quiet.
"""

from __future__ import annotations

import io
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import TracebackType
from typing import Literal, Self, TextIO, cast

from rich.progress import BarColumn, Progress, TaskID, TextColumn
from rich.table import Column

from resgen import ink
from resgen.errors import UserError
from resgen.words import folded

Voice = Literal["full", "quiet"]
_LEAST_BAR = 8
"""Columns of a bar that still shows something."""


def duration(seconds: float) -> str:
    """`42 s`, `3 min 20 s`, `5 h 10 min`."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


class _Unfailing(io.TextIOBase):
    """A text stream that swallows what the one behind it cannot take, and all that follows."""

    def __init__(self, behind: TextIO | None) -> None:
        self._behind = behind  # None where the program was started without one
        self._terminal = behind is not None and behind.isatty()

    @property
    def encoding(self) -> str:  # type: ignore[override]
        """That of the stream behind it."""
        return getattr(self._behind, "encoding", None) or "utf-8"

    def isatty(self) -> bool:
        """Whether the stream behind it is a terminal."""
        return self._terminal

    def write(self, text: str) -> int:
        """Writes what can be written."""
        if self._behind is not None:
            try:
                self._behind.write(text)
            except (OSError, ValueError):
                self._give_up()
        return len(text)

    def flush(self) -> None:
        """Hands on what can be handed on."""
        if self._behind is not None:
            try:
                self._behind.flush()
            except (OSError, ValueError):
                self._give_up()

    def _give_up(self) -> None:
        """What is still in the stream's buffer must not fail once more as the program ends."""
        assert self._behind is not None
        with suppress(OSError, ValueError):
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, self._behind.fileno())
            os.close(nowhere)
        self._behind = None


class Log:
    """Lines and a bar for one network; silent where quiet, or not the first process."""

    LINE_EVERY = 30.0
    """Seconds between plain lines within an epoch."""

    def __init__(self, *, voice: Voice = "full") -> None:
        self.voice = voice
        self.missed: dict[str, None] = {}
        """What could not be written, a sentence each, in order."""
        self._file = cast(TextIO, _Unfailing(sys.stderr))
        self.console = ink.console(self._file)
        self._bar: Progress | None = None
        self._task = TaskID(0)
        self._title, self._total, self._epoch = "", 0, 0
        self._line = time.monotonic()

    def line(self, text: str) -> None:
        """One line, above the bar if there is one; on a terminal, broken between words."""
        if self.voice == "full":
            self._print(text)

    def _print(self, text: str) -> None:
        shown = folded(text, self.console.width) if self.console.is_terminal else text
        self.console.print(ink.painted(shown) if ink.wanted(self._file) else shown)

    @contextmanager
    def unless_missed(self) -> Iterator[None]:
        """For what is not the training: where it cannot be written, a note at the end says so."""
        try:
            yield
        except (OSError, UserError) as error:
            self.missed[str(error)] = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
        for sentence in self.missed:
            self._print(f"note: {sentence}")
        self.missed.clear()

    def open(self, title: str, *, total: int, done: int, epoch: int = 0) -> None:
        """Starts the bar of one network, whose epochs have so many steps; else steps are told."""
        self._line = time.monotonic()
        self._title, self._total, self._epoch = title, total, epoch
        if self.voice == "full" and self.console.is_terminal:
            # One line, whatever there is to tell: the bar has what the words leave of it.
            self._bar = Progress(
                TextColumn("{task.description}", markup=False),
                BarColumn(bar_width=None, table_column=Column(ratio=1, min_width=4)),
                TextColumn("{task.fields[state]}", markup=False),
                console=self.console,
                expand=True,
                transient=True,
            )
            self._bar.start()
            told = self._told(done, "")
            self._task = self._bar.add_task(told, total=total, completed=done, state="")

    def _told(self, step: int, state: str) -> str:
        """Where the run is: its epoch, or else its step, behind its title where there is room."""
        now, last = step, self._total
        if self._epoch:
            now, last = min(step, last - 1) // self._epoch + 1, -(-last // self._epoch)
        place = f"{'epoch ' if self._epoch else ''}{now}/{last}"
        room = self.console.width - len(state) - len(place) - 3 - _LEAST_BAR
        return f"{self._title} {place}" if len(self._title) <= room else place

    def wants_numbers(self, step: int) -> bool:
        """Whether to show loss and speed now: every 50 steps in a bar, else every 30 seconds."""
        if self._bar is not None:
            return step % 50 == 0
        return self.voice == "full" and time.monotonic() - self._line > self.LINE_EVERY

    def step(self, step: int, state: str | None = None) -> None:
        """Moves the bar; with a state, shows it."""
        if self._bar is not None:
            shown = self._bar.tasks[0].fields["state"] if state is None else state
            told = self._told(step, shown)
            self._bar.update(self._task, completed=step, description=told, state=shown)
        elif state is not None:
            self.line(f"  step {step}: {state}")
            self._line = time.monotonic()

    def close(self) -> None:
        """Ends the bar."""
        if self._bar is not None:
            self._bar.stop()
            self._bar = None
