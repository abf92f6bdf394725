"""Loss and errors over a split, each image counted once, whatever the processes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from resgen.train.data.feed import Batch, Feed
from resgen.train.data.order import shares
from resgen.train.device.engine import Engine
from resgen.train.device.processes import World
from resgen.train.run.counting import Count, Means
from resgen.train.run.setup import Setup


def judge(module: nn.Module, setup: Setup, which: str) -> Means:
    """Loss and errors of a run's network on its `heldout` or `test` images."""
    # Running statistics differ between processes; all judge with the first one's.
    setup.world.copy_first(module.buffers())
    if setup.recipe.precise_bn:
        images = setup.feed.still("train", list(_pieces(setup)))
        measure_batch_norm(module, images, engine=setup.engine)
    return evaluate(
        module, setup.feed, which, len(setup.data.splits[which]),
        batch=min(512, setup.recipe.batch), engine=setup.engine, world=setup.world,
        classes=setup.network.classes,
    )  # fmt: skip


def _pieces(setup: Setup) -> Iterator[torch.Tensor]:
    """The images of the first batches, cut into the pieces that training sees at a time.

    The statistics of smaller pieces are others. All pieces of all processes, in each of them, so
    that all keep the same statistics.
    """
    recipe, order = setup.recipe, setup.order
    every = shares(recipe.batch, processes=setup.world.size, pieces=recipe.accumulate)
    for step in range(min(recipe.precise_bn, order.steps)):
        indices = order.indices(step)
        for part in (part for own in every for part in own):
            yield indices[part.start : part.stop]


def evaluate(
    module: nn.Module,
    feed: Feed,
    which: str,
    count: int,
    *,
    batch: int,
    engine: Engine,
    world: World,
    classes: int,
) -> Means:
    """Mean cross-entropy and errors over a split, each image counted once.

    Image i goes to process i mod size; shares may differ by one image.
    """
    mine = torch.arange(world.rank, count, world.size)
    tally = Count.zero(engine.device, classes)
    modes = {each: each.training for each in module.modules()}
    module.eval()
    with torch.inference_mode():
        # Of fewer images than processes the last processes have none.
        for images, labels in feed.still(which, torch.split(mine, batch) if len(mine) else ()):
            with engine.autocast():
                logits = module(images)
            logits = logits.float()
            tally.add(F.cross_entropy(logits, labels, reduction="sum"), logits, labels)
    # Each as it was: what is frozen is never in training.
    for each, training in modes.items():
        each.training = training
    world.sum(tally.sums)
    return tally.read()


def measure_batch_norm(module: nn.Module, batches: Iterable[Batch], *, engine: Engine) -> None:
    """Running statistics <- the plain mean over these batches (precise-BN); frozen ones stay."""
    norms = [each for each in module.modules() if isinstance(each, _BatchNorm) and each.training]
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None
    with torch.no_grad(), engine.autocast():
        for batch in batches if norms else ():
            module(batch.images)
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
