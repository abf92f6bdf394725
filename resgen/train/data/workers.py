"""Processes that decode images: deaf to the signals the run answers to, ended by the run alone."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from torch.utils.data import DataLoader

from resgen.errors import UserError

_SIGNALS = {
    number
    for name in ("SIGINT", "SIGTERM", "SIGUSR1")
    if (number := getattr(signal, name, None)) is not None
}


def deaf(_: int) -> None:
    """What a worker starts with: a signal to the whole process group is for the run to answer.

    A worker that died of one would take the run with it before its state is saved.
    """
    for number in _SIGNALS:
        signal.signal(number, signal.SIG_IGN)


@contextmanager
def born() -> Iterator[None]:
    """Where workers are started: deaf from the first, and their death no signal to the run.

    The signals are held back meanwhile, so that a forked worker hears none before `deaf`. And
    torch would raise a worker's death wherever the main thread is, in the middle of a step or
    of a checkpoint; without its handler it is found where the next batch is waited for.
    """
    if (
        not hasattr(signal, "pthread_sigmask")
        or threading.current_thread() is not threading.main_thread()
    ):
        yield
        return
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
    handler = signal.getsignal(signal.SIGCHLD)
    try:
        yield
    finally:
        signal.signal(signal.SIGCHLD, handler)
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)


@contextmanager
def ended(
    loader: DataLoader[Any], way_out: str = "go on with --resume and fewer --workers"
) -> Iterator[None]:
    """Ends the loader's workers at the block's end. Raises UserError where one died in it.

    Left to themselves they would outlive the run: what usually ends them is a SIGTERM.
    """
    try:
        yield
    except RuntimeError as error:
        if "DataLoader worker (pid" not in str(error):
            raise
        raise UserError(
            f"a process that decodes images died ({str(error).splitlines()[0].rstrip('. ')}); "
            f"memory may be short: {way_out}"
        ) from None
    finally:
        iterator: Any = loader._iterator
        loader._iterator = None
        if hasattr(iterator, "_shutdown_workers"):
            iterator._shutdown_workers()
            for worker in iterator._workers:
                worker.kill()
                worker.join()
