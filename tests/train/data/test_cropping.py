"""Crops and scaling against torchvision's: the same rectangles of the same draws, and pixels."""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from torchvision.transforms import v2
from torchvision.transforms.v2 import _geometry
from torchvision.transforms.v2 import functional as F

from resgen.train.data import cropping
from resgen.train.data.cropping import NUMBERS, random_box

SIZES = [(256, 256), (375, 500), (500, 375), (32, 32), (20, 300), (300, 20), (3, 400), (1, 1)]


def picture(height: int, width: int, channels: int = 3) -> Tensor:
    rng = torch.Generator().manual_seed(height * width)
    pixels = torch.randint(256, (height, width, channels), generator=rng, dtype=torch.uint8)
    return pixels.permute(2, 0, 1)


class Given:
    """torch, but its uniform numbers are these, in order."""

    def __init__(self, numbers: list[float]) -> None:
        # The last two are the place; torchvision draws it behind the first rectangle that fits.
        self.tried, self.place = iter(numbers[:-2]), iter(numbers[-2:])

    def empty(self, _: int) -> Any:
        def uniform_(low: Any, high: Any) -> Tensor:
            return torch.as_tensor(low + (high - low) * next(self.tried)).double()

        return SimpleNamespace(uniform_=uniform_)

    def randint(self, low: int, high: int, size: Any) -> Tensor:
        return torch.tensor(low + int(next(self.place) * (high - low)))

    def exp(self, value: Tensor) -> Tensor:
        return value.exp()


def theirs(
    size: tuple[int, int], numbers: list[float], min_area: float, monkeypatch: pytest.MonkeyPatch
) -> dict[str, int]:
    made = v2.RandomResizedCrop((8, 8), scale=(min_area, 1.0))
    made._log_ratio = torch.tensor(made.ratio, dtype=torch.float64).log()
    with monkeypatch.context() as patch:
        patch.setattr(_geometry, "torch", Given(numbers))
        patch.setattr(_geometry, "query_size", lambda _: size)
        return dict(made.make_params([]))


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("min_area", [0.08, 0.35, 1.0])
def test_a_random_box_is_torchvisions(
    monkeypatch: pytest.MonkeyPatch, size: tuple[int, int], min_area: float
) -> None:
    rng = torch.Generator().manual_seed(1)
    found = set()
    for _ in range(200):
        numbers = torch.rand(NUMBERS, generator=rng).tolist()
        mine = random_box(*size, numbers, min_area)
        assert mine._asdict() == theirs(size, numbers, min_area, monkeypatch)
        found.add(mine)
    assert len(found) > 150 or min_area == 1.0 or min(size) < 32


@given(
    height=st.integers(1, 600), width=st.integers(1, 600), min_area=st.floats(0.01, 1),
    numbers=st.lists(st.floats(0, 1, exclude_max=True), min_size=NUMBERS, max_size=NUMBERS),
)  # fmt: skip
def test_a_random_box_lies_in_its_picture(
    height: int, width: int, min_area: float, numbers: list[float]
) -> None:
    top, left, high, wide = random_box(height, width, numbers, min_area)
    assert 0 <= top <= top + high <= height
    assert 0 <= left <= left + wide <= width
    assert min(high, wide) > 0


@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic"])
@pytest.mark.parametrize("size", [(375, 500), (32, 32)])
def test_a_random_resized_crop_is_torchvisions(size: tuple[int, int], interpolation: Any) -> None:
    numbers = torch.rand(NUMBERS, generator=torch.Generator().manual_seed(2)).tolist()
    image, box = picture(*size), random_box(*size, numbers, 0.3)
    mine = cropping.random_resized(*size, (24, 24), numbers, 0.3, interpolation)(image)
    expected = F.resized_crop(
        image.contiguous(), *box, [24, 24], F.InterpolationMode(interpolation), antialias=True
    )
    assert torch.equal(mine, expected)
    other = cropping.random_resized(
        *size, (24, 24), numbers, 0.3, "bicubic" if interpolation == "bilinear" else "bilinear"
    )
    assert not torch.equal(mine, other(image))


@pytest.mark.parametrize("size", [(256, 256), (375, 500), (500, 375), (300, 231)])
@pytest.mark.parametrize("share", [0.875, 0.95, 1.0])
def test_the_middle_is_torchvisions(size: tuple[int, int], share: float) -> None:
    made = v2.Compose([v2.Resize(round(224 / share), antialias=True), v2.CenterCrop(224)])
    image = picture(*size)
    expected = made(image.contiguous())
    cut = cropping.middle(*size, (224, 224), share, "bilinear")
    assert torch.equal(cut(image), expected)
    assert cropping.whole_or_middle(*size, (224, 224), share, "bilinear") == cut
    both = cut(cropping.together([image, image.flip(2)]))
    assert torch.equal(both[0], expected)


def boxes() -> Iterator[tuple[tuple[int, int], tuple[int, int]]]:
    for size in ((24, 40), (40, 24), (16, 16)):
        for shape in ((64, 64), (30, 90), (90, 30), (16, 16), (24, 40), (50, 51)):
            yield size, shape


@pytest.mark.parametrize(("size", "shape"), boxes())
def test_of_any_shape_only_the_picture_is_seen(
    size: tuple[int, int], shape: tuple[int, int]
) -> None:
    white = torch.full((1, 3, *shape), 255, dtype=torch.uint8)
    for share in (0.7, 1.0):
        cut = cropping.middle(*shape, size, share, "bicubic")(white)
        assert cut.shape == (1, 3, *size)
        assert int(cut.min()) == 255


def test_of_pictures_no_larger_than_the_networks_nothing_is_cut_off() -> None:
    for side, cut in ((8, False), (16, False), (17, True)):
        image = torch.zeros(1, side, side, dtype=torch.uint8)
        image[:, 0] = image[:, -1] = image[:, :, 0] = image[:, :, -1] = 255
        tested = cropping.whole_or_middle(side, side, (16, 16), 0.75, "bilinear")(image)
        assert (int(tested[:, 0].min()) < 200) == cut
    same = picture(16, 16)
    assert torch.equal(cropping.whole_or_middle(16, 16, (16, 16), 0.75, "bicubic")(same), same)


def test_a_batch_lies_as_it_was_decoded() -> None:
    batch = cropping.together([picture(5, 7) for _ in range(3)])
    assert batch.shape == (3, 3, 5, 7)
    assert batch.is_contiguous(memory_format=torch.channels_last)
