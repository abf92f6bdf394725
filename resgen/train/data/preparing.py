"""An image as it was decoded -> what a network is tested on: its size, (x - mean) / deviation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from resgen.train.data.cropping import Interpolation, Size, middle, whole_or_middle
from resgen.train.data.decoding import as_pixels
from resgen.train.data.operations import grey


@dataclass(frozen=True)
class Normal:
    """(x - mean) / deviation a channel, of bytes; grey is spread to the network's channels."""

    mean: Tensor
    """(C, 1, 1), in grey levels."""
    std: Tensor
    channels: int
    layout: torch.memory_format

    @classmethod
    def of(
        cls, mean: tuple[float, ...], std: tuple[float, ...], *, channels: int,
        device: torch.device, layout: torch.memory_format,
    ) -> Normal:  # fmt: skip
        """By fractions of white; for a grey network the mean of the colours' own."""

        def placed(values: tuple[float, ...]) -> Tensor:
            if channels == 1:
                values = (sum(values) / len(values),)
            return torch.tensor(values, device=device)[:, None, None] * 255

        return cls(placed(mean), placed(std), channels, layout)

    def __call__(self, pixels: Tensor) -> Tensor:
        """(N, C, H, W) bytes -> floating point, laid out as the network wants it."""
        if len(self.mean) > pixels.shape[1]:  # grey, by the statistics of colour
            pixels = pixels.expand(-1, len(self.mean), -1, -1)
        # Laid out while they are bytes, then changed in place: the fewest passes over memory.
        images = pixels.contiguous(memory_format=self.layout).float()
        # A row of each number: a loop over three channels alone is too short to be fast.
        mean, std = (
            number.expand(1, -1, 1, images.shape[-1]).contiguous(memory_format=self.layout)
            for number in (self.mean, self.std)
        )
        images = images.sub_(mean).div_(std)
        if images.shape[1] != self.channels:
            images = images.expand(-1, self.channels, -1, -1)
        return images.contiguous(memory_format=self.layout)

    def grey_level(self, channels: int) -> Tensor:
        """The mean as bytes, one a channel of the images."""
        mean = self.mean.flatten()
        mean = mean if len(mean) == channels else mean.mean().expand(channels)
        return mean.round().byte()


@dataclass(frozen=True)
class Preparation:
    """What happens to a single image between its file and a trained network."""

    size: Size
    channels: int
    mean: tuple[float, ...]
    std: tuple[float, ...]
    crop: float | None
    """The part of the short side that is looked at; None squeezes the whole image into the size, as
    runs of earlier versions did with images in memory."""
    interpolation: Interpolation = "bilinear"
    small: Literal["whole", "cropped"] = "whole"
    """Whether images no larger than the network's are cropped, too."""

    @property
    def mode(self) -> str:
        """How a file is decoded: in grey where the network takes it, or has only seen grey."""
        return "L" if 1 in (self.channels, len(self.mean)) else "RGB"

    def picture(self, image: Image.Image) -> Tensor:
        """One image as the network takes it, (C, H, W)."""
        return self.batch(as_pixels(image)[None])[0]

    def batch(
        self, pixels: Tensor, layout: torch.memory_format = torch.contiguous_format
    ) -> Tensor:
        """Images of one size, bytes (N, C, H, W), as the network takes them."""
        planes = 1 if self.mode == "L" else 3
        if pixels.shape[1] != planes:
            pixels = grey(pixels) if planes == 1 else pixels.expand(-1, planes, -1, -1)
        normal = Normal.of(
            self.mean, self.std, channels=self.channels, device=pixels.device, layout=layout
        )
        if self.crop is None:
            images = normal(pixels)
            if images.shape[-2:] != self.size:
                images = F.interpolate(images, self.size, mode="bilinear", antialias=True)
            return images.contiguous(memory_format=layout)
        cut = whole_or_middle if self.small == "whole" else middle
        height, width = pixels.shape[-2:]
        return normal(cut(height, width, self.size, self.crop, self.interpolation)(pixels))
