"""Several networks, and images that cannot be read: what goes on, and from where."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from resgen.errors import Diverged, UserError
from resgen.tensors import checkpoint
from resgen.train.data import sources
from resgen.train.data.feed import Batch, MemoryFeed, Piece
from resgen.train.run import claim, lock, metrics, runs
from resgen.train.run import folder as run_folder
from resgen.train.run.loop import Stepper
from resgen.train.run.trainer import Trainer

Make = Callable[..., runs.Job]
PARTS = ("model", "average", "optimizer", "random", "best", "count")


def assert_equal_bits(one: Path, other: Path) -> None:
    states = [checkpoint.load(out / "last.pt") for out in (one, other)]
    for part in PARTS:
        digests = {checkpoint.digest({"x": state[part]}) for state in states}
        assert len(digests) == 1, part
    rows = [metrics.without_times(metrics.read(out)) for out in (one, other)]
    assert rows[0] == rows[1]


# ---- a network that diverges among others


@pytest.fixture
def diverging(monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """The names of networks whose 13th step, in the second epoch, is no number."""
    names: set[str] = set()
    training: list[str] = []
    fit, call = Trainer.fit, Stepper.__call__

    def named(trainer: Trainer, stop: Any) -> Any:
        training.append(trainer.setup.network.name)
        return fit(trainer, stop)

    def poisoned(stepper: Stepper, batches: Any, *, step: int, rate: float) -> bool:
        if step == 12 and training[-1] in names:
            images, labels = next(batches)
            batches = iter([Batch(images * float("nan"), labels)])
        return call(stepper, batches, step=step, rate=rate)

    monkeypatch.setattr(Trainer, "fit", named)
    monkeypatch.setattr(Stepper, "__call__", poisoned)
    return names


def test_the_networks_after_one_that_diverges_are_trained(
    job: Make, tiny: Callable[..., str], tmp_path: Path, diverging: set[str]
) -> None:
    diverging.add("b")
    made = job(specs=[tiny("a"), tiny("b"), tiny("c")])
    ended = runs.train_each(made)
    assert [result.name for result in ended.results] == ["a", "c"]
    with pytest.raises(Diverged, match=r"^b: the loss or its gradient became NaN or infinite in"):
        ended.refuse_diverged()
    assert (tmp_path / "run" / "curves.png").exists()
    state = checkpoint.load(tmp_path / "run" / "b" / "last.pt")
    assert state["step"] == 11
    end = json.loads((tmp_path / "run" / "b" / "result.json").read_text())
    assert end["diverged"].startswith("b: the loss or its gradient became NaN")
    assert run_folder.finished(tmp_path / "run" / "b", 0) is None
    table = runs.table(ended.results, made.networks)
    assert [line.split()[0] for line in table.splitlines()[2:4]] == ["a", "c"]


def test_all_that_diverged_are_named_at_the_end(
    job: Make, tiny: Callable[..., str], diverging: set[str]
) -> None:
    diverging |= {"a", "c"}
    with pytest.raises(Diverged, match=r"^2 of 3 networks diverged: a, c; a: the loss "):
        runs.train(job(specs=[tiny("a"), tiny("b"), tiny("c")]))


def test_a_network_that_diverged_is_forgotten(
    job: Make, tiny: Callable[..., str], diverging: set[str]
) -> None:
    diverging.add("a")
    (error,) = runs.train_each(job(specs=[tiny("a"), tiny("b")])).diverged
    assert error.__traceback__ is None
    assert error.__context__ is None


# ---- an image that cannot be read


def unreadable(
    monkeypatch: pytest.MonkeyPatch, *, step: int = -1, piece: int = 0, split: str = ""
) -> None:
    """The images of a step's piece, or of a split that is judged, cannot be read."""
    train, still = MemoryFeed.train, MemoryFeed.still

    def training(feed: MemoryFeed, pieces: Iterable[Piece]) -> Iterator[Batch]:
        number = 0
        asked: list[Piece] = []

        def watched() -> Iterator[Piece]:
            for each in pieces:
                asked.append(each)
                yield each

        for batch in train(feed, watched()):
            number = sum(each.step == asked[-1].step for each in asked) - 1
            if (asked[-1].step, number) == (step, piece):
                raise UserError("cat/3.png: unreadable image")
            yield batch

    def judging(feed: MemoryFeed, which: str, indices: Iterable[Tensor]) -> Iterator[Batch]:
        for batch in still(feed, which, indices):
            if which == split:
                raise UserError("cat/3.png: unreadable image")
            yield batch

    monkeypatch.setattr(MemoryFeed, "train", training)
    monkeypatch.setattr(MemoryFeed, "still", judging)


EVERYTHING: dict[str, Any] = {
    "ema": {"decay": 0.9}, "accumulate": 3, "precise_bn": 2, "augment": {"mixup": 0.2},
}  # fmt: skip


@pytest.mark.parametrize("recipe_", [{}, EVERYTHING], ids=["plain", "everything"])
@pytest.mark.parametrize(
    ("where", "saved"),
    [
        pytest.param({"step": 0}, 0, id="first step"),
        pytest.param({"step": 13, "piece": 2}, 13, id="last piece of a step"),
        pytest.param({"split": "heldout"}, 11, id="held out"),
    ],
)
def test_after_an_image_that_cannot_be_read_a_run_goes_on_with_the_same_bits(
    job: Make, tmp_path: Path, recipe_: dict[str, Any], where: dict[str, Any], saved: int
) -> None:
    if where.get("piece") and not recipe_:
        where = {"step": 13}  # it has one piece
    runs.train(job("whole", recipe_=recipe_))
    with pytest.MonkeyPatch.context() as patch:
        unreadable(patch, **where)
        with pytest.raises(UserError) as caught:
            runs.train(job("cut", recipe_=recipe_))
    assert str(caught.value) == (
        f"cat/3.png: unreadable image; stopped after step {saved} of 22, saved in "
        f"{tmp_path / 'cut'}; go on with --resume"
    )
    assert checkpoint.load(tmp_path / "cut" / "last.pt")["step"] == saved
    runs.train(job("cut", recipe_=recipe_, start="resume"))
    assert_equal_bits(tmp_path / "whole", tmp_path / "cut")


def test_a_run_that_cannot_save_before_it_ends_says_which_image_it_was(
    job: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    unreadable(monkeypatch, step=13)
    save, calls = checkpoint.save, []

    def full(*arguments: Any, **options: Any) -> None:
        calls.append(1)
        if len(calls) > 2:
            raise UserError("last.pt: the checkpoint could not be written")
        save(*arguments, **options)

    monkeypatch.setattr(checkpoint, "save", full)
    with pytest.raises(UserError, match=r"^cat/3\.png: unreadable image$"):
        runs.train(job())


# ---- the weights of a run


def test_a_run_starts_from_the_averaged_weights_of_another(
    job: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    runs.train(job("first", recipe_={"ema": {"decay": 0.9}}))
    state = checkpoint.load(tmp_path / "first" / "last.pt")
    average = {
        name.removeprefix("module."): value
        for name, value in state["average"].items()
        if name != "n_averaged"
    }
    assert not torch.equal(average["conv1.weight"], state["model"]["conv1.weight"])
    begun: list[dict[str, Tensor]] = []
    fit = Trainer.fit

    def spy(trainer: Trainer, stop: Any) -> Any:
        weights = trainer.state.module.state_dict()
        begun.append({name: value.clone() for name, value in weights.items()})
        return fit(trainer, stop)

    monkeypatch.setattr(Trainer, "fit", spy)
    path = tmp_path / "first" / "last.pt"
    runs.train(job("second", init_from=path, voice="full", recipe_={"length": "1 steps"}))
    assert checkpoint.digest(begun[0]) == checkpoint.digest(average)
    assert f"{path}: loaded {len(average)} averaged tensors, names" in capsys.readouterr().err


# ---- what is looked at before anything is done


def test_the_folder_is_looked_at_before_the_images(
    job: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def read(*_: object) -> None:
        raise AssertionError("the images were read first")

    monkeypatch.setattr(sources, "load", read)
    (tmp_path / "used").mkdir()
    (tmp_path / "used" / "mine").touch()
    for out, start, reason in (
        ("n" * 300, "new", "File name too long"),
        ("n/" * 3000, "force", "File name too long"),
        ("used", "new", r"not empty \(it holds mine\)"),
        ("used/mine", "force", "is a file"),
        ("used/mine/in", "new", "mine is a file"),
        ("nothing", "resume", "nothing to resume"),
    ):
        with pytest.raises(UserError, match=reason):
            runs.train(job(out, start=start))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["tiny.yaml", "used"]


def test_a_second_run_hears_of_the_first_and_not_of_its_files(job: Make, tmp_path: Path) -> None:
    runs.train(job(recipe_={"length": "1 steps"}))
    with lock.held(tmp_path / "run"):
        claim.check(job().settings, [])
    with pytest.raises(UserError, match="not empty"):
        claim.check(job().settings, [])


@pytest.mark.parametrize("start", ["new", "force"])
def test_weights_that_do_not_fit_the_last_network_are_refused_before_the_first_trains(
    job: Make, tiny: Callable[..., str], tmp_path: Path, start: str
) -> None:
    short = {"length": "1 steps"}
    runs.train(job("first", recipe_=short))
    path = tmp_path / "first" / "last.pt"
    wider = tiny("wider")
    Path(wider).write_text(Path(wider).read_text().replace("width: 16", "width: 24"))
    both = [tiny(), wider]
    if start == "force":
        runs.train(job(specs=both, recipe_=short))
    before = {each: each.read_bytes() for each in (tmp_path / "run").rglob("*.*")}
    with pytest.raises(UserError, match=r"last\.pt: .* there and .* in wider"):
        runs.train(job(specs=both, recipe_=short, start=start, init_from=path))
    assert {each: each.read_bytes() for each in (tmp_path / "run").rglob("*.*")} == before
    assert (tmp_path / "run").exists() == (start == "force")


def test_starting_over_does_not_delete_the_weights_to_start_from(job: Make, tmp_path: Path) -> None:
    runs.train(job(recipe_={"length": "1 steps"}))
    path = tmp_path / "run" / ".." / "run" / "best.pt"
    with pytest.raises(UserError, match=r"best\.pt: --force would delete it"):
        runs.train(job(start="force", init_from=path))
    assert path.exists()
    runs.train(job("other", start="force", init_from=path, recipe_={"length": "1 steps"}))
