"""What the run says while it runs: a bar on a terminal, plain lines elsewhere, on stderr."""

from __future__ import annotations

import time
from types import TracebackType
from typing import Literal, Self

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

Voice = Literal["full", "quiet"]


def duration(seconds: float) -> str:
    """`42 s`, `3 min 20 s`, `5 h 10 min`."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


class Log:
    """Lines and a bar for one network; silent where quiet, or not the first process."""

    LINE_EVERY = 30.0
    """Seconds between plain lines within an epoch."""

    def __init__(self, *, voice: Voice = "full") -> None:
        self.voice = voice
        self.console = Console(stderr=True, highlight=False, soft_wrap=True)
        self._bar: Progress | None = None
        self._task = TaskID(0)
        self._line = time.monotonic()

    def line(self, text: str) -> None:
        """One line, above the bar if there is one."""
        if self.voice == "full":
            self.console.print(text, markup=False)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def open(self, title: str, *, total: int, done: int) -> None:
        """Starts the bar of one network."""
        self._line = time.monotonic()
        if self.voice == "full" and self.console.is_terminal:
            self._bar = Progress(
                TextColumn("{task.description}"),
                BarColumn(),
                TextColumn("{task.completed}/{task.total}"),
                TextColumn("{task.fields[state]}"),
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
