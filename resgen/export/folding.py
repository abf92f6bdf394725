"""Weights of a network -> those of the same network with its batch norms folded."""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy

import torch
from torch import Tensor, nn

from resgen.export.compare import TOLERANCE, difference
from resgen.plan.folding import Folded
from resgen.proof import Check


@torch.no_grad()
def fold_into(module: nn.Module, whole: nn.Module, folded: Folded) -> None:
    """Gives the module of the folded Plan the weights that make it the whole one's function."""
    kept = {name: value.detach().clone() for name, value in whole.state_dict().items()}
    for name, norm in folded.pairs:
        layer, batch_norm = whole.get_submodule(name), whole.get_submodule(norm)
        kept[f"{name}.weight"], kept[f"{name}.bias"] = _folded(layer, batch_norm)
        for key in batch_norm.state_dict():
            del kept[f"{norm}.{key}"]
    module.load_state_dict({renamed(name, folded.names): kept[name] for name in kept})


def _folded(layer: nn.Module, norm: nn.Module) -> tuple[Tensor, Tensor]:
    """gamma / std W and (b - mean) gamma / std + beta, computed in double precision."""
    weight = layer.get_parameter("weight")
    kept = {name: value.double() for name, value in norm.state_dict().items()}
    factor = (kept["running_var"] + norm.eps).rsqrt() * kept["weight"]
    given = layer.bias.double() if isinstance(layer.bias, Tensor) else 0.0
    bias = (given - kept["running_mean"]) * factor + kept["bias"]
    each = factor.view(-1, *[1] * (weight.dim() - 1))
    return (weight.double() * each).to(weight.dtype), bias.to(weight.dtype)


def renamed(name: str, names: Mapping[str, str]) -> str:
    """A tensor's name where modules in front of it have others; the inner ones first."""
    parts = name.split(".")
    for end in range(len(parts), 0, -1):
        new = names.get(".".join(name.split(".")[:end]))
        if new is not None:
            parts[end - 1] = new.rpartition(".")[2]
    return ".".join(parts)


@torch.no_grad()
def check(
    folded: Folded, whole: nn.Module, module: nn.Module, images: Tensor, *, trained: bool
) -> Check:
    """That the folded network puts out what the whole one does.

    One that was not trained is compared with statistics and factors drawn for it: with those a
    batch norm starts with, folding it hardly changes a number.
    """
    how = ""
    if not trained:
        whole, module, how = deepcopy(whole), deepcopy(module), ", with drawn statistics"
        _stir(whole)
        fold_into(module, whole, folded)
    apart = difference(module(images), whole(images))
    left = f", {len(folded.left)} left" if folded.left else ""
    count = len(folded.pairs)
    text = (
        f"{count} batch norm{'s' if count > 1 else ''} folded{left}: outputs within "
        f"{TOLERANCE['fold']:g} of the largest ({apart:.1e}{how})"
    )
    return Check("fold", apart <= TOLERANCE["fold"], text)


def _stir(module: nn.Module) -> None:
    """Statistics, factors and shifts that no two channels share."""
    draw = torch.Generator().manual_seed(1)
    lowest = {"running_mean": -0.5, "running_var": 0.5, "weight": 0.5, "bias": -0.5}
    for norm in module.modules():
        tensors = norm.state_dict()
        if lowest.keys() <= tensors.keys():
            for name, low in lowest.items():
                tensors[name].copy_(torch.rand(tensors[name].shape, generator=draw) + low)
