"""Top-5 errors: counted as the formula has them, written, resumed, and summed over processes."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image
from torch import nn

import resgen
from resgen.errors import Interrupted
from resgen.report.plots import outcome
from resgen.tensors import checkpoint
from resgen.train.data import sources
from resgen.train.data.feed import Batch, Feed
from resgen.train.data.images import Images, Wanted
from resgen.train.device.engine import Engine
from resgen.train.device.processes import World
from resgen.train.run import figures, metrics, runs
from resgen.train.run import folder as run_folder
from resgen.train.run.counting import Count, best_classes
from resgen.train.run.evaluation import evaluate
from resgen.train.run.signals import Stop
from resgen.train.run.trainer import Trainer

Make = Callable[..., runs.Job]
TWELVE = {"length": "2 epochs", "batch": 16, "augment": {}}


def by_formula(logits: torch.Tensor, labels: torch.Tensor) -> int:
    """Images of which five or more classes have a larger logit than the true one."""
    own = logits.gather(1, labels[:, None])
    return int(((logits > own).sum(1) >= 5).sum())


@pytest.fixture
def flags(tmp_path: Path) -> str:
    """Class folders of twelve classes, 12 + 4 images each: a grey for each under noise."""
    rng = np.random.default_rng(0)
    for split, count in (("train", 12), ("test", 4)):
        for label in range(12):
            place = tmp_path / "flags" / split / f"class{label:02}"
            place.mkdir(parents=True)
            for number in range(count):
                grey = 20 * label + rng.integers(0, 30, (8, 8))
                Image.fromarray(grey.astype(np.uint8)).save(place / f"{number}.png")
    return f"folder:{tmp_path / 'flags'}"


@pytest.mark.parametrize("classes", [11, 12, 1000])
def test_top_5_is_counted_as_the_formula_has_it(classes: int) -> None:
    rng = torch.Generator().manual_seed(classes)
    count = Count.zero(torch.device("cpu"), classes)
    wrong = top1 = 0
    for size in (7, 64):
        logits = torch.randn(size, classes, generator=rng)
        labels = torch.randint(classes, (size,), generator=rng)
        logits[: size // 2].scatter_add_(1, labels[: size // 2, None], torch.ones(size // 2, 1))
        count.add(torch.tensor(2.0 * size), logits, labels)
        wrong += by_formula(logits, labels)
        top1 += int((logits.argmax(1) != labels).sum())
    assert count.read() == (2.0, top1 / 71, wrong / 71)
    assert 0 < wrong < top1


def test_of_a_mixed_label_the_larger_share_is_looked_for() -> None:
    logits = torch.arange(12.0)[None].repeat(2, 1)
    labels = torch.zeros(2, 12)
    labels[0, 7], labels[0, 11] = 0.6, 0.4  # the fifth
    labels[1, 6], labels[1, 11] = 0.6, 0.4  # the sixth
    count = Count.zero(torch.device("cpu"), 12)
    count.add(torch.tensor(0.0), logits, labels)
    assert count.read() == (0.0, 1.0, 0.5)


def test_of_equal_logits_the_first_is_among_the_best() -> None:
    logits = torch.zeros(3, 40).bfloat16()
    logits[1, 30] = 1
    found = best_classes(logits)
    assert found[:, 0].tolist() == logits.argmax(1).tolist() == [0, 30, 0]
    assert all(len(set(row)) == 5 for row in found.tolist())
    assert best_classes(torch.randn(2, 3)).shape == (2, 3)


def test_ten_classes_have_no_top_5() -> None:
    assert Count.zero(torch.device("cpu"), 10).read() == (0.0, 0.0, None)


def test_a_run_of_twelve_classes_has_top_5_errors_everywhere(
    job: Make, tiny: Callable[..., str], flags: str, capsys: pytest.CaptureFixture[str]
) -> None:
    made = job(specs=[tiny(classes=12)], recipe_=TWELVE, data=Wanted(flags), voice="full")
    (result,) = runs.train(made)
    out = made.settings.out
    rows = metrics.read(out)
    state = checkpoint.load(out / "last.pt")
    module = resgen.build_module(str(out / "spec.yaml"))
    module.load_state_dict(state["model"])
    data = sources.load(Wanted(flags, channels=1, size=(8, 8), classes=12))
    written = json.loads((out / "result.json").read_text())
    for split, key, told in (
        (data.heldout, "last_top5_error", rows[-1]["heldout_top5_error"]),
        (data.test, "test_top5_error", result.test_top5_error),
    ):
        assert isinstance(split, Images)
        images = (split.pixels.float() / 255 - data.mean[0]) / data.std[0]
        with torch.no_grad():
            expected = by_formula(module.eval()(images), split.labels) / len(split)
        assert written[key] == told == expected
    assert written["train_top5_error"] == rows[-1]["train_top5_error"]
    assert state["count"].shape == (1, 4)
    err = capsys.readouterr().err
    assert f"top-5 error {100 * rows[0]['train_top5_error']:.2f} %" in err
    assert "  top-5 error " in runs.table([result], made.networks)
    assert run_folder.finished(out, result.seed) == result
    _, ended = outcome(str(out))
    assert ended is not None
    assert ended.error == result.test_error


def test_every_percentage_says_what_it_is_and_every_line_fits(
    job: Make, tiny: Callable[..., str], flags: str, capsys: pytest.CaptureFixture[str]
) -> None:
    made = job(specs=[tiny(classes=12)], recipe_=TWELVE, data=Wanted(flags), voice="full")
    told = runs.table(runs.train(made), made.networks)
    epochs = [line for line in capsys.readouterr().err.splitlines() if "%" in line]
    assert len(epochs) == 6
    for line in epochs:
        for part in line.split(","):
            assert "%" not in part or "error" in part or "data wait" in part
    assert max(map(len, [*epochs, *told.splitlines()])) <= 80


def test_processes_sum_their_top_5_errors(cpu: Engine) -> None:
    rng = torch.Generator().manual_seed(3)
    logits = torch.randn(25, 12, generator=rng)
    labels = torch.randint(12, (25,), generator=rng)

    class Still:
        def still(self, _: str, parts: list[torch.Tensor]) -> Iterator[Batch]:
            return iter([Batch(logits[part], labels[part]) for part in parts])

    class Shared(World):
        def sum(self, tensor: torch.Tensor) -> torch.Tensor:
            sums.append(tensor.clone())
            return tensor.copy_(torch.stack(sums).sum(0))

    sums: list[torch.Tensor] = []
    for rank in range(2):
        means = evaluate(
            nn.Identity(), cast(Feed, Still()), "test", 25, batch=4, engine=cpu,
            world=Shared(rank=rank, size=2), classes=12,
        )  # fmt: skip
    assert [int(each[2]) for each in sums] == [13, 12]
    assert means.top5 == by_formula(logits, labels) / 25
    assert means.loss == pytest.approx(float(F.cross_entropy(logits, labels)))


def without_top5(out: Path, step: int) -> None:
    """What a run of before has written: three sums, and no word of top-5 errors."""
    state = checkpoint.load(out / "last.pt")
    old = {**state, "count": state["count"][:, :3], "window": state["window"][:3]}
    checkpoint.save({k: v for k, v in old.items() if k not in ("sha256", "format")}, out)
    rows = metrics.read(out)
    kept = [{key: row[key] for key in row if "top5" not in key} for row in rows]
    metrics.write(out, kept)
    assert state["step"] == step


def stopped_at(step: int, monkeypatch: pytest.MonkeyPatch) -> None:
    act = Trainer._act

    def stopping(trainer: Trainer, stop: Stop) -> None:
        if trainer.state.step == step:
            stop.asked = "SIGTERM"
        act(trainer, stop)

    monkeypatch.setattr(Trainer, "_act", stopping)


@pytest.mark.parametrize(("step", "counted"), [(3, [False, True]), (10, [False, False])])
def test_a_run_begun_before_goes_on_to_the_same_bits(
    job: Make, tiny: Callable[..., str], flags: str, monkeypatch: pytest.MonkeyPatch,
    step: int, counted: list[bool],
) -> None:  # fmt: skip
    spec, data = tiny(classes=12), Wanted(flags)

    def make(out: str, **settings: Any) -> runs.Job:
        return job(out, specs=[spec], recipe_=TWELVE, data=data, **settings)

    (whole,) = runs.train(make("whole"))
    with monkeypatch.context() as patched:
        stopped_at(step, patched)
        with pytest.raises(Interrupted):
            runs.train(make("cut"))
    cut = make("cut", start="resume")
    without_top5(cut.settings.out, step)
    (result,) = runs.train(cut)
    rows, expected = metrics.read(cut.settings.out), metrics.read(make("whole").settings.out)
    assert ["train_top5_error" in row for row in rows] == counted
    assert rows[-1]["heldout_top5_error"] == expected[-1]["heldout_top5_error"]
    assert (result.last_error, result.test_top5_error) == (whole.last_error, whole.test_top5_error)
    plain = [{key: row[key] for key in row if "top5" not in key} for row in expected]
    bare = [{key: row[key] for key in row if "top5" not in key} for row in rows]
    assert metrics.without_times(bare) == metrics.without_times(plain)


def test_results_of_before_are_read(job: Make) -> None:
    made = job(recipe_={"length": "1 steps"})
    (result,) = runs.train(made)
    path = made.settings.out / "result.json"
    assert "top5" not in path.read_text() + (made.settings.out / "metrics.jsonl").read_text()
    assert run_folder.finished(made.settings.out, result.seed) == result
    for text in ("[]", "3", '"name"', '{"name": "x"}'):
        path.write_text(text)
        assert run_folder.finished(made.settings.out, result.seed) is None


def test_top_5_errors_have_a_panel_of_their_own(tmp_path: Path) -> None:
    row = {
        "epoch": 1, "rate": 0.1, "train_error": 0.5, "heldout_error": 0.6, "train_loss": 1.0,
        "heldout_loss": 1.1,
    }  # fmt: skip
    many = {**row, "train_top5_error": 0.2, "heldout_top5_error": 0.3}
    shown = {}
    for name, rows in (("few", [row]), ("many", [many]), ("begun", [row, {**many, "epoch": 2}])):
        figures.draw_curves({name: [rows]}, tmp_path / f"{name}.svg", title=name)
        shown[name] = "top-5 error" in (tmp_path / f"{name}.svg").read_text()
    assert shown == {"few": False, "many": True, "begun": True}
