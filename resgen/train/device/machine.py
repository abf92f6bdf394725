"""What this machine really offers: processors this process may use, memory that is free."""

from __future__ import annotations

import os
from pathlib import Path

import torch


def processors() -> int:
    """Processors available here: those of the affinity mask, within a container's quota."""
    count = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    try:
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text().split()
        if quota != "max":
            count = min(count or 1, max(1, int(quota) // int(period)))
    except (OSError, ValueError):
        pass  # no such limit on this system
    return count or 1


def workers(local_size: int) -> int:
    """Processes to decode images with, for each training process: the rest, at most 16."""
    return max(0, min(16, processors() // max(1, local_size) - 1))


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
