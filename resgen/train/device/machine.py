"""What this machine really offers: processors this process may use, memory that is free."""

from __future__ import annotations

import math
import os
import socket
from collections import Counter
from collections.abc import Mapping, Sequence
from fractions import Fraction
from pathlib import Path
from typing import NamedTuple

import torch


class Bound(NamedTuple):
    """Which machine a process runs on, and the processors there that it is bound to."""

    machine: str
    cpus: tuple[int, ...]


def bound() -> Bound:
    """Where this process runs."""
    if hasattr(os, "sched_getaffinity"):
        cpus = tuple(sorted(os.sched_getaffinity(0)))
    else:
        cpus = tuple(range(os.cpu_count() or 1))
    try:
        # Two containers, or two machines made from one image, may have one name.
        machine = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        machine = socket.gethostname()
    return Bound(machine, cpus)


def share(rank: int, everyone: Sequence[Bound]) -> int:
    """Processors for one of several processes: its own, and its part of those it has with others.

    Launchers bind a process to some processors (srun), or let all of a machine have them all
    (torchrun); either way no processor is counted twice.
    """
    mine = everyone[rank]
    here = [each for each in everyone if each.machine == mine.machine]
    takers = Counter(cpu for each in here for cpu in each.cpus)
    count = sum(Fraction(1, takers[cpu]) for cpu in mine.cpus)
    limits = [quota() / len(here), _asked(os.environ)]
    return max(1, int(min(count, *limits)))


def processors() -> int:
    """Processors for this process alone: those it is bound to, within a container's quota."""
    return max(1, int(min(len(bound().cpus), quota(), _asked(os.environ))))


def _asked(env: Mapping[str, str]) -> float:
    """What SLURM was asked for each task, where this process is one; some clusters do not bind."""
    asked = env.get("SLURM_CPUS_PER_TASK", "")
    return int(asked) if asked.isdecimal() and int(asked) and "RANK" not in env else math.inf


def quota(
    groups: Path = Path("/proc/self/cgroup"), root: Path = Path("/sys/fs/cgroup")
) -> float:  # fmt: skip
    """Processors' worth of time that this process's control groups allow; infinity where all."""
    try:
        lines = [line.split(":", 2) for line in groups.read_text().splitlines()]
    except OSError:
        lines = [["0", "", "/"]]
    allowed = [math.inf]
    for _, kinds, name in (line for line in lines if len(line) == 3):
        if kinds and "cpu" not in kinds.split(","):
            continue
        # A group's limit holds for all groups in it. In a container its own may be the root.
        inner = Path(name.lstrip("/"))
        for group in (inner, *inner.parents):
            for top in (root, root / "cpu") if kinds else (root,):
                allowed.append(_of(top / group))
    return min(allowed)


def _of(group: Path) -> float:
    """One group's quota: `max 100000` or `50000 100000` in cpu.max; in version 1 two files."""
    files = (("cpu.max",), ("cpu.cfs_quota_us", "cpu.cfs_period_us"))
    for names in files:
        try:
            told = " ".join((group / name).read_text() for name in names).split()
            quota, period = int(told[0]), int(told[1])
            return quota / period if quota > 0 else math.inf
        except (OSError, ValueError, IndexError, ZeroDivisionError):
            continue  # there is no such file, or no limit
    return math.inf


def workers(cpus: int | None = None) -> int:
    """Processes to decode images with, beside one that trains on so many processors: at most 16."""
    return max(0, min(16, (processors() if cpus is None else cpus) - 1))


def free_memory(device: torch.device) -> int | None:
    """Free bytes where the network would live, or None where that is not known."""
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0])
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
        free = next(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvail"))
        limit = Path("/sys/fs/cgroup/memory.max")
        if limit.exists() and (text := limit.read_text().strip()) != "max":
            used = int(Path("/sys/fs/cgroup/memory.current").read_text())
            free = min(free, int(text) - used)
        return free
    except (OSError, ValueError, StopIteration):
        return None
