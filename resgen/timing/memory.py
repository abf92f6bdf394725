"""The peak memory of a step: what stands, and the most above it, by what the device can say.

CUDA: bytes of torch's allocator. CPU under Linux: resident memory of this process, whose
high-water mark is set back before the step, and which keeps nothing that is freed meanwhile:
tensors, and the workspace of its kernels. Elsewhere it is not known.
"""

from __future__ import annotations

import ctypes
import re
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import torch
from torch import Tensor

from resgen.cost.autograd import forward
from resgen.cost.memory import training_step
from resgen.cost.tape import FULL
from resgen.plan import Plan, elements
from resgen.train.device.engine import Engine, keep_freed_memory

_RESET_PEAK = "5"  # as in proc(5), of clear_refs
_MMAP_THRESHOLD = -3  # as in malloc.h
_PROCESS = Path("/proc/self")


def peak_above(step: Callable[[], None], engine: Engine) -> int | None:
    """The most bytes alive during a step beyond those before it; None where nobody counts."""
    engine.synchronize()
    if engine.device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(engine.device)
        before = torch.cuda.memory_allocated(engine.device)
        step()
        engine.synchronize()
        return torch.cuda.max_memory_allocated(engine.device) - before
    if engine.device.type != "cpu" or sys.platform != "linux":
        return None
    with _giving_back():
        resident = _resident("VmRSS")
        try:
            (_PROCESS / "clear_refs").write_text(_RESET_PEAK)
        except OSError:  # as in some containers
            return None
        step()
        most = _resident("VmHWM")
    return None if resident is None or most is None else max(0, most - resident)


@contextmanager
def _giving_back() -> Iterator[None]:
    """Has glibc take tensors from the system and give them back at once, and then as before."""
    libc = ctypes.CDLL(None)
    if hasattr(libc, "mallopt"):
        libc.mallopt(_MMAP_THRESHOLD, 2**16)
        libc.malloc_trim(0)
    try:
        yield
    finally:
        keep_freed_memory()


def _resident(word: str) -> int | None:
    """A line of /proc/self/status in bytes; None where there is none."""
    try:
        text = (_PROCESS / "status").read_text()
    except OSError:
        return None
    found = re.search(rf"^{word}:\s+(\d+) kB", text, re.MULTILINE)
    return int(found[1]) * 1024 if found else None


def standing(tensors: Iterable[Tensor]) -> int:
    """Bytes of tensors, each storage once."""
    storages = (tensor.untyped_storage() for tensor in tensors)
    return sum({each.data_ptr(): each.nbytes() for each in storages}.values())


def foreseen(plan: Plan, batch: int, precision: str, *, trains: bool) -> int:
    """About what a process needs for a step: for systems that grant memory they do not have.

    The closed form of the tensors, and for what kernels and the heap take besides half of it in
    training, and twice it in inference, which is more than was measured of several networks.
    """
    if trains:
        return training_step(plan, batch, precision).peak * 3 // 2
    tape = forward(plan, batch, precision != "fp32", frozen=plan.blocks + len(plan.stages) + 1)
    weights = sum(elements(shape) for _, shape in plan.named_parameters())
    # A shortcut is alive beside what the main path takes in and puts out.
    return 3 * (FULL * (weights + batch * elements(plan.input)) + 2 * tape.passing)


def is_lack_of_memory(error: Exception) -> bool:
    """Whether an error says that memory ran out: the CPU's allocator has no class of its own."""
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    said = str(error)
    return isinstance(error, RuntimeError) and ("memory" in said or "alloc" in said)


def give_back(engine: Engine) -> None:
    """Frees what the device's allocator keeps, after a step that did not fit."""
    if engine.device.type == "cuda":
        with suppress(RuntimeError):
            torch.cuda.empty_cache()
