"""JPEG files: the same pixels whoever decodes them, and decoded smaller where it is allowed."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageOps
from torch import Tensor

from resgen.errors import UserError
from resgen.train.data import jpegs
from resgen.train.data.cropping import SPARE, Box, Cut, middle
from resgen.train.data.feed import Making, Piece
from resgen.train.data.filefeed import FileFeed
from resgen.train.data.images import Encoded, Files, Images, Wanted
from resgen.train.data.jpegs import cut_out, opened
from resgen.train.data.order import Order
from resgen.train.data.sources import load
from resgen.train.recipe.keys import Augment

BY = pytest.mark.parametrize("by", ["simplejpeg", "Pillow"])


@pytest.fixture(autouse=True)
def _by(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a test is for both, simplejpeg is there or not."""
    by = getattr(request.node, "callspec", None)
    by = by.params.get("by") if by else None
    if by == "Pillow":
        monkeypatch.setattr(jpegs, "simplejpeg", None)
    elif by == "simplejpeg":
        pytest.importorskip("simplejpeg")


def photo(width: int, height: int, seed: int = 0) -> Image.Image:
    """Noise whose power falls with the square of the frequency, as in photographs."""
    rng = np.random.default_rng(seed)
    far = np.hypot(np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width))
    far[0, 0] = np.inf
    fields = []
    for deviation in (45, 12, 12):
        waves = rng.normal(size=far.shape) + 1j * rng.normal(size=far.shape)
        field = np.fft.irfft2(waves / far**1.2, (height, width))
        fields.append(deviation * field / field.std() + 128)
    pixels = np.stack(fields, -1).clip(0, 255).astype(np.uint8)
    return Image.fromarray(pixels, "YCbCr").convert("RGB")


def saved(path: Path, image: Image.Image, **how: Any) -> str:
    image.save(path, **({"quality": 92} | how))
    return str(path)


def pillows(path: str, mode: str) -> Tensor:
    with Image.open(path) as image:
        upright = ImageOps.exif_transpose(image).convert(mode)
    pixels = torch.from_numpy(np.array(upright))
    return pixels[None] if mode == "L" else pixels.permute(2, 0, 1)


def as_it_is(height: int, width: int) -> Cut:
    size = (height, width)
    return Cut(Box(0, 0, height, width), size, size, "bilinear")


def turned(orientation: int) -> dict[str, Any]:
    exif = Image.Exif()
    exif[0x0112] = orientation
    return {"exif": exif}


KINDS: dict[str, tuple[str, dict[str, Any]]] = {
    "colour": ("RGB", {}),
    "chroma in full": ("RGB", {"subsampling": 0}),
    "progressive": ("RGB", {"progressive": True}),
    "grey": ("L", {}),
    "four colours": ("CMYK", {}),
    "kept as RGB": ("RGB", {"keep_rgb": True}),
    "restarts": ("RGB", {"restart_marker_blocks": 3}),
    "a profile": ("RGB", {"icc_profile": b"\xff\xda\xff\xe1" * 40_000}),
    "upright": ("RGB", turned(1)),
    "on its side": ("RGB", turned(6)),
    "mirrored": ("L", turned(2)),
}


@BY
@pytest.mark.parametrize("wanted", ["L", "RGB"])
@pytest.mark.parametrize(("mode", "how"), KINDS.values(), ids=KINDS)
def test_pixels_are_pillows(
    tmp_path: Path, mode: str, how: dict[str, Any], wanted: str, by: str
) -> None:
    path = saved(tmp_path / "x.jpg", photo(67, 45).convert(mode), **how)
    expected = pillows(path, wanted)
    assert torch.equal(cut_out(path, wanted, as_it_is), expected)
    jpeg = opened(path)
    assert jpeg is not None
    assert jpeg.size == expected.shape[1:]


def test_simplejpeg_decodes_what_is_plain(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("simplejpeg")
    quick = {}
    for name, (mode, how) in KINDS.items():
        jpeg = opened(saved(tmp_path / "x.jpg", photo(67, 45).convert(mode), **how))
        assert jpeg is not None
        quick[name] = jpeg.channels
    left = {"four colours", "on its side", "mirrored"}
    assert {name for name, channels in quick.items() if channels is None} == left
    assert quick["grey"] == 1

    def never(*_: Any) -> None:
        raise AssertionError("Pillow decodes")

    path = saved(tmp_path / "x.jpg", photo(67, 45))
    monkeypatch.setattr(jpegs, "decode", never)
    for times in (1, 2, 4, 8):
        cut_out(path, "RGB", lambda *_, times=times: Cut(  # type: ignore[misc]
            Box(0, 0, 45, 67), (45 // times // 2, 67 // times // 2), (2, 2), "bilinear"
        ), smaller=True)  # fmt: skip


@BY
def test_an_orientation_in_xmp_is_seen(tmp_path: Path, by: str) -> None:
    xmp = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><tiff:Orientation>6</tiff:Orientation></x:xmpmeta>'
    path = saved(tmp_path / "x.jpg", photo(67, 45), xmp=xmp)
    assert cut_out(path, "RGB", as_it_is).shape == (3, 67, 45)
    assert torch.equal(cut_out(path, "RGB", as_it_is), pillows(path, "RGB"))


@BY
@pytest.mark.parametrize("ending", ["png", "webp", "bmp"])
def test_of_other_kinds_too(tmp_path: Path, ending: str, by: str) -> None:
    path = saved(tmp_path / f"x.{ending}", photo(67, 45))
    expected = pillows(path, "RGB")
    assert torch.equal(cut_out(path, "RGB", as_it_is, smaller=True), expected)


@BY
def test_of_content_that_lies_in_no_file_too(tmp_path: Path, by: str) -> None:
    path = saved(tmp_path / "x.jpg", photo(67, 45))
    content = Path(path).read_bytes()
    mine = cut_out(Encoded("row 7", content), "RGB", as_it_is)
    assert torch.equal(mine, pillows(path, "RGB"))
    with pytest.raises(UserError, match="row 7: unreadable image"):
        cut_out(Encoded("row 7", content[:300]), "RGB", as_it_is)


@BY
@pytest.mark.parametrize("left", [0, 1, 3, 20, 200, 700])
def test_a_jpeg_that_is_cut_short_is_one_sentence(tmp_path: Path, left: int, by: str) -> None:
    path = tmp_path / "x.jpg"
    saved(path, photo(67, 45))
    path.write_bytes(path.read_bytes()[:left])
    for smaller in (False, True):
        with pytest.raises(UserError, match=r"x\.jpg: unreadable image \("):
            cut_out(str(path), "RGB", as_it_is, smaller=smaller)


@BY
def test_damage_is_judged_as_pillow_does(tmp_path: Path, by: str) -> None:
    """What is coded is changed at many places: read the same, or refused with the same sentence."""
    path = tmp_path / "x.jpg"
    whole, rng = Path(saved(path, photo(67, 45))).read_bytes(), np.random.default_rng(0)
    read = 0
    for _ in range(60):
        content = bytearray(whole)
        content[int(rng.integers(2, len(content)))] = int(rng.integers(256))
        path.write_bytes(content)
        try:
            expected = jpegs.as_pixels(jpegs.decode(str(path), "RGB"))
        except UserError as error:
            with pytest.raises(UserError) as caught:
                cut_out(str(path), "RGB", as_it_is)
            assert str(caught.value) == str(error)
            continue
        assert torch.equal(cut_out(str(path), "RGB", as_it_is), expected)
        read += 1
    assert 10 < read < 60


# ---- decoded smaller


def box(draw: st.DrawFn) -> tuple[int, int, Box]:
    height, width = draw(st.integers(1, 4000)), draw(st.integers(1, 4000))
    top, left = draw(st.integers(0, height - 1)), draw(st.integers(0, width - 1))
    high, wide = draw(st.integers(1, height - top)), draw(st.integers(1, width - left))
    return height, width, Box(top, left, high, wide)


@given(found=st.composite(box)(), size=st.tuples(st.integers(1, 300), st.integers(1, 300)))
def test_a_rectangle_is_shrunk_as_far_as_leaves_twice_what_is_wanted(
    found: tuple[int, int, Box], size: tuple[int, int]
) -> None:
    height, width, whole = found
    times, cut = (given := Cut(whole, size, size, "bicubic")).shrunk()
    assert times in (1, 2, 4, 8)
    assert cut._replace(box=whole) == given
    top, left, high, wide = cut.box
    assert 0 <= top <= top + high <= -(-height // times)
    assert 0 <= left <= left + wide <= -(-width // times)
    if times == 1:
        assert cut == given
        assert whole.height < 2 * 2 * size[0] + 2 or whole.width < 2 * 2 * size[1] + 2
        return
    for mine, edge in (
        (top, whole.top), (top + high, whole.top + whole.height),
        (left, whole.left), (left + wide, whole.left + whole.width),
    ):  # fmt: skip
        assert abs(mine * times - edge) <= times / 2
    assert high >= SPARE * size[0]
    assert wide >= SPARE * size[1]
    # A quarter of a pixel of what is made.
    assert times / 2 <= (whole.height / size[0] + times / size[0]) / 4


@BY
@pytest.mark.parametrize("how", [{}, {"subsampling": 0}], ids=["", "full"])
@pytest.mark.parametrize("times", [2, 4, 8])
def test_decoded_smaller_a_picture_is_nearer_to_the_whole_than_another_interpolation(
    tmp_path: Path, times: int, how: dict[str, Any], by: str
) -> None:
    """Against full decoding and scaling of the same rectangle, with antialiasing."""
    path = saved(tmp_path / "x.jpg", photo(700, 564), **how)
    full = pillows(path, "RGB")
    side = 512 // times // SPARE
    there = Box(8 * 3, 8 * 2, 512, 512)
    seen: dict[str, Tensor] = {}
    for kind in ("bilinear", "bicubic"):
        cut = Cut(there, (side, side), (side, side), kind)  # type: ignore[arg-type]
        assert cut.shrunk()[0] == times
        seen[kind] = cut(full).float()
        mine = cut_out(path, "RGB", lambda *_, cut=cut: cut, smaller=True)  # type: ignore[misc]
        assert torch.equal(cut_out(path, "RGB", lambda *_, cut=cut: cut), cut(full))  # type: ignore[misc]
        apart = float((mine - seen[kind]).abs().mean())
        assert 0 < apart < 1.25
    assert apart < 0.75 * float((seen["bilinear"] - seen["bicubic"]).abs().mean())


@BY
def test_a_turned_picture_is_decoded_in_full(tmp_path: Path, by: str) -> None:
    path = saved(tmp_path / "x.jpg", photo(90, 75), **turned(6))
    cut = Cut(Box(1, 1, 73, 73), (4, 4), (4, 4), "bilinear")
    assert cut.shrunk()[0] > 1
    mine = cut_out(path, "RGB", lambda *_: cut, smaller=True)
    assert torch.equal(mine, cut(pillows(path, "RGB")))


def folders(path: Path, sizes: list[tuple[int, int]]) -> Path:
    for split, kind in ((s, k) for s in ("train", "val") for k in ("cat", "dog")):
        (path / split / kind).mkdir(parents=True)
        for number, size in enumerate(sizes):
            saved(path / split / kind / f"{number}.jpg", photo(*size, seed=number))
    return path


def test_only_sets_that_no_memory_holds_are_decoded_smaller(tmp_path: Path) -> None:
    one = folders(tmp_path / "one", [(64, 48)] * 3)
    many = folders(tmp_path / "many", [(64, 48), (64, 48), (48, 64)])

    def train(path: Path, limit: int | None = None) -> Images | Files:
        how = {} if limit is None else {"memory_limit": limit}
        return load(Wanted(f"folder:{path}", 3, (8, 8), 2, **how)).train

    assert isinstance(train(one), Images)
    for found, smaller in ((train(one, 0), False), (train(many), True), (train(many, 0), True)):
        assert isinstance(found, Files)
        assert found.smaller == smaller
        assert found.pick(torch.tensor([0])).smaller == smaller


@pytest.mark.parametrize("crop", ["none", "random-resized"])
def test_what_is_tested_on_is_decoded_in_full(tmp_path: Path, crop: Any) -> None:
    data = load(Wanted(f"folder:{folders(tmp_path, [(160, 128), (128, 160)])}", 3, (8, 8), 2))
    assert isinstance(data.train, Files)
    assert isinstance(data.heldout, Files)
    in_full = replace(
        data, train=replace(data.train, smaller=False), heldout=replace(data.heldout, smaller=False)
    )
    found = []
    for each in (data, in_full):
        making = Making.of(
            each, recipe=Augment(crop=crop, min_area=0.9), order=Order(4, 4, 0), channels=3,
            size=(8, 8), train_size=(8, 8), device=torch.device("cpu"), layout=torch.channels_last,
        )  # fmt: skip
        feed = FileFeed(each, making, processes=0)
        (trained,) = feed.train([Piece(0, range(4))])
        (tested,) = feed.still("heldout", [torch.arange(4)])
        found.append((trained.images, tested.images))
    (smaller, tested), (full, expected) = found
    assert torch.equal(tested, expected)
    assert not torch.equal(smaller, full)
    # In deviations: the rectangle's edges are a little moved, too.
    assert float((smaller - full).abs().mean()) < 0.1


def test_the_middle_is_shrunk_too() -> None:
    cut = middle(1200, 1601, (224, 224), 1.0, "bilinear")
    times, smaller = cut.shrunk()
    assert (times, smaller.box) == (2, Box(0, 0, 600, 800))
    assert (smaller.scaled, smaller.kept) == (cut.scaled, cut.kept)
