"""What a feed hands to the network: sizes, kinds and values, from memory and from files."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from PIL import Image

from resgen.train.data.feed import Feed, Making, MemoryFeed, Piece
from resgen.train.data.filefeed import FileFeed
from resgen.train.data.images import Data, Wanted
from resgen.train.data.order import Order
from resgen.train.data.sources import load
from resgen.train.recipe.keys import Augment

CPU = torch.device("cpu")
Make = Callable[..., Feed]


@pytest.fixture(params=["memory", "files"])
def feed(request: pytest.FixtureRequest, tmp_path: Path) -> Make:
    """A feed of 24x24 images under a recipe, tested on at 16x16."""
    for split, count in (("train", 6), ("val", 3)):
        for label, name in enumerate(("cat", "dog")):
            (tmp_path / split / name).mkdir(parents=True)
            for number in range(count):
                # One image of another size keeps a set on disk.
                odd = request.param == "files" and number == 0
                image = Image.new("RGB", (24 + odd, 24), (50 + 150 * label, 10 * number, 0))
                image.save(tmp_path / split / name / f"{number}.png")

    def make(**keys: object) -> Feed:
        recipe = Augment.model_validate(keys)
        wanted = Wanted(f"folder:{tmp_path}", channels=3, size=(16, 16), classes=2)
        data: Data = load(wanted)
        order = Order(len(data.train), 4, 0, recipe.repeats)
        side = recipe.size or 16
        making = Making.of(
            data, recipe=recipe, order=order, channels=3, size=(16, 16),
            train_size=(side, side), device=CPU, layout=torch.channels_last,
        )  # fmt: skip
        if request.param == "memory":
            return MemoryFeed.of(data, making)
        return FileFeed(data, making, processes=0)

    return make


def first(batches: Iterator[tuple[torch.Tensor, torch.Tensor]]) -> tuple[torch.Tensor, ...]:
    return tuple(next(batches))


@pytest.mark.parametrize("crop", ["none", "pad", "random-resized"])
@pytest.mark.parametrize("size", [None, 12, 20])
def test_images_are_trained_on_at_one_size_and_tested_at_another(
    feed: Make, crop: str, size: int | None
) -> None:
    made = feed(crop=crop, size=size)
    images, labels = first(made.train([Piece(0, range(4))]))
    side = size or 16
    assert images.shape == (4, 3, side, side)
    assert images.is_contiguous(memory_format=torch.channels_last)
    assert labels.shape == (4,)
    images, _ = first(made.still("heldout", [torch.arange(3)]))
    assert images.shape == (3, 3, 16, 16)


def test_repeated_images_are_changed_differently(feed: Make) -> None:
    made = feed(repeats=2, crop="random-resized", min_area=0.1, flip="horizontal", erase=1.0)
    images, labels = first(made.train([Piece(0, range(4))]))
    assert torch.equal(labels[:2], labels[2:])
    assert not torch.equal(images[0], images[2])
    assert not torch.equal(images[1], images[3])


@pytest.mark.parametrize("mixing", [{"mixup": 1.0}, {"cutmix": 1.0}, {"mixup": 1.0, "cutmix": 1.0}])
def test_mixed_labels_are_shares_of_classes(feed: Make, mixing: dict[str, float]) -> None:
    _, labels = first(feed(**mixing).train([Piece(0, range(4))]))
    assert labels.shape == (4, 2)
    assert torch.allclose(labels.sum(1), torch.ones(4))


def test_a_batch_can_be_made_again_from_its_step(feed: Make) -> None:
    keys = {
        "crop": "random-resized",
        "flip": "horizontal",
        "random": "trivialaugment",
        "mixup": 0.5,
    }
    one, other = feed(**keys), feed(**keys)
    list(one.train([Piece(0, range(4)), Piece(1, range(4))]))
    again = first(one.train([Piece(2, range(2))]))
    fresh = first(other.train([Piece(2, range(2))]))
    assert all(torch.equal(mine, theirs) for mine, theirs in zip(again, fresh, strict=True))


def test_what_a_feed_draws_moves_no_generator_of_the_network(
    feed: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    def moved(_: int) -> None:
        raise AssertionError("a GPU's generator is moved, from which dropout draws")

    monkeypatch.setattr(torch.cuda, "manual_seed_all", moved)
    made = feed(
        crop="random-resized", flip="horizontal", random="trivialaugment", erase=0.5, mixup=0.5
    )
    before = torch.get_rng_state()
    for _ in range(2):
        list(made.train([Piece(0, range(4)), Piece(1, range(4))]))
        list(made.still("heldout", [torch.arange(3)]))
        assert torch.equal(torch.get_rng_state(), before)
