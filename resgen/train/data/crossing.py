"""How many images cross at a time from the processes that decode them, by the room there is.

They cross in shared memory, which is a file system of its own: half of a machine's memory where
nobody has said otherwise, 64 MiB in a container of Docker.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple

from resgen.errors import UserError
from resgen.words import memory

SHARED = Path("/dev/shm")
MOST = 2**30
"""Bytes that one process has made ahead, however much room there is."""
_PIECE = 2**22
"""Bytes after which a batch is cut: all processes then work at the one that is needed next."""
_AHEAD = 4
"""Batches; and two pieces a process, if that is more."""


class Crossing(NamedTuple):
    """Images a piece, processes, and pieces that each of these makes ahead."""

    images: int
    processes: int
    ahead: int

    @property
    def under_way(self) -> int:
        """Images, of all processes."""
        return self.images * self.processes * self.ahead


def room(beside: int = 1) -> int:
    """Bytes for one of so many processes that train on a machine: its part of half of what is free.

    The other half is for what others put there meanwhile.
    """
    try:
        found = os.statvfs(SHARED)
    except OSError:  # shared memory is no file system there
        return MOST
    return min(MOST, found.f_bavail * found.f_frsize // 2 // beside)


def crossing(image: int, batch: int, processes: int, room: int) -> Crossing:
    """By the bytes of an image. Raises UserError where not even one can cross."""
    if not processes:
        return Crossing(batch, 0, 0)
    most = room // image
    if not most:
        raise UserError(
            f"{SHARED}: {memory(2 * room)} are free for each process that trains, and an image "
            f"takes {memory(image)} there; make room (docker run --shm-size 2g), or decode in the "
            "process itself: --workers 0"
        )
    processes = min(processes, most)
    images = max(1, min(batch, _PIECE // image, most // (2 * processes)))
    pieces = min(most // images, max(2 * processes, _AHEAD * -(-batch // images)))
    return Crossing(images, processes, max(1, pieces // processes))
