"""step -> the images it trains on: which, in what order, and each process's share."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from typing import TYPE_CHECKING

from resgen.errors import UserError
from resgen.train.data.seeds import generator

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class Order:
    """Every epoch a new permutation of the images, cut into whole batches.

    An epoch's last incomplete batch is left out; the images in it differ by epoch.
    With `repeats` above 1 a batch holds its images so many times, one whole round of them
    after another, and an epoch, of as many steps as without, sees that much fewer images.
    """

    count: int
    batch: int
    seed: int
    repeats: int = 1

    def __post_init__(self) -> None:
        if self.batch > self.count:
            raise UserError(
                f"a batch of {self.batch} is more than the {self.count} training images; "
                f"use --set batch={self.count} or less"
            )

    @property
    def steps(self) -> int:
        """Steps an epoch."""
        return self.count // self.batch

    def indices(self, step: int) -> torch.Tensor:
        """The images of one step, in order."""
        epoch, place = divmod(step, self.steps)
        distinct = -(-self.batch // self.repeats)
        start = place * distinct
        chosen = _permutation(self.count, self.seed, epoch)[start : start + distinct]
        return chosen.repeat(self.repeats)[: self.batch]


@lru_cache(maxsize=2)
def _permutation(count: int, seed: int, epoch: int) -> torch.Tensor:
    import torch

    return torch.randperm(count, generator=generator(seed, "order", epoch))


def shares(batch: int, *, processes: int, pieces: int) -> list[list[range]]:
    """For each process its pieces of a batch: contiguous, sizes differing by at most one."""
    parts = processes * pieces
    if batch < parts:
        raise UserError(
            f"a batch of {batch} cannot be cut into {parts} parts "
            f"({processes} processes x {pieces} accumulations)"
        )
    edges = [batch * part // parts for part in range(parts + 1)]
    cut = [range(low, high) for low, high in pairwise(edges)]
    return [cut[process * pieces : (process + 1) * pieces] for process in range(processes)]
