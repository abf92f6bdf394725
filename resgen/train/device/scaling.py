"""fp16's gradients: computed at a scale at which few vanish, and scaled back before their use."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.amp import GradScaler

LEAST = 1.0
"""The scale below which a gradient that is not finite is no matter of the scale."""


class Scaling:
    """g = (gradient of scale x loss) / scale, by torch's GradScaler; the scale lies on the device.

    It is halved by each step whose gradient is not finite, which is left out, and doubled after
    2,000 steps without one. Nothing waits for the device.
    """

    def __init__(self, device: torch.device) -> None:
        self.scaler = GradScaler(device.type)
        self.skipped = torch.zeros((), dtype=torch.int64, device=device)
        """Steps left out."""

    def up(self, loss: Tensor) -> Tensor:
        """What is differentiated in place of the loss."""
        return self.scaler.scale(loss)

    def down(self, optimizer: torch.optim.Optimizer) -> None:
        """Takes the scale out of the gradients."""
        self.scaler.unscale_(optimizer)

    def judged(self, bad: Tensor, loss: Tensor) -> Tensor:
        """Whether a step that is left out is no matter of the scale; this follows the step.

        The loss is not scaled: where it is not finite, running statistics are not, either.
        """
        scale = self.scaler._scale
        assert scale is not None
        lost = bad & ((scale < LEAST) | ~torch.isfinite(loss))
        self.skipped += bad
        self.scaler.update()
        return lost

    def plain(self) -> dict[str, Any]:
        """Plain values, after waiting for the device."""
        kept = self.scaler.state_dict()
        return {
            "scale": kept["scale"], "steady": kept["_growth_tracker"], "skipped": int(self.skipped)
        }  # fmt: skip

    def restore(self, saved: dict[str, Any]) -> None:
        """Goes on from there."""
        fresh = self.scaler.state_dict()
        changed = {"scale": saved["scale"], "_growth_tracker": saved["steady"]}
        self.scaler.load_state_dict({**fresh, **changed})
        self.skipped.fill_(saved["skipped"])
