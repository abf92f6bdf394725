"""An average of the weights, which follows them step by step and is what is evaluated."""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from itertools import compress
from operator import not_

import torch
from torch import Tensor, nn

COUNT, INSIDE = "n_averaged", "module."
"""Its names in a checkpoint: those of torch's AveragedModel, which runs were made with before."""


class Average:
    """average <- d average + (1 - d) weights, d = min(decay, (1 + t) / (10 + t)).

    t is 0 at the first step, so that the average soon forgets the weights that were drawn: its
    window grows with the run until it is the decay's. The formula is TensorFlow's
    (tf.train.ExponentialMovingAverage with num_updates). Running statistics are averaged like
    weights, whole numbers are copied. Two calls a step, and no wait for the device.
    """

    def __init__(self, module: nn.Module, decay: float) -> None:
        self.module = deepcopy(module)
        self.decay, self.count = decay, 0
        mine, its = ([*each.parameters(), *each.buffers()] for each in (self.module, module))
        moved = [each.is_floating_point() for each in mine]
        copied = list(map(not_, moved))
        self._moved = list(compress(mine, moved)), list(compress(its, moved))
        self._copied = list(compress(mine, copied)), list(compress(its, copied))

    @property
    def share(self) -> float:
        """1 - d: what the next step's weights count."""
        return 1 - min(self.decay, (1 + self.count) / (10 + self.count))

    @torch.no_grad()
    def follow(self) -> None:
        """Takes a step's weights in."""
        torch._foreach_lerp_(*self._moved, self.share)
        if self._copied[0]:
            torch._foreach_copy_(*self._copied)
        self.count += 1

    def state_dict(self) -> dict[str, Tensor]:
        """Its tensors and its count of steps."""
        inner = self.module.state_dict()
        return {
            COUNT: torch.tensor(self.count),
            **{f"{INSIDE}{name}": value for name, value in inner.items()},
        }

    def load_state_dict(self, saved: Mapping[str, Tensor]) -> None:
        """Goes on from there."""
        self.count = int(saved[COUNT])
        inner = {name.removeprefix(INSIDE): value for name, value in saved.items() if name != COUNT}
        self.module.load_state_dict(inner)
