"""recipe -> torch's optimizer, with the parameter groups it names."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import torch
from torch import nn

from resgen.train.recipe import Optimizer


class Group(NamedTuple):
    """Parameters under one weight decay."""

    title: str
    weight_decay: float
    names: tuple[str, ...]


def groups(shapes: Iterable[tuple[str, int]], recipe: Optimizer) -> list[Group]:
    """The groups of (name, dimensions) pairs: weights have two dimensions or more.

    Norms and biases are the vectors; `decay: weights` keeps the decay from them.
    """
    shapes = list(shapes)
    if recipe.decay == "all":
        names = tuple(name for name, _ in shapes)
        return [Group("all parameters", recipe.weight_decay, names)]
    weights = tuple(name for name, dimensions in shapes if dimensions > 1)
    vectors = tuple(name for name, dimensions in shapes if dimensions <= 1)
    found = [
        Group("weights", recipe.weight_decay, weights),
        Group("norms and biases", 0.0, vectors),
    ]
    return [group for group in found if group.names]


def build(module: nn.Module, recipe: Optimizer, *, device: torch.device) -> torch.optim.Optimizer:
    """The optimizer over a module's parameters.

    Fused on CUDA, where it also skips its update when `found_inf` is set, so that a step
    with a NaN is dropped without waiting for the device.
    """
    parameters = dict(module.named_parameters())
    shapes = [(name, parameter.dim()) for name, parameter in parameters.items()]
    parts = [
        {"params": [parameters[name] for name in group.names], "weight_decay": group.weight_decay}
        for group in groups(shapes, recipe)
    ]
    fused = True if device.type == "cuda" else None
    if recipe.kind == "adamw":
        return torch.optim.AdamW(parts, recipe.lr, betas=recipe.betas, fused=fused)
    return torch.optim.SGD(
        parts,
        recipe.lr,
        momentum=recipe.momentum,
        nesterov=recipe.momentum_kind == "nesterov",
        fused=fused,
    )
