"""A file -> an upright image of 8 bits a channel, grey or colour.

8-bit modes are Pillow's own. Of 16 bits the high byte is taken, for grey as Pillow takes it for
colour; of floating-point numbers, which must lie in [0, 1], round(255 x). Palettes become their
colours, and transparency is left out, as torchvision's loader does. An image lies as its EXIF
orientation says. Of several pages or frames the first is read.
"""

from __future__ import annotations

import io
import os
import stat
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, Any, NamedTuple

import numpy as np
import torch
from PIL import Image, UnidentifiedImageError
from torch import Tensor

from resgen.errors import UserError
from resgen.train.data.images import Encoded

LARGEST = 2 * (Image.MAX_IMAGE_PIXELS or 0)
"""Pixels of the largest image that is decoded: Pillow's own limit."""
WAY_OUT = "put a readable one in its place, or start a new run with --skip-bad-images"
# Pillow warns of half of that, a size that is fine here, and of odd metadata, which is not read.
warnings.filterwarnings("ignore", category=Image.DecompressionBombWarning)
warnings.filterwarnings("ignore", module=r"PIL\.")

ORIENTATION = 0x0112
"""Of EXIF: how an image lies; 1 is upright."""
_BITS, _MEANING = 258, 262
"""Of TIFF: bits a value, and what 0 stands for (0: white)."""
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


class Header(NamedTuple):
    """What a file says of its first image: (width, height) upright, whether grey, Pillow's mode."""

    size: tuple[int, int]
    grey: bool
    mode: str
    transparent: bool
    pages: bool
    """Whether more images follow: a TIFF's pages, an animation's frames."""


def header(picture: str | Encoded) -> Header:
    """Read without the pixels. Raises UserError like `decode`."""
    with _opened(picture) as image:
        width, height = image.size
        # Pillow says a TIFF's size upright, and others' as they lie in the file. A PNG's own
        # getexif reads all pixels first, since the orientation may stand behind them.
        orientation = Image.Image.getexif(image).get(ORIENTATION)
        if image.format != "TIFF" and orientation in (5, 6, 7, 8):
            width, height = height, width
        grey = image.mode[0] in "1LIF" and image.mode != "LAB"
        alpha = image.mode in ("LA", "La", "PA", "RGBA", "RGBa")
        transparent = alpha or "transparency" in image.info
        return Header((width, height), grey, image.mode, transparent, _has_pages(image))


def _has_pages(image: Image.Image) -> bool:
    """Only the first is read, so the others may be damaged."""
    try:
        return bool(getattr(image, "n_frames", 1) > 1)
    except Exception:  # Pillow's readers raise all kinds
        return True


def decode(picture: str | Encoded, mode: str | None = None, times: int = 1) -> Image.Image:
    """The image in grey (L) or colour (RGB), or in which of them it is.

    A JPEG is made so many times smaller: 2, 4 or 8. Raises UserError that names the file where it
    cannot be read.
    """
    with _opened(picture) as image:
        if times > 1:
            image.draft(image.mode, (image.width // times, image.height // times))
        image.load()
        # A TIFF's orientation is gone by now: Pillow has turned it.
        turn = _UPRIGHT.get(image.getexif().get(ORIENTATION, 1))
        plain = _eight_bits(image)
        if turn is not None:
            plain = plain.transpose(turn)
        return plain if plain.mode == mode else plain.convert(mode)


def as_pixels(image: Image.Image) -> Tensor:
    """(C, H, W) bytes that lie as (H, W, C), as they were decoded."""
    pixels = torch.from_numpy(np.array(image))
    return pixels.view(*pixels.shape[:2], -1).permute(2, 0, 1)


@contextmanager
def _opened(picture: str | Encoded) -> Iterator[Image.Image]:
    try:
        with _content(picture) as file, Image.open(file) as image:
            yield image
    except Exception as error:  # Pillow's readers raise all kinds
        name = picture if isinstance(picture, str) else picture.name
        raise UserError(f"{name}: unreadable image ({_reason(error)}); {WAY_OUT}") from None


def _content(picture: str | Encoded) -> IO[bytes]:
    if not isinstance(picture, str):
        return io.BytesIO(picture.content)
    if not stat.S_ISREG(os.stat(picture).st_mode):
        raise ValueError("no regular file")
    # Given the file and not its name, Pillow does not map it into memory; a turned TIFF is
    # garbled there.
    return open(picture, "rb")


def _reason(error: Exception) -> str:
    if isinstance(error, Image.DecompressionBombError):
        return f"more than {LARGEST:,} pixels; scale it down"
    if isinstance(error, UnidentifiedImageError):
        return "not an image of a kind that Pillow knows"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return (str(error).splitlines() or [type(error).__name__])[0][:200]


def _eight_bits(image: Image.Image) -> Image.Image:
    """Grey (L) or colour (RGB)."""
    mode = image.mode
    if mode.startswith("I;16") or (mode == "I" and image.format in ("PNG", "PPM")):
        return Image.fromarray(_high_byte(image))
    if mode == "I":
        low, high = image.getextrema()
        raise ValueError(
            f"32-bit values, here {low} to {high}, do not say which is white; "
            "save it in 8 or 16 bits"
        )
    if mode == "F":
        values = np.asarray(image)
        low, high = values.min(), values.max()
        if not 0 <= low <= high <= 1:
            raise ValueError(
                f"floating-point values must lie in [0, 1] and here go from {low:g} to {high:g}; "
                "scale it, or save it in 8 or 16 bits"
            )
        return Image.fromarray(np.rint(values * 255).astype(np.uint8))
    return image.convert("L" if mode in ("1", "L", "LA") else "RGB")


def _high_byte(image: Image.Image) -> np.ndarray[Any, Any]:
    values, bits = np.asarray(image).astype(np.uint16), 16
    tags = getattr(image, "tag_v2", {})
    if tags.get(_MEANING) == 0:
        values = ~values
    if tags.get(_BITS) == (12,):
        bits = 12
    return (values >> (bits - 8)).astype(np.uint8)
