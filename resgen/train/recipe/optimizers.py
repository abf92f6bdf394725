"""recipe -> the optimizer it names, over the groups it names."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from resgen.train.recipe.groups import groups
from resgen.train.recipe.keys import Optimizer
from resgen.train.recipe.lamb import Lamb
from resgen.train.recipe.parts import ONE, Parts


def build(
    module: nn.Module, recipe: Optimizer, parts: Parts = ONE, *, device: torch.device
) -> torch.optim.Optimizer:
    """The optimizer over a module's parameters that ask for a gradient.

    torch's are fused on CUDA. There they, and LAMB, also skip the update when `found_inf`
    is set, so that a step with a NaN is dropped without waiting for the device.
    """
    parameters = {name: each for name, each in module.named_parameters() if each.requires_grad}
    shapes = [(name, parameter.shape) for name, parameter in parameters.items()]
    found = [
        {
            "params": [parameters[name] for name in group.names],
            "weight_decay": group.weight_decay,
            "lr_scale": group.scale,
        }
        for group in groups(shapes, recipe, parts)
    ]
    fused = True if device.type == "cuda" else None
    if recipe.kind == "lamb":
        return Lamb(found, recipe.lr, betas=recipe.betas)
    if recipe.kind == "adamw":
        return torch.optim.AdamW(found, recipe.lr, betas=recipe.betas, fused=fused)
    return torch.optim.SGD(
        found,
        recipe.lr,
        momentum=recipe.momentum,
        nesterov=recipe.momentum_kind == "nesterov",
        fused=fused,
    )


def set_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    """The schedule's rate, in each group times its own share."""
    for group in optimizer.param_groups:
        group["lr"] = rate * group.get("lr_scale", 1.0)


def rate_of(optimizer: torch.optim.Optimizer) -> float:
    """The schedule's rate of the last step."""
    first = optimizer.param_groups[0]
    return float(first["lr"] / first.get("lr_scale", 1.0))


def restore(optimizer: torch.optim.Optimizer, saved: dict[str, Any]) -> None:
    """Loads what the steps have gathered, and the rate of the last of them.

    All else of the groups stays the recipe's and the device's: a run begun on a CPU would
    otherwise go on without fused updates on a GPU, where alone they drop a bad step.
    """
    groups = optimizer.state_dict()["param_groups"]
    for mine, theirs in zip(groups, saved["param_groups"], strict=False):
        mine["lr"] = theirs.get("lr", mine["lr"])
    optimizer.load_state_dict({"state": saved["state"], "param_groups": groups})
