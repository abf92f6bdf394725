"""(seed, purpose, step, place) -> numbers: all that is drawn for the images of a step.

They are drawn for the whole batch and then cut to a process's share, so that the same image is
changed the same way however many processes there are, and again when a run is resumed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from resgen.train.data.seeds import generator


@dataclass(frozen=True)
class Draws:
    """Numbers for one share of one step's batch, a row an image.

    They are made on the CPU, so that every device sees the same ones and none is waited for.
    """

    seed: int
    step: int
    batch: int
    share: range

    def uniform(self, purpose: str, *columns: int) -> Tensor:
        """In [0, 1): one number an image, or so many columns of them."""
        return self._drawn(torch.rand, purpose, columns)

    def normal(self, purpose: str) -> Tensor:
        """Of mean 0 and deviation 1, one an image."""
        return self._drawn(torch.randn, purpose, ())

    def chosen(self, purpose: str, probability: float) -> Tensor:
        """The places in the share for which something is done."""
        return (self.uniform(purpose) < probability).nonzero().flatten()

    def _drawn(self, make: Callable[..., Tensor], purpose: str, columns: tuple[int, ...]) -> Tensor:
        rng = generator(self.seed, "augment", purpose, self.step)
        return make(self.batch, *columns, generator=rng)[self.share.start : self.share.stop]
