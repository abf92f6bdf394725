"""Loss and error over a split, each image counted once, whatever the processes."""

from __future__ import annotations

from collections.abc import Iterable

import torch
import torch.nn.functional as F
from torch import nn
from torch.optim.swa_utils import update_bn

from resgen.train.data.feed import Batch, Feed
from resgen.train.device.engine import Engine
from resgen.train.device.processes import World
from resgen.train.run.loop import Count


def evaluate(
    module: nn.Module,
    feed: Feed,
    which: str,
    count: int,
    *,
    batch: int,
    engine: Engine,
    world: World,
) -> tuple[float, float]:
    """(mean cross-entropy, error) over a split, each image counted once.

    Image i goes to process i mod size; shares may differ by one image.
    """
    mine = torch.arange(world.rank, count, world.size)
    tally = Count.zero(engine.device)
    module.eval()
    with torch.inference_mode():
        for images, labels in feed.still(which, torch.split(mine, batch)):
            with engine.autocast():
                logits = module(images)
            logits = logits.float()
            tally.add(F.cross_entropy(logits, labels, reduction="sum"), logits, labels)
    module.train()
    world.sum(tally.sums)
    return tally.read()


def measure_batch_norm(module: nn.Module, batches: Iterable[Batch], *, engine: Engine) -> None:
    """Running statistics <- the plain mean over these batches (precise-BN)."""
    with engine.autocast():
        update_bn((batch.images for batch in batches), module)
