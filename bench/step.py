"""What each part of resgen's training step is worth; `bench/train.py --parts` prints it.

Times are ratios of two ways in one process that take turns, as in bench/train.py: above 1 the
first is faster. On the CPU, which has no CUDA graphs and no NCCL, the other parts are there.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
import torch.distributed as dist
from torch import nn
from torch.nn.parallel import DistributedDataParallel
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from resgen.train.device.engine import Engine
from resgen.train.recipe.average import Average
from resgen.train.recipe.keys import Optimizer
from resgen.train.recipe.optimizers import build

Step = Callable[[], None]
Made = Callable[[Engine], Step]


def pairs(made: Made, module: nn.Module, motor: Engine) -> Iterator[tuple[str, Step, Step]]:
    """(what is compared, resgen's way, the other way)."""
    plain = replace(motor, compile="off")
    yield "the average against torch's AveragedModel", *averages(module)
    yield "LAMB against timm's", *lambs(module, motor)
    if motor.device.type != "cuda":
        return
    yield "cudnn.benchmark against none", with_benchmark(made(plain)), made(plain)
    yield "compiled against eager", made(replace(motor, compile="on")), made(plain)
    graphs = replace(motor, compile="graphs")
    yield "CUDA graphs against compiled", made(graphs), made(replace(motor, compile="on"))
    for word in ("bf16", "fp16"):
        half: Any = replace(plain, precision=word)
        yield f"{word} against fp32", made(half), made(replace(plain, precision="fp32"))
    with one_of_one():
        yield "DDP without buffers' broadcast, gradients as views", *parallel(module, motor)


def averages(module: nn.Module) -> tuple[Step, Step]:
    """An update of the average alone."""
    mine = Average(module, 0.999)
    theirs = AveragedModel(
        module, multi_avg_fn=get_ema_multi_avg_fn(0.999), use_buffers=True  # type: ignore[no-untyped-call]
    )  # fmt: skip
    return mine.follow, lambda: theirs.update_parameters(module)


def lambs(module: nn.Module, motor: Engine) -> tuple[Step, Step]:
    """An update of the weights alone, by gradients that lie there."""
    import timm.optim

    both = [deepcopy(module) for _ in range(2)]
    for each in both:
        for parameter in each.parameters():
            parameter.grad = torch.ones_like(parameter)
    recipe = Optimizer(kind="lamb", lr=1e-6, weight_decay=0.02)
    mine = build(both[0], recipe, device=motor.device)
    theirs = timm.optim.Lamb(both[1].parameters(), lr=1e-6, weight_decay=0.02, max_grad_norm=None)
    return mine.step, theirs.step


def with_benchmark(step: Step) -> Step:
    """The same where cudnn tries its algorithms; the others are not disturbed by it."""

    def tried() -> None:
        torch.backends.cudnn.benchmark = True
        step()
        torch.backends.cudnn.benchmark = False

    return tried


@contextmanager
def one_of_one() -> Iterator[None]:
    """A process group of this process alone: what DistributedDataParallel costs by itself."""
    with TemporaryDirectory() as folder:
        store = dist.FileStore(os.fspath(Path(folder) / "store"), 1)
        dist.init_process_group("nccl", store=store, rank=0, world_size=1)
        try:
            yield
        finally:
            dist.destroy_process_group()


def parallel(module: nn.Module, motor: Engine) -> tuple[Step, Step]:
    """Forward and backward of 32 images."""
    how = ({"broadcast_buffers": False, "gradient_as_bucket_view": True}, {})
    first = next(module.parameters())
    images = torch.rand(32, first.shape[1], 64, 64, device=motor.device)
    images = images.contiguous(memory_format=motor.memory_format)

    def stepping(options: dict[str, bool]) -> Step:
        wrapped: Any = DistributedDataParallel(deepcopy(module), [motor.device], **options)

        def step() -> None:
            with motor.autocast():
                loss = wrapped(images).float().sum()
            loss.backward()
            wrapped.zero_grad(set_to_none=True)

        return step

    mine, theirs = map(stepping, how)
    return mine, theirs
