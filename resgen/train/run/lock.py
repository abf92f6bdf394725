"""One run a folder: `.lock` names the process that writes there, from its start to its end.

The system's own lock on the file goes with its process, however that dies, so what a killed
run leaves is taken over by the next one on its machine. Where no such lock reaches (another
machine, a file system without locks) a sign of life does: the run renews the file's time
every BEAT seconds, and one that a newcomer watches for WATCH seconds in vain is dead.
"""

from __future__ import annotations

import errno
import json
import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from threading import Event, Thread
from typing import NamedTuple

from resgen.errors import UserError

NAME = ".lock"
BEAT, WATCH = 10.0, 60.0
TRIES = 100

_NO_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.EINVAL)


class Holder(NamedTuple):
    """Which process holds a folder."""

    host: str
    pid: int
    since: str

    def refusal(self, folder: Path) -> UserError:
        """The sentence for whoever wants the folder too."""
        return UserError(
            f"--out {folder}: a run is going on in it (process {self.pid} on {self.host}, since "
            f"{self.since}); wait for its end, or name another folder"
        )


@contextmanager
def held(folder: Path) -> Iterator[None]:
    """Keeps every other run out of a folder, or raises UserError that names the one inside.

    Raises OSError where the folder cannot be written.
    """
    path = folder / NAME
    now = datetime.now().astimezone().isoformat(" ", "seconds")
    me = Holder(socket.gethostname(), os.getpid(), now)
    handle = _taken(path)
    try:
        _sign(handle, json.dumps(me._asdict()))
        over = Event()
        heart = Thread(target=_beat, args=(path, over), daemon=True)
        heart.start()
        try:
            yield
        finally:
            over.set()
            heart.join()
    finally:
        with suppress(OSError):
            if _read(handle) in (me, None):
                _sign(handle, "")
                path.unlink()
        os.close(handle)


def _taken(path: Path) -> int:
    """The open lock file, this process's own. Raises UserError where another one has it."""
    watched: Holder | None = None
    for _ in range(TRIES):
        # A close of the file would end this process's lock on it: it is read before.
        holder = _holder(path)
        far = holder is not None and holder.host != socket.gethostname()
        if holder is not None and holder != watched and far:
            _watch(path, holder)
            watched = holder
        handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            reaches = _locked(handle)
        except BlockingIOError:
            holder = _read(handle)
            os.close(handle)
            if holder is not None:
                raise holder.refusal(path.parent) from None
            time.sleep(0.05)  # it is being signed, or taken away
            continue
        except BaseException:
            os.close(handle)
            raise
        same = _same(handle, path) and _read(handle) == holder
        if same and (reaches or holder in (None, watched)):
            return handle
        os.close(handle)
        if same and holder is not None:
            _watch(path, holder)
            watched = holder
    raise UserError(f"--out {path.parent}: a run is going on in it; name another folder")


def _locked(handle: int) -> bool:
    """Whether the system locks this file; raises BlockingIOError where another process has it.

    A lock of lockf's kind is left behind by a fork: the processes that decode images have none.
    """
    try:
        import fcntl
    except ImportError:
        return False
    try:
        fcntl.lockf(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except PermissionError:  # the other name POSIX allows for a lock that is taken
        raise BlockingIOError from None
    except OSError as error:
        if error.errno in _NO_LOCKS:
            return False
        raise
    return True


def _same(handle: int, path: Path) -> bool:
    """Whether the open file still has its name; a run that ended took it away."""
    try:
        return os.path.samestat(os.fstat(handle), path.stat())
    except FileNotFoundError:
        return False


def _holder(path: Path) -> Holder | None:
    try:
        handle = os.open(path, os.O_RDONLY)
    except FileNotFoundError:
        return None
    try:
        return _read(handle)
    finally:
        os.close(handle)


def _sign(handle: int, text: str) -> None:
    os.ftruncate(handle, 0)
    os.lseek(handle, 0, os.SEEK_SET)
    os.write(handle, text.encode())
    os.fsync(handle)


def _read(handle: int) -> Holder | None:
    """The process named in a lock file; None where none is."""
    os.lseek(handle, 0, os.SEEK_SET)
    try:
        found = json.loads(os.read(handle, 10_000))
        return Holder(str(found["host"]), int(found["pid"]), str(found["since"]))
    except (ValueError, TypeError, KeyError):
        return None


def _watch(path: Path, holder: Holder) -> None:
    """Returns once a holder gave no sign of life for WATCH seconds; raises UserError if it does.

    Only the file's own time is compared with itself: the clocks of two machines differ.
    """
    before = _time(path)
    end = time.monotonic() + WATCH
    while before is not None and time.monotonic() < end:
        time.sleep(min(1.0, BEAT))
        now = _time(path)
        if now is not None and now != before:
            raise holder.refusal(path.parent)
        before = now


def _time(path: Path) -> int | None:
    """When the file was last touched, asked of its server: opening brings news, stat may not."""
    try:
        handle = os.open(path, os.O_RDONLY)
    except FileNotFoundError:
        return None
    try:
        return os.fstat(handle).st_mtime_ns
    finally:
        os.close(handle)


def _beat(path: Path, over: Event) -> None:
    while not over.wait(BEAT):
        # A server that is away for a while must not end the run.
        with suppress(OSError):
            os.utime(path)
