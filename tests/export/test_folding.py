"""Batch norms folded into convolutions: the same function, of which the norms are gone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch
import yaml
from hypothesis import given, settings
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval
from typer.testing import CliRunner

from resgen import build_module, cost, load_spec, resolve
from resgen.cli import app
from resgen.errors import CheckFailed, UserError
from resgen.export import compare, folding
from resgen.export.folding import fold_into, renamed
from resgen.plan import Plan
from resgen.plan.folding import fold
from resgen.plan.layers import BatchNorm
from tests.kinds import KINDS, network
from tests.strategies import plans


def stirred(plan: Plan) -> nn.Module:
    """The module with statistics and factors that no two channels share."""
    torch.manual_seed(0)
    module = build_module(plan).eval()
    for each in module.modules():
        if getattr(each, "running_mean", None) is not None:
            for tensor in (each.running_mean, each.running_var, each.weight, each.bias):
                nn.init.uniform_(tensor, 0.5, 1.5)  # type: ignore[arg-type]
    return module


def both(plan: Plan) -> tuple[nn.Module, nn.Module]:
    """The network, and the same network folded."""
    whole, folded = stirred(plan), fold(plan)
    module = build_module(folded.plan).eval()
    fold_into(module, whole, folded)
    return whole, module


def apart(plan: Plan) -> float:
    x = torch.randn(3, *plan.input, generator=torch.Generator().manual_seed(1))
    whole, module = both(plan)
    with torch.no_grad():
        wanted, found = whole(x), module(x)
    return float((found - wanted).abs().max() / wanted.abs().max())


@pytest.mark.parametrize("kind", KINDS)
def test_a_folded_network_puts_out_the_same(kind: str) -> None:
    assert apart(resolve(load_spec(network(kind)))) < 1e-5


@settings(max_examples=15, deadline=None)
@given(plan=plans())
def test_any_folded_network_puts_out_the_same(plan: Plan) -> None:
    found = apart(plan)
    assert found < 1e-4 or found != found  # a network whose outputs overflow has none to compare


def test_a_frozen_batch_norm_is_folded_too() -> None:
    found = fold(resolve(load_spec(network("norm frozen"))))
    assert len(found.pairs) == 6
    assert found.left == ()


def norms(plan: Plan) -> int:
    return sum(isinstance(layer.op, BatchNorm) for _, layer in plan.named_layers())


@pytest.mark.parametrize(
    ("name", "left"),
    [
        ("resnet18", 0),
        ("resnet50d", 0),
        ("mobilenet_v2", 0),
        ("seresnext50_32x4d", 0),
        # The first norm of a pre-activation block has an addition before it, not a convolution.
        ("preact/preresnet110", 54),
        ("bit/resnetv2_101x1_bit", 0),
    ],
)
def test_every_norm_behind_a_convolution_is_gone(name: str, left: int) -> None:
    plan = resolve(load_spec(name))
    found = fold(plan)
    assert norms(found.plan) == len(found.left) == left
    assert len(found.pairs) == norms(plan) - left


def test_the_books_lose_the_norms_and_gain_biases() -> None:
    plan = resolve(load_spec("resnet50"))
    before, after = cost(plan), cost(fold(plan).plan)
    assert after.macs == before.macs
    assert (before.norm > 0, after.norm) == (True, 0)
    # A factor and a shift a channel become a bias: half of the 53,120 parameters of its norms.
    assert before.params - after.params == 26_560
    module = build_module(fold(plan).plan)
    assert after.params == sum(each.numel() for each in module.parameters())
    assert dict(fold(plan).plan.named_parameters()) == {
        name: tuple(each.shape) for name, each in module.named_parameters()
    }


def test_weights_are_those_of_torchs_own_fusion() -> None:
    whole, module = both(resolve(load_spec("digits/resnet20")))
    theirs = fuse_conv_bn_eval(whole.layer2[0].conv1, whole.layer2[0].bn1)  # type: ignore[union-attr,index]
    ours = module.layer2[0].conv1  # type: ignore[union-attr,index]
    assert torch.allclose(ours.weight, theirs.weight, rtol=1e-6)
    assert torch.allclose(ours.bias, theirs.bias, rtol=1e-5, atol=1e-6)


def test_modules_in_a_row_are_numbered_anew() -> None:
    assert renamed("a.3.b.2.weight", {"a.3": "a.2", "a.3.b.2": "a.3.b.1"}) == "a.2.b.1.weight"
    names = {
        name.rpartition(".")[0]
        for name, _ in fold(resolve(load_spec("resnet50d"))).plan.named_parameters()
    }
    assert {"conv1.0", "conv1.2", "conv1.4", "layer1.0.downsample.1"} <= names


def build(*words: str | Path) -> Any:
    return CliRunner().invoke(app, ["build", *map(str, words)])


def test_the_command_prints_both_costs(tmp_path: Path) -> None:
    (tmp_path / "net.yaml").write_text(yaml.safe_dump(network("order original")))
    out = tmp_path / "net.safetensors"
    result = build(tmp_path / "net.yaml", "--fold", "-o", out, "-o", tmp_path / "net.py")
    assert result.exit_code == 0, result.exception
    plan = resolve(load_spec(tmp_path / "net.yaml"))
    for books in (cost(plan), cost(fold(plan).plan)):
        assert f"{books.params:,}" in result.stdout
        assert f"{books.norm:,}" in result.stdout
    assert "holds   6 batch norms folded: outputs within 0.0001 of the largest" in result.stdout
    assert "6 batch norms folded" in (tmp_path / "net.py").read_text()

    # The folded file stands for its network where a file is written, and nowhere else.
    again = build(out, "-o", tmp_path / "again.py")
    assert again.exit_code == 0, again.exception
    with pytest.raises(UserError, match="its batch norms are folded"):
        load_spec(out)
    for form in ("a.yaml", "a.yml"):
        assert "its batch norms are folded" in str(build(out, "-o", tmp_path / form).exception)
    scope: dict[str, Any] = {"__name__": "again"}
    exec((tmp_path / "again.py").read_text(), scope)
    scope["Small"]().load_state_dict(safetensors.torch.load_file(out))


def test_folding_that_changes_the_outputs_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def halved(layer: nn.Module, norm: nn.Module) -> tuple[torch.Tensor, torch.Tensor]:
        weight, bias = right(layer, norm)
        return weight, bias / 2

    right = folding._folded
    monkeypatch.setattr(folding, "_folded", halved)
    result = build("digits/resnet20", "--fold", "-o", tmp_path / "a.py")
    assert isinstance(result.exception, CheckFailed)
    assert "resnet20: not written, as a check fails: 19 batch norms folded" in str(result.exception)
    assert not list(tmp_path.iterdir())


def test_what_is_no_number_is_no_agreement() -> None:
    one, bad = torch.ones(2, 3), torch.tensor([[1.0, float("nan"), 1.0]] * 2)
    assert compare.difference(one, one) == 0.0
    for found, wanted in ((bad, one), (one, bad), (one, torch.ones(2, 4))):
        assert compare.difference(found, wanted) == float("inf")
