"""`resgen train` from weights: files to start from, and checkpoints as networks."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from resgen import build_module, load_spec, resolve
from resgen.errors import UserError
from resgen.tensors import checkpoint
from resgen.train.run import metrics
from resgen.weights import init_from
from tests.training import typed


def test_a_checkpoint_stands_for_its_network(command: Callable[..., None], tmp_path: Path) -> None:
    command("--epochs", "1", "--out", "run", "--quiet")
    spec = next(tmp_path.glob("*.yaml"))
    assert resolve(load_spec(tmp_path / "run" / "last.pt")) == resolve(load_spec(spec))


def test_a_run_starts_from_the_weights_of_a_file(
    command: Callable[..., None], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command("--epochs", "1", "--out", "first", "--quiet")
    command("--epochs", "1", "--out", "second", "--init-from", "first/last.pt")
    assert "first/last.pt: loaded " in capsys.readouterr().err
    first, second = (metrics.read(tmp_path / run)[-1] for run in ("first", "second"))
    assert second["train_loss"] < first["train_loss"]


def test_weights_of_another_network_are_refused(
    command: Callable[..., None], tmp_path: Path
) -> None:
    torch.save({"conv1.weight": torch.zeros(1)}, tmp_path / "other.pth")
    for more in ([], ["--plan"]):
        with pytest.raises(UserError, match=r"other\.pth: "):
            command("--epochs", "1", "--out", "run", "--init-from", "other.pth", *more)


def test_an_option_that_is_offered_can_be_pasted() -> None:
    with pytest.raises(UserError) as caught:
        typed("it's a run/last.pt")
    offered = str(caught.value).partition("; add ")[2].partition(" to begin")[0]
    assert shlex.split(offered) == ["--init-from", "it's a run/last.pt"]


def test_a_checkpoint_alone_is_not_trained_from_a_new_draw(
    command: Callable[..., None], tmp_path: Path
) -> None:
    command("--epochs", "1", "--out", "run", "--quiet")
    spec = next(tmp_path.glob("*.yaml"))
    for more in ([], ["--plan"]):
        with pytest.raises(UserError) as caught:
            typed("run/last.pt", "--out", "other", *more)
        assert str(caught.value) == (
            "run/last.pt: a checkpoint names its network only, and training would begin from new "
            "weights; add --init-from run/last.pt to begin from its weights, or name the network "
            "by its spec (run/spec.yaml)"
        )
    assert not (tmp_path / "other").exists()
    short = ("run/last.pt", "--epochs", "1", "--device", "cpu")
    typed(*short, "--out", "other", "--init-from", "run/last.pt")
    assert load_spec("other/spec.yaml").name == load_spec(spec).name
    typed(*short, "--out", "run", "--resume")


def test_a_run_folder_stands_for_its_network_and_its_last_weights(
    command: Callable[..., None], tmp_path: Path
) -> None:
    command("--epochs", "1", "--out", "run", "--quiet", "--set", "ema={decay: 0.5}")
    assert resolve(load_spec("run")) == resolve(load_spec("run/last.pt"))
    with pytest.raises(UserError, match=r"^run: a run folder names its network only.* \(run/spec"):
        typed("run", "--out", "other")
    assert not (tmp_path / "other").exists()
    module, plan = build_module("run"), resolve(load_spec("run"))
    report = init_from(module, plan, tmp_path / "run")
    state = checkpoint.load(tmp_path / "run" / "last.pt")
    assert report.which == "averaged"
    assert torch.equal(module.conv1.weight, state["average"]["module.conv1.weight"])
    assert not torch.equal(module.conv1.weight, state["model"]["conv1.weight"])
    with pytest.raises(UserError, match="--init-from run: --force would delete it"):
        typed("run", "--out", "run", "--init-from", "run", "--force")


def test_runs_side_by_side_are_named(command: Callable[..., None], tmp_path: Path) -> None:
    command("--epochs", "1", "--out", "runs/one", "--quiet")
    with pytest.raises(UserError) as caught:
        load_spec("runs")
    assert str(caught.value) == (
        "runs: a folder without spec.yaml, with runs in it (one): name one of them"
    )
