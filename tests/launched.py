"""`resgen` as processes of its own, each in a session of its own, as a shell or launcher starts it.

They are forked from a server that has imported everything once: a run takes as long as its steps.
"""

from __future__ import annotations

import faulthandler
import multiprocessing
import os
import signal
import socket
import sys
import time
from collections.abc import Callable
from multiprocessing.context import ForkServerContext
from multiprocessing.process import BaseProcess
from pathlib import Path

import pytest
from PIL import Image

from resgen.train.run import metrics

LONG = 240.0
"""Seconds after which a process is taken for hanging, on a machine with much else to do."""


def _context() -> ForkServerContext:
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.launched", "tests.preloaded"])
    return context


def _run(arguments: list[str], folder: Path, name: str, env: dict[str, str]) -> None:
    os.setsid()
    os.chdir(folder)
    for number, stream in enumerate(("out", "err"), start=1):
        os.dup2(os.open(f"{name}.{stream}", os.O_CREAT | os.O_WRONLY | os.O_TRUNC), number)
    faulthandler.register(signal.SIGUSR2)
    multiprocessing.set_start_method("fork", force=True)  # as in a shell, not as it was started
    os.environ.update(env)
    sys.argv = ["resgen", *arguments]
    import torch

    from resgen.cli import main

    torch.set_num_threads(1)
    main()


class Run:
    """One process of the command line, and what it has written."""

    def __init__(self, arguments: list[str], folder: Path, name: str, env: dict[str, str]) -> None:
        self.folder, self.name = folder, name
        self.process: BaseProcess = _context().Process(
            target=_run, args=(arguments, folder, name, env)
        )
        self.process.start()

    @property
    def err(self) -> str:
        path = self.folder / f"{self.name}.err"
        return path.read_text() if path.exists() else ""

    def alive(self) -> bool:
        return self.process.is_alive()

    def signal(self, number: signal.Signals, *, group: bool = False) -> None:
        assert self.process.pid is not None
        (os.killpg if group else os.kill)(self.process.pid, number)

    def others(self) -> dict[int, str]:
        """The other processes of its session, but for the one in which Python counts resources."""
        assert self.process.pid is not None
        found = []
        for entry in Path("/proc").glob("[0-9]*/stat"):
            try:
                _, _, rest = entry.read_text().rpartition(")")
            except OSError:
                continue
            state, _, _, session = rest.split()[:4]
            pid = int(entry.parent.name)
            if int(session) == self.process.pid != pid and state != "Z":
                found.append(pid)
        commands = {pid: _command(pid) for pid in found}
        # One that is just ending has no command line any more.
        return {pid: it for pid, it in commands.items() if it and "resource_tracker" not in it}

    def hangs(self) -> AssertionError:
        """Where it stands, and its end."""
        self.signal(signal.SIGUSR2)
        time.sleep(2)
        self.signal(signal.SIGKILL, group=True)
        return AssertionError(f"it hangs; it said: {self.err}")

    def end(self) -> int:
        """Its exit code; a negative one is a signal's."""
        self.process.join(LONG)
        if self.process.is_alive():
            raise self.hangs()
        assert self.process.exitcode is not None
        return self.process.exitcode


def _command(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_text()
    except OSError:
        return ""


Start = Callable[..., Run]


@pytest.fixture
def start(tmp_path: Path) -> Start:
    """Starts `resgen ARGUMENTS` in tmp_path; `name` is that of its two files of output."""

    def begin(*arguments: str, name: str = "said", **env: str) -> Run:
        return Run(list(arguments), tmp_path, name, env)

    return begin


@pytest.fixture
def start_two(tmp_path: Path) -> Callable[..., list[Run]]:
    """Starts two processes of one run; what each has of its own in `own`."""

    def begin(*arguments: str, own: tuple[tuple[str, ...], ...] = ((), ())) -> list[Run]:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = str(free.getsockname()[1])
        place = {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
        return [
            Run(
                [*arguments, *own[rank]], tmp_path, f"said-{rank}",
                {**place, "RANK": str(rank), "LOCAL_RANK": str(rank)},
            )
            for rank in range(2)
        ]  # fmt: skip

    return begin


@pytest.fixture
def pictures(tmp_path: Path) -> str:
    """A small class folder that is not held in memory, as a value for --data."""
    for split, count in (("train", 24), ("val", 5), ("test", 3)):
        for label, kind in enumerate(("cat", "dog")):
            (tmp_path / "pictures" / split / kind).mkdir(parents=True)
            for number in range(count):
                # Of two widths, so that it is decoded as it is needed.
                image = Image.effect_noise((10 + number % 2, 10), 40 + 60 * label)
                image.save(tmp_path / "pictures" / split / kind / f"{number}.png")
    return f"folder:{tmp_path / 'pictures'}"


def until(true: Callable[[], object], *, alive: Run) -> None:
    """Waits until something is so, while a run goes on."""
    end = time.monotonic() + LONG
    while not true():
        assert alive.alive(), f"it ended before: {alive.err}"
        if time.monotonic() > end:
            raise alive.hangs()
        time.sleep(0.005)


def rows(run: Run, out: str = "run") -> int:
    """Epochs written so far."""
    return len(metrics.read(run.folder / out))
