"""An image as it was decoded -> what a network is tested on: its size, (x - mean) / std."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor
from torchvision.transforms import v2
from torchvision.transforms.v2.functional import pil_to_tensor

from resgen.train.data.images import Data, Images

Size = tuple[int, int]


def normalised(
    pixels: Tensor, mean: Tensor, std: Tensor, *,
    size: Size, channels: int, layout: torch.memory_format,
) -> Tensor:  # fmt: skip
    """(x - mean) / std a channel, resized, grey spread to colour; mean and std are (C, 1, 1)."""
    if mean.shape[0] > pixels.shape[1]:  # grey, by the statistics of colour
        pixels = pixels.expand(-1, mean.shape[0], -1, -1)
    # Laid out while they are bytes, then changed in place: the fewest passes over memory.
    images = pixels.contiguous(memory_format=layout).float()
    # A row of each number: a loop over three channels alone is too short to be fast.
    mean, std = (
        number.expand(1, -1, 1, images.shape[-1]).contiguous(memory_format=layout)
        for number in (mean, std)
    )
    images = images.sub_(mean).div_(std)
    if images.shape[-2:] != size:
        images = F.interpolate(images, size, mode="bilinear", antialias=True)
    if images.shape[1] != channels:
        images = images.expand(-1, channels, -1, -1)
    return images.contiguous(memory_format=layout)


def middle(size: Size, share: float) -> v2.Transform:
    """The middle of an image: its short side scaled to size / share, then `size` cut out."""
    short = round(min(size) / share)
    return v2.Compose([v2.Resize(short, antialias=True), v2.CenterCrop(size)])


def statistics(channels: int, values: tuple[float, ...]) -> tuple[float, ...]:
    """Colour statistics as they are for colour, and their mean for grey."""
    return values if len(values) == channels else (sum(values) / len(values),)


@dataclass(frozen=True)
class Preparation:
    """What happens to a single image between its file and a trained network."""

    size: Size
    channels: int
    mean: tuple[float, ...]
    std: tuple[float, ...]
    crop: float | None
    """The part of the short side that is looked at; None scales the whole image to the size."""

    @classmethod
    def of(cls, data: Data, *, size: Size, channels: int, crop: float) -> Preparation:
        """That of a run's test images: whole where they are in memory, else their middle."""
        share = None if isinstance(data.train, Images) else crop
        return cls(size, channels, data.mean, data.std, share)

    @property
    def mode(self) -> str:
        """How a file is decoded: in grey where the network takes it, or has only seen grey."""
        return "L" if 1 in (self.channels, len(self.mean)) else "RGB"

    def picture(self, image: Image.Image) -> Tensor:
        """One image as the network takes it, (C, H, W)."""
        return self.batch(pil_to_tensor(image)[None])[0]

    def batch(
        self, pixels: Tensor, layout: torch.memory_format = torch.contiguous_format
    ) -> Tensor:
        """Images of one size, bytes (N, C, H, W), as the network takes them."""
        planes = 1 if self.mode == "L" else 3
        if pixels.shape[1] != planes:
            pixels = _grey(pixels) if planes == 1 else pixels.expand(-1, planes, -1, -1)
        if self.crop is not None:
            pixels = middle(self.size, self.crop)(pixels)
        mean, std = (
            torch.tensor(statistics(planes, values), device=pixels.device)[:, None, None] * 255
            for values in (self.mean, self.std)
        )
        return normalised(pixels, mean, std, size=self.size, channels=self.channels, layout=layout)


def _grey(pixels: Tensor) -> Tensor:
    """As Pillow: 0.299 red + 0.587 green + 0.114 blue, in whole numbers."""
    red, green, blue = pixels.int().unbind(1)
    return ((19595 * red + 38470 * green + 7471 * blue + 32768) >> 16).byte()[:, None]
