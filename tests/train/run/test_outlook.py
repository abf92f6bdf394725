"""What is told in advance is what training finds, and what training refuses is refused."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

from resgen.errors import UserError
from resgen.train.data import sources
from resgen.train.data.facts import Facts
from resgen.train.data.images import Wanted
from resgen.train.run import runs
from resgen.train.run.outlook import known, outlook
from tests.training import recipe

Make = Callable[..., runs.Job]


def fill(path: Path, *, mode: str = "L", classes: int = 3, splits: dict[str, int]) -> str:
    """Class folders of small images, so many a class; the data's name."""
    for split, count in splits.items():
        for label in range(classes):
            place = path / split / f"class{label}"
            place.mkdir(parents=True)
            for number in range(count):
                grey = Image.new("L", (8, 8), 40 * label)
                grey.convert(mode).save(place / f"{number}.png")
    return f"folder:{path}"


@pytest.mark.parametrize(
    ("name", "splits", "heldout"),
    [
        ("digits", {}, None),
        ("digits", {}, 100),
        ("synthetic", {}, None),
        ("synthetic", {}, 7),
        ("folder", {"train": 7}, None),
        ("folder", {"train": 7}, 5),
        ("folder", {"train": 4, "val": 2}, None),
        ("folder", {"train": 4, "test": 3}, 2),
    ],
)
@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_what_is_known_in_advance_is_what_loading_finds(
    tmp_path: Path, name: str, splits: dict[str, int], heldout: int | None, mode: str
) -> None:
    classes = 3 if name == "folder" else 10
    if name == "folder":
        name = fill(tmp_path, mode=mode, splits=splits)
    wanted = Wanted(name, channels=3, size=(8, 8), classes=classes, heldout=heldout)
    assert known(wanted) == Facts.of(sources.load(wanted))


@pytest.mark.parametrize(
    ("splits", "mode", "changes", "message"),
    [
        ({"train": 4}, "L", {}, "has 3 classes and the network 10; write classes: 3 in"),
        ({"train": 4}, "RGB", {"classes": 3}, "has 3 channels and the network takes 1; write"),
        ({"train": 4}, "L", {"classes": 3, "batch": 12}, "a batch of 12 is more than the 11 train"),
        ({"train": 4}, "L", {"classes": 3, "heldout": 12}, "--heldout 12: must be at least 1 and"),
        ({"train": 4, "val": 1}, "L", {"classes": 3, "heldout": 1}, "has its held-out images in"),
        ({"test": 1}, "L", {"classes": 3}, "has no folder train (it holds test)"),
        ({"train": 0}, "L", {"classes": 3}, "train: no images in class0, class1, class2"),
        ({"train": 4}, "L", {"classes": 3, "batch": 2, "accumulate": 3}, "cannot be cut into 3"),
        ({}, "L", {"name": "digits", "classes": 11}, "digits has 10 classes and the network 11"),
        ({}, "L", {"name": "digits", "batch": 1438}, "is more than the 1437 training images"),
        ({}, "L", {"name": "digits:x"}, "--data digits:x: no such data; known are digits,"),
        ({}, "L", {"name": "synthetic:x"}, "--data synthetic:x: no such data; known are"),
        ({}, "L", {"name": "folder:"}, "--data folder:: no such data; known are digits"),
        ({}, "L", {"name": "folder:none"}, "--data folder:none: no such folder"),
    ],
)
def test_plan_refuses_what_training_refuses_in_the_same_words(
    job: Make, tiny: Callable[..., str], tmp_path: Path, splits: dict[str, int], mode: str,
    changes: dict[str, object], message: str,
) -> None:  # fmt: skip
    name = fill(tmp_path / "data", mode=mode, splits=splits) if splits else "digits"
    wanted = Wanted(str(changes.get("name", name)), heldout=changes.get("heldout"))  # type: ignore[arg-type]
    keys = {key: changes[key] for key in ("batch", "accumulate") if key in changes}
    chosen = {"batch": 4, **keys}
    made = job(specs=[tiny("net", classes=int(str(changes.get("classes", 10))))], data=wanted)
    made = replace(made, recipe=recipe(**chosen))
    with pytest.raises(UserError) as trained:
        runs.train(made)
    with pytest.raises(UserError) as planned:
        outlook(made.networks, made.recipe, wanted)
    assert message in str(planned.value)
    assert str(planned.value) == str(trained.value)


def test_plan_looks_at_every_network(job: Make, tiny: Callable[..., str]) -> None:
    made = job(specs=[tiny(), tiny("wide", classes=1000)])
    with pytest.raises(UserError, match="digits has 10 classes and the network 1000"):
        outlook(made.networks, made.recipe, Wanted("digits"))


def test_facts_of_published_sets_need_no_torch() -> None:
    code = (
        "import sys\nfrom resgen.train.data.images import Wanted\n"
        "from resgen.train.run.outlook import known\n"
        "print(known(Wanted('cifar10')), known(Wanted('cifar100', heldout=1)))\n"
        "assert 'torch' not in sys.modules"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "train=45000" in done.stdout
    assert "classes=100, channels=3, train=49999" in done.stdout
