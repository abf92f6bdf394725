"""Responses are what hooks on another library's network see, and what a batch norm's formula says.

He et al. 2015, section 4.2 and figure 7.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from resgen.analysis import Asked, responses
from resgen.errors import UserError
from resgen.inference.trained import read
from resgen.train.device.engine import Engine
from tests.analysis.networks import TORCHVISION, rewritten, shaken, spec, torchvisions

Make = Callable[..., Path]


def test_hooks_on_torchvisions_network_see_the_same(trained: Make, cpu: Engine) -> None:
    run = rewritten(trained(TORCHVISION, data="synthetic"), shaken)
    found = responses(run, Asked(images=100, batch=32), engine=cpu)
    theirs = torchvisions()
    theirs.load_state_dict(torch.load(run / "last.pt")["model"])
    outputs: dict[str, list[Tensor]] = {}
    for name, module in theirs.named_modules():
        # Behind each 3x3 convolution, and not the stem's of 7x7 nor a shortcut's of 1x1.
        if re.fullmatch(r"layer\d\.0\.bn\d", name):
            assert isinstance(module, nn.BatchNorm2d)
            outputs[name] = []
            module.register_forward_hook(
                lambda _, __, output, name=name: outputs[name].append(output.clone())
            )
    from resgen.analysis.looking import pictures, subject

    network = read(str(run))
    shown = subject(network, Asked(images=100))
    with torch.no_grad():
        for images, _ in pictures(network, shown, Asked(), cpu):
            theirs.eval()(images)
    assert [each.taken for each in found.layers] == list(outputs)
    assert len(outputs) == 8
    for each in found.layers:
        wanted = torch.cat(outputs[each.taken]).std(correction=0).item()
        assert each.std == pytest.approx(wanted, rel=1e-5), each.name
    assert (found.images, found.behind) == (100, "norm")
    assert sorted((each.std for each in found.layers), reverse=True) == list(found.sorted)


@pytest.mark.parametrize("keys", [{}, {"shortcut": "none"}, {"shortcut": "projection"}])
def test_in_training_the_square_is_mean_gamma_squared_plus_var_beta(
    trained: Make, cpu: Engine, keys: dict[str, str]
) -> None:
    run = rewritten(trained(**keys), shaken)
    weights = read(str(run)).weights
    found = responses(run, Asked(batch=90), mode="training", engine=cpu)
    assert [each.name for each in found.layers] == ["conv1"] + [
        f"layer{stage}.{block}.conv{conv}"
        for stage in (1, 2) for block in (0, 1) for conv in (1, 2)
    ]  # fmt: skip
    for each in found.layers:
        gamma, beta = (weights[f"{each.taken}.{key}"] for key in ("weight", "bias"))
        wanted = (gamma.square().mean() + beta.var(correction=0)).sqrt().item()
        # A batch norm divides by sqrt(var + eps), and behind dead ReLUs var is small.
        assert each.std == pytest.approx(wanted, rel=2e-3), each.name


def test_at_initialisation_every_one_is_1_in_training(trained: Make, cpu: Engine) -> None:
    def drawn(name: str, value: Tensor) -> None:
        if value.dim() == 1 and name.endswith((".weight", ".bias")):
            value.fill_(float(name.endswith("weight")))

    for keys in ({}, {"shortcut": "none"}):
        run = rewritten(trained(out=f"run{len(keys)}", **keys), drawn)
        found = responses(run, mode="training", engine=cpu)
        assert [each.std for each in found.layers] == pytest.approx([1.0] * 9, abs=1e-3)
        assert found.median == pytest.approx(1.0, abs=1e-3)


@pytest.mark.parametrize("order", ["preact", "bn-after-add"])
def test_without_a_norm_behind_each_the_convolutions_own_output_is_taken(
    trained: Make, cpu: Engine, order: str
) -> None:
    run = rewritten(trained(order=order), shaken)
    found = responses(run, engine=cpu)
    assert found.behind == "convolution"
    assert [each.taken for each in found.layers] == [each.name for each in found.layers]
    network = read(str(run))
    module, seen = network.module(cpu), []
    module.get_submodule("layer2.1.conv2").register_forward_hook(
        lambda _, __, output: seen.append(output.clone())
    )
    from resgen.analysis.looking import pictures, subject

    with torch.no_grad():
        for images, _ in pictures(network, subject(network, Asked()), Asked(), cpu):
            module(images)
    wanted = torch.cat(seen).std(correction=0).item()
    assert found.layers[-1].std == pytest.approx(wanted, rel=1e-5)


def test_paths_of_ones_own(trained: Make, cpu: Engine) -> None:
    found = responses(
        trained(
            block="[{branches: [[{conv: 3, width: out / 2}, norm], [{conv: 1, width: out / 2}, "
            "norm, act, {conv: 3, stride: stage}, norm]], join: concat}, add, act]",
            stages="[{depth: 2, width: 8}]",
        ),
        engine=cpu,
    )
    assert [each.name for each in found.layers] == [
        "conv1", "layer1.0.conv1", "layer1.0.conv3", "layer1.1.conv1", "layer1.1.conv3",
    ]  # fmt: skip


def test_what_has_none(trained: Make, tmp_path: Path, cpu: Engine) -> None:
    with pytest.raises(UserError, match="names no trained network; give a run folder"):
        responses(spec(tmp_path))
    run = trained(stem="[{conv: 1, width: 8}, norm, act]", block="[{conv: 1, stride: stage, "
                  "width: out}, norm, add, act]")  # fmt: skip
    with pytest.raises(UserError, match="small has no 3x3 convolution, and responses are"):
        responses(run, engine=cpu)
