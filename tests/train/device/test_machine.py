"""Processors that are really a process's own: bound to it, within its groups' quota, shared."""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from resgen.train.device import machine
from resgen.train.device.machine import Bound
from tests.launched import Run


@pytest.fixture(autouse=True)
def nothing_said(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("RANK", "SLURM_CPUS_PER_TASK"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(machine, "quota", lambda: math.inf)


ALL = tuple(range(16))


@pytest.mark.parametrize(
    ("everyone", "shares"),
    [
        # torchrun: each may use all of the machine's.
        ([Bound("a", ALL)] * 4, [4, 4, 4, 4]),
        # srun: each is bound to some of its own, none of which are to be divided again.
        ([Bound("a", ALL[:4]), Bound("a", ALL[4:8]), Bound("a", ALL[8:])], [4, 4, 8]),
        # Two machines, the second of which has one process.
        ([Bound("a", ALL), Bound("a", ALL), Bound("b", ALL)], [8, 8, 16]),
        # Some are a process's own and some are shared: 2 + 2 / 2, and 2 / 2.
        ([Bound("a", (0, 1, 2, 3)), Bound("a", (2, 3))], [3, 1]),
        ([Bound("a", (0,))] * 3, [1, 1, 1]),
    ],
)
def test_each_processor_is_given_once(everyone: list[Bound], shares: list[int]) -> None:
    assert [machine.share(rank, everyone) for rank in range(len(everyone))] == shares


def test_a_quota_is_all_processes_and_what_slurm_was_asked_for_each_tasks(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    four = [Bound("a", ALL)] * 4
    monkeypatch.setattr(machine, "quota", lambda: 8.0)
    assert machine.share(0, four) == 2
    monkeypatch.setattr(machine, "quota", lambda: math.inf)
    monkeypatch.setenv("SLURM_CPUS_PER_TASK", "3")
    assert machine.share(0, four) == 3
    assert machine.share(0, [Bound("a", ALL)]) == 3
    # Of torchrun's processes the task is another one, which has started them.
    monkeypatch.setenv("RANK", "0")
    assert machine.share(0, four) == 4


def test_a_process_alone_has_what_it_is_bound_to(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 3, 5}, raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: 64)
    assert (machine.processors(), machine.workers()) == (3, 2)
    monkeypatch.setenv("SLURM_CPUS_PER_TASK", "2")
    assert (machine.processors(), machine.workers()) == (2, 1)
    monkeypatch.setattr(machine, "quota", lambda: 0.5)
    assert (machine.processors(), machine.workers()) == (1, 0)
    assert [machine.workers(count) for count in (1, 2, 17, 200)] == [0, 1, 16, 16]


@pytest.mark.parametrize(
    ("groups", "files", "allowed"),
    [
        ("0::/\n", {"cpu.max": "150000 100000"}, 1.5),
        ("0::/\n", {"cpu.max": "max 100000"}, math.inf),
        ("0::/\n", {}, math.inf),
        # The limit of a group around it holds too: a job's, whose step has none.
        ("0::/job/step\n", {"job/cpu.max": "400000 100000", "job/step/cpu.max": "max 100000"}, 4),
        (
            "0::/job/step\n",
            {"job/cpu.max": "400000 100000", "job/step/cpu.max": "200000 100000"},
            2,
        ),
        # Version 1, a folder for each kind of limit.
        (
            "5:memory:/x\n4:cpu,cpuacct:/job\n",
            {"cpu/job/cpu.cfs_quota_us": "300000", "cpu/job/cpu.cfs_period_us": "100000"},
            3,
        ),
        (
            "4:cpu,cpuacct:/job\n",
            {"cpu/job/cpu.cfs_quota_us": "-1", "cpu/job/cpu.cfs_period_us": "100000"},
            math.inf,
        ),
        # In a container the group's own path is not there.
        (
            "4:cpu:/docker/77\n",
            {"cpu/cpu.cfs_quota_us": "50000", "cpu/cpu.cfs_period_us": "100000"},
            0.5,
        ),
        ("nonsense\n", {"cpu.max": "garbage"}, math.inf),
    ],
)  # fmt: skip
def test_quotas_of_control_groups(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, groups: str, files: dict[str, str],
    allowed: float,
) -> None:  # fmt: skip
    monkeypatch.undo()
    (tmp_path / "groups").write_text(groups)
    for name, text in files.items():
        path = tmp_path / "root" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text + "\n")
    assert machine.quota(tmp_path / "groups", tmp_path / "root") == allowed


@pytest.mark.parametrize("source", ["memory", "files"])
def test_fewer_held_out_images_than_processes(
    start_two: Callable[..., list[Run]], tiny: Callable[..., str], pictures: str, tmp_path: Path,
    source: str,
) -> None:  # fmt: skip
    """One process has none; each epoch is judged all the same, and by `evaluate` afterwards."""
    (tmp_path / "pictures/val").rename(tmp_path / "val")
    data = ["--data", pictures, "--set", "batch=8"] if source == "files" else ["--data", "digits"]
    command = ("train", tiny(classes=2 if source == "files" else 10), *data, "--heldout", "1")
    pair = start_two(*command, "--epochs", "2", "--device", "cpu", "--workers", "1", "--out", "run")
    assert [run.end() for run in pair] == [0, 0], [run.err for run in pair]
    pair = start_two("evaluate", "run", "--split", "heldout", "--device", "cpu", "--workers", "1")
    assert [run.end() for run in pair] == [0, 0], [run.err for run in pair]
