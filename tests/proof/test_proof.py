"""The proof fails when the books and the module disagree, and names the first difference."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from resgen import build_module, load_spec, measure, resolve
from resgen.proof import Proof, prove

PLAN = resolve(load_spec("cifar/resnet20"))


def failures(proof: Proof) -> dict[str, str]:
    return {check.name: check.text for check in proof.checks if not check.holds}


def test_the_networks_own_module_passes() -> None:
    assert prove(PLAN, build_module(PLAN)).ok


def test_a_wider_layer_is_found_by_name() -> None:
    module = build_module(PLAN)
    inner = module.get_submodule("layer2.1")
    inner.conv1 = nn.Conv2d(32, 48, 3, padding=1, bias=False)
    inner.bn1 = nn.BatchNorm2d(48)
    inner.conv2 = nn.Conv2d(48, 32, 3, padding=1, bias=False)
    found = failures(prove(PLAN, module))
    assert found["parameters"] == ("layer2.1.bn1.bias: (32,) in plan, (48,) in module")
    assert found["fvcore_by_layer"] == (
        "layer2.1.conv1: 2,359,296 MACs in closed form, 3,538,944 measured by fvcore"
    )
    assert "torch_flop_counter" in found


def test_a_shortcut_that_is_missing_is_found() -> None:
    class Plain(nn.Module):
        def __init__(self, block: nn.Module) -> None:
            super().__init__()
            for name, part in block.named_children():
                self.add_module(name, part)

        def forward(self, x: Tensor) -> Tensor:
            y = self.get_submodule("bn1")(self.get_submodule("conv1")(x))
            y = self.get_submodule("conv2")(torch.relu(y))
            return torch.relu(self.get_submodule("bn2")(y))

    module = build_module(PLAN)
    stage = module.get_submodule("layer1")
    stage[1] = Plain(stage[1])  # type: ignore[operator, index]
    assert failures(prove(PLAN, module))["additions"] == (
        "layer1.1: additions of 16,384 elements in the plan, of no in the trace"
    )


def test_an_operator_without_a_rule_is_found() -> None:
    module = build_module(PLAN)
    module.get_submodule("layer1")[0].relu = nn.Softplus()  # type: ignore[operator, index]
    assert "aten::softplus" in failures(prove(PLAN, module))["operators"]


@pytest.mark.parametrize("training", [True, False])
def test_measuring_leaves_the_module_as_it_was(training: bool) -> None:
    module = build_module(PLAN).train(training)
    module.get_submodule("layer1").train(not training)
    before = {name: tensor.clone() for name, tensor in module.state_dict().items()}
    modes = [part.training for part in module.modules()]
    measure(module, PLAN)
    after = module.state_dict()
    assert list(after) == list(before)
    assert all(torch.equal(after[name], before[name]) for name in before)
    assert [part.training for part in module.modules()] == modes
    hooks = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks")
    assert not any(getattr(part, name) for part in module.modules() for name in hooks)
