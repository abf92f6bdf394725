"""A picture of any size -> one of the network's: its middle, or a rectangle drawn for it.

Pictures are bytes (C, H, W), or several of one size (N, C, H, W). Workers that read files and
the set in memory call the same functions, so that a picture is the same by either way.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import exp, log, sqrt
from typing import Literal, NamedTuple

import torch
from torch import Tensor
from torchvision.transforms.v2 import InterpolationMode
from torchvision.transforms.v2 import functional as F

Size = tuple[int, int]
Interpolation = Literal["bilinear", "bicubic"]
ATTEMPTS = 10
"""Rectangles that are tried for a picture before its middle is taken."""
NUMBERS = 2 * ATTEMPTS + 2
"""Uniform numbers that a picture's rectangle is made of: an area and a shape each, then its place.
"""
_SHAPES = (log(3 / 4), log(4 / 3))
SCALES = (8, 4, 2)
"""How much smaller than it is a JPEG can be decoded at once."""
SPARE = 2
"""Pixels that a picture decoded smaller still has for one that is wanted, both ways: the chosen
interpolation then decides what is seen. Pillow's thumbnails leave as many."""


class Box(NamedTuple):
    """A rectangle of a picture, in pixels."""

    top: int
    left: int
    height: int
    width: int


def random_box(height: int, width: int, numbers: Sequence[float], min_area: float) -> Box:
    """A share of the area from `min_area` to 1 in a shape from 3:4 to 4:3 (Szegedy et al. 2015).

    The first of ten draws that lies inside the picture; if none does, the largest rectangle of
    such a shape in its middle. As torchvision's RandomResizedCrop; `numbers` are uniform.
    """
    for attempt in range(ATTEMPTS):
        share, shape = numbers[2 * attempt : 2 * attempt + 2]
        area = height * width * (min_area + (1 - min_area) * share)
        ratio = exp(_SHAPES[0] + (_SHAPES[1] - _SHAPES[0]) * shape)
        wide, high = round(sqrt(area * ratio)), round(sqrt(area / ratio))
        if 0 < wide <= width and 0 < high <= height:
            top, left = numbers[-2:]
            return Box(int(top * (height - high + 1)), int(left * (width - wide + 1)), high, wide)
    wide, high = min(width, round(height * 4 / 3)), min(height, round(width * 4 / 3))
    return Box((height - high) // 2, (width - wide) // 2, high, wide)


class Cut(NamedTuple):
    """A rectangle of a picture, scaled to a size, of which the middle is kept."""

    box: Box
    scaled: Size
    kept: Size
    interpolation: Interpolation

    def __call__(self, pictures: Tensor) -> Tensor:
        """Of one picture (C, H, W), or several (N, C, H, W)."""
        top, left, height, width = self.box
        boxed = pictures[..., top : top + height, left : left + width]
        made: Tensor = resized(boxed, self.scaled, self.interpolation)
        return made if self.kept == self.scaled else F.center_crop(made, list(self.kept))

    def shrunk(self) -> tuple[int, Cut]:
        """(times, the same of a picture that is decoded so many times smaller).

        The smallest that leaves `SPARE`. Edges are moved to the nearest that lie between two of
        its pixels, which is by a quarter of a pixel of what is made at most.
        """
        top, left, height, width = self.box
        for times in SCALES:
            low, high, near, far = (
                round(edge / times) for edge in (top, top + height, left, left + width)
            )
            box = Box(low, near, high - low, far - near)
            if box.height >= SPARE * self.scaled[0] and box.width >= SPARE * self.scaled[1]:
                return times, self._replace(box=box)
        return 1, self


Plan = Callable[[int, int], Cut]
"""(height, width) -> what is done to a picture of this size."""


def resized(pictures: Tensor, size: Size, interpolation: Interpolation) -> Tensor:
    """Scaled with antialiasing; themselves where they have the size."""
    if pictures.shape[-2:] == size:
        return pictures
    # Laid out channels last, as a batch, torch scales bytes in the shortest time.
    batch = pictures.reshape(-1, *pictures.shape[-3:]).contiguous(memory_format=torch.channels_last)
    made: Tensor = F.resize(
        batch, list(size), interpolation=InterpolationMode(interpolation), antialias=True
    )
    return made if pictures.dim() == 4 else made[0]


def middle(height: int, width: int, size: Size, share: float, interpolation: Interpolation) -> Cut:
    """A picture's middle: scaled so that `size` is this share of the shorter side, then cut out."""
    high, wide = round(size[0] / share), round(size[1] / share)
    # The side that is shorter, measured by the network's; the other keeps the picture's shape.
    if high * width >= wide * height:
        wide = max(size[1], int(high * width / height))
    else:
        high = max(size[0], int(wide * height / width))
    return Cut(Box(0, 0, height, width), (high, wide), size, interpolation)


def whole_or_middle(
    height: int, width: int, size: Size, share: float, interpolation: Interpolation
) -> Cut:
    """What is tested on: the middle, and of pictures no larger than `size` nothing cut off."""
    small = height <= size[0] or width <= size[1]
    return middle(height, width, size, 1.0 if small else share, interpolation)


def random_resized(
    height: int, width: int, size: Size, numbers: Sequence[float], min_area: float,
    interpolation: Interpolation,
) -> Cut:  # fmt: skip
    """`random_box`, scaled to `size`."""
    return Cut(random_box(height, width, numbers, min_area), size, size, interpolation)


def together(pictures: Sequence[Tensor]) -> Tensor:
    """Pictures (C, H, W) -> a batch (N, C, H, W) that lies as (N, H, W, C), as the network's."""
    return torch.stack([each.permute(1, 2, 0) for each in pictures]).permute(0, 3, 1, 2)
