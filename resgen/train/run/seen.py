"""Folders that all processes must see: told within seconds where one of them does not."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from secrets import token_hex

from resgen.errors import UserError
from resgen.train.device.processes import World

WAIT = 10.0
"""Seconds that a shared file system has to show one machine what another one wrote."""
_PAUSE = 0.1


def written(world: World, out: Path) -> None:
    """Raises UserError where a process does not see what the first one writes into a run folder.

    All come here. Where the folder is each machine's own, a run would be found by some of them
    only, and its checkpoint by none but the first.
    """
    if world.size == 1:
        return
    file = out / f".seen-{world.gather(token_hex(8))[0]}"
    trouble = ""
    if world.first:
        try:
            file.touch(exist_ok=False)
        except OSError as error:
            trouble = f"--out {out}: cannot be written: {error.strerror}"
    trouble = world.gather(trouble)[0]
    try:
        found = trouble or _there(file)
        all_found = world.gather((bool(found), socket.gethostname()))
    finally:
        if world.first:
            with suppress(OSError):
                file.unlink(missing_ok=True)
    if trouble:
        raise UserError(trouble)
    _refuse(all_found, f"--out {out}", "what process 0 writes there; name a folder that all share")


def there(world: World, places: Sequence[tuple[str, Path]]) -> None:
    """Raises UserError where some processes find what is read and others do not; all come here.

    Each place has the words it goes by. Where nobody finds it, another sentence says what it is.
    """
    if world.size == 1:
        return
    for word, place in places:
        found = world.gather((place.exists(), socket.gethostname()))
        if any(each for each, _ in found):
            _refuse(found, word, f"{place}, and another one does; all must see the same")


def _there(file: Path) -> bool:
    until = time.monotonic() + WAIT
    while True:
        # Opening the folder brings news from its server; a name that was asked for may not.
        with suppress(OSError):
            if file.name in os.listdir(file.parent):
                return True
        if time.monotonic() > until:
            return False
        time.sleep(_PAUSE)


def _refuse(found: Sequence[tuple[bool, str]], word: str, what: str) -> None:
    blind = [(rank, host) for rank, (sees, host) in enumerate(found) if not sees]
    if blind:
        rank, host = blind[0]
        more = f" and {len(blind) - 1} more" if len(blind) > 1 else ""
        verb = "do" if more else "does"
        raise UserError(f"{word}: process {rank} on {host}{more} {verb} not see {what}")
