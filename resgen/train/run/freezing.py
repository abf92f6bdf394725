"""A module with parts that no step changes: no gradients, no statistics, nothing dropped."""

from __future__ import annotations

from torch import nn

from resgen.train.recipe.parts import Frozen


def freeze(module: nn.Module, still: Frozen) -> str:
    """Takes gradients from what is frozen and computes it as in evaluation; says how much it is.

    Its modules' `training` is False from here on and is to stay so: it is how batch norms know to
    use their running statistics and leave them alone, and how copies of the module know it.
    """
    for name, each in module.named_modules():
        if name and still.holds(name):
            each.training = False
    tensors = parameters = 0
    for name, parameter in module.named_parameters():
        if still.holds(name):
            parameter.requires_grad_(False)
            tensors, parameters = tensors + 1, parameters + parameter.numel()
    return (
        f"frozen: {tensors} tensors, {parameters:,} parameters; their batch norms keep their "
        "statistics"
    )
