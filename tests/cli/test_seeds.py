"""`resgen train --seed 0,1,2`: a run each in its own folder, and what of several is said."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from statistics import mean, stdev
from typing import Any

import pytest
from typer.testing import CliRunner

from resgen import cost, load_spec, resolve
from resgen.cli import app
from resgen.cli.seeds import Seeds, in_a_name
from resgen.compare import groups, record
from resgen.errors import Diverged, Interrupted, UserError
from resgen.tensors import checkpoint
from resgen.train.data import sources
from resgen.train.data.feed import Batch
from resgen.train.run import metrics, runs
from resgen.train.run.loop import Stepper
from resgen.train.run.trainer import Trainer
from tests.training import typed

SHORT = ("--epochs", "1", "--device", "cpu", "--precision", "fp32", "--quiet")


@pytest.fixture
def train(
    tiny: Callable[..., str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., None]:
    monkeypatch.chdir(tmp_path)
    return lambda *words, specs=("tiny",): typed(*map(tiny, specs), *SHORT, *words)


def folders(out: str) -> list[str]:
    return sorted(path.parent.relative_to(out).as_posix() for path in Path(out).rglob("last.pt"))


def weights(folder: str) -> str:
    state = checkpoint.load(Path(folder) / "last.pt")
    return checkpoint.digest({key: state[key] for key in ("model", "optimizer", "random", "seed")})


def test_each_seed_is_the_run_that_it_is_alone(train: Callable[..., None]) -> None:
    train("--seed", "3,5", "--out", "both")
    assert folders("both") == ["seed-3", "seed-5"]
    train("--seed", "5", "--out", "alone")
    assert weights("both/seed-5") == weights("alone")
    assert weights("both/seed-5") != weights("both/seed-3")
    rows = [metrics.without_times(metrics.read(Path(each))) for each in ("both/seed-5", "alone")]
    assert rows[0] == rows[1]


def test_several_networks_have_a_folder_each_around_their_seeds(
    train: Callable[..., None], capsys: pytest.CaptureFixture[str]
) -> None:
    train("--seeds", "2", specs=("a", "b"))
    (out,) = Path("runs").iterdir()
    assert out.name == "a-and-1-more-digits-digits-seeds-0-and-1"
    assert folders(str(out)) == ["a/seed-0", "a/seed-1", "b/seed-0", "b/seed-1"]
    assert (out / "curves.png").is_file()
    printed = capsys.readouterr().out
    assert [line.split()[:2] for line in printed.splitlines()[2:6]] == [
        ["a", "0"], ["a", "1"], ["b", "0"], ["b", "1"],
    ]  # fmt: skip
    for name in ("a", "b"):
        ends = [json.loads((out / name / f"seed-{s}" / "result.json").read_text()) for s in (0, 1)]
        last = [100 * end["last_error"] for end in ends]
        assert f"{mean(last):.2f} ({stdev(last):.2f})" in printed
    assert max(map(len, printed.splitlines())) <= 80


def test_result_says_what_it_is_a_result_of(train: Callable[..., None]) -> None:
    train("--seed", "4", "--out", "run", "--set", "batch=64")
    end = json.loads(Path("run/result.json").read_text())
    books = cost(resolve(load_spec("run")))
    assert (end["seed"], end["params"], end["macs"]) == (4, books.params, books.macs)
    assert end["data"] == {
        "name": "digits", "classes": 10, "train": 1437, "heldout": 360, "test": None,
    }  # fmt: skip
    assert end["recipe"]["batch"] == 64
    assert (end["device"], end["precision"], end["init_from"]) == ("cpu", "fp32", None)


# ---- one that diverges


@pytest.fixture
def diverging(monkeypatch: pytest.MonkeyPatch) -> set[tuple[str, int]]:
    """The (network, seed) of runs whose fourth step is no number."""
    which: set[tuple[str, int]] = set()
    training: list[tuple[str, int]] = []
    fit, call = Trainer.fit, Stepper.__call__

    def named(trainer: Trainer, stop: Any) -> Any:
        training.append((trainer.setup.network.name, trainer.setup.settings.seed))
        return fit(trainer, stop)

    def poisoned(stepper: Stepper, batches: Any, *, step: int, rate: float) -> bool:
        if step == 3 and training[-1] in which:
            images, labels = next(batches)
            batches = iter([Batch(images * float("nan"), labels)])
        return call(stepper, batches, step=step, rate=rate)

    monkeypatch.setattr(Trainer, "fit", named)
    monkeypatch.setattr(Stepper, "__call__", poisoned)
    return which


def test_a_seed_that_diverges_ends_alone_and_is_named_at_the_end(
    train: Callable[..., None], diverging: set[tuple[str, int]], capsys: pytest.CaptureFixture[str]
) -> None:
    diverging |= {("a", 1), ("b", 0)}
    with pytest.raises(
        Diverged, match=r"^2 of 6 runs diverged: a \(seed 1\), b \(seed 0\); a "
    ) as e:
        train("--seeds", "3", "--out", "m", specs=("a", "b"))
    assert e.value.exit_code == 3
    printed = capsys.readouterr().out
    assert "a: seeds 0 and 2, digits" in printed
    assert "left out: seed 1 diverged (m/a/seed-1)" in printed
    found = groups.grouped([record.read(run) for _, own in record.networks(["m"]) for run in own])
    assert [[run.seed for run in each.runs] for each in found] == [[0, 2], [1, 2]]
    diverging.clear()
    train("--seeds", "3", "--out", "m", "--resume", specs=("a", "b"))
    assert "a: seeds 0 to 2, digits" in capsys.readouterr().out
    assert "diverged" not in json.loads(Path("m/a/seed-1/result.json").read_text())


def test_a_run_that_diverged_and_goes_on_has_not_ended(
    train: Callable[..., None], diverging: set[tuple[str, int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    diverging.add(("tiny", 0))
    with pytest.raises(Diverged, match=r"^tiny: the loss"):
        train("--out", "r")
    assert record.read(Path("r")).state == "diverged"
    monkeypatch.setattr(Trainer, "fit", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(Interrupted):
        train("--out", "r", "--resume")
    assert record.read(Path("r")).state == "unfinished"


# ---- going on, starting over


def test_more_seeds_join_those_that_are_there(train: Callable[..., None]) -> None:
    train("--seed", "0,1", "--out", "m")
    before = {name: Path(f"m/{name}/last.pt").read_bytes() for name in folders("m")}
    train("--seeds", "3", "--out", "m", "--resume")
    assert folders("m") == ["seed-0", "seed-1", "seed-2"]
    assert {name: Path(f"m/{name}/last.pt").read_bytes() for name in before} == before


def test_starting_over_deletes_each_seeds_files(train: Callable[..., None]) -> None:
    train("--seeds", "2", "--out", "m")
    with pytest.raises(UserError, match="--out m: not empty"):
        train("--seeds", "2", "--out", "m")
    Path("m/seed-1/mine.txt").touch()
    train("--seeds", "2", "--out", "m", "--force", "--set", "batch=64")
    assert json.loads(Path("m/seed-1/result.json").read_text())["recipe"]["batch"] == 64
    assert Path("m/seed-1/mine.txt").exists()


def test_runs_within_runs_are_refused(train: Callable[..., None]) -> None:
    train("--seeds", "2", "--out", "m")
    for words, says in (
        (("--out", "m"), r"--out m: holds 2 runs; .* --out m/seed-0$"),
        (("--out", "m/seed-0", "--seeds", "2"), "--out m/seed-0: is a run itself"),
    ):
        before = sorted(Path("m").rglob("*"))
        with pytest.raises(UserError, match=says):
            train(*words, "--resume")
        assert sorted(Path("m").rglob("*")) == before


def test_images_are_read_once_for_all_seeds(
    train: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[object] = []
    load = sources.load
    monkeypatch.setattr(sources, "load", lambda *asked: read.append(asked) or load(*asked))
    splits: list[int] = []
    one = runs._train_one
    monkeypatch.setattr(
        runs, "_train_one",
        lambda setup, *rest: splits.append(setup.feed.splits["train"].pixels.data_ptr())  # type: ignore[attr-defined,func-returns-value]
        or one(setup, *rest),
    )  # fmt: skip
    train("--seeds", "3", "--out", "m")
    assert len(read) == 1
    assert len({*splits}) == 1 < len(splits)


def test_the_plan_says_how_often(
    train: Callable[..., None], capsys: pytest.CaptureFixture[str]
) -> None:
    train("--seed", "0,1,2,7", "--plan")
    assert capsys.readouterr().out.endswith(
        "\nseeds 0 to 2 and 7: each network is trained 4 times\n"
    )
    assert not Path("runs").exists()


# ---- how seeds are written


@pytest.mark.parametrize(
    ("words", "seeds"),
    [
        ([], (0,)),
        (["--seed", "7"], (7,)),
        (["--seed", "2,0,1"], (2, 0, 1)),
        (["--seed", "2", "--seed", "4,3"], (2, 4, 3)),
        (["--seeds", "1"], (0,)),
        (["--seeds", "3"], (0, 1, 2)),
    ],
)
def test_seeds_are_numbers_with_commas_or_how_many(
    train: Callable[..., None],
    monkeypatch: pytest.MonkeyPatch,
    words: list[str],
    seeds: tuple[int, ...],
) -> None:
    seen: list[tuple[int, tuple[int, ...]]] = []

    def started(job: runs.Job) -> runs.Ended:
        seen.append((job.settings.seed, job.settings.seeds))
        return runs.Ended([], [])

    monkeypatch.setattr(runs, "train_each", started)
    train(*words)
    assert seen == [(seeds[0], seeds if len(seeds) > 1 else ())]


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("--seed", "0", "1", "2"), "--seed 0 1 2: write several seeds with commas, --seed 0,1,2"),
        (("--seed", "0,0"), "--seed 0,0: 0 stands there twice; each is one run"),
        (("--seed", "1,"), "--seed 1,: nothing is no seed; give whole numbers from 0, several as "),
        (("--seed", "-1"), "--seed -1: -1 is no seed; "),
        (("--seed", "1e3"), "--seed 1e3: 1e3 is no seed; "),
        (("--seed", "9" * 30), "is no seed; "),
        (("--seed", "1", "--seeds", "2"), "--seed and --seeds exclude each other; "),
    ],
)
def test_what_is_no_seed_is_refused(
    train: Callable[..., None], words: tuple[str, ...], says: str
) -> None:
    with pytest.raises(UserError) as caught:
        train(*words)
    assert says in str(caught.value)
    assert not Path("runs").exists()


def test_a_spec_named_by_a_number_is_a_spec(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("12").touch()
    assert Seeds(["3"]).chosen(["12"]) == (3,)


def test_seeds_in_a_folders_name() -> None:
    assert [in_a_name(each) for each in ((5,), (0, 1), (0, 1, 2), (9, 0, 1, 2, 4))] == [
        "5", "seeds-0-and-1", "seeds-0-to-2", "seeds-0-to-2-4-and-9",
    ]  # fmt: skip


def test_zero_runs_are_refused() -> None:
    done = CliRunner().invoke(app, ["train", "resnet18", "--seeds", "0"])
    assert done.exit_code == 2
