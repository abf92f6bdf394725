"""A picture of any size -> one of the network's: its middle, or a rectangle drawn for it.

Pictures are bytes (C, H, W), or several of one size (N, C, H, W). Workers that read files and
the set in memory call the same functions, so that a picture is the same by either way.
"""

from __future__ import annotations

from collections.abc import Sequence
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


def resized(pictures: Tensor, size: Size, interpolation: Interpolation) -> Tensor:
    """Scaled with antialiasing; themselves where they have the size."""
    if pictures.shape[-2:] == size:
        return pictures
    made: Tensor = F.resize(
        pictures, list(size), interpolation=InterpolationMode(interpolation), antialias=True
    )
    return made


def middle(pictures: Tensor, size: Size, share: float, interpolation: Interpolation) -> Tensor:
    """The middle: scaled so that `size` is this share of the shorter side, then cut out."""
    height, width = pictures.shape[-2:]
    high, wide = round(size[0] / share), round(size[1] / share)
    # The side that is shorter, measured by the network's; the other keeps the picture's shape.
    if high * width >= wide * height:
        wide = max(size[1], int(high * width / height))
    else:
        high = max(size[0], int(wide * height / width))
    scaled = resized(pictures, (high, wide), interpolation)
    cut: Tensor = F.center_crop(scaled, list(size))
    return cut


def whole_or_middle(
    pictures: Tensor, size: Size, share: float, interpolation: Interpolation
) -> Tensor:
    """What is tested on: `middle`, and of pictures no larger than the network's nothing cut off."""
    height, width = pictures.shape[-2:]
    small = height <= size[0] or width <= size[1]
    return middle(pictures, size, 1.0 if small else share, interpolation)


def random_resized(
    picture: Tensor, size: Size, numbers: Sequence[float], min_area: float,
    interpolation: Interpolation,
) -> Tensor:  # fmt: skip
    """`random_box` of one picture (C, H, W), scaled to `size`."""
    _, high, wide = picture.shape
    top, left, height, width = random_box(high, wide, numbers, min_area)
    return resized(picture[:, top : top + height, left : left + width], size, interpolation)


def together(pictures: Sequence[Tensor]) -> Tensor:
    """Pictures (C, H, W) -> a batch (N, C, H, W) that lies as (N, H, W, C), as the network's."""
    return torch.stack([each.permute(1, 2, 0) for each in pictures]).permute(0, 3, 1, 2)
