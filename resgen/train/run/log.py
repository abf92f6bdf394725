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
from textwrap import fill
from types import TracebackType
from typing import Literal, Self, TextIO, cast

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from resgen.errors import UserError

Voice = Literal["full", "quiet"]


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
        # A path in a line is text: its brackets are no colours and its colons no pictures.
        self.console = Console(
            file=cast(TextIO, _Unfailing(sys.stderr)),
            highlight=False,
            soft_wrap=True,
            markup=False,
            emoji=False,
        )
        self._bar: Progress | None = None
        self._task = TaskID(0)
        self._line = time.monotonic()

    def line(self, text: str) -> None:
        """One line, above the bar if there is one; on a terminal, broken between words."""
        if self.voice == "full":
            self.console.print(self._broken(text))

    def _broken(self, text: str) -> str:
        if not self.console.is_terminal:
            return text
        return fill(
            text, self.console.width, subsequent_indent="    ",
            break_long_words=False, break_on_hyphens=False,
        )  # fmt: skip

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
            self.console.print(self._broken(f"note: {sentence}"))
        self.missed.clear()

    def open(self, title: str, *, total: int, done: int) -> None:
        """Starts the bar of one network."""
        self._line = time.monotonic()
        if self.voice == "full" and self.console.is_terminal:
            self._bar = Progress(
                TextColumn("{task.description}", markup=False),
                BarColumn(),
                TextColumn("{task.completed}/{task.total}"),
                TextColumn("{task.fields[state]}", markup=False),
                TimeRemainingColumn(),
                console=self.console,
                transient=True,
            )
            self._bar.start()
            self._task = self._bar.add_task(title, total=total, completed=done, state="")

    def wants_numbers(self, step: int) -> bool:
        """Whether to show loss and speed now: every 50 steps in a bar, else every 30 seconds."""
        if self._bar is not None:
            return step % 50 == 0
        return self.voice == "full" and time.monotonic() - self._line > self.LINE_EVERY

    def step(self, step: int, state: str | None = None) -> None:
        """Moves the bar; with a state, shows it."""
        if self._bar is not None:
            fields = {} if state is None else {"state": state}
            self._bar.update(self._task, completed=step, **fields)  # type: ignore[arg-type]
        elif state is not None:
            self.line(f"  step {step}: {state}")
            self._line = time.monotonic()

    def close(self) -> None:
        """Ends the bar."""
        if self._bar is not None:
            self._bar.stop()
            self._bar = None
