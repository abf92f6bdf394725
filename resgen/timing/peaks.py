"""What the device can do at most, measured: a large matrix product and a large copy."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import torch

from resgen.cost.roofline import Peaks
from resgen.timing.environment import device_name
from resgen.train.device.engine import HALVES, Engine

DTYPES = {"fp32": torch.float32, **HALVES}
ENOUGH = 1.5
"""Seconds a figure may take, after its first call; at least three calls are made."""
MOST = 50


def measured(engine: Engine, precisions: Sequence[str], *, scale: float = 1.0) -> Peaks:
    """flops = 2 n^3 / the fastest n x n product; bytes = 2 x bytes copied / the fastest copy.

    n is 2,048 on the CPU and 8,192 elsewhere, and 256 MiB or 1 GiB are copied, each times `scale`.
    """
    small = engine.device.type == "cpu"
    side = max(16, int(scale * (2048 if small else 8192)))
    size = max(2**10, int(scale * (2**28 if small else 2**30)))
    return Peaks(
        device_name(engine.device),
        _copied(engine, size),
        {precision: _multiplied(engine, side, DTYPES[precision]) for precision in precisions},
    )


def _multiplied(engine: Engine, side: int, dtype: torch.dtype) -> float:
    one, other = (torch.ones(side, side, device=engine.device, dtype=dtype) for _ in range(2))
    result = torch.empty_like(one)
    with _as_convolutions():
        return 2 * side**3 / _fastest(lambda: torch.mm(one, other, out=result), engine)


def _copied(engine: Engine, size: int) -> float:
    source = torch.ones(size, dtype=torch.uint8, device=engine.device)
    target = torch.zeros_like(source)
    return 2 * size / _fastest(lambda: target.copy_(source), engine)


def _fastest(what: Callable[[], object], engine: Engine) -> float:
    """The seconds of the fastest call: a peak is what nothing disturbed."""
    what()
    seconds: list[float] = []
    begun = time.perf_counter()
    while len(seconds) < 3 or (len(seconds) < MOST and time.perf_counter() - begun < ENOUGH):
        engine.synchronize()
        start = time.perf_counter()
        what()
        engine.synchronize()
        seconds.append(time.perf_counter() - start)
    return min(seconds)


@contextmanager
def _as_convolutions() -> Iterator[None]:
    """Products in fp32 use TF32 where convolutions do, so that the peak is that of both."""
    before = torch.backends.cuda.matmul.allow_tf32
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32
    try:
        yield
    finally:
        torch.backends.cuda.matmul.allow_tf32 = before
