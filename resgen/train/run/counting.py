"""Loss, top-1 and top-5 errors, summed over images on the device that counts them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

TOP = 5
"""Classes of an image's answer among which the true one is looked for."""
MANY = 10
"""A network of more classes has its top-5 error watched as it trains."""


class Means(NamedTuple):
    """Mean loss and errors as fractions; no top-5 error where it was not counted."""

    loss: float
    error: float
    top5: float | None = None


@dataclass
class Count:
    """Loss and errors summed over images; they stay on the device until they are read."""

    sums: Tensor
    """(loss, errors, images), and behind them of many classes the top-5 errors"""

    @classmethod
    def zero(cls, device: torch.device, classes: int = 0) -> Count:
        """Nothing counted yet of a network of this many classes."""
        kind = torch.float32 if device.type == "mps" else torch.float64
        return cls(torch.zeros(4 if classes > MANY else 3, dtype=kind, device=device))

    def add(self, loss: Tensor, logits: Tensor, labels: Tensor) -> None:
        """Counts a batch: its summed loss, and whose true class is not the first, or in five.

        Of a mixed label the class of the largest share is the true one.
        """
        truth = labels if labels.dim() == 1 else labels.argmax(1)
        # Each added in place: an assignment to an element would copy it once more.
        self.sums[0].add_(loss)
        self.sums[1].add_((logits.argmax(1) != truth).sum())
        self.sums[2].add_(len(truth))
        if len(self.sums) > 3:
            self.sums[3].add_((best_classes(logits) != truth[:, None]).all(1).sum())

    def read(self) -> Means:
        """The means over the images, after waiting for the device."""
        loss, errors, images, *top5 = self.sums.tolist()
        images = max(images, 1)
        return Means(loss / images, errors / images, top5[0] / images if top5 else None)


def best_classes(logits: Tensor, top: int = TOP) -> Tensor:
    """(N, K) logits -> (N, min(top, K)): the classes of the largest, best first.

    The first is argmax's also where some are equal.
    """
    order = logits.topk(min(top, logits.shape[1])).indices
    first = logits.argmax(1, keepdim=True)
    # The first class goes to the front; where it was not among equals, the last one falls out.
    front = torch.cat([first, order], 1)
    again = torch.cat([torch.zeros_like(first, dtype=torch.bool), order == first], 1)
    kept = again.int().argsort(dim=1, stable=True)
    return front.gather(1, kept)[:, : order.shape[1]]
