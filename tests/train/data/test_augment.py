"""Batched augmentation against plain loops, one image at a time, and against other libraries."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import timm.data.mixup
import timm.data.random_erasing
import torch
import torch.nn.functional as F
from torch import Tensor

from resgen.train.data import augment
from resgen.train.data.draws import Draws
from resgen.train.data.preparing import Normal
from resgen.train.recipe.keys import Augment


def draws(batch: int = 64, share: range | None = None, step: int = 5) -> Draws:
    return Draws(0, step, batch, share or range(batch))


@pytest.fixture
def pixels() -> Tensor:
    rng = torch.Generator().manual_seed(0)
    return torch.randint(1, 256, (64, 3, 6, 8), generator=rng, dtype=torch.uint8)


PLAIN = Normal(torch.zeros(3, 1, 1), torch.ones(3, 1, 1), 3, torch.channels_last)
"""Normalises nothing."""


def whole(images: Tensor, share: range | None = None, step: int = 5, **keys: Any) -> Tensor:
    recipe = Augment.model_validate(keys)
    share = share or range(len(images))
    labels = torch.zeros(len(images), dtype=torch.long)
    made, _ = augment.augmented(
        images, labels, recipe=recipe, draws=draws(share=share, step=step), normal=PLAIN, classes=2
    )
    return made


def test_without_augmentation_the_images_are_untouched(pixels: Tensor) -> None:
    assert torch.equal(whole(pixels), pixels.float())


def test_each_image_is_a_window_of_its_padded_self_perhaps_mirrored(pixels: Tensor) -> None:
    places = set()
    for image, source in zip(
        whole(pixels, crop="pad", pad=2, flip="horizontal"), pixels, strict=True
    ):
        found = {
            (top, left, mirrored)
            for mirrored in (False, True)
            for top in range(5)
            for left in range(5)
            if torch.equal(image, _window(source, top, left, mirrored))
        }
        assert len(found) == 1
        places |= found
    assert {place[0] for place in places} == {place[1] for place in places} == set(range(5))
    assert {place[2] for place in places} == {False, True}


def _window(source: Tensor, top: int, left: int, mirrored: bool) -> Tensor:
    flipped = source.flip(-1) if mirrored else source
    padded = F.pad(flipped, (2, 2, 2, 2))
    return padded[:, top : top + 6, left : left + 8]


ALL = {
    "crop": "pad", "pad": 2, "flip": "horizontal", "random": "randaugment", "erase": 0.5
}  # fmt: skip


@pytest.mark.parametrize("cuts", [(0, 32, 64), (0, 21, 42, 64)])
def test_a_share_is_changed_as_in_the_whole_batch(pixels: Tensor, cuts: tuple[int, ...]) -> None:
    done = whole(pixels, **ALL)
    for low, high in pairwise(cuts):
        assert torch.equal(done[low:high], whole(pixels[low:high], range(low, high), **ALL))


@pytest.mark.parametrize("keys", [{"crop": "pad"}, {"flip": "horizontal"}, {"erase": 0.5}, ALL])
def test_steps_draw_differently(pixels: Tensor, keys: dict[str, Any]) -> None:
    assert not torch.equal(whole(pixels, step=1, **keys), whole(pixels, step=2, **keys))


def test_the_operations_come_in_the_order_that_is_said(pixels: Tensor) -> None:
    recipe = Augment.model_validate(ALL)
    mean, std = torch.tensor([10.0, 20, 30])[:, None, None], torch.full((3, 1, 1), 7.0)
    normal = Normal(mean, std, 3, torch.contiguous_format)
    made, _ = augment.augmented(
        pixels, torch.zeros(64), recipe=recipe, draws=draws(), normal=normal, classes=2
    )
    images = augment.flip(augment.pad_crop(pixels, 2, draws()), draws())
    fill = torch.tensor([10, 20, 30], dtype=torch.uint8)
    images = augment.random_ops(images, recipe, draws(), fill)
    expected = augment.erase((images.float() - mean) / std, 0.5, draws())
    torch.testing.assert_close(made, expected, rtol=0, atol=1e-5)


# ---- erasing


class Numbers:
    """Python's random, but its numbers are these."""

    def __init__(self, tried: list[float], place: list[float]) -> None:
        self.tried, self.place = iter(tried), iter(place)

    def random(self) -> float:
        return 0.0

    def uniform(self, low: float, high: float) -> float:
        return low + (high - low) * next(self.tried)

    def randint(self, low: int, high: int) -> int:
        return low + int(next(self.place) * (high - low + 1))


@pytest.mark.parametrize("size", [(32, 32), (8, 40), (224, 160)])
def test_what_is_erased_is_timms(monkeypatch: pytest.MonkeyPatch, size: tuple[int, int]) -> None:
    mine = augment.erase(torch.ones(64, 3, *size), 1.0, draws())
    tried, places = draws().uniform("erase-box", 10, 2), draws().uniform("erase-place", 2)
    theirs = timm.data.random_erasing.RandomErasing(1.0, device="cpu")
    for image, tries, place in zip(mine, tried, places, strict=True):
        numbers = Numbers(tries.flatten().double().tolist(), place.double().tolist())
        monkeypatch.setattr(timm.data.random_erasing, "random", numbers)
        assert torch.equal(image, theirs(torch.ones(3, *size)))
    assert 0.05 < float((mine == 0).float().mean()) < 0.25


def test_erasing_blanks_about_the_asked_share() -> None:
    erased = augment.erase(torch.ones(4000, 1, 16, 16), 0.25, draws(batch=4000))
    touched = (erased == 0).flatten(1).any(1)
    assert 0.23 < float(touched.float().mean()) < 0.27


# ---- mixing


def mixed(**keys: float) -> tuple[Tensor, Tensor, Tensor]:
    rng = torch.Generator().manual_seed(2)
    images = torch.rand(10, 3, 12, 16, generator=rng)
    made, targets = augment.mix(
        images, torch.arange(10), 10, Augment.model_validate(keys), draws(batch=10)
    )
    return images, made, targets


def test_mixup_is_its_formula() -> None:
    images, made, targets = mixed(mixup=0.5)
    share = float(targets[0, 0])
    assert 0 < share < 1
    torch.testing.assert_close(made, share * images + (1 - share) * images.roll(1, 0))
    labels = F.one_hot(torch.arange(10), 10).float()
    torch.testing.assert_close(targets, share * labels + (1 - share) * labels.roll(1, 0))


def test_cutmix_is_its_formula() -> None:
    images, made, targets = mixed(cutmix=1.0)
    taken = (made == images.roll(1, 0)).all(1)
    assert all(torch.equal(mask, taken[0]) for mask in taken)
    rows, columns = taken[0].any(1), taken[0].any(0)
    assert torch.equal(taken[0], rows[:, None] & columns[None])
    assert torch.equal(made.where(taken[:, None], 0), images.roll(1, 0).where(taken[:, None], 0))
    assert torch.equal(made.where(~taken[:, None], 0), images.where(~taken[:, None], 0))
    # The label's share is that of the pixels, as timm corrects it.
    share = 1 - float(taken[0].float().mean())
    labels = F.one_hot(torch.arange(10), 10).float()
    torch.testing.assert_close(targets, share * labels + (1 - share) * labels.roll(1, 0))


@pytest.mark.parametrize("kind", ["mixup", "cutmix"])
def test_shares_are_distributed_as_timms(kind: str) -> None:
    alpha = {"mixup": 0.2, "cutmix": 1.0}[kind]
    np.random.seed(0)
    key = {"mixup": "mixup_alpha", "cutmix": "cutmix_alpha"}[kind]
    theirs = timm.data.mixup.Mixup(**{"mixup_alpha": 0.0, key: alpha}, num_classes=2)
    images, labels = torch.zeros(2, 1, 32, 32), torch.tensor([0, 1])
    own, others = [], []
    for step in range(800):
        recipe = Augment.model_validate({kind: alpha})
        _, targets = augment.mix(images, labels, 2, recipe, draws(2, step=step))
        own.append(float(targets[0, 0]))
        lam, cut = theirs._params_per_batch()
        if cut:
            _, lam = timm.data.mixup.cutmix_bbox_and_lam((2, 1, 32, 32), lam)
        others.append(float(lam))
    deciles = np.arange(0.1, 1, 0.1)
    mine, timms = np.quantile(own, deciles), np.quantile(others, deciles)
    assert np.abs(mine - timms).max() < 0.09


def test_with_both_each_batch_takes_one_of_the_two() -> None:
    images, labels = torch.rand(2, 1, 8, 8), torch.tensor([0, 1])
    recipe = Augment(mixup=0.5, cutmix=0.5)
    cut = 0
    for step in range(100):
        made, _ = augment.mix(images, labels, 2, recipe, draws(2, step=step))
        cut += bool(((made == images) | (made == images.roll(1, 0))).all())
    assert 35 < cut < 65


def test_nothing_here_moves_torchs_own_generator(pixels: Tensor) -> None:
    before = torch.get_rng_state()
    whole(pixels, **ALL, mixup=0.2)
    assert torch.equal(torch.get_rng_state(), before)
