"""LAMB: Adam's direction, its length in each tensor set by the tensor's own norm."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor


class Lamb(torch.optim.Optimizer):
    """w <- w - lr (|w| / |u|) u, with u = m / (sqrt(v) + eps) + decay w (You et al. 2020).

    m <- b1 m + (1 - b1) g and v <- b2 v + (1 - b2) g^2, both divided by 1 - b^t before
    their use. Tensors without weight decay (norms and biases) take |w| / |u| as 1, as in
    the implementations that published results were trained with; so do tensors of zeros.

    Where `found_inf` is set, as torch's gradient scaler does, and is above 0, the weights
    stay as they are; nothing waits for the device.
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
        """One update of all tensors that have a gradient."""
        for group in self.param_groups:
            for weight in group["params"]:
                if weight.grad is not None:
                    self._update(weight, group)

    def _update(self, weight: Tensor, group: dict[str, Any]) -> None:
        gradient, state = weight.grad, self.state[weight]
        assert gradient is not None
        if not state:
            state["step"] = 0
            state["m"] = torch.zeros_like(weight)
            state["v"] = torch.zeros_like(weight)
        rate: float | Tensor = group["lr"]
        if self.found_inf is not None:
            bad = self.found_inf > 0
            gradient = torch.where(bad, 0.0, gradient)
            rate = torch.where(bad, 0.0, rate)
        state["step"] += 1
        first, second = group["betas"]
        state["m"].lerp_(gradient, 1 - first)
        state["v"].lerp_(gradient.square(), 1 - second)
        mean = state["m"] / (1 - first ** state["step"])
        square = state["v"] / (1 - second ** state["step"])
        direction = mean / (square.sqrt() + group["eps"])
        if group["weight_decay"]:
            direction += group["weight_decay"] * weight
            mine, its = weight.norm(), direction.norm()
            direction *= torch.where((mine > 0) & (its > 0), mine / its, 1.0)
        weight -= rate * direction
