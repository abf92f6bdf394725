"""Operations of random augmentation, each on many images at once and of each its own amount.

Images are bytes (N, C, H, W), grey or colour, and amounts (N,). All compute what Pillow does,
roundings included, which published recipes were run with.
"""

from __future__ import annotations

from collections.abc import Callable
from math import pi
from typing import Literal, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor


class Surround(NamedTuple):
    """What a moved image takes its pixels from."""

    fill: Tensor
    """(C,) where it shows what was outside."""
    sampling: Literal["bilinear", "nearest"]


def grey(images: Tensor) -> Tensor:
    """0.299 red + 0.587 green + 0.114 blue, in whole numbers; (N, 1, H, W) bytes."""
    if images.shape[1] == 1:
        return images
    red, green, blue = images.int().unbind(1)
    return ((19595 * red + 38470 * green + 7471 * blue + 32768) >> 16).byte()[:, None]


# ---- each value by itself


def invert(images: Tensor, _: Tensor, __: Surround) -> Tensor:
    """255 - x."""
    return 255 - images


def posterize(images: Tensor, bits: Tensor, _: Surround) -> Tensor:
    """The highest `bits` of x alone."""
    return images & (256 - 2 ** (8 - bits.int())).byte()[:, None, None, None]


def solarize(images: Tensor, threshold: Tensor, _: Surround) -> Tensor:
    """255 - x from the threshold on."""
    return torch.where(images < threshold[:, None, None, None], images, 255 - images)


def solarize_add(images: Tensor, amount: Tensor, _: Surround) -> Tensor:
    """x + amount below 128."""
    more = (images.short() + amount.short()[:, None, None, None]).clamp(max=255).byte()
    return torch.where(images < 128, more, images)


def autocontrast(images: Tensor, _: Tensor, __: Surround) -> Tensor:
    """Each channel stretched to 0 ... 255."""
    low, high = (each.double()[..., None] for each in (images.amin((2, 3)), images.amax((2, 3))))
    scale = 255 / (high - low).clamp(min=1)
    values = torch.arange(256, dtype=torch.float64, device=images.device)
    table = (values * scale - low * scale).clamp(0, 255).trunc()
    return _looked_up(images, torch.where(high > low, table, values))


def equalize(images: Tensor, _: Tensor, __: Surround) -> Tensor:
    """Each channel by its own distribution: of each value the pixels below it, in 255 steps."""
    count, channels = images.shape[:2]
    flat = images.flatten(2).long()
    found = torch.zeros(count * channels, 256, dtype=torch.int64, device=images.device)
    found.scatter_add_(1, flat.flatten(0, 1), torch.ones_like(flat).flatten(0, 1))
    found = found.view(count, channels, 256)
    last = found.gather(2, images.amax((2, 3)).long()[..., None])
    step = (flat.shape[2] - last) // 255
    below = found.cumsum(2) - found
    table = (step // 2 + below) // step.clamp(min=1)
    values = torch.arange(256, device=images.device)
    return _looked_up(images, torch.where(step > 0, table.clamp(max=255), values))


def _looked_up(images: Tensor, table: Tensor) -> Tensor:
    """table[image, channel, x] for each value x."""
    found = table.byte().gather(2, images.flatten(2).long())
    return found.view(images.shape)


# ---- between an image and a plainer one


def brightness(images: Tensor, factor: Tensor, _: Surround) -> Tensor:
    """factor x."""
    return _blended(torch.zeros_like(images), images, factor)


def color(images: Tensor, factor: Tensor, _: Surround) -> Tensor:
    """grey + factor (x - grey)."""
    return _blended(grey(images), images, factor)


def contrast(images: Tensor, factor: Tensor, _: Surround) -> Tensor:
    """mean + factor (x - mean), the mean of the grey image."""
    mean = (grey(images).double().mean((1, 2, 3), keepdim=True) + 0.5).floor()
    return _blended(mean, images, factor)


def sharpness(images: Tensor, factor: Tensor, _: Surround) -> Tensor:
    """smooth + factor (x - smooth), smooth a mean of 3x3 with 5 in the middle; edges stay."""
    smooth = images.float()
    if min(images.shape[2:]) > 2:
        inner = smooth[:, :, 1:-1, 1:-1]
        summed = F.avg_pool2d(smooth, 3, stride=1, divisor_override=1) + 4 * inner
        smooth = smooth.clone()
        smooth[:, :, 1:-1, 1:-1] = (summed / 13 + 0.5).floor()
    return _blended(smooth, images, factor)


def _blended(plain: Tensor, images: Tensor, factor: Tensor) -> Tensor:
    start = plain.float()
    mixed = start + factor.float()[:, None, None, None] * (images.float() - start)
    return mixed.clamp(0, 255).byte()


# ---- moved


def shear_x(images: Tensor, amount: Tensor, surround: Surround) -> Tensor:
    """Each row moved left by amount times its height."""
    return _moved(images, [1.0, amount, 0.0, 0.0, 1.0, 0.0], surround)


def shear_y(images: Tensor, amount: Tensor, surround: Surround) -> Tensor:
    """Each column moved up by amount times its distance from the left."""
    return _moved(images, [1.0, 0.0, 0.0, amount, 1.0, 0.0], surround)


def translate_x(images: Tensor, pixels: Tensor, surround: Surround) -> Tensor:
    """Moved left."""
    return _moved(images, [1.0, 0.0, pixels, 0.0, 1.0, 0.0], surround)


def translate_y(images: Tensor, pixels: Tensor, surround: Surround) -> Tensor:
    """Moved up."""
    return _moved(images, [1.0, 0.0, 0.0, 0.0, 1.0, pixels], surround)


def rotate(images: Tensor, degrees: Tensor, surround: Surround) -> Tensor:
    """Turned about its middle, against the clock."""
    angle = -degrees.double() * pi / 180
    cos, sin = angle.cos(), angle.sin()
    y, x = (side / 2 for side in images.shape[2:])
    return _moved(
        images, [cos, sin, x - cos * x - sin * y, -sin, cos, y + sin * x - cos * y], surround
    )


def _moved(images: Tensor, matrix: list[Tensor | float], surround: Surround) -> Tensor:
    """out(x, y) = in(a x + b y + c, d x + e y + f), counted from the corner, in pixels."""
    height, width = images.shape[2:]
    a, b, c, d, e, f = (
        torch.as_tensor(each, dtype=torch.float64, device=images.device).view(-1, 1, 1)
        for each in matrix
    )
    x = torch.arange(width, dtype=torch.float64, device=images.device)[None, None] + 0.5
    y = torch.arange(height, dtype=torch.float64, device=images.device)[None, :, None] + 0.5
    shape = (len(images), height, width)
    right, down = (each.expand(shape) for each in (a * x + b * y + c, d * x + e * y + f))
    inside = (right >= 0) & (right < width) & (down >= 0) & (down < height)
    if surround.sampling == "nearest":  # the pixel that holds the point
        right, down = right.floor() + 0.5, down.floor() + 0.5
    grid = torch.stack((2 * right / width - 1, 2 * down / height - 1), 3).float()
    sampled = F.grid_sample(
        images.float(), grid, mode=surround.sampling, padding_mode="border", align_corners=False
    )
    # Pillow cuts fractions off; what is a whole number up to float32's rounding stays it.
    pixels = (sampled + 1 / 256).clamp(max=255).byte()
    return torch.where(inside[:, None], pixels, surround.fill.view(1, -1, 1, 1))


OPERATIONS: dict[str, Callable[[Tensor, Tensor, Surround], Tensor]] = {
    "identity": lambda images, _, __: images,
    "autocontrast": autocontrast,
    "equalize": equalize,
    "invert": invert,
    "rotate": rotate,
    "posterize": posterize,
    "solarize": solarize,
    "solarize-add": solarize_add,
    "color": color,
    "contrast": contrast,
    "brightness": brightness,
    "sharpness": sharpness,
    "shear-x": shear_x,
    "shear-y": shear_y,
    "translate-x": translate_x,
    "translate-y": translate_y,
}
