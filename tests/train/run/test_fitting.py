"""A checkpoint that is not this run's, though it says so, is one sentence and never a traceback."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

from resgen.errors import UserError
from resgen.spec import load_spec
from resgen.tensors import checkpoint, read_weights
from resgen.tensors.rules import RULES
from resgen.train.data.images import Wanted
from resgen.train.run import runs
from tests.checkpoints import ABSENT, changed, seal

Make = Callable[..., runs.Job]


def state_of(job: runs.Job) -> dict[str, Any]:
    return checkpoint.load(job.settings.out / "last.pt")


def forge(job: runs.Job, key: str, value: Any) -> None:
    """Changes a key of the run's last checkpoint, its hash with it."""
    path = job.settings.out / "last.pt"
    state = {k: v for k, v in state_of(job).items() if k not in ("format", "sha256")}
    path.unlink()
    seal(changed(state, key, value), path)


def refused(job: runs.Job) -> str:
    with pytest.raises(UserError) as caught:
        runs.train(job)
    text = str(caught.value)
    assert text.isprintable()
    assert len(text) < 500
    return text


@pytest.mark.parametrize("recipe_", [{}, {"ema": {"decay": 0.9}}], ids=["plain", "averaged"])
def test_what_a_run_writes_is_what_the_rules_say(job: Make, recipe_: dict[str, Any]) -> None:
    runs.train(job("run", recipe_=recipe_))
    state = state_of(job("run"))
    assert state.keys() - {"format", "sha256"} == {key for key in RULES if "." not in key}
    assert state["random"].keys() == {key[7:] for key in RULES if key.startswith("random.")}


@pytest.fixture(scope="module")
def kept() -> dict[str, bytes]:
    """The files of one run, made once."""
    return {}


@pytest.fixture
def run(job: Make, kept: dict[str, bytes]) -> runs.Job:
    """A run of one epoch with an average, taken to its end."""
    made = job("run", recipe_={"length": "1 epochs", "ema": {"decay": 0.9}})
    if not kept:
        runs.train(made)
        kept |= {path.name: path.read_bytes() for path in made.settings.out.iterdir()}
    made.settings.out.mkdir(exist_ok=True)
    for name, data in kept.items():
        (made.settings.out / name).write_bytes(data)
    return job("run", start="resume", recipe_={"length": "1 epochs", "ema": {"decay": 0.9}})


FORGED: dict[str, tuple[str, Any, str]] = {
    "a weight is missing": ("model/fc.weight", ABSENT, "its model has nothing for fc.weight"),
    "a weight more": ("model/extra", torch.ones(2), "its model has extra, for which there is no"),
    "another shape": (
        "model/fc.weight", torch.ones(7, 16),
        "its model has float32 (7, 16) for fc.weight, which is float32 (10, 16)",
    ),
    "another kind": (
        "model/fc.weight", torch.ones(10, 16, dtype=torch.float64),
        "its model has float64 (10, 16) for fc.weight, which is float32 (10, 16)",
    ),
    "no average": ("average", None, "its average has nothing for n_averaged"),
    "an average's shape": (
        "average/module.fc.bias", torch.ones(9),
        "its average has float32 (9,) for module.fc.bias, which is float32 (10,)",
    ),
    "state of another parameter": (
        "optimizer/state", {99: {"momentum_buffer": torch.ones(3)}},
        "its optimizer keeps something of parameter 99, and there are 17",
    ),
    "state of another shape": (
        "optimizer/state/0/momentum_buffer", torch.ones(3),
        "its optimizer keeps momentum_buffer of (3,) of parameter 0, which is (8, 1, 3, 3)",
    ),
    "state of another optimizer": (
        "optimizer/state/0", {"exp_avg": torch.ones(8, 1, 3, 3)},
        "its optimizer keeps exp_avg of parameter 0, where momentum_buffer is kept",
    ),
    "state of too few": (
        "optimizer/state/0", ABSENT, "its optimizer keeps something of 16 of 17 parameters",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("key", "value", "sentence"), FORGED.values(), ids=FORGED.keys())
def test_what_is_not_of_this_run_is_named(
    run: runs.Job, key: str, value: Any, sentence: str
) -> None:
    if key == "optimizer/state/0" and value is ABSENT:
        kept = {n: v for n, v in state_of(run)["optimizer"]["state"].items() if n}
        key, value = "optimizer/state", kept
    forge(run, key, value)
    before = {path.name: path.read_bytes() for path in run.settings.out.glob("*.pt")}
    assert sentence in refused(run)
    assert {path.name: path.read_bytes() for path in run.settings.out.glob("*.pt")} == before


def test_settings_of_the_optimizer_are_the_recipes_whatever_the_file_says(run: runs.Job) -> None:
    (run.settings.out / "result.json").unlink()
    forge(run, "optimizer/param_groups", [{"lr": "fast", "params": "all"}])
    runs.train(run)


@pytest.mark.parametrize(
    ("damage", "sentence"),
    [
        (lambda path: path.mkdir(), "is a directory; name a file in it"),
        (lambda path: path.write_bytes(b""), "damaged: it is empty; the one before it is whole"),
        (lambda path: path.write_bytes(b"<html>"), "a web page or other markup"),
        (lambda path: torch.save({"w": torch.ones(1)}, path), "but no resgen checkpoint"),
    ],
)
def test_what_lies_in_the_checkpoints_place_is_named(
    run: runs.Job, damage: Callable[[Path], None], sentence: str
) -> None:
    path = run.settings.out / "last.pt"
    path.unlink()
    damage(path)
    text = refused(run)
    assert text.startswith(f"{path}: ")
    assert sentence in text


def test_a_checkpoint_that_may_not_be_read_is_named(
    run: runs.Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = Path.open

    def denied(path: Path, *args: Any, **kwargs: Any) -> Any:
        if path.name == "last.pt":
            raise PermissionError(13, "Permission denied")
        return opened(path, *args, **kwargs)

    monkeypatch.setattr(Path, "open", denied)
    assert "last.pt: cannot be read: Permission denied" in refused(run)


def test_a_new_run_begins_from_the_averaged_weights(run: runs.Job) -> None:
    average = state_of(run)["average"]
    for name, value in read_weights(run.settings.out / "last.pt").items():
        assert torch.equal(value, average[f"module.{name}"])


def test_a_forged_network_is_one_sentence(run: runs.Job) -> None:
    for value in ({}, {"name": 3}, {"name": "x", "stages": "many"}):
        forge(run, "network", value)
        with pytest.raises(UserError):
            load_spec(run.settings.out / "last.pt")


@pytest.mark.parametrize("memory_limit", [2**30, 10], ids=["in memory", "on disk"])
def test_a_run_whose_images_changed_says_which_and_the_way_on(
    job: Make, tiny: Callable[..., str], tmp_path: Path, memory_limit: int
) -> None:
    for label, name in enumerate(("cat", "dog")):
        (tmp_path / "data/train" / name).mkdir(parents=True)
        for number in range(12):
            image = Image.new("L", (8, 8), 90 * label + number)
            image.save(tmp_path / "data/train" / name / f"{number:02}.png")

    def make(out: str, **settings: Any) -> runs.Job:
        data = Wanted(f"folder:{tmp_path / 'data'}", memory_limit=memory_limit)
        recipe_ = {"length": "1 epochs", "batch": 8}
        return job(
            out, specs=[tiny("pets", classes=2)], data=data, recipe_=recipe_, workers=0, **settings
        )

    runs.train(make("run"))
    path = tmp_path / "run/last.pt"
    (tmp_path / "data/train/cat/03.png").rename(tmp_path / "data/train/cat/99.png")
    assert refused(make("run", start="resume")) == (
        f"{path}: the images are others than this run began with: 1 is gone, the first "
        "train/cat/03.png and 1 is new, the first train/cat/99.png; make them the same again, or "
        f"begin a new run from its weights: --init-from {path} --out NEW"
    )
    runs.train(make("new", init_from=path))
    (tmp_path / "data/train/cat/99.png").rename(tmp_path / "away.png")
    assert refused(make("run", start="resume")) == (
        f"{path}: the images are others than this run began with: 1 is gone, the first "
        "train/cat/03.png; make them the same again, or begin a new run from its weights: "
        f"--init-from {path} --out NEW"
    )
    (tmp_path / "away.png").rename(tmp_path / "data/train/cat/03.png")
    runs.train(make("run", start="resume"))
