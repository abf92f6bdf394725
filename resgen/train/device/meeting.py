"""Processes that were started by themselves find each other: a store that all of them share."""

from __future__ import annotations

import os
import socket
import time
from datetime import timedelta

from torch.distributed import PrefixStore, Store, TCPStore  # type: ignore[attr-defined]
from torch.distributed.rendezvous import rendezvous

from resgen.errors import UserError
from resgen.train.device import place

PATIENCE = timedelta(minutes=5)
"""How long a process waits for the others to come."""
_PAUSE = 0.05


def meet(rank: int, size: int) -> Store:
    """The store at MASTER_ADDR:MASTER_PORT, once all processes are there.

    The waiting is done here and not in torch, where no signal would end it and what is wrong
    would be said after minutes, if at all. Raises UserError with who or what is missing.
    """
    if of_launcher():
        # torchrun has a store of its own, and has started everyone. It keeps the store over its
        # restarts, with what the processes before have written of where they are to be reached.
        store, _, _ = next(rendezvous("env://", rank, size, timeout=PATIENCE))
        attempt = os.environ.get("TORCHELASTIC_RESTART_COUNT", "0")
        return PrefixStore(f"resgen/attempt-{attempt}-of-{size}", store)
    host, port = os.environ["MASTER_ADDR"], place.port()
    until = time.monotonic() + PATIENCE.total_seconds()
    if rank > 0:
        _reach(host, port, until)
    try:
        store = TCPStore(
            host, port, size, is_master=rank == 0, timeout=timedelta(minutes=1),
            wait_for_workers=False,
        )  # fmt: skip
        if store.add(f"taken/{rank}", 1) > 1:
            raise UserError(f"RANK {rank}: two processes were started with it")
        store.set(f"here/{rank}", str(size))
        _all_here(store, rank, size, until)
        store.set_timeout(PATIENCE)
    except RuntimeError as error:
        if "EADDRINUSE" in str(error):
            raise UserError(
                f"MASTER_PORT {port}: in use by another program; set MASTER_PORT to a free one"
            ) from None
        raise UserError(
            f"the process of RANK 0 cannot be reached at {host}:{port}, or ended: its own "
            f"sentence says why ({str(error).splitlines()[0]})"
        ) from None
    return store


def of_launcher() -> bool:
    """Whether the store is torchrun's own, and outlives the processes."""
    return os.environ.get("TORCHELASTIC_USE_AGENT_STORE") == "True"


def _reach(host: str, port: int, until: float) -> None:
    """Returns when something listens there."""
    while True:
        try:
            socket.create_connection((host, port), timeout=5).close()
            return
        except socket.gaierror:
            raise UserError(f"MASTER_ADDR {host}: no such host") from None
        except OSError as error:
            if time.monotonic() > until:
                raise UserError(
                    f"the process of RANK 0 was not there within {PATIENCE}: nothing answers at "
                    f"MASTER_ADDR {host}, MASTER_PORT {port} ({error})"
                ) from None
        time.sleep(_PAUSE)


def _all_here(store: Store, rank: int, size: int, until: float) -> None:
    missing = list(range(size))
    while missing:
        here = [other for other in missing if store.check([f"here/{other}"])]
        for other in here:
            its = int(store.get(f"here/{other}"))
            if its != size:
                raise UserError(
                    f"WORLD_SIZE: {size} in the process of RANK {rank} and {its} in that of "
                    f"RANK {other}"
                )
        missing = [other for other in missing if other not in here]
        if missing and time.monotonic() > until:
            ranks = ", ".join(map(str, missing[:8])) + (", ..." if len(missing) > 8 else "")
            raise UserError(
                f"{len(missing)} of {size} processes did not come within {PATIENCE}: "
                f"those of RANK {ranks}"
            )
        time.sleep(_PAUSE if missing else 0)
