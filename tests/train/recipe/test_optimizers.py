"""Optimizers and their groups against other people's code and against sums by hand."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import pytest
import timm.optim
import torch
from torch import nn

import resgen
from resgen.train.recipe.groups import groups
from resgen.train.recipe.keys import Optimizer
from resgen.train.recipe.optimizers import Lamb, build, restore
from resgen.train.run.network import load


def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(16, 5))


def gradients(module: nn.Module, step: int) -> None:
    torch.manual_seed(step)
    for parameter in module.parameters():
        parameter.grad = torch.randn_like(parameter) * 10.0 ** (step % 5 - 3)


def parts(module: nn.Module) -> list[dict[str, object]]:
    return [
        {"params": [p for p in module.parameters() if p.dim() > 1], "weight_decay": 0.02},
        {"params": [p for p in module.parameters() if p.dim() <= 1], "weight_decay": 0.0},
    ]


def test_lamb_is_timms_without_its_own_clipping() -> None:
    mine, theirs = network(), network()
    ours = build(
        mine,
        Optimizer(kind="lamb", lr=0.01, weight_decay=0.02, decay="weights"),
        device=torch.device("cpu"),
    )
    reference = timm.optim.Lamb(parts(theirs), lr=0.01, max_grad_norm=None)
    for step in range(25):
        for module, optimizer in ((mine, ours), (theirs, reference)):
            gradients(module, step)
            for group in optimizer.param_groups:
                group["lr"] = 0.01 / (1 + step)
            optimizer.step()
    for one, other in zip(mine.parameters(), theirs.parameters(), strict=True):
        assert torch.allclose(one, other, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("marked", [False, True])
def test_lamb_is_its_formula_tensor_by_tensor_to_the_bit(marked: bool) -> None:
    mine, theirs = network(), network()
    ours = Lamb(parts(mine), 0.01)
    if marked:
        ours.found_inf = torch.zeros(())
    decays = [0.02 if p.dim() > 1 else 0.0 for p in theirs.parameters()]
    moments = [(torch.zeros_like(p), torch.zeros_like(p)) for p in theirs.parameters()]
    for step in range(25):
        for module in (mine, theirs):
            gradients(module, step)
        ours.step()
        for weight, (m, v), decay in zip(theirs.parameters(), moments, decays, strict=True):
            assert weight.grad is not None
            m.lerp_(weight.grad, 1 - 0.9)
            v.lerp_(weight.grad.square(), 1 - 0.999)
            move = m / (1 - 0.9 ** (step + 1)) / ((v / (1 - 0.999 ** (step + 1))).sqrt() + 1e-6)
            with torch.no_grad():
                if decay:
                    move += decay * weight
                    move *= weight.norm() / move.norm()
                weight -= 0.01 * move
    for one, other in zip(mine.parameters(), theirs.parameters(), strict=True):
        assert torch.equal(one, other)


def test_lamb_moves_a_decayed_tensor_by_its_own_norm_times_the_rate() -> None:
    weight = nn.Parameter(torch.randn(7, 5))
    before = weight.detach().clone()
    weight.grad = torch.randn(7, 5)
    Lamb([weight], 0.25, weight_decay=0.1).step()
    moved = (weight.detach() - before).norm()
    assert float(moved) == pytest.approx(0.25 * float(before.norm()), rel=1e-5)


def test_lamb_leaves_a_tensor_of_zeros() -> None:
    weight = nn.Parameter(torch.zeros(3, 3))
    weight.grad = torch.zeros(3, 3)
    Lamb([weight], 0.1, weight_decay=0.1).step()
    assert torch.equal(weight, torch.zeros(3, 3))


def test_lamb_goes_on_from_its_saved_state() -> None:
    one, other = network(), network()
    first = Lamb(parts(one), 0.01)
    for step in range(3):
        gradients(one, step)
        first.step()
    other.load_state_dict(one.state_dict())
    second = Lamb(parts(other), 0.01)
    second.load_state_dict(deepcopy(first.state_dict()))
    for module, optimizer in ((one, first), (other, second)):
        gradients(module, 3)
        optimizer.step()
    assert all(torch.equal(p, q) for p, q in zip(one.parameters(), other.parameters(), strict=True))


@pytest.mark.parametrize("name", ["cifar/resnet20", "imagenet/resnet50"])
def test_groups_are_those_of_the_modules_layers(name: str) -> None:
    module = resgen.build_module(resgen.resolve(resgen.load_spec(name)))
    weights = {
        f"{path}.weight"
        for path, layer in module.named_modules()
        if isinstance(layer, nn.Conv2d | nn.Linear)
    }
    everything = {path for path, _ in module.named_parameters()}
    wanted = Optimizer(lr=0.1, weight_decay=0.5, decay="weights")
    decayed, other = groups(load(name).parameters, wanted)
    assert (decayed.weight_decay, set(decayed.names)) == (0.5, weights)
    assert (other.weight_decay, set(other.names)) == (0.0, everything - weights)
    (both,) = groups(load(name).parameters, Optimizer(lr=0.1, weight_decay=0.5))
    assert (both.weight_decay, set(both.names)) == (0.5, everything)


def trained(kind: str, how: dict[str, Any], steps: int = 2) -> torch.optim.Optimizer:
    torch.manual_seed(0)
    module = nn.Linear(3, 2)
    made: torch.optim.Optimizer = {
        "sgd": lambda: torch.optim.SGD(module.parameters(), 0.1, momentum=0.9, **how),
        "adamw": lambda: torch.optim.AdamW(module.parameters(), 0.1, **how),
    }[kind]()
    for _ in range(steps):
        module(torch.ones(1, 3)).sum().backward()
        made.step()
    return made


@pytest.mark.parametrize("kind", ["sgd", "adamw"])
@pytest.mark.parametrize("fused", [True, None])
def test_a_run_of_another_device_goes_on_in_this_devices_own_way(
    kind: str, fused: bool | None
) -> None:
    there = trained(kind, {"fused": not fused or None})
    here = trained(kind, {"fused": fused}, steps=0)
    restore(here, deepcopy(there.state_dict()))
    assert [group["fused"] for group in here.param_groups] == [fused]
    assert here.param_groups[0]["lr"] == there.param_groups[0]["lr"]
    for one, other in zip(here.state.values(), there.state.values(), strict=True):
        assert one.keys() == other.keys()
        assert all(torch.equal(one[key], other[key]) for key in one)
    # A fused optimizer drops the step; it would do so no more with the other's way of computing.
    if fused:
        weights = here.param_groups[0]["params"]
        before = [weight.clone() for weight in weights]
        for weight in weights:
            weight.grad = torch.ones_like(weight)
        here.found_inf = torch.ones(())  # type: ignore[attr-defined]
        here.step()
        assert all(torch.equal(w, b) for w, b in zip(weights, before, strict=True))
