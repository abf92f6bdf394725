"""Activation checkpointing: a block keeps its input only, and is computed anew going back."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint


def recompute_blocks(module: nn.Module) -> int:
    """Makes every block of `layer1`, `layer2`, ... recompute itself; the number of blocks.

    Names, and so state_dict keys, stay as they are.
    """
    count = 0
    for name, stage in module.named_children():
        if not name.startswith("layer"):
            continue
        for block in stage.children():
            block.forward = partial(_recomputed, block, block.forward)
            count += 1
    return count


@torch.compiler.disable  # type: ignore[untyped-decorator]  # its tracer knows no running statistics that stand still
def _recomputed(block: nn.Module, forward: Any, x: Tensor) -> Tensor:
    if not (block.training and x.requires_grad):
        return forward(x)  # type: ignore[no-any-return]
    contexts = partial(_contexts, block)
    result: Tensor = checkpoint(forward, x, use_reentrant=False, context_fn=contexts)
    return result


def _contexts(block: nn.Module) -> tuple[Any, Any]:
    """For the first pass nothing special; for the second, running statistics that stand still."""
    return nullcontext(), _still(block)


@contextmanager
def _still(block: nn.Module) -> Iterator[None]:
    # The second pass meets the same batch; counted again, it would weigh twice.
    norms: list[Any] = [m for m in block.modules() if _has_statistics(m)]
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.momentum = 0.0
    try:
        yield
    finally:
        for norm, momentum in zip(norms, momenta, strict=True):
            norm.momentum = momentum
            if getattr(norm, "num_batches_tracked", None) is not None:
                norm.num_batches_tracked -= 1


def _has_statistics(module: nn.Module) -> bool:
    """Whether a module counts what it meets into a running variance, as batch norms do."""
    counts = getattr(module, "track_running_stats", True)
    return (
        counts and hasattr(module, "momentum") and getattr(module, "running_var", None) is not None
    )
