"""Batched augmentation against plain loops, one image at a time."""

from __future__ import annotations

from itertools import pairwise

import pytest
import torch
import torch.nn.functional as F

from resgen.train.data import augment
from resgen.train.data.augment import Draws
from resgen.train.recipe.keys import Augment

CPU = torch.device("cpu")


def draws(batch: int = 64, share: range | None = None, step: int = 5) -> Draws:
    return Draws(0, step, batch, share or range(batch), CPU)


@pytest.fixture
def pixels() -> torch.Tensor:
    rng = torch.Generator().manual_seed(0)
    return torch.randint(1, 256, (100, 3, 6, 8), generator=rng, dtype=torch.uint8)


def test_without_augmentation_the_images_are_untouched(pixels: torch.Tensor) -> None:
    indices = torch.randperm(100)[:64]
    assert torch.equal(augment.crop_and_flip(pixels, indices, Augment(), draws()), pixels[indices])


def test_each_image_is_a_window_of_its_padded_self_perhaps_mirrored(pixels: torch.Tensor) -> None:
    recipe = Augment(crop="pad", pad=2, flip="horizontal")
    indices = torch.arange(64)
    places = set()
    for image, source in zip(
        augment.crop_and_flip(pixels, indices, recipe, draws()), pixels, strict=False
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


def _window(source: torch.Tensor, top: int, left: int, mirrored: bool) -> torch.Tensor:
    flipped = source.flip(-1) if mirrored else source
    padded = F.pad(flipped, (2, 2, 2, 2))
    return padded[:, top : top + 6, left : left + 8]


def test_a_share_is_changed_as_in_the_whole_batch(pixels: torch.Tensor) -> None:
    recipe = Augment(crop="pad", pad=2, flip="horizontal")
    indices = torch.arange(64)
    whole = augment.crop_and_flip(pixels, indices, recipe, draws())
    part = augment.crop_and_flip(pixels, indices[20:41], recipe, draws(share=range(20, 41)))
    assert torch.equal(whole[20:41], part)
    erased = augment.erase(whole.float(), 0.5, draws())
    assert torch.equal(erased[20:41], augment.erase(part.float(), 0.5, draws(share=range(20, 41))))


def test_steps_draw_differently(pixels: torch.Tensor) -> None:
    recipe = Augment(crop="pad", pad=2)
    one, other = (
        augment.crop_and_flip(pixels, torch.arange(64), recipe, draws(step=step)) for step in (1, 2)
    )
    assert not torch.equal(one, other)


def test_erasing_blanks_one_rectangle_in_about_the_asked_share() -> None:
    images = torch.ones(4000, 1, 16, 16)
    erased = augment.erase(images, 0.25, draws(batch=4000))
    blank = erased[:, 0] == 0
    touched = blank.flatten(1).any(1)
    assert 0.2 < float(touched.float().mean()) < 0.3
    for mask in blank[touched][:50]:
        rows, columns = mask.any(1), mask.any(0)
        assert torch.equal(mask, rows[:, None] & columns[None, :])


def test_a_resized_crop_of_everything_is_the_image() -> None:
    images = torch.rand(8, 3, 12, 12)
    whole = Augment(crop="random-resized", min_area=1.0)

    class Middle(Draws):
        def uniform(self, purpose: str) -> torch.Tensor:
            return torch.full((8,), 0.5)

    same = augment.resized_crop(images, (12, 12), whole, Middle(0, 0, 8, range(8), CPU))
    assert torch.allclose(same, images, atol=1e-5)


def test_resized_crops_stay_inside_the_images_values() -> None:
    images = torch.rand(8, 3, 12, 12) + 1
    recipe = Augment(crop="random-resized")
    crops = augment.resized_crop(images, (7, 9), recipe, draws(batch=8))
    assert crops.shape == (8, 3, 7, 9)
    assert float(crops.min()) >= 1


def test_mixed_labels_sum_to_one_and_mix_as_the_images() -> None:
    labels = torch.arange(10)
    images = F.one_hot(labels, 10).float()[:, :, None, None].expand(-1, -1, 4, 4)
    for recipe in (Augment(mixup=0.5), Augment(cutmix=1.0)):
        mixed, targets = augment.mix(images, labels, 10, recipe, draws(batch=10))
        assert torch.allclose(targets.sum(1), torch.ones(10))
        assert torch.allclose(mixed.mean((2, 3)), targets, atol=1e-6)


@pytest.mark.parametrize("kind", ["randaugment", "trivialaugment"])
@pytest.mark.parametrize("cuts", [(0, 32, 64), (0, 21, 42, 64), (0, 3, 5, 64)])
def test_random_operations_do_not_depend_on_the_shares(
    pixels: torch.Tensor, kind: str, cuts: tuple[int, ...]
) -> None:
    recipe = Augment.model_validate({"random": kind})
    whole = augment.random_ops(pixels[:64], recipe, draws())
    assert not torch.equal(whole, pixels[:64])
    for low, high in pairwise(cuts):
        share = augment.random_ops(pixels[low:high], recipe, draws(share=range(low, high)))
        assert torch.equal(share, whole[low:high])


def test_nothing_here_moves_torchs_own_generator(pixels: torch.Tensor) -> None:
    before = torch.get_rng_state()
    recipe = Augment(crop="pad", flip="horizontal", random="randaugment", mixup=0.2)
    images = augment.crop_and_flip(pixels, torch.arange(64), recipe, draws())
    images = augment.random_ops(images, recipe, draws())
    augment.mix(images.float(), torch.zeros(64, dtype=torch.long), 10, recipe, draws())
    assert torch.equal(torch.get_rng_state(), before)
