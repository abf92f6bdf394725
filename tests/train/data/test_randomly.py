"""Random operations against timm's and torchvision's on Pillow's images, one at a time."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from timm.data import auto_augment
from torch import Tensor
from torchvision.transforms import v2

from resgen.train.data import randomly
from resgen.train.data.draws import Draws
from resgen.train.data.operations import OPERATIONS, Surround, grey
from resgen.train.data.randomly import RANDAUGMENT, TRIVIALAUGMENT, Kind, random_ops
from resgen.train.recipe.keys import Augment

FILL = (11, 22, 33)
OF_TIMM = {
    "autocontrast": "AutoContrast", "equalize": "Equalize", "invert": "Invert",
    "rotate": "Rotate", "posterize": "PosterizeIncreasing", "solarize": "SolarizeIncreasing",
    "color": "ColorIncreasing", "contrast": "ContrastIncreasing",
    "brightness": "BrightnessIncreasing", "sharpness": "SharpnessIncreasing", "shear-x": "ShearX",
    "shear-y": "ShearY", "translate-x": "TranslateXRel", "translate-y": "TranslateYRel",
    "solarize-add": "SolarizeAdd",
}  # fmt: skip
OF_TORCHVISION = {
    name: {"autocontrast": "AutoContrast"}.get(name, name.title().replace("-", ""))
    for name in TRIVIALAUGMENT.operations
}
MOVED = {"rotate", "shear-x", "shear-y", "translate-x", "translate-y"}


@pytest.fixture
def picture() -> Image.Image:
    """Waves under noise, 56 wide and 40 high, that leave both ends of the range out."""
    rng = np.random.default_rng(0)
    y, x = np.mgrid[0:40, 0:56]
    waves = [127 + 90 * np.sin(x / 7 + c) + 27 * np.cos(y / 5 * (c + 1)) for c in range(3)]
    noisy = np.stack(waves, -1) + rng.normal(0, 12, (40, 56, 3))
    return Image.fromarray(np.clip(noisy, 10, 240).astype(np.uint8))


def pixels(image: Image.Image) -> Tensor:
    return torch.from_numpy(np.array(image)).permute(2, 0, 1)


def one(kind: Kind, name: str, strength: float, sign: int, image: Image.Image) -> Tensor:
    side = image.width if name.endswith("-x") else image.height
    strengths = torch.tensor([strength], dtype=torch.float64)
    amount = kind.operations[name](strengths, torch.tensor([sign]), side)
    fill = torch.tensor(FILL, dtype=torch.uint8)
    return OPERATIONS[name](pixels(image)[None], amount, Surround(fill, kind.sampling))[0]


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("magnitude", [0.0, 2.5, 6.0, 7.0, 9.3])
@pytest.mark.parametrize("name", RANDAUGMENT.operations)
def test_randaugments_operations_are_timms(
    picture: Image.Image, monkeypatch: pytest.MonkeyPatch, name: str, magnitude: float, sign: int
) -> None:
    # timm turns an amount round where it draws more than a half.
    monkeypatch.setattr(auto_augment.random, "random", lambda: 0.5 - 0.4 * sign)
    how: dict[str, Any] = {"img_mean": FILL, "interpolation": Image.Resampling.BILINEAR}
    made = auto_augment.AugmentOp(OF_TIMM[name], prob=1.0, magnitude=magnitude, hparams=how)
    theirs, mine = pixels(made(picture)), one(RANDAUGMENT, name, magnitude / 10, sign, picture)
    if name not in MOVED:
        assert torch.equal(mine, theirs)
        return
    # Pillow cuts off fractions, in double precision: some values are a level apart.
    apart = (mine.int() - theirs.int()).abs()
    assert int(apart.max()) <= 1
    assert float((apart > 0).float().mean()) < 0.05


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("place", [0, 7, 16, 30])
@pytest.mark.parametrize("name", TRIVIALAUGMENT.operations)
def test_trivialaugments_operations_are_torchvisions(
    picture: Image.Image, name: str, place: int, sign: int
) -> None:
    wide = v2.TrivialAugmentWide(fill={Image.Image: FILL})
    values, signed = wide._AUGMENTATION_SPACE[OF_TORCHVISION[name]]
    magnitudes = values(31, 40, 56)
    magnitude = 0.0 if magnitudes is None else float(magnitudes[place])
    if signed:
        # torchvision says where an image moves to and we, as Pillow, where it comes from.
        magnitude *= -sign if name.startswith("translate") else sign
    theirs = wide._apply_image_or_video_transform(
        picture, OF_TORCHVISION[name], magnitude, interpolation=wide.interpolation, fill=wide._fill
    )
    mine = one(TRIVIALAUGMENT, name, place / 30, sign, picture)
    # A pixel between two is taken from either, and float32's thresholds are not ours.
    apart = ((mine.int() - pixels(theirs).int()).abs() > 1).any(0)
    assert float(apart.float().mean()) < 0.025


def test_each_set_is_the_librarys() -> None:
    assert sorted(OF_TIMM.values()) == sorted(auto_augment._RAND_INCREASING_TRANSFORMS)
    assert set(OF_TORCHVISION.values()) == set(v2.TrivialAugmentWide._AUGMENTATION_SPACE)


def test_grey_images_are_changed_as_colour_ones_of_the_same_grey(picture: Image.Image) -> None:
    plain = grey(pixels(picture)[None])
    assert torch.equal(plain[0, 0], torch.from_numpy(np.array(picture.convert("L"))))
    for name, operation in OPERATIONS.items():
        amount = torch.tensor([0.7 if name != "posterize" else 3.0]).double()
        fill = torch.full((3,), 9, dtype=torch.uint8)
        colour = operation(plain.expand(-1, 3, -1, -1), amount, Surround(fill, "bilinear"))
        alone = operation(plain, amount, Surround(fill[:1], "bilinear"))
        assert torch.equal(colour, alone.expand(-1, 3, -1, -1)), name


# ---- what is drawn


@pytest.fixture
def batch() -> Tensor:
    rng = torch.Generator().manual_seed(0)
    return torch.randint(20, 230, (2000, 3, 20, 20), generator=rng, dtype=torch.uint8)


def changed(images: Tensor, step: int = 3, **keys: Any) -> Tensor:
    recipe = Augment.model_validate({"random": "randaugment", **keys})
    draws = Draws(0, step, len(images), range(len(images)))
    return random_ops(images, recipe, draws, torch.zeros(3, dtype=torch.uint8))


def untouched(images: Tensor, after: Tensor) -> float:
    return float((images == after).flatten(1).all(1).float().mean())


def test_timms_rand_m7_mstd05_inc1_leaves_a_quarter_of_the_images(batch: Tensor) -> None:
    theirs = auto_augment.rand_augment_transform("rand-m7-mstd0.5-inc1", {"img_mean": (0, 0, 0)})
    assert [(op.prob, op.magnitude, op.magnitude_std) for op in theirs.ops] == [(0.5, 7, 0.5)] * 15
    default = Augment()
    assert (default.random_ops, default.random_probability, default.random_noise) == (2, 0.5, 0.5)
    np.random.seed(0)
    auto_augment.random.seed(0)
    after = [pixels(theirs(Image.fromarray(each.permute(1, 2, 0).numpy()))) for each in batch]
    expected = untouched(batch, torch.stack(after))
    assert 0.23 < expected < 0.28
    mine = untouched(batch, changed(batch, random_magnitude=7))
    assert mine == pytest.approx(expected, abs=0.03)


def test_of_n_operations_each_is_applied_with_its_probability(batch: Tensor) -> None:
    for keys, expected in (
        ({"random_probability": 0.0}, 1.0),
        ({"random_probability": 0.9, "random_ops": 1}, 0.1),
        ({"random_probability": 0.5, "random_ops": 3}, 0.125),
    ):
        assert untouched(batch, changed(batch, **keys)) == pytest.approx(expected, abs=0.025)


def test_the_strength_is_normal_about_the_magnitude_and_within_its_ends(
    batch: Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[Tensor] = []

    def strength(found: Tensor, _: Tensor, __: int) -> Tensor:
        seen.append(found)
        return found

    kind = RANDAUGMENT._replace(operations=dict.fromkeys(RANDAUGMENT.operations, strength))
    monkeypatch.setitem(randomly._KINDS, "randaugment", (kind, randomly._randaugment))
    monkeypatch.setattr(
        randomly, "OPERATIONS", dict.fromkeys(RANDAUGMENT.operations, lambda x, _, __: x)
    )
    for noise, magnitude in ((0.5, 7.0), (0.0, 4.0), (3.0, 9.5)):
        seen.clear()
        changed(batch, random_magnitude=magnitude, random_noise=noise)
        strengths = 10 * torch.cat(seen)
        assert len(strengths) == pytest.approx(2000, rel=0.06)
        assert 0 <= float(strengths.min()) <= float(strengths.max()) <= 10
        if noise < 1:
            assert float(strengths.mean()) == pytest.approx(magnitude, abs=0.05)
            assert float(strengths.std()) == pytest.approx(noise, abs=0.05)
        else:
            assert float((strengths == 10).float().mean()) == pytest.approx(0.43, abs=0.05)


@pytest.mark.parametrize("kind", ["randaugment", "trivialaugment"])
@pytest.mark.parametrize("cuts", [(0, 32, 64), (0, 21, 42, 64), (0, 3, 5, 64)])
def test_random_operations_do_not_depend_on_the_shares(
    batch: Tensor, kind: str, cuts: tuple[int, ...]
) -> None:
    recipe = Augment.model_validate({"random": kind})
    images, fill = batch[:64], torch.zeros(3, dtype=torch.uint8)
    before = images.clone()
    whole = random_ops(images, recipe, Draws(0, 5, 64, range(64)), fill)
    assert torch.equal(images, before)
    assert not torch.equal(whole, images)
    for low, high in pairwise(cuts):
        draws = Draws(0, 5, 64, range(low, high))
        assert torch.equal(random_ops(images[low:high], recipe, draws, fill), whole[low:high])


def test_images_and_steps_draw_for_themselves() -> None:
    rng = torch.Generator().manual_seed(1)
    same = torch.randint(256, (1, 3, 8, 8), generator=rng, dtype=torch.uint8).expand(64, -1, -1, -1)
    for kind in ("randaugment", "trivialaugment"):
        one, other = (changed(same, step, random=kind) for step in (1, 2))
        assert len(one.flatten(1).unique(dim=0)) > 30
        assert not torch.equal(one, other)
