"""Pixels -> mean and deviation of each channel, counted exactly."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

Levels = tuple[float, ...]


def measured(pictures: Iterable[Tensor]) -> tuple[Levels, Levels]:
    """(mean, deviation) a channel over all pixels, as fractions of white.

    Of bytes (..., C, H, W) of any sizes. The deviation is at least one grey level.
    """
    # Counting byte values is exact and needs no copy in floating point.
    import torch

    counts: Tensor | int = 0
    for picture in pictures:
        channels = [each.flatten().int() for each in picture.unbind(-3)]
        counts = counts + torch.stack([torch.bincount(each, minlength=256) for each in channels])
    assert not isinstance(counts, int), "there are no images"
    means, deviations = [], []
    values = torch.arange(256, dtype=torch.float64) / 255
    for each in counts:
        count = each.double()
        mean = (count * values).sum() / count.sum()
        spread = (count * (values - mean) ** 2).sum() / count.sum()
        means.append(float(mean))
        deviations.append(max(float(spread.sqrt()), 1 / 255))
    return tuple(means), tuple(deviations)
