"""`--auto-resume`: one command for every start of a run, whatever is there already."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from resgen.errors import Interrupted, UserError
from resgen.tensors import checkpoint
from resgen.train.run import lock, metrics
from resgen.train.run.loop import Stepper
from resgen.train.run.metrics import without_times
from resgen.train.run.trainer import Trainer
from tests.train.run.test_resume import assert_equal_bits
from tests.training import typed

AUTO = ("--auto-resume", "--device", "cpu", "--quiet")
SHORT = ("--set", "batch=128", "--epochs", "2")


@pytest.fixture
def train(
    tiny: Callable[..., str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., None]:
    monkeypatch.chdir(tmp_path)

    def call(*words: str, specs: tuple[str, ...] = ("tiny",)) -> None:
        typed(*map(tiny, specs), *SHORT, *AUTO, *words)

    return call


def stop_at(step: int, patch: pytest.MonkeyPatch) -> None:
    """A scheduler ends the run in a step."""
    call = Stepper.__call__

    def ended(stepper: Stepper, batches: Any, *, step: int, rate: float) -> bool:
        if step + 1 == last:
            signal.raise_signal(signal.SIGTERM)
        return call(stepper, batches, step=step, rate=rate)

    last = step
    patch.setattr(Stepper, "__call__", ended)


def started(folder: str) -> list[int]:
    """The steps at which a run was started."""
    return [each["step"] for each in json.loads(Path(folder, "environment.json").read_text())]


def test_the_same_command_starts_goes_on_and_ends(
    train: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    train("--out", "whole")
    with monkeypatch.context() as patch:
        stop_at(5, patch)
        with pytest.raises(Interrupted, match=r"saved in run; the same command goes on$"):
            train("--out", "run")
    train("--out", "run")
    assert started("run") == [0, 5]
    assert_equal_bits(*(checkpoint.load(Path(out) / "last.pt") for out in ("whole", "run")))
    one, other = (without_times(metrics.read(Path(out))) for out in ("whole", "run"))
    assert one == other
    # Ended, it says what came of it once more and takes no step.
    before = Path("run/last.pt").read_bytes()
    monkeypatch.setattr(Trainer, "fit", None)
    train("--out", "run")
    assert Path("run/last.pt").read_bytes() == before


@pytest.mark.parametrize(
    ("words", "specs", "first", "second"),
    [
        ((), ("a", "b"), "m/a", "m/b"),
        (("--seeds", "2"), ("tiny",), "m/seed-0", "m/seed-1"),
        (("--seed", "0,3"), ("a", "b"), "m/a/seed-0", "m/b/seed-3"),
    ],
)
def test_of_several_runs_each_goes_on_or_starts(
    train: Callable[..., None], monkeypatch: pytest.MonkeyPatch,
    words: tuple[str, ...], specs: tuple[str, ...], first: str, second: str,
) -> None:  # fmt: skip
    with monkeypatch.context() as patch:
        stop_at(3, patch)
        with pytest.raises(Interrupted):
            train("--out", "m", *words, specs=specs)
    assert started(first) == [0]
    assert not Path(second, "last.pt").exists()
    train("--out", "m", *words, specs=specs)
    assert (started(first), started(second)) == ([0, 3], [0])
    assert Path(second, "result.json").exists()


@pytest.mark.parametrize(
    "left", [(), (lock.NAME,), (".resgen-7-ab", "spec.yaml"), ("last.pt.new", "recipe.yaml")]
)
def test_what_a_run_leaves_that_was_killed_before_its_first_checkpoint_is_no_hindrance(
    train: Callable[..., None], left: tuple[str, ...]
) -> None:
    Path("run").mkdir()
    for name in left:
        Path("run", name).touch()
    train("--out", "run")
    assert started("run") == [0]


@pytest.mark.parametrize("words", [(), ("--seeds", "2")])
def test_a_folder_of_other_files_is_refused_and_left_alone(
    train: Callable[..., None], words: tuple[str, ...]
) -> None:
    Path("mine").mkdir()
    Path("mine/thesis.tex").write_text("all of it")
    with pytest.raises(UserError, match=r"^--out mine: holds no run to go on with, but thesis\.te"):
        train("--out", "mine", *words)
    assert os.listdir("mine") == ["thesis.tex"]


def test_another_run_is_refused_as_by_resume(train: Callable[..., None]) -> None:
    train("--out", "run")
    for words in (("--seed", "1"), ("--set", "optimizer.lr=0.3")):
        with pytest.raises(UserError, match=r"last\.pt: of another run: "):
            train("--out", "run", *words)


def test_a_run_without_a_name_for_its_folder_finds_its_own(
    train: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        stop_at(3, patch)
        with pytest.raises(Interrupted):
            train()
    train()
    (folder,) = Path("runs").iterdir()
    assert started(str(folder)) == [0, 3]


@pytest.mark.parametrize("other", ["--resume", "--force"])
def test_it_stands_alone(train: Callable[..., None], other: str) -> None:
    with pytest.raises(UserError, match=f"^--auto-resume and {other} exclude each other; it goes"):
        train(other)


def test_weights_to_start_from_are_taken_once(
    train: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    train("--out", "first")
    weights: Any = ("--init-from", "first/last.pt", "--out", "run")
    with monkeypatch.context() as patch:
        stop_at(3, patch)
        with pytest.raises(Interrupted):
            train(*weights)
    train(*weights)
    assert started("run") == [0, 3]
