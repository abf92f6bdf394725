"""A network of paths trains, is resumed to the bit, and its run folder holds it whole."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from resgen import cost, load_spec, resolve
from resgen.errors import Interrupted
from resgen.tensors import checkpoint
from resgen.train.run import metrics, runs
from resgen.train.run.metrics import without_times
from tests.train.run.test_resume import StopAt, assert_equal_bits

Make = Callable[..., runs.Job]

BLOCKS = """
define:
  squeeze:
    with: {ratio: 4}
    path: [{branches: [[], [global-pool, {conv: 1, width: branch / ratio}, act,
                            {conv: 1, width: branch}, {act: sigmoid}]], join: product}]
  mb:
    with: {expand: 2, kernel: 3}
    path: [{conv: 1, width: expand * in}, norm, act,
           {conv: kernel, groups: depthwise, stride: stage}, norm, act,
           {squeeze: {ratio: 2}}, {conv: 1, width: out}, norm, add]
"""
SPEC = """
extends: blocks.yaml
name: paths
input: {channels: 1, size: 8}
stem: [{conv: 3, width: 8}, norm, act]
block: {kind: mb, kernel: 5}
shortcut: identity-same
drop_path: 0.3
stages:
  - {depth: 2, width: 8}
  - {depth: 2, width: 16, stride: 2}
head: [global-pool, flatten, {dropout: 0.3}, {linear: classes}]
classes: 10
"""


@pytest.fixture
def spec(tmp_path: Path) -> str:
    (tmp_path / "blocks.yaml").write_text(BLOCKS)
    path = tmp_path / "paths.yaml"
    path.write_text(SPEC)
    return str(path)


def test_it_trains_and_resumes_to_the_bit(
    job: Make, spec: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = {"length": "8 steps", "ema": {"decay": 0.9}}
    runs.train(job("whole", specs=[spec], recipe_=keys))
    with monkeypatch.context() as patch:
        stop = StopAt(5, patch)
        patch.setattr(runs, "Stop", lambda: stop)
        with pytest.raises(Interrupted, match="stopped after step 5 of 8"):
            runs.train(job("cut", specs=[spec], recipe_=keys))
    runs.train(job("cut", specs=[spec], recipe_=keys, start="resume"))
    whole, cut = (checkpoint.load(tmp_path / name / "last.pt") for name in ("whole", "cut"))
    assert_equal_bits(whole, cut)
    rows = [without_times(metrics.read(tmp_path / name)) for name in ("whole", "cut")]
    assert rows[0] == rows[1]
    first = whole["model"]["layer1.0.squeeze.conv1.weight"]
    assert not torch.equal(first, torch.zeros_like(first))


def test_its_folder_holds_the_network_without_the_file_it_extends(
    job: Make, spec: str, tmp_path: Path
) -> None:
    plan = resolve(load_spec(spec))
    runs.train(job("run", specs=[spec], recipe_={"length": "2 steps"}))
    (tmp_path / "blocks.yaml").unlink()
    written = load_spec(tmp_path / "run" / "spec.yaml")
    assert resolve(written).stages == plan.stages
    assert cost(tmp_path / "run" / "last.pt") == cost(plan)
