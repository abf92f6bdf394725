"""Channels of a wider network, by those of the narrower one that they hold."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from resgen.plan import layers as L
from resgen.plan.layers import Layer
from resgen.weights.identity import Impossible

Channels = Tensor
"""For each channel of the wider network the one it holds."""

_Padded = L.PaddedIdentity | L.PooledIdentity | L.OffsetIdentity


def spread(small: int, large: int) -> Channels:
    """Each channel's copies side by side: equal slices of both widths hold each other."""
    return torch.arange(large) * small // large


def same(of: Channels) -> bool:
    """Whether every channel is itself."""
    return torch.equal(of, torch.arange(len(of)))


def sliced(of: Channels, small: Sequence[int], large: Sequence[int]) -> list[Channels]:
    """The channels cut into slices, each of which holds one slice of the narrower network's."""
    found, here, there = [], 0, 0
    for few, many in zip(small, large, strict=True):
        part = of[here : here + many] - there
        if len(part) and (part.min() < 0 or part.max() >= few):
            raise Impossible("its slices of channels do not hold each other")
        found.append(part)
        here, there = here + many, there + few
    return found


def chooses(layer: Layer) -> bool:
    """Whether a layer may put out any channels; others hand on those they take in."""
    op = layer.op
    if isinstance(op, L.Part | L.Branches | L.Residual):
        return any(map(chooses, L.inside(op)))
    if isinstance(op, L.Conv):
        return not op.groups == op.in_channels == op.out_channels
    return isinstance(op, L.Linear)


def shares(draw: torch.Generator, of: Channels, channels: int) -> Tensor:
    """Shares that differ and add up to one over the copies of each channel."""
    drawn = torch.rand(len(of), generator=draw, dtype=torch.float64) + 0.5
    total = torch.zeros(channels, dtype=torch.float64).index_add_(0, of, drawn)
    return (drawn / total[of]).float()


def several(of: Channels, each: int) -> Channels:
    """Every channel as so many, one behind the other."""
    return (of[:, None] * each + torch.arange(each)).flatten()


def padded(called: str, small: _Padded, large: _Padded, of: Channels) -> Channels:
    """The channels of an identity, and new ones that are zero, ahead of it or behind it."""
    ahead = [op.before if isinstance(op, L.OffsetIdentity) else 0 for op in (small, large)]
    behind = [
        op.out_channels - op.in_channels - n for op, n in zip((small, large), ahead, strict=True)
    ]
    alike = [bool(here) == bool(there) for here, there in (ahead, behind)]
    if not all(alike) or small.stride != large.stride:
        raise Impossible(f"{called} pads its channels otherwise here than there")
    return torch.cat(
        (
            spread(ahead[0], ahead[1]),
            of + ahead[0],
            spread(behind[0], behind[1]) + ahead[0] + small.in_channels,
        )
    )
