"""recipe -> the optimizer it names, over the groups it names; LAMB, which torch has not."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from resgen.train.recipe.groups import groups
from resgen.train.recipe.keys import Optimizer
from resgen.train.recipe.parts import ONE, Parts


class Lamb(torch.optim.Optimizer):
    """w <- w - lr (|w| / |u|) u, with u = m / (sqrt(v) + eps) + decay w (You et al. 2020).

    m <- b1 m + (1 - b1) g and v <- b2 v + (1 - b2) g^2, both divided by 1 - b^t before
    their use. Tensors without weight decay (norms and biases) take |w| / |u| as 1, as in
    the implementations that published results were trained with; so do tensors of zeros.

    Where `found_inf` is set, as torch's gradient scaler does, and is above 0, weights and
    moments stay as they are; nothing waits for the device. Such a step is counted in t.
    """

    found_inf: Tensor | None = None

    def __init__(
        self,
        params: Iterable[Any],
        lr: float,
        *,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-6,
        weight_decay: float = 0.0,
    ) -> None:
        super().__init__(
            params, {"lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay}
        )

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        """One update of all tensors that have a gradient: a few calls for each group."""
        for group in self.param_groups:
            weights = [weight for weight in group["params"] if weight.grad is not None]
            if weights:
                self._update(weights, group)

    def _update(self, weights: list[Tensor], group: dict[str, Any]) -> None:
        kept = [self._state_of(weight) for weight in weights]
        m, v = [each["m"] for each in kept], [each["v"] for each in kept]
        gradients = [weight.grad for weight in weights if weight.grad is not None]
        squares = list(torch._foreach_mul(gradients, gradients))
        rate: float | Tensor = group["lr"]
        if self.found_inf is not None:
            bad = self.found_inf > 0
            gradients, squares = _either(bad, m, gradients), _either(bad, v, squares)
            rate = torch.where(bad, 0.0, rate)
        first, second = group["betas"]
        torch._foreach_lerp_(m, gradients, 1 - first)
        torch._foreach_lerp_(v, squares, 1 - second)
        steps = [each["step"] for each in kept]
        moves = list(torch._foreach_div(m, [1 - first**step for step in steps]))
        below = torch._foreach_div(v, [1 - second**step for step in steps])
        torch._foreach_sqrt_(below)
        torch._foreach_add_(below, group["eps"])
        torch._foreach_div_(moves, below)
        if group["weight_decay"]:
            torch._foreach_add_(moves, torch._foreach_mul(weights, group["weight_decay"]))
            mine, its = (torch.stack(torch._foreach_norm(each)) for each in (weights, moves))
            lengths = torch.where((mine > 0) & (its > 0), mine / its, 1.0)
            torch._foreach_mul_(moves, list(lengths.unbind()))
        torch._foreach_mul_(moves, rate)
        torch._foreach_sub_(weights, moves)

    def _state_of(self, weight: Tensor) -> dict[str, Any]:
        """What is kept of a tensor, its steps counted with the one to come."""
        state: dict[str, Any] = self.state[weight]
        if not state:
            state.update(step=0, m=torch.zeros_like(weight), v=torch.zeros_like(weight))
        state["step"] += 1
        return state


def _either(bad: Tensor, old: Sequence[Tensor], new: Sequence[Tensor]) -> list[Tensor]:
    """The old tensors where a mark on the device is set, and else the new ones.

    Their bits are multiplied by 0 and 1, as whole numbers: 0 times NaN would be NaN, and a choice
    for each tensor would be a call for each.
    """
    taken = []
    for tensors, mark in ((old, bad), (new, ~bad)):
        bits = [each.view(_WHOLE[each.element_size()]) for each in tensors]
        taken.append(torch._foreach_mul(bits, mark.to(bits[0].dtype)))
    torch._foreach_add_(*taken)
    return [bits.view(old[0].dtype) for bits in taken[0]]


_WHOLE = {2: torch.int16, 4: torch.int32, 8: torch.int64}


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
    nesterov = recipe.momentum_kind == "nesterov"
    made = torch.optim.SGD(
        found, recipe.lr, momentum=recipe.momentum, nesterov=nesterov, fused=fused
    )
    _begin(made)
    return made


def _begin(optimizer: torch.optim.Optimizer) -> None:
    """Gives fused SGD its momenta before the first step.

    It takes memory for them that holds anything, and where that step is dropped leaves it so.
    """
    for group in optimizer.param_groups:
        if group.get("fused") and group.get("momentum"):
            for weight in group["params"]:
                optimizer.state[weight].setdefault("momentum_buffer", torch.zeros_like(weight))


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
    _begin(optimizer)
