"""A batch of bytes -> what the network is trained on: one function for every feed, on the device.

In this order: pad-crop, flip, random operations, (x - mean) / deviation, erasing, mixing. Each
image is changed by draws of its own, but for mixing, which is drawn once for a share.
"""

from __future__ import annotations

from math import log

import torch
import torch.nn.functional as F
from torch import Tensor
from torchvision.transforms import v2

from resgen.train.data.draws import Draws
from resgen.train.data.preparing import Normal
from resgen.train.data.randomly import random_ops
from resgen.train.data.seeds import drawn_apart
from resgen.train.recipe.keys import Augment

_ATTEMPTS = 10
"""Rectangles that are tried for an image before nothing of it is erased."""
_SHAPES = (log(3 / 10), log(10 / 3))


def augmented(
    images: Tensor, labels: Tensor, *, recipe: Augment, draws: Draws, normal: Normal, classes: int
) -> tuple[Tensor, Tensor]:
    """A share of a step's batch, bytes (N, C, H, W) of the size that is trained on."""
    if recipe.crop == "pad":
        images = pad_crop(images, recipe.pad, draws)
    if recipe.flip == "horizontal":
        images = flip(images, draws)
    if recipe.random != "none":
        images = random_ops(images, recipe, draws, normal.grey_level(images.shape[1]))
    images = normal(images)
    if recipe.erase:
        images = erase(images, recipe.erase, draws)
    if recipe.mixup or recipe.cutmix:
        images, labels = mix(images, labels, classes, recipe, draws)
    return images, labels


def pad_crop(images: Tensor, pad: int, draws: Draws) -> Tensor:
    """A window of the old size at a place of its own in each image with zeros around it."""
    height, width = images.shape[2:]
    reach = 2 * pad + 1
    # Channels last, as the images lie in memory: rows are copied whole.
    padded = F.pad(images.permute(0, 2, 3, 1), [0, 0] + [pad] * 4)
    # All windows of all images, as a view; one is then copied of each image.
    windows = padded.unfold(1, height, 1).unfold(2, width, 1).movedim(3, -1)
    rows, columns = (
        (draws.uniform(purpose) * reach).long().to(images.device, non_blocking=True)
        for purpose in ("row", "column")
    )
    every = torch.arange(len(images), device=images.device)
    return windows[every, rows, columns].permute(0, 3, 1, 2)


def flip(images: Tensor, draws: Draws) -> Tensor:
    """Half of the images mirrored, left to right."""
    mirrored = draws.chosen("flip", 0.5).to(images.device, non_blocking=True)
    rows = images.permute(0, 2, 3, 1)  # as they lie in memory
    rows = rows.index_copy(0, mirrored, rows.index_select(0, mirrored).flip(2))
    return rows.permute(0, 3, 1, 2)


def erased_boxes(height: int, width: int, probability: float, draws: Draws) -> Tensor:
    """(N, 4): top, left, height and width of what is erased of each image; zeros of most.

    Of 2 to 33 % of the area, in a shape from 3:10 to 10:3: the first of ten draws that is
    smaller than the image (Zhong et al. 2020, as timm has it).
    """
    area, shape = draws.uniform("erase-box", _ATTEMPTS, 2).double().unbind(2)
    area = height * width * (0.02 + (1 / 3 - 0.02) * area)
    ratio = (_SHAPES[0] + (_SHAPES[1] - _SHAPES[0]) * shape).exp()
    high, wide = (area * ratio).sqrt().round(), (area / ratio).sqrt().round()
    fits = (high < height) & (wide < width)
    first = fits.int().argmax(1, keepdim=True)
    high, wide = (each.gather(1, first).squeeze(1) for each in (high, wide))
    top, left = draws.uniform("erase-place", 2).double().unbind(1)
    boxes = torch.stack(
        ((top * (height - high + 1)).floor(), (left * (width - wide + 1)).floor(), high, wide), 1
    )
    erased = (draws.uniform("erase") < probability) & fits.any(1)
    return torch.where(erased[:, None], boxes, 0).long()


def erase(images: Tensor, probability: float, draws: Draws) -> Tensor:
    """One rectangle set to 0, the mean, in a share of the (normalised) images, in place."""
    height, width = images.shape[2:]
    boxes = erased_boxes(height, width, probability, draws).to(images.device, non_blocking=True)
    top, left, high, wide = boxes[:, :, None].unbind(1)
    rows = torch.arange(height, device=images.device)[None]
    columns = torch.arange(width, device=images.device)[None]
    in_rows = (rows >= top) & (rows < top + high)
    in_columns = (columns >= left) & (columns < left + wide)
    blank = in_rows[:, :, None] & in_columns[:, None, :]
    return images.masked_fill_(blank[:, None], 0.0)


def mix(
    images: Tensor, labels: Tensor, classes: int, recipe: Augment, draws: Draws
) -> tuple[Tensor, Tensor]:
    """x <- a x_i + (1 - a) x_j, y likewise: torchvision's mixup or cutmix, one draw a share."""
    choices: list[v2.Transform] = []
    if recipe.mixup:
        choices.append(v2.MixUp(alpha=recipe.mixup, num_classes=classes))
    if recipe.cutmix:
        choices.append(v2.CutMix(alpha=recipe.cutmix, num_classes=classes))
    with drawn_apart(draws.seed, "mix", draws.step, draws.share.start):
        transform = choices[int(torch.randint(len(choices), ()))]
        images, targets = transform(images, labels)
    return images, targets
