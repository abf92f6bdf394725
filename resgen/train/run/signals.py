"""SIGINT, SIGTERM or SIGUSR1 -> the end of the run: after its step, or at once outside of steps."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType, TracebackType
from typing import Any, Self

from resgen.errors import Interrupted

ASKS = tuple(
    getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGUSR1") if hasattr(signal, name)
)
"""SIGUSR1 is what schedulers are told to send some minutes before a job's time is over."""
APART = 1.0
"""Seconds from which on a signal is a second one: `timeout` and some launchers send two."""


class Stop:
    """Whether someone asked the run to stop. Used as a context manager around the run.

    A first signal ends it with Interrupted: at once, or where it is `held` for the run to
    end itself. A second one ends the process; a SIGUSR1 is never the first or second of these.
    """

    def __init__(self) -> None:
        self.asked: str | None = None
        self.kept = "stopped before the first step; there was nothing to save"
        """What is left of the run when it ends at once."""
        self._held = False
        self._first: float | None = None
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Self:
        # Only the main thread may set handlers; elsewhere the caller's own stay.
        if threading.current_thread() is threading.main_thread():
            for number in ASKS:
                self._before[number] = signal.signal(number, self._ask)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        if kind is KeyboardInterrupt:
            raise Interrupted(f"{self.asked or 'SIGINT'}: {self.kept}") from None

    @contextmanager
    def held(self) -> Iterator[None]:
        """Within it a signal only shows in `asked`."""
        self._held = True
        try:
            yield
        finally:
            self._held = False
        if self.asked is not None:
            raise KeyboardInterrupt

    def _ask(self, number: int, frame: FrameType | None) -> None:
        now = time.monotonic()
        urgent = signal.Signals(number).name != "SIGUSR1"
        if urgent and self._first is not None and now - self._first >= APART:
            os._exit(130)
        if urgent and self._first is None:
            self._first = now
        if self.asked is None:
            self.asked = signal.Signals(number).name
            if not self._held:
                # No Exception, so that nothing on its way takes it for a failure of its own.
                raise KeyboardInterrupt
