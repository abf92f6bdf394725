"""The recipe that is meant where none is named, and recipes in words."""

from __future__ import annotations

from pathlib import Path

import pytest

from resgen.train.data import facts
from resgen.train.recipe import read_recipe
from resgen.train.recipe.defaults import RECIPES, begun_with, recipe_for
from resgen.train.recipe.keys import Augment, Loss
from resgen.train.recipe.said import augmentation, loss


def test_every_data_set_has_a_shipped_recipe() -> None:
    assert RECIPES.keys() == {name.partition(":")[0] for name in facts.NAMES}
    for name in RECIPES.values():
        read_recipe(name)
    assert recipe_for("cifar10:some/where") == recipe_for("cifar100") == "cifar-short"
    assert recipe_for("digits") == "digits"


@pytest.mark.parametrize("inside", ["", "net", "net/seed-1"])
def test_a_run_says_what_it_was_begun_with(tmp_path: Path, inside: str) -> None:
    (tmp_path / inside).mkdir(parents=True, exist_ok=True)
    shipped = Path(__file__).parents[3] / "specs/recipes/he2015-cifar.yaml"
    text = shipped.read_text().replace("64000 steps", "10 steps")
    (tmp_path / inside / "recipe.yaml").write_text(text)
    assert begun_with(tmp_path) == "he2015-cifar"
    (tmp_path / inside / "recipe.yaml").write_text("description: [")
    assert begun_with(tmp_path) is None


def test_what_is_drawn_is_said() -> None:
    assert augmentation(Augment()) == "none"
    assert augmentation(read_recipe("rsb-a2-imagenet").augment) == (
        "random-resized crops of 8 % of the area or more, horizontal flips, bicubic scaling, "
        "randaugment (2 operations of magnitude 7 +- 0.5, each with probability 0.5), mixup 0.1, "
        "cutmix 1, 3 copies of an image in a batch"
    )
    # Each key that changes images is said.
    for key, value in {
        "crop": "pad", "flip": "horizontal", "random": "trivialaugment", "erase": 0.25,
        "mixup": 0.1, "cutmix": 0.1, "repeats": 2, "size": 160,
    }.items():  # fmt: skip
        assert augmentation(Augment.model_validate({key: value})) != "none"


def test_the_loss_is_said() -> None:
    assert loss(Loss(label_smoothing=0.1)) == "cross-entropy, label smoothing 0.1"
    binary = loss(Loss(kind="binary", threshold=0.2))
    assert binary == "binary cross-entropy, the classes' mean, mixed labels whole above 0.2"
