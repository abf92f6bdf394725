"""Batched augmentation on the device, each image by draws of its own.

All draws of a step are made for the whole batch from the step's own seed and then cut
to a process's share, so that the same image is changed the same way however many
processes there are, and again when a run is resumed.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor
from torchvision.transforms import v2

from resgen.train.data.seeds import drawn_apart, generator
from resgen.train.recipe.keys import Augment


@dataclass(frozen=True)
class Draws:
    """Uniform numbers in [0, 1) for one share of one step's batch."""

    seed: int
    step: int
    batch: int
    share: range
    device: torch.device

    def uniform(self, purpose: str) -> Tensor:
        """One number an image."""
        return self._drawn(purpose).to(self.device, non_blocking=True)

    def chosen(self, purpose: str, probability: float) -> Tensor:
        """The indices of the images for which something is done."""
        indices = (self._drawn(purpose) < probability).nonzero().flatten()
        return indices.to(self.device, non_blocking=True)

    def _drawn(self, purpose: str) -> Tensor:
        # On the CPU, so that every device sees the same numbers and none waits for them.
        rng = generator(self.seed, "augment", purpose, self.step)
        return torch.rand(self.batch, generator=rng)[self.share.start : self.share.stop]


def crop_and_flip(pixels: Tensor, indices: Tensor, recipe: Augment, draws: Draws) -> Tensor:
    """pixels[indices], each padded, cropped at a place of its own and perhaps mirrored."""
    # Channels last, as the images lie in memory: rows are copied whole.
    images = pixels.permute(0, 2, 3, 1).index_select(0, indices)
    if recipe.crop == "pad":
        height, width = images.shape[1:3]
        reach = 2 * recipe.pad + 1
        padded = F.pad(images, [0, 0] + [recipe.pad] * 4)
        # All windows of all images, as a view; one is then copied of each image.
        windows = padded.unfold(1, height, 1).unfold(2, width, 1).movedim(3, -1)
        rows = (draws.uniform("row") * reach).long()
        columns = (draws.uniform("column") * reach).long()
        images = windows[torch.arange(len(images), device=images.device), rows, columns]
    if recipe.flip == "horizontal":
        mirrored = draws.chosen("flip", 0.5)
        images.index_copy_(0, mirrored, images.index_select(0, mirrored).flip(2))
    return images.permute(0, 3, 1, 2)


def resized_crop(images: Tensor, size: tuple[int, int], recipe: Augment, draws: Draws) -> Tensor:
    """A rectangle of random area and shape of each image, scaled to `size` (bilinear)."""
    area = recipe.min_area + (1 - recipe.min_area) * draws.uniform("area")
    # The logarithm of the shape is uniform between those of 3:4 and 4:3.
    shape = (4 / 3) ** (2 * draws.uniform("shape") - 1)
    wide = (area * shape).sqrt().clamp(max=1)
    high = (area / shape).sqrt().clamp(max=1)
    theta = torch.zeros(len(images), 2, 3, device=images.device)
    theta[:, 0, 0], theta[:, 0, 2] = wide, (1 - wide) * (2 * draws.uniform("left") - 1)
    theta[:, 1, 1], theta[:, 1, 2] = high, (1 - high) * (2 * draws.uniform("top") - 1)
    grid = F.affine_grid(theta, [len(images), images.shape[1], *size], align_corners=False)
    return F.grid_sample(images, grid, padding_mode="reflection", align_corners=False)


def random_ops(images: Tensor, recipe: Augment, draws: Draws) -> Tensor:
    """torchvision's RandAugment or TrivialAugment on uint8 images, eight images a draw.

    Its operations work on whole tensors; groups of eight keep most of the variety
    at an eighth of the calls. The groups are those of the whole batch, also where a
    share begins or ends within one.
    """
    transform = (
        v2.RandAugment(recipe.random_ops, recipe.random_magnitude)
        if recipe.random == "randaugment"
        else v2.TrivialAugmentWide()
    )
    done = []
    share = draws.share
    for group in range(share.start // 8, -(-share.stop // 8)):
        low, high = max(8 * group, share.start), min(8 * group + 8, share.stop)
        with drawn_apart(draws.seed, "random-ops", draws.step, group):
            done.append(transform(images[low - share.start : high - share.start]))
    return torch.cat(done)


def erase(images: Tensor, probability: float, draws: Draws) -> Tensor:
    """Blanks one rectangle of 2 to 33 % of the area, in a share of the (normalised) images."""
    height, width = images.shape[-2:]
    area = 0.02 + 0.31 * draws.uniform("erase-area")
    shape = (10 / 3) ** (2 * draws.uniform("erase-shape") - 1)
    high = (area * shape).sqrt().clamp(max=1) * height
    wide = (area / shape).sqrt().clamp(max=1) * width
    top = draws.uniform("erase-top") * (height - high)
    left = draws.uniform("erase-left") * (width - wide)
    rows = torch.arange(height, device=images.device)[None]
    columns = torch.arange(width, device=images.device)[None]
    in_rows = (rows >= top[:, None]) & (rows < (top + high)[:, None])
    in_columns = (columns >= left[:, None]) & (columns < (left + wide)[:, None])
    chosen = draws.uniform("erase")[:, None, None] < probability
    blank = in_rows[:, :, None] & in_columns[:, None, :] & chosen
    return images.masked_fill(blank[:, None], 0.0)


def mix(
    images: Tensor, labels: Tensor, classes: int, recipe: Augment, draws: Draws
) -> tuple[Tensor, Tensor]:
    """x <- a x_i + (1 - a) x_j, y likewise: torchvision's mixup or cutmix, one draw a step."""
    choices: list[v2.Transform] = []
    if recipe.mixup:
        choices.append(v2.MixUp(alpha=recipe.mixup, num_classes=classes))
    if recipe.cutmix:
        choices.append(v2.CutMix(alpha=recipe.cutmix, num_classes=classes))
    with drawn_apart(draws.seed, "mix", draws.step, draws.share.start):
        transform = choices[int(torch.randint(len(choices), ()))]
        images, targets = transform(images, labels)
    return images, targets
