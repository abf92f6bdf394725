"""Several runs at a time: the same bits, those that fail alone, what waits for others."""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from resgen.experiment import running
from resgen.experiment.planning import Choice, Study
from resgen.experiment.runs import Planned
from resgen.experiment.worker import perform
from tests.experiments import weights

ENDED = '{"last_error": 0.5, "train_error": 0.5}'


def executed(runs: list[Planned], jobs: int = 2) -> dict[str, int | None]:
    ended = running.run(runs, jobs=jobs, threads=1, device="cpu")
    return {each.run.network: each.code for each in ended}


@pytest.fixture
def quick(tmp_path: Path) -> Callable[..., Planned]:
    """A run whose command takes no time, and trains nothing."""

    def make(name: str, *argv: str, after: Planned | None = None) -> Planned:
        (tmp_path / name).mkdir()
        words = argv or ("list", "resnet50")
        return Planned(name, tmp_path, 0, tmp_path / name, ("resgen", *words), after=after)

    return make


def test_bits_do_not_depend_on_how_many_run_at_once(
    study: Callable[..., Study], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = []
    for place in ("one", "three"):
        (tmp_path / place).mkdir()
        monkeypatch.chdir(tmp_path / place)
        runs = study(Choice(seeds=1)).planned
        if place == "one":
            assert [perform(each.commands, each.folder / "log.txt") for each in runs] == [0, 0, 0]
        else:
            ended = list(running.run(runs, jobs=3, threads=1, device="cpu"))
            assert [each.code for each in ended] == [0, 0, 0]
            order = [each.run.network for each in ended]
            assert order.index("small") < order.index("grown")
        found.append({each.network: weights(each.folder) for each in runs})
        for each in runs:
            (started,) = json.loads((each.folder / "environment.json").read_text())
            assert started["engine"].startswith("cpu (1 threads), ")
    assert found[0] == found[1]


def test_a_run_that_fails_ends_alone(quick: Callable[..., Planned]) -> None:
    bad = quick("bad", "build", "nothing-like-it")
    runs = [quick("a"), bad, quick("b"), quick("child", after=bad), quick("c")]
    grandchild = quick("grandchild", after=runs[3])
    assert executed([*runs, grandchild]) == {
        "a": 0, "bad": 2, "b": 0, "child": None, "c": 0, "grandchild": None,
    }  # fmt: skip
    assert bad.standing.state == "failed"
    assert "nothing-like-it: no such file" in bad.standing.why
    assert not (runs[3].folder / "log.txt").exists()


def test_what_begins_from_a_run_that_is_there_does_not_wait(quick: Callable[..., Planned]) -> None:
    first = quick("first")
    (first.folder / "result.json").write_text(ENDED)
    assert executed([quick("then", after=first)]) == {"then": 0}


@pytest.fixture
def hanging(quick: Callable[..., Planned], tmp_path: Path) -> Planned:
    """A run that waits for a spec that nobody writes."""
    os.mkfifo(tmp_path / "never.yaml")
    return quick("hanging", "build", str(tmp_path / "never.yaml"))


def workers(monkeypatch: pytest.MonkeyPatch) -> list[running._Worker]:
    """Those that are started from here on."""
    found: list[running._Worker] = []
    start = running._Worker.__init__

    def kept(worker: running._Worker, *given: object) -> None:
        start(worker, *given)  # type: ignore[arg-type]
        found.append(worker)

    monkeypatch.setattr(running._Worker, "__init__", kept)
    return found


def begun(run: Planned) -> None:
    """Waits until it is at its command."""
    end = time.monotonic() + 240
    while not (run.folder / "log.txt").exists():
        assert time.monotonic() < end
        time.sleep(0.02)


def test_a_worker_that_is_killed_takes_only_its_run_along(
    quick: Callable[..., Planned], hanging: Planned, monkeypatch: pytest.MonkeyPatch
) -> None:
    started = workers(monkeypatch)

    def kill() -> None:
        begun(hanging)
        started[0].process.kill()

    killer = threading.Thread(target=kill)
    killer.start()
    assert executed([hanging, quick("a"), quick("b")], jobs=1) == {
        "hanging": -signal.SIGKILL, "a": 0, "b": 0,
    }  # fmt: skip
    killer.join()
    assert len(started) == 2
    assert hanging.standing == ("failed", "exit code -9: its process died")


def test_who_stops_early_leaves_no_process_behind(
    quick: Callable[..., Planned], hanging: Planned, monkeypatch: pytest.MonkeyPatch
) -> None:
    started = workers(monkeypatch)
    ended: Iterator[running.Ended] = running.run(
        [hanging, quick("a"), quick("b")], jobs=2, threads=1, device="cpu"
    )
    assert next(ended).run.network == "a"
    begun(hanging)
    ended.close()  # type: ignore[attr-defined]
    assert len(started) == 2
    assert all(each.process.returncode is not None for each in started)
    assert hanging.standing.state == "missing"


def test_as_many_at_a_time_as_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)), raising=False)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert [running.at_a_time(threads, "cpu") for threads in (1, 3, 8, 9)] == [8, 2, 1, 1]
    assert running.at_a_time(1, "auto") == 8
    assert running.at_a_time(1, "mps") == 1
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    assert running.devices("auto") == ["0", "1"]
    assert running.at_a_time(1, "auto") == 2
    assert running.at_a_time(1, "cuda:1") == 1
    assert running.devices("cpu") == []
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3,5")
    assert running.devices("cuda") == ["3", "5"]


def test_each_device_gets_as_many_runs_as_another(
    quick: Callable[..., Planned], monkeypatch: pytest.MonkeyPatch
) -> None:
    started = workers(monkeypatch)
    monkeypatch.setattr(running, "devices", lambda _: ["0", "1"])
    assert set(executed([quick(name) for name in "abcdef"], jobs=4).values()) == {0}
    places = [each.place for each in started]
    assert sorted(places) == sorted((["0", "1"] * 2)[: len(places)])
