"""Where the names of points go: each nearer to its own point than to any other's.

Places around a point are tried from near to far; one is taken where it lies over no point and no
other name. Points that touch are one to the eye and have their names in one place, below each
other. Names that found no place are tried first in the next round.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

_FAR = (2, 3.5, 5.5, 8, 11, 15, 20, 26, 34, 44, 56)  # from a point's edge, in units of the page
_ROUNDS = 16


class Box(NamedTuple):
    """A rectangle of the page."""

    left: float
    low: float
    right: float
    top: float

    def distance(self, x: float, y: float) -> float:
        """How far a point lies outside; 0 inside."""
        across = max(self.left - x, x - self.right, 0.0)
        up = max(self.low - y, y - self.top, 0.0)
        return float(np.hypot(across, up))

    def nearest(self, x: float, y: float) -> tuple[float, float]:
        """The place in it that lies nearest to a point."""
        return min(max(x, self.left), self.right), min(max(y, self.low), self.top)


def touching(dots: Sequence[tuple[float, float]], radius: float) -> list[list[int]]:
    """The points by their numbers, those that touch together."""
    groups: list[list[int]] = []
    for index, dot in enumerate(dots):
        met = [
            g for g in groups if any(np.hypot(*np.subtract(dots[k], dot)) < 2 * radius for k in g)
        ]
        groups = [g for g in groups if g not in met] + [
            sorted([*(k for g in met for k in g), index])
        ]
    return sorted(groups)


def placed(
    dots: Sequence[tuple[float, float]],
    groups: Sequence[Sequence[int]],
    sizes: Sequence[tuple[float, float]],
    frame: Box,
    radius: float,
) -> list[Box | None]:
    """Where each group's names go in a frame, sizes being (width, height); None for no place."""
    points = np.array(dots, dtype=float).reshape(-1, 2)
    free = [
        _free(points, group, size, frame, radius) for group, size in zip(groups, sizes, strict=True)
    ]
    waited = np.zeros(len(groups))
    fewest = np.array([len(each) for each in free])
    best: list[Box | None] = [None] * len(groups)
    for _ in range(_ROUNDS):
        found: list[Box | None] = [None] * len(groups)
        taken = np.zeros((0, 4))
        for index in np.lexsort((fewest, -waited)):
            places = free[index][~_over(free[index], taken)]
            if len(places):
                found[index] = Box(*map(float, places[0]))
                taken = np.vstack([taken, places[:1]])
        if sum(each is None for each in found) < sum(each is None for each in best):
            best = found
        if None not in found:
            break
        waited += [each is None for each in found]
    return best


def merged(
    dots: Sequence[tuple[float, float]], groups: Sequence[Sequence[int]], alone: Sequence[int]
) -> list[list[int]]:
    """The groups, those of the numbers `alone` each joined to the one nearest to it."""
    left = [list(group) for group in groups]
    for group in [left[number] for number in alone]:
        others = [each for each in left if each is not group]
        if group in left and others:
            nearest = min(others, key=lambda other: _apart(dots, group, other))
            left = [each for each in left if each is not group and each is not nearest]
            left.append(sorted(group + nearest))
    return sorted(left)


def _apart(dots: Sequence[tuple[float, float]], one: Sequence[int], other: Sequence[int]) -> float:
    return min(float(np.hypot(*np.subtract(dots[a], dots[b]))) for a in one for b in other)


def _free(
    points: Any, group: Sequence[int], size: tuple[float, float], frame: Box, radius: float
) -> Any:
    """The places for a name of a size that no other point spoils, near ones first."""
    turns = np.arange(0, 2 * np.pi, np.pi / 8)
    ways = np.stack([np.cos(turns), np.sin(turns)], axis=1)
    # To the right of its point a name starts, above it it is centred.
    lean = np.clip(1.6 * ways, -1, 1)
    half = np.array(size) / 2
    centres = np.concatenate(
        [points[k] + (far + radius) * ways + half * lean for far in _FAR for k in group]
    )
    boxes = np.concatenate([centres - half, centres + half], axis=1)
    inside = (boxes[:, :2] >= frame[:2]).all(axis=1) & (boxes[:, 2:] <= frame[2:]).all(axis=1)
    boxes = boxes[inside]
    gaps = np.maximum(
        np.maximum(boxes[:, None, :2] - points[None], points[None] - boxes[:, None, 2:]), 0
    )
    far = np.hypot(gaps[..., 0], gaps[..., 1])
    others = np.ones(len(points), dtype=bool)
    others[list(group)] = False
    own = far[:, ~others].min(axis=1)
    rest = far[:, others].min(axis=1) if others.any() else np.full(len(boxes), np.inf)
    fits: Any = (own + 0.5 < rest) & (np.minimum(own, rest) > radius + 0.5)
    return boxes[fits]


def _over(places: Any, taken: Any) -> Any:
    """Which places lie over what is taken, a hair's breadth included."""
    return (
        (
            (places[:, None, :2] < taken[None, :, 2:] + 0.8)
            & (places[:, None, 2:] > taken[None, :, :2] - 0.8)
        )
        .all(axis=2)
        .any(axis=1)
    )
