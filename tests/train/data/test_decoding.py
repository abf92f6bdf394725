"""Images of every kind -> 8 bits a channel, upright, or one sentence."""

from __future__ import annotations

import os
import struct
import subprocess
import sys
import warnings
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageOps

from resgen.errors import UserError
from resgen.train.data.decoding import LARGEST, decode, header

RAMP = np.array([[0, 255, 256, 4095], [4096, 32768, 65534, 65535]], np.uint16)
HIGH = [[0, 0, 1, 15], [16, 128, 255, 255]]
SMALL = np.arange(6, dtype=np.uint8).reshape(2, 3) * 40


def chunk(kind: bytes, data: bytes) -> bytes:
    check = struct.pack(">I", zlib.crc32(kind + data))
    return struct.pack(">I", len(data)) + kind + data + check


def png(
    width: int, height: int, *, depth: int = 8, kind: int = 0, rows: bytes, more: bytes = b""
) -> bytes:
    """A PNG from its parts, for what Pillow does not write."""
    head = struct.pack(">IIBBBBB", width, height, depth, kind, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + more
        + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    )  # fmt: skip


def pixels(path: Path, mode: str | None = None) -> list[Any]:
    return np.asarray(decode(str(path), mode)).tolist()


@pytest.mark.parametrize("name", ["x.png", "x.tif"])
def test_of_16_bits_of_grey_the_high_byte_is_read(tmp_path: Path, name: str) -> None:
    Image.fromarray(RAMP).save(tmp_path / name)
    assert pixels(tmp_path / name) == pixels(tmp_path / name, "L") == HIGH
    colour = [[[value] * 3 for value in row] for row in HIGH]
    assert pixels(tmp_path / name, "RGB") == colour
    assert header(str(tmp_path / name))[:2] == ((4, 2), True)


def test_of_16_bits_of_grey_in_a_pgm_too(tmp_path: Path) -> None:
    data = b"P5 4 2 65535\n" + RAMP.astype(">u2").tobytes()
    (tmp_path / "x.pgm").write_bytes(data)
    assert pixels(tmp_path / "x.pgm") == HIGH


def test_grey_and_colour_of_16_bits_are_read_by_one_rule(tmp_path: Path) -> None:
    values = RAMP.astype(">u2")
    rows = b"".join(b"\0" + np.repeat(row, 3).astype(">u2").tobytes() for row in values)
    (tmp_path / "x.png").write_bytes(png(4, 2, depth=16, kind=2, rows=rows))
    assert pixels(tmp_path / "x.png") == [[[value] * 3 for value in row] for row in HIGH]


def test_a_tiff_of_16_bits_in_which_0_is_white(tmp_path: Path) -> None:
    Image.fromarray(RAMP).save(tmp_path / "x.tif", tiffinfo={262: 0})
    assert pixels(tmp_path / "x.tif") == [[255 - value for value in row] for row in HIGH]


def test_floating_point_values_from_0_to_1_are_scaled(tmp_path: Path) -> None:
    values = np.array([[0, 0.5, 1, 0.0039]], np.float32)
    Image.fromarray(values).save(tmp_path / "x.tif")
    assert pixels(tmp_path / "x.tif") == [[0, 128, 255, 1]]


@pytest.mark.parametrize(
    ("mode", "grey"),
    [("1", True), ("L", True), ("LA", True), ("P", False), ("RGB", False), ("RGBA", False)],
)
def test_eight_bits_are_pillows_own_without_transparency(
    tmp_path: Path, mode: str, grey: bool
) -> None:
    image = Image.fromarray(SMALL).convert("RGB").convert(mode)
    if mode in ("LA", "RGBA"):
        image.putalpha(Image.fromarray(SMALL))
    image.save(tmp_path / "x.png")
    assert header(str(tmp_path / "x.png"))[1] == grey
    alpha = mode in ("LA", "RGBA")
    assert header(str(tmp_path / "x.png")).transparent == alpha
    kind = "L" if grey else "RGB"
    expected = image.convert(kind)
    assert pixels(tmp_path / "x.png") == np.asarray(expected).tolist()
    if alpha:  # what lies under full transparency is read as it is
        assert pixels(tmp_path / "x.png", "L") == SMALL.tolist()


def test_cmyk_becomes_colour(tmp_path: Path) -> None:
    Image.new("CMYK", (8, 8), (0, 255, 255, 0)).save(tmp_path / "x.jpg", quality=100)
    red, green, blue = decode(str(tmp_path / "x.jpg")).getpixel((4, 4))
    assert (red > 250, green < 5, blue < 5) == (True, True, True)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize(
    ("name", "compression", "mode"),
    [
        ("x.png", None, "L"), ("x.png", None, "I;16"), ("x.webp", None, "RGB"),
        ("x.tif", None, "L"), ("x.tif", None, "I;16"), ("x.tif", None, "RGB"),
        ("x.tif", "tiff_lzw", "L"),
    ],
)  # fmt: skip
def test_an_image_lies_as_its_exif_says(
    tmp_path: Path, orientation: int, name: str, compression: str | None, mode: str
) -> None:
    grey = SMALL.astype(np.uint16) * 256 if mode == "I;16" else SMALL
    image = Image.fromarray(grey)
    image = image.convert("RGB") if mode == "RGB" else image
    exif = Image.Exif()
    exif[0x0112] = orientation
    more: dict[str, Any] = {"compression": compression} if compression else {}
    image.save(tmp_path / name, exif=exif, **({"lossless": True} if "webp" in name else more))
    # Pillow's own turning, of an image that was never in a file.
    still = Image.fromarray(SMALL)
    still.getexif()[0x0112] = orientation
    upright = ImageOps.exif_transpose(still)
    assert pixels(tmp_path / name, "L") == np.asarray(upright).tolist()
    assert header(str(tmp_path / name)).size == upright.size


def test_a_broken_exif_leaves_the_image_as_it_lies(tmp_path: Path) -> None:
    for number, block in enumerate(
        (b"XX*\0\x08\0\0\0\xff\xff", b"II*\0\x08\0\0\0\xff\xff\x12\x01")
    ):
        path = tmp_path / f"{number}.jpg"
        Image.fromarray(SMALL).save(path, exif=b"Exif\0\0" + block)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            assert decode(str(path)).size == header(str(path)).size == (3, 2)


def write(data: bytes) -> Callable[[Path], None]:
    return lambda path: path.write_bytes(data) and None  # type: ignore[func-returns-value]


def saved(values: Any, kind: Any = np.float32) -> Callable[[Path], None]:
    return lambda path: Image.fromarray(np.array(values, kind)).save(path)


BOMB = 20_000
TEXT = chunk(b"zTXt", b"a\0\0" + zlib.compress(b"x" * 80 * 2**20))
BAD: dict[str, tuple[str, Callable[[Path], None], str]] = {
    "missing": ("x.png", lambda path: None, "No such file or directory"),
    "empty": ("x.png", write(b""), "not an image of a kind that Pillow knows"),
    "text": ("x.jpg", write(b"no image"), "not an image of a kind that Pillow knows"),
    "a pipe": ("x.png", lambda path: os.mkfifo(path), "no regular file"),
    "a folder": ("x.png", lambda path: path.mkdir(), "no regular file"),
    "cut short": ("x.png", write(png(8, 8, rows=b"\0" * 5)[:60]), ""),
    "too few rows": ("x.png", write(png(8, 8, rows=b"\0" * 5)), ""),
    "too many pixels": (
        "x.png", write(png(BOMB, BOMB, rows=b"")), f"more than {LARGEST:,} pixels; scale it down",
    ),
    "too much text": (
        "x.png",
        write(png(1, 1, rows=b"\0\1", more=TEXT)),
        "Decompressed data too large for PngImagePlugin.MAX_TEXT_CHUNK",
    ),
    "floats to 255": (
        "x.tif", saved([[0.0, 3.5, 251.0]]),
        "floating-point values must lie in [0, 1] and here go from 0 to 251; scale it, or save it",
    ),
    "floats below 0": (
        "x.tif", saved([[-0.5, 0.5]]),
        "floating-point values must lie in [0, 1] and here go from -0.5 to 0.5; scale it",
    ),
    "NaN": ("x.tif", saved([[np.nan]]), "floating-point values must lie in [0, 1] and here go"),
    "32 bits": (
        "x.tif", saved([[0, 70_000]], np.int32),
        "32-bit values, here 0 to 70000, do not say which is white",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("name", "make", "reason"), BAD.values(), ids=BAD.keys())
def test_what_cannot_be_read_is_one_sentence(
    tmp_path: Path, name: str, make: Callable[[Path], None], reason: str
) -> None:
    path = tmp_path / name
    make(path)
    with pytest.raises(UserError) as caught:
        decode(str(path))
    text = str(caught.value)
    assert text.startswith(f"{path}: unreadable image ({reason}")
    assert text.endswith(
        "; put a readable one in its place, or start a new run with --skip-bad-images"
    )
    assert text.isprintable()
    assert len(text) - len(str(path)) < 500


@pytest.mark.parametrize("name", ["too many pixels", "too much text", "a pipe", "missing", "text"])
def test_a_header_that_cannot_be_read_is_the_same_sentence(tmp_path: Path, name: str) -> None:
    file, make, reason = BAD[name]
    make(tmp_path / file)
    with pytest.raises(UserError) as caught:
        header(str(tmp_path / file))
    assert f"unreadable image ({reason}" in str(caught.value)


def test_a_large_image_is_no_warning(tmp_path: Path) -> None:
    (tmp_path / "x.png").write_bytes(png(10_000, 10_000, rows=b""))
    # In a process of its own: pytest minds the warnings of this one.
    code = (
        "from resgen.train.data.decoding import header\n"
        f"print(header({str(tmp_path / 'x.png')!r}).size)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("(10000, 10000)\n", "")
