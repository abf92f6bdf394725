"""Gradients of the first step are what the trainer takes, and what autograd gives elsewhere."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image

from resgen.analysis import gradients
from resgen.errors import UserError
from resgen.tensors import checkpoint
from resgen.train.data import sources
from resgen.train.data.images import Images, Wanted
from resgen.train.data.order import Order
from resgen.train.device.engine import Engine
from resgen.train.run import metrics, runs
from resgen.train.run.network import load
from tests.analysis.networks import TORCHVISION, spec, torchvisions

Job = Callable[..., runs.Job]
SGD = {"lr": 0.5, "momentum": 0.0, "weight_decay": 0.0}


@pytest.mark.parametrize(
    "keys",
    [{}, {"accumulate": 2}, {"loss": {"kind": "binary"}}, {"augment": {"mixup": 0.4}}],
    ids=lambda keys: "".join(keys) or "plain",
)
def test_a_runs_are_those_that_its_trainer_took(
    job: Job, tmp_path: Path, cpu: Engine, keys: dict[str, Any]
) -> None:
    """w1 = w0 - rate * gradient, so its norm is || w0 - w1 || / rate."""
    path = spec(tmp_path)
    recipe = {"length": "1 steps", "optimizer": SGD, "schedule": {"kind": "constant"}, **keys}
    runs.train(job(specs=[path], recipe_=recipe, seed=7))
    after = checkpoint.load(tmp_path / "run" / "last.pt")["model"]
    before = load(path).module(7).state_dict()
    (row,) = metrics.read(tmp_path / "run")
    found = gradients(tmp_path / "run", engine=cpu)
    assert found.seed == 7
    assert found.loss == pytest.approx(row["train_loss"], rel=1e-5)
    for each in found.layers:
        name = f"{each.name}.weight"
        wanted = (before[name] - after[name]).norm().item() / row["rate"]
        assert each.norm == pytest.approx(wanted, rel=1e-3), name
    convolutions = [name for name in before if before[name].dim() == 4]
    assert [f"{each.name}.weight" for each in found.layers] == convolutions
    assert found.first == found.layers[0].norm


def test_a_specs_are_those_of_torchvisions_network(tmp_path: Path, cpu: Engine) -> None:
    path, recipe = spec(tmp_path, TORCHVISION), tmp_path / "recipe.yaml"
    recipe.write_text(
        "description: x\nlength: 1 steps\nbatch: 32\noptimizer: {lr: 0.1}\n"
        "schedule: {kind: constant}\n"
    )
    found = gradients(path, seed=3, data="synthetic", recipe=str(recipe), engine=cpu)
    data = sources.load(Wanted("synthetic", 3, (32, 32), 10))
    assert isinstance(data.train, Images)
    chosen = data.train.pick(Order(len(data.train), 32, 3).indices(0))
    mean, std = (torch.tensor(each)[:, None, None] for each in (data.mean, data.std))
    theirs = torchvisions().train()
    theirs.load_state_dict(load(path).module(3).state_dict())
    loss = F.cross_entropy(theirs((chosen.pixels / 255 - mean) / std), chosen.labels)
    loss.backward()
    assert found.loss == pytest.approx(loss.item(), rel=1e-4)
    weights = {
        name.removesuffix(".weight"): p.grad
        for name, p in theirs.named_parameters() if p.dim() == 4
    }  # fmt: skip
    assert {each.name for each in found.layers} == weights.keys()
    for each in found.layers:
        gradient = weights[each.name]
        assert gradient is not None
        assert each.norm == pytest.approx(gradient.norm().item(), rel=1e-3), each.name
        assert each.path == ("shortcut" if "downsample" in each.name else "main")
    assert (found.batch, found.data, found.seed) == (32, "synthetic", 3)
    assert found.last == found.layers[-2].norm  # behind it stands the last block's projection


def test_a_plain_networks_gradient_grows_with_its_depth_and_a_residual_ones_less(
    tmp_path: Path, cpu: Engine
) -> None:
    """At initialisation, with batch norm: it does not vanish."""
    firsts = {
        (shortcut, depth): gradients(
            spec(tmp_path, shortcut=shortcut, stages=f"[{{depth: {depth}, width: 8}}]"), engine=cpu
        ).first
        for shortcut in ("none", "identity") for depth in (2, 24)
    }  # fmt: skip
    assert firsts["none", 24] > 10 * firsts["none", 2]
    assert firsts["identity", 24] < firsts["none", 24] / 10


def test_a_run_that_began_with_weights(job: Job, tmp_path: Path, cpu: Engine) -> None:
    path = spec(tmp_path)
    runs.train(job("first", specs=[path], recipe_={"length": "3 steps"}))
    recipe = {"length": "1 steps", "optimizer": SGD, "schedule": {"kind": "constant"}}
    first = tmp_path / "first"
    runs.train(job("second", specs=[path], recipe_=recipe, init_from=first))
    before, after = (
        checkpoint.load(tmp_path / run / "last.pt")["model"] for run in ("first", "second")
    )
    (row,) = metrics.read(tmp_path / "second")
    found = gradients(tmp_path / "second", engine=cpu)
    wanted = (before["conv1.weight"] - after["conv1.weight"]).norm().item() / row["rate"]
    assert found.first == pytest.approx(wanted, rel=1e-3)


@pytest.mark.parametrize("splits", [("train",), ("train", "val")])
def test_images_read_from_folders_must_be_what_they_were(
    job: Job, tmp_path: Path, cpu: Engine, splits: tuple[str, ...]
) -> None:
    draw = np.random.default_rng(0)
    for split, label, number in product(splits, "ab", range(8)):
        place = tmp_path / "set" / split / label
        place.mkdir(parents=True, exist_ok=True)
        pixels = draw.integers(0, 255, (9, 8 + number % 2), dtype=np.uint8)
        Image.fromarray(pixels).save(place / f"{number}.png")
    path, data = spec(tmp_path, classes="2"), Wanted(f"folder:{tmp_path / 'set'}")
    recipe = {"length": "1 steps", "batch": 8, "optimizer": SGD, "schedule": {"kind": "constant"}}
    runs.train(job(specs=[path], recipe_=recipe, data=data, workers=0))
    after = checkpoint.load(tmp_path / "run" / "last.pt")["model"]["conv1.weight"]
    before = load(path).module(0).state_dict()["conv1.weight"]
    (row,) = metrics.read(tmp_path / "run")
    wanted = (before - after).norm().item() / row["rate"]
    assert gradients(tmp_path / "run", engine=cpu).first == pytest.approx(wanted, rel=1e-3)
    (tmp_path / "set" / "train" / "a" / "3.png").unlink()
    with pytest.raises(UserError, match="its images are others now: data"):
        gradients(tmp_path / "run", engine=cpu)


def test_frozen_layers_have_none(job: Job, tmp_path: Path, cpu: Engine) -> None:
    recipe = {"length": "1 steps", "freeze": ["stem", "layer1"]}
    runs.train(job(specs=[spec(tmp_path)], recipe_=recipe))
    found = gradients(tmp_path / "run", engine=cpu)
    assert found.layers[0].name == "layer2.0.conv1"


def test_what_has_none(job: Job, tmp_path: Path, cpu: Engine) -> None:
    path = spec(tmp_path)
    runs.train(job(specs=[path], recipe_={"length": "1 steps"}))
    with pytest.raises(UserError, match="a run's first step has the seed, data and recipe of the"):
        gradients(tmp_path / "run", seed=1, engine=cpu)
    with pytest.raises(UserError, match="digits has 10 classes and the network 3"):
        gradients(spec(tmp_path, classes="3"), engine=cpu)
    with pytest.raises(UserError, match="a folder without last"):
        gradients(tmp_path, engine=cpu)
