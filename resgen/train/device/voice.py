"""One message for a failure of many processes: of the first one, or of the one that had it alone.

A failure of one process is one of all: the others lose it, wherever they wait for it. They ask
in the store that all share whether it has been said, and end in silence where it has.
"""

from __future__ import annotations

import gc
import socket
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, NoReturn, TypeVar

from resgen.errors import Interrupted, ResgenError, UserError
from resgen.train.device.place import Place, placed

if TYPE_CHECKING:
    from torch.distributed import Store  # type: ignore[attr-defined]

_Answer = TypeVar("_Answer")

FIRST = 1.0
"""Seconds in which the first process speaks before another one does; what all have is its own."""
PATIENCE = 300.0
"""Seconds that a process waits for the others to have read their specs."""
LINGER = 5.0
"""Seconds that the process with the store stays for the others to ask in it."""
_PAUSE = 0.02


class Lost(UserError):
    """Other processes are gone, and this one cannot say why."""


class Voice:
    """Whether this process says what went wrong. Of a single process, it does."""

    def __init__(self, place: Place, store: Store | None = None, *, hosts: bool = False) -> None:
        self.place, self.store, self.hosts = place, store, hosts
        self.speaks: bool | None = True if store is None else None

    def ready(self) -> None:
        """Returns when all are; raises Lost where one of them ended before.

        Joining is a wait inside torch, where no process would hear of another's end.
        """
        if self.store is None:
            return
        self.store.add("ready", 1)
        until = time.monotonic() + PATIENCE
        while self.store.add("ready", 0) < self.place.size:
            if self.store.check(["said"]) or time.monotonic() > until:
                raise Lost(
                    "another process of this run ended before it was ready, or takes more than "
                    f"{PATIENCE / 60:g} minutes for it"
                )
            time.sleep(_PAUSE)

    def claim(self, error: BaseException) -> None:
        """Decides it, before the others can notice that this process is going."""
        if self.speaks is None:
            self.speaks = _undisturbed(self._claimed, otherwise=True)

    def _claimed(self) -> bool:
        assert self.store is not None
        until = time.monotonic() + FIRST * (not self.place.first)
        while time.monotonic() < until:
            if self.store.check(["said"]):
                return False
            time.sleep(_PAUSE)
        return self.store.add("said", 1) == 1

    def end(self, error: BaseException) -> NoReturn:
        """Raises the error where it is this process's to say, and else ends without a word."""
        self.claim(error)
        if self.store is not None:
            _let_go(error)
            _undisturbed(self._leave, otherwise=None)
        if not self.speaks:
            raise SystemExit(_code(error)) from None
        if not self.place.first and not isinstance(error, Lost | Interrupted):
            where = f"process {self.place.rank} of {self.place.size} on {socket.gethostname()}"
            if isinstance(error, ResgenError):
                error.lines = (f"{where}: {error.lines[0]}", *error.lines[1:])
            else:
                error.add_note(f"in {where}")
        raise error

    def _leave(self) -> None:
        """Launchers end all processes when one ends: the one that speaks must have spoken."""
        assert self.store is not None
        self.store.add("heard", 1)
        if not self.speaks:
            time.sleep(FIRST)
        until = time.monotonic() + LINGER * self.hosts
        while time.monotonic() < until and self.store.add("heard", 0) < self.place.size:
            time.sleep(_PAUSE)


@contextmanager
def together() -> Iterator[Voice]:
    """Where processes have met, each at its place; their failure is said once.

    Raises UserError where a variable of the launcher is wrong, or someone does not come.
    """
    place = placed()
    if place.size == 1:
        yield Voice(place)
        return
    from resgen.train.device import meeting

    store = meeting.meet(place.rank, place.size)
    voice = Voice(place, store, hosts=place.first and not meeting.of_launcher())
    try:
        yield voice
    except BaseException as error:
        voice.end(error)


def _let_go(error: BaseException | None) -> None:
    """Frees what the steps to a failure have in hand: the last of it closes the connections.

    The others hear of this process's end by that, while it stays to be asked.
    """
    while error is not None:
        traceback.clear_frames(error.__traceback__)
        error = error.__context__
    gc.collect()


def _undisturbed(ask: Callable[[], _Answer], *, otherwise: _Answer) -> _Answer:
    """The answer, a first signal notwithstanding; `otherwise` where the store is gone."""
    with suppress(RuntimeError):
        try:
            return ask()
        except KeyboardInterrupt:
            return ask()
    return otherwise


def _code(error: BaseException) -> int:
    if isinstance(error, SystemExit):
        return error.code if isinstance(error.code, int) else 1
    if isinstance(error, KeyboardInterrupt):
        return Interrupted.exit_code
    return int(getattr(error, "exit_code", 1))
