"""Runs on this machine, several at a time: processes that take one run after another."""

from __future__ import annotations

import json
import os
import selectors
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import NamedTuple

from resgen.experiment.runs import ENDED, LOG, Planned


class Ended(NamedTuple):
    """A run, and the exit code of its command; None where what it begins from has not ended."""

    run: Planned
    code: int | None


def cores() -> int:
    """Those that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def at_a_time(threads: int, device: str) -> int:
    """Runs that go on at once: one a CUDA device, or as many as the cores have threads for."""
    if device in ("auto", "cpu"):
        return len(devices(device)) or max(1, cores() // threads)
    return len(devices(device)) or 1


def devices(device: str) -> list[str]:
    """The CUDA devices that runs are spread over, by the names the system has for them."""
    if device not in ("auto", "cuda"):
        return []
    import torch

    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    visible = os.environ.get("CUDA_VISIBLE_DEVICES", "")
    return visible.split(",")[:count] if visible else [str(index) for index in range(count)]


class _Worker:
    """A process of `worker.py`, the device it has for itself, and the run it is at."""

    def __init__(self, threads: int, place: str | None) -> None:
        own = {"OMP_NUM_THREADS": str(threads)}
        if place is not None:
            own["CUDA_VISIBLE_DEVICES"] = place
        self.place, self.alive = place, True
        self.run: Planned | None = None
        self.process = subprocess.Popen(
            [sys.executable, "-m", "resgen.experiment.worker"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
            env={**os.environ, **own}, text=True,
        )  # fmt: skip
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self._asked, self.answers = self.process.stdin, self.process.stdout

    def begin(self, run: Planned) -> None:
        self.run = run
        asked = json.dumps({"commands": run.commands, "log": str(run.folder / LOG)})
        with suppress(BrokenPipeError):  # that it has died shows in its answer
            print(asked, file=self._asked, flush=True)

    def answer(self) -> int:
        """The exit code of the run; where the process died, the signal's, negative."""
        line, run, self.run = self.answers.readline(), self.run, None
        if line:
            return int(line)
        self.alive = False
        code = self.process.wait() or 1
        if run is not None:
            with (run.folder / LOG).open("a", encoding="utf-8") as log:
                log.write(f"its process died\n{ENDED}{code}\n")
        return code


def run(planned: Sequence[Planned], *, jobs: int, threads: int, device: str) -> Iterator[Ended]:
    """Executes the runs, `jobs` at a time, and gives each as it ends.

    What begins from a trained network waits for it, and is not begun where that comes to no end.
    Closed or interrupted, it stops what is going on, which saves its state.
    """
    waiting = list(planned)
    team = _Team(threads, devices(device))
    try:
        while waiting or team.busy:
            for each in [each for each in waiting if _hopeless(each, waiting, team)]:
                waiting.remove(each)
                yield Ended(each, None)
            for each in [each for each in waiting if _ready(each)][: jobs - len(team.busy)]:
                waiting.remove(each)
                team.begin(each)
            yield from team.ended()
    finally:
        team.stop()


def _ready(run: Planned) -> bool:
    return run.after is None or run.after.standing.state == "finished"


def _hopeless(run: Planned, waiting: Sequence[Planned], team: _Team) -> bool:
    """Whether it waits for what has ended without a trained network, or will not be run."""
    left = {each.folder for each in (*waiting, *team.busy)}
    return run.after is not None and run.after.folder not in left and not _ready(run)


class _Team:
    """The workers there are: one more is started where all are busy, or have died."""

    def __init__(self, threads: int, places: Sequence[str]) -> None:
        self._threads, self._places = threads, places
        self._workers: list[_Worker] = []
        self._watched = selectors.DefaultSelector()

    @property
    def busy(self) -> list[Planned]:
        return [each.run for each in self._workers if each.run is not None]

    def begin(self, run: Planned) -> None:
        worker = next((each for each in self._workers if each.run is None), None)
        (worker or self._hired()).begin(run)

    def _hired(self) -> _Worker:
        held = [each.place for each in self._workers]
        place = min(self._places, key=held.count) if self._places else None
        worker = _Worker(self._threads, place)
        self._workers.append(worker)
        self._watched.register(worker.answers, selectors.EVENT_READ, worker)
        return worker

    def ended(self) -> Iterator[Ended]:
        """Waits until some of the runs have ended."""
        for key, _ in self._watched.select() if self.busy else ():
            worker: _Worker = key.data
            run, code = worker.run, worker.answer()
            if not worker.alive:
                self._watched.unregister(worker.answers)
                self._workers.remove(worker)
            if run is not None:
                yield Ended(run, code)

    def stop(self) -> None:
        for worker in self._workers:
            worker.process.terminate()
        for worker in self._workers:
            with suppress(BrokenPipeError):
                worker.process.communicate()
        self._watched.close()
