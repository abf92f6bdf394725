"""A JPEG file -> its pixels, by libjpeg-turbo without Pillow's copies, and smaller if that does.

What Pillow would do differently is left to it: an image that lies turned, four colours, grey from
colours, a file that is damaged in any way. So the pixels are Pillow's, whichever decodes them, and
with simplejpeg or without.
"""

from __future__ import annotations

import io
import os
import stat
from typing import NamedTuple

import torch
from PIL import Image
from torch import Tensor

from resgen.train.data.cropping import Plan, Size
from resgen.train.data.decoding import LARGEST, ORIENTATION, as_pixels, decode, header
from resgen.train.data.images import Encoded

try:
    import simplejpeg
except ImportError:  # there is no wheel for this machine
    simplejpeg = None

_FIRST = b"\xff\xd8\xff"
_METADATA, _SCAN = b"\xff\xe1", b"\xff\xda"
"""Markers: of EXIF and XMP, which say how an image lies; and of what is coded, the last one."""
_CHANNELS = {"Gray": 1, "YCbCr": 3, "RGB": 3}
_UNKNOWN = (0, 0, None)


class Jpeg(NamedTuple):
    """A file that is read and not decoded yet."""

    picture: str | Encoded
    content: bytes
    size: Size
    upright: bool
    channels: int | None
    """None where Pillow decodes it."""

    def pixels(self, mode: str, times: int = 1) -> Tensor:
        """Bytes (C, H, W) in grey (L) or colour (RGB), so many times smaller, rounded up.

        Raises UserError that names the file where it cannot be read.
        """
        found = self._quickly(mode, times)
        return as_pixels(decode(self.picture, mode, times)) if found is None else found

    def _quickly(self, mode: str, times: int) -> Tensor | None:
        wanted = 1 if mode == "L" else 3
        if self.channels is None or self.channels > wanted:
            return None
        high, wide = (-(-side // times) for side in self.size)
        try:
            pixels = simplejpeg.decode_jpeg(
                self.content, "GRAY" if self.channels == 1 else "RGB",
                min_height=high, min_width=wide,
            )  # fmt: skip
        except ValueError:
            return None
        if pixels.shape[:2] != (high, wide):
            return None
        return torch.from_numpy(pixels).permute(2, 0, 1).expand(wanted, -1, -1)


def opened(picture: str | Encoded) -> Jpeg | None:
    """None where it is no JPEG that can be read. Raises UserError for one that Pillow refuses."""
    content = _content(picture)
    if content is None:
        return None
    upright = _upright(content)
    height, width, channels = _looked_at(content) if upright else _UNKNOWN
    if channels is None:
        width, height = header(picture).size
    return Jpeg(picture, content, (height, width), upright, channels)


def cut_out(picture: str | Encoded, mode: str, plan: Plan, *, smaller: bool = False) -> Tensor:
    """What a plan makes of an image file: bytes (C, H, W). Raises UserError that names the file.

    With `smaller` a JPEG is decoded at a half, a quarter or an eighth of its size where that has
    more pixels than are wanted of it. (Not one that is turned then: what its last pixels lack to
    whole ones would lie before its first.)
    """
    jpeg = opened(picture)
    if jpeg is None:
        pixels = as_pixels(decode(picture, mode))
        return plan(*pixels.shape[1:])(pixels)
    cut = plan(*jpeg.size)
    times, cut = cut.shrunk() if smaller and jpeg.upright else (1, cut)
    return cut(jpeg.pixels(mode, times))


def _content(picture: str | Encoded) -> bytes | None:
    """What else is wrong with a file, Pillow says."""
    if not isinstance(picture, str):
        return picture.content if picture.content.startswith(_FIRST) else None
    try:
        if not stat.S_ISREG(os.stat(picture).st_mode):
            return None
        with open(picture, "rb") as file:
            first = file.read(len(_FIRST))
            return first + file.read() if first == _FIRST else None
    except OSError:
        return None


def _looked_at(content: bytes) -> tuple[int, int, int | None]:
    """(height, width, channels), without channels where Pillow is to decode it."""
    if simplejpeg is None:
        return _UNKNOWN
    try:
        height, width, colours, _ = simplejpeg.decode_jpeg_header(content)
    except ValueError:
        return _UNKNOWN
    return height, width, _CHANNELS.get(colours) if height * width <= LARGEST else None


def _upright(content: bytes) -> bool:
    if _without_metadata(content):
        return True
    try:
        with Image.open(io.BytesIO(content)) as image:
            return bool(image.getexif().get(ORIENTATION, 1) == 1)
    except Exception:  # Pillow's readers raise all kinds
        return False


def _without_metadata(content: bytes) -> bool:
    """From marker to marker; each but the first says how far the next one is."""
    place = 2
    while (marker := content[place : place + 2])[:1] == _FIRST[:1] and marker != _METADATA:
        if marker == _SCAN:
            return True
        place += 2 + int.from_bytes(content[place + 2 : place + 4])
    return False
