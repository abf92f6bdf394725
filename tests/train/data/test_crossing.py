"""What crosses from the processes that decode images is bounded by bytes, whatever the batch."""

from __future__ import annotations

import os
from collections.abc import Callable
from multiprocessing.reduction import ForkingPickler
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

from resgen.errors import UserError
from resgen.inference import reading
from resgen.train.data import crossing as crossings
from resgen.train.data import filefeed
from resgen.train.data.crossing import Crossing, crossing, room
from resgen.train.data.feed import Batch, Making, Piece
from resgen.train.data.filefeed import FileFeed
from resgen.train.data.images import Files, Wanted
from resgen.train.data.order import Order
from resgen.train.data.paths import Paths
from resgen.train.data.preparing import Preparation
from resgen.train.data.sources import load
from resgen.train.recipe.keys import Augment

MIB, GIB = 2**20, 2**30
AT_224 = 3 * 224 * 224


@pytest.mark.parametrize("image", [64, 3 * 32 * 32, AT_224, 3 * 2048 * 2048])
@pytest.mark.parametrize("batch", [1, 7, 64, 2048])
@pytest.mark.parametrize("processes", [1, 3, 16, 64])
@pytest.mark.parametrize("free", [16 * MIB, 64 * MIB, GIB])
def test_no_more_is_under_way_than_there_is_room_for(
    image: int, batch: int, processes: int, free: int
) -> None:
    plan = crossing(image, batch, processes, free)
    assert plan.under_way * image <= free
    assert 1 <= plan.processes <= processes
    assert 1 <= plan.images <= batch
    assert plan.ahead >= 1


def test_room_is_used_where_it_is() -> None:
    # Sixteen processes for batches of 294 MiB: as much as may be, in pieces of 4 MiB.
    plan = crossing(AT_224, 2048, 16, GIB)
    assert plan == Crossing(27, 16, 16)
    assert plan.under_way > 3 * 2048
    # In a container of Docker: all sixteen still work, an image or two at a time.
    plan = crossing(AT_224, 2048, 16, 32 * MIB)
    assert plan == Crossing(6, 16, 2)
    # Small batches cross whole, two for each process.
    assert crossing(3 * 32 * 32, 128, 4, GIB) == Crossing(128, 4, 2)
    assert crossing(AT_224, 64, 0, 1) == Crossing(64, 0, 0)


def test_where_no_image_can_cross_a_sentence_says_so() -> None:
    with pytest.raises(UserError) as caught:
        crossing(3 * MIB, 8, 4, MIB)
    assert str(caught.value) == (
        "/dev/shm: 2.0 MiB are free for each process that trains, and an image takes 3.0 MiB "
        "there; make room (docker run --shm-size 2g), or decode in the process itself: --workers 0"
    )


def test_the_room_is_a_part_of_what_is_free(monkeypatch: pytest.MonkeyPatch) -> None:
    def of(blocks: int) -> Callable[[object], os.statvfs_result]:
        return lambda _: os.statvfs_result((4096, 4096, 99, 99, blocks, 0, 0, 0, 0, 255))

    monkeypatch.setattr(os, "statvfs", of(64 * MIB // 4096))
    assert (room(), room(4)) == (32 * MIB, 8 * MIB)
    monkeypatch.setattr(os, "statvfs", of(100 * GIB // 4096))
    assert (room(), room(4)) == (GIB, GIB)
    monkeypatch.undo()
    monkeypatch.setattr(crossings, "SHARED", Path("/no/such/folder"))
    assert room() == GIB


# ---- the feed


@pytest.fixture
def making(tmp_path: Path) -> Making:
    """Of 40 images of several sizes, for batches of 16 at 12x12."""
    for label, name in enumerate(("cat", "dog")):
        (tmp_path / "train" / name).mkdir(parents=True)
        for number in range(22):
            image = Image.effect_noise((14 + number % 3, 13), 40 + 60 * label)
            image.save(tmp_path / "train" / name / f"{number:02}.png")
    data = load(Wanted(f"folder:{tmp_path}", 1, (12, 12), 2))
    assert isinstance(data.train, Files)
    recipe = Augment(crop="random-resized", flip="horizontal", random="trivialaugment", repeats=2)
    return Making.of(
        data, recipe=recipe, order=Order(len(data.train), 16, 0, 2), channels=1, size=(12, 12),
        train_size=(12, 12), device=torch.device("cpu"), layout=torch.channels_last,
    )  # fmt: skip


def batches(feed: FileFeed) -> list[Batch]:
    with feed.open():
        trained = list(feed.train([Piece(step, range(3, 16)) for step in range(3)]))
        return trained + list(feed.still("heldout", [torch.arange(4), torch.tensor([2])]))


@pytest.mark.parametrize("free", [3 * 144, 16 * 144, GIB])
def test_batches_are_the_same_however_they_cross(
    making: Making, tmp_path: Path, free: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = load(Wanted(f"folder:{tmp_path}", 1, (12, 12), 2))
    alone = batches(FileFeed(data, making, processes=0))
    monkeypatch.setattr(filefeed, "room", lambda beside: free)
    feed = FileFeed(data, making, processes=2)
    assert feed.crossing.under_way * 144 <= free
    assert (feed.loader.num_workers, feed.loader.prefetch_factor) == feed.crossing[1:]
    helped = batches(feed)
    assert len(alone) == len(helped) == 5
    for one, other in zip(alone, helped, strict=True):
        assert torch.equal(one.images, other.images)
        assert torch.equal(one.labels, other.labels)


def test_no_piece_is_larger_than_planned(
    making: Making, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(filefeed, "room", lambda beside: 12 * 144)
    data = load(Wanted(f"folder:{tmp_path}", 1, (12, 12), 2))
    feed = FileFeed(data, making, processes=2)
    parts = list(feed._parts("train", list(range(13)), Piece(5, range(3, 16))))
    assert [len(part.images) for part in parts] == [3, 3, 3, 4] or max(
        len(part.images) for part in parts
    ) <= feed.crossing.images
    assert [n for part in parts for n in part.images] == list(range(13))
    assert [n for part in parts for n in part.piece.share] == list(range(3, 16))  # type: ignore[union-attr]


def test_an_unreadable_image_is_told_of_in_its_place(making: Making, tmp_path: Path) -> None:
    data = load(Wanted(f"folder:{tmp_path}", 1, (12, 12), 2))
    (tmp_path / "train/cat/05.png").write_bytes(b"no image")
    feed = FileFeed(data, making, processes=2)
    with feed.open(), pytest.raises(UserError, match=r"cat/05\.png: unreadable image"):
        list(feed.train([Piece(step, range(16)) for step in range(5)]))


def test_workers_are_sent_no_names() -> None:
    """What starts a worker is as large for 50,000 files as for 50: the names are shared memory."""

    def sent(count: int) -> int:
        paths = Paths.of("data/train/", (f"cat/{number:08}.jpg" for number in range(count)))
        files = Files(paths, torch.zeros(count, dtype=torch.int64)).pick(torch.arange(count))
        cutting: Any = None
        return len(ForkingPickler.dumps(filefeed._Pictures({"train": files}, cutting)))

    assert abs(sent(50_000) - sent(50)) < 100
    assert sent(50_000) < 5_000


# ---- tested and predicted


def test_reading_keeps_order_and_faults_in_their_places(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(20):
        Image.new("L", (6, 6), number).save(tmp_path / f"{number:02}.png")
    (tmp_path / "07.png").write_bytes(b"no image")
    paths = [str(path) for path in sorted(tmp_path.iterdir())]
    plain = Preparation((6, 6), 1, (0.0,), (1 / 255,), 1.0)
    monkeypatch.setattr(reading, "FEW", 4)
    monkeypatch.setattr(reading, "room", lambda beside: 7 * 4 * 36)
    for processes in (0, 2):
        made = list(reading.read(paths, plain, batch=8, processes=processes))
        assert [len(each) for each in made] == [8, 8, 4]
        flat = [item for each in made for item in each]
        assert isinstance(flat.pop(7), str)
        assert [float(item[0, 0, 0]) for item in flat if not isinstance(item, str)] == [
            number for number in range(20) if number != 7
        ]
