"""`--plan --measure`: a few steps on random images, and what the whole run takes at their speed."""

from __future__ import annotations

import time
from collections.abc import Callable
from math import ceil
from statistics import median

import torch
import torch.nn.functional as F
from torch import Tensor

from resgen.errors import UserError
from resgen.train.data.feed import Batch
from resgen.train.device.engine import Engine
from resgen.train.device.processes import World
from resgen.train.recipe import Recipe, optimizers
from resgen.train.run.counting import Count
from resgen.train.run.log import duration
from resgen.train.run.loop import Stepper
from resgen.train.run.network import Network

STEPS = 5
"""Steps that are timed, after one that is not."""
ENOUGH = 30.0
"""Seconds after which no further step is begun, where one was timed."""


def expected(network: Network, recipe: Recipe, engine: Engine, *, steps: int, judged: int) -> str:
    """seconds = steps x a step + judged x an image's forward pass, in a sentence.

    `steps` are those of the run and `judged` the images that it evaluates in all. A step is
    forward, backward and update of a whole batch, and the first one, in which torch compiles and
    plans, is left out. Raises UserError where the batch does not fit into memory.
    """
    engine = engine.for_run(network.work(recipe, steps))
    try:
        with engine.fixed_shapes():
            seconds, each = _measured(network, recipe, engine)
    except RuntimeError as error:  # torch.OutOfMemoryError, or the CPU allocator's
        if "memory" not in str(error):
            raise
        raise UserError(
            f"{network.name}: a step of {recipe.batch} images does not fit into memory; "
            "compute it in pieces: --set accumulate=2"
        ) from None
    training, judging = steps * median(seconds), judged * each
    return (
        f"time: {median(seconds):.3g} s a step (the median of {len(seconds)}; {engine}), "
        f"{recipe.batch / median(seconds):,.0f} images/s: {duration(training)} for "
        f"{steps:,} steps and {duration(judging)} for the held-out images, without what "
        "reading and augmenting images takes"
    )


def _measured(network: Network, recipe: Recipe, engine: Engine) -> tuple[list[float], float]:
    """Seconds of each step, and of an image that is evaluated."""
    module = network.module(0)
    module = module.to(engine.device, memory_format=engine.memory_format)  # type: ignore[call-overload]
    optimizer = optimizers.build(module, recipe.optimizer, device=engine.device)
    count = Count.zero(engine.device, network.classes)
    stepper = Stepper.of(
        engine.called(module), optimizer, recipe=recipe, engine=engine, world=World(), count=count,
    )  # fmt: skip
    batch = _batch(network, recipe, engine, ceil(recipe.batch / recipe.accumulate))

    def step() -> None:
        stepper(iter([batch] * recipe.accumulate), step=0, rate=0.0)

    start = time.perf_counter()
    seconds = [_timed(step, engine)]
    while len(seconds) < 1 + STEPS and (len(seconds) < 2 or time.perf_counter() - start < ENOUGH):
        seconds.append(_timed(step, engine))
    images = _images(network, engine, min(512, recipe.batch), network.size)

    def judge() -> None:
        with torch.inference_mode(), engine.autocast():
            module(images)

    module.eval()
    judge()
    return seconds[1:], _timed(judge, engine) / len(images)


def _timed(what: Callable[[], None], engine: Engine) -> float:
    start = time.perf_counter()
    what()
    engine.synchronize()
    return time.perf_counter() - start


def _images(network: Network, engine: Engine, count: int, size: tuple[int, int]) -> Tensor:
    images = torch.randn(count, network.channels, *size, device=engine.device)
    return images.contiguous(memory_format=engine.memory_format)


def _batch(network: Network, recipe: Recipe, engine: Engine, count: int) -> Batch:
    """As the recipe makes them: mixed images have a share of each class."""
    labels = torch.randint(network.classes, (count,), device=engine.device)
    if recipe.augment.mixup or recipe.augment.cutmix:
        labels = F.one_hot(labels, network.classes).float()
    return Batch(_images(network, engine, count, network.train_size), labels)
