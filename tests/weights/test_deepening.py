"""Deeper and wider networks by construction: the same function, and they learn on."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from resgen import build_module, load_spec, resolve
from resgen.errors import UserError
from resgen.plan import Plan
from resgen.plan.layers import Dropout, DropPath, Shake
from resgen.weights.deepening import Deepened, Exact, deepen
from resgen.weights.identity import unit_variance
from tests.kinds import KINDS, SMALL, network
from tests.strategies import spec_data

STATISTICS = ("running_mean", "running_var", "weight", "bias", "tau", "v")


def trained(plan: Plan, seed: int = 0) -> nn.Module:
    """A network whose norms have statistics and factors that no two channels share."""
    torch.manual_seed(seed)
    module = build_module(plan)
    for each in module.modules():
        if "Norm" in type(each).__name__ or type(each).__name__ == "ThresholdedLinearUnit":
            for name in STATISTICS:
                value = getattr(each, name, None)
                if isinstance(value, Tensor):
                    nn.init.uniform_(value, 0.5, 1.5)
    return module.eval()


class Pair:
    """A network and a larger one that is to compute the same."""

    def __init__(
        self, small: dict[str, Any] | str, large: dict[str, Any] | str, exact: Exact = "evaluation"
    ) -> None:
        self.plans = resolve(load_spec(small)), resolve(load_spec(large))
        self.small = trained(self.plans[0])
        torch.manual_seed(1)
        self.large = build_module(self.plans[1])
        fresh = self.large.state_dict()
        self.made: Deepened = deepen(
            self.plans[0], self.small.state_dict(), self.plans[1], fresh, exact=exact
        )
        self.large.load_state_dict(self.made.weights)
        self.large.eval()
        draw = torch.Generator().manual_seed(2)
        self.images = torch.randn(4, *self.plans[0].input, generator=draw)

    @torch.no_grad()
    def apart(self) -> float:
        """The largest difference in evaluation, in parts of the largest output."""
        wanted, found = self.small(self.images), self.large(self.images)
        return float((found - wanted).abs().max() / wanted.abs().max())

    def losses(self) -> tuple[float, float]:
        """Of a training step's batch, by the small and by the large network."""
        labels = torch.arange(4) % self.plans[0].classes
        small, large = (
            F.cross_entropy(copy.deepcopy(each).train()(self.images), labels).detach()
            for each in (self.small, self.large)
        )
        return float(small), float(large)


def with_depth(keys: dict[str, Any], more: int) -> dict[str, Any]:
    stages = [{**stage, "depth": stage["depth"] + more} for stage in keys["stages"]]
    return {**keys, "name": "deeper", "stages": stages}


def with_width(keys: dict[str, Any], times: float) -> dict[str, Any]:
    stages = [{**stage, "width": int(stage["width"] * times)} for stage in keys["stages"]]
    stem = keys["stem"] | {"width": int(keys["stem"]["width"] * times)}
    return {**keys, "name": "wider", "stem": stem, "stages": stages}


PLAIN8: dict[str, Any] = {
    "extends": "cifar/plain20",
    "name": "plain8",
    "depth": 8,
    "stages": [
        {"depth": 1, "width": 16},
        {"depth": 1, "width": 32, "stride": 2},
        {"depth": 1, "width": 64, "stride": 2},
    ],
}
BOTTLENECK = {**SMALL, "block": "bottleneck", "name": "bottleneck8"}
DEEPER: dict[str, tuple[dict[str, Any] | str, dict[str, Any] | str]] = {
    "plain 8 to 20": (PLAIN8, "cifar/plain20"),
    "resnet 20 to 56": ("cifar/resnet20", "cifar/resnet56"),
    "resnet 20 to 56, projections": ("cifar/resnet20-projection", "cifar/resnet56-projection"),
    "resnet 20 to 56, projections in all": (
        "cifar/resnet20-projection-all", "cifar/resnet32-projection-all",
    ),
    "preresnet": (
        {"extends": "cifar/resnet20", "name": "pre20", "order": "preact"},
        {"extends": "cifar/resnet56", "name": "pre56", "order": "preact"},
    ),
    "bottleneck": (BOTTLENECK, with_depth(BOTTLENECK, 2)),
    "preactivated bottleneck": (
        {**BOTTLENECK, "order": "preact"}, with_depth({**BOTTLENECK, "order": "preact"}, 2),
    ),
}  # fmt: skip
RENORMALIZED = ("plain 8 to 20", "resnet 20 to 56, projections in all")


@pytest.mark.parametrize("which", DEEPER)
def test_a_deeper_network_puts_out_the_same_to_the_last_bit(which: str) -> None:
    pair = Pair(*DEEPER[which])
    assert pair.apart() == 0.0
    small, large = pair.losses()
    assert pair.made.renormalizes == (which in RENORMALIZED)
    # What the note says of batch norms in identity blocks is so.
    assert (small == large) == (which not in RENORMALIZED)


def test_a_plain_network_can_be_deepened_for_training() -> None:
    pair = Pair(*DEEPER["plain 8 to 20"], exact="training")
    small, large = pair.losses()
    assert large == pytest.approx(small, rel=1e-4)
    assert 0 < pair.apart() < 1e-4
    assert pair.made.lifted
    assert not pair.made.renormalizes


def test_in_training_a_shortcut_of_projections_cannot_be_the_identity() -> None:
    with pytest.raises(UserError, match="does not keep from batch to batch"):
        Pair(*DEEPER["resnet 20 to 56, projections in all"], exact="training")


def test_stages_say_how_many_blocks_are_copied() -> None:
    assert Pair(*DEEPER["resnet 20 to 56"]).made.stages == (
        ("layer1", 3, 6), ("layer2", 3, 6), ("layer3", 3, 6),
    )  # fmt: skip


# Of every word of the language that changes what a block computes: why a block of it cannot be
# the identity. All others can.
NEVER = {
    "order relu-before-add": "no gradient where it puts out 0",
    "order relu-around-add": "no gradient where it puts out 0",
    "order preact-shared": "the shortcut's relu changes negative values",
    "shortcut scaled": "its shortcut multiplies by 0.5",
    "shortcut gated": "a sigmoid is neither 0 nor 1",
    "shortcut gated-shortcut": "multiplies by a gate",
    "attention post": "multiplies by a gate",
    "attention shortcut": "multiplies by a gate",
}


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_block_is_the_identity_or_says_why_not(kind: str) -> None:
    keys = network(kind)
    if kind in NEVER:
        with pytest.raises(UserError, match=NEVER[kind]):
            Pair(keys, with_depth(keys, 1))
        return
    pair = Pair(keys, with_depth(keys, 1))
    assert pair.apart() == 0.0
    plan = pair.plans[1]
    drops = any(isinstance(at.op, Dropout | DropPath | Shake) for _, at in plan.named_layers())
    if not pair.made.renormalizes and not drops:
        small, large = pair.losses()
        assert small == large
    learns(pair)


def learns(pair: Pair) -> None:
    """Every identity block has a weight that a step would change."""
    module = copy.deepcopy(pair.large).train()
    F.cross_entropy(module(pair.images), torch.arange(4)).backward()
    for index, stage in enumerate(pair.plans[1].stages):
        block = module.get_submodule(f"{stage.name}.{stage.depth - 1}")
        grads = [p.grad for p in block.parameters() if p.grad is not None]
        assert any(bool(grad.any()) for grad in grads), f"stage {index} has no gradient"


PLAIN_NEVER: dict[str, tuple[dict[str, Any], str]] = {
    "linear": ({"order": "linear"}, "changes negative values"),
    "preact": ({"order": "preact"}, "changes negative values"),
    "group norm": ({"norm": {"kind": "group", "groups": 4}}, "mean and deviation of each image"),
    "layer norm": ({"norm": "layer"}, "mean and deviation of each image"),
    "instance norm": ({"norm": "instance"}, "mean and deviation of each image"),
    "silu": ({"activation": "silu"}, "is no identity"),
    "leaky": ({"activation": "leaky-relu"}, "changes negative values"),
    "bottleneck": ({"block": "bottleneck"}, "fewer than the 16 of the block"),
    "se": ({"attention": "se"}, "never 1"),
    "eca": ({"attention": "eca"}, "never 1"),
    "standardized": ({"convolution": "standardized"}, "weights standardized"),
    "blur": ({"convolution": "scaled"}, "weights standardized"),
}


@pytest.mark.parametrize("which", PLAIN_NEVER)
def test_plain_blocks_that_cannot_be_the_identity(which: str) -> None:
    keys = {**SMALL, "shortcut": "none", **PLAIN_NEVER[which][0]}
    with pytest.raises(UserError, match=PLAIN_NEVER[which][1]):
        Pair(keys, with_depth(keys, 1))


PLAIN_ALWAYS: dict[str, dict[str, Any]] = {
    "frozen": {"norm": "frozen"},
    "no norm": {"norm": "none"},
    "relu6": {"activation": "relu6"},
    "prelu": {"activation": "prelu"},
    "prelu, linear": {"activation": "prelu", "order": "linear"},
    "context": {"attention": "gc"},
    "as wide a bottleneck": {"block": "bottleneck", "bottleneck_ratio": 1},
    "a wider bottleneck": {"block": "bottleneck", "bottleneck_ratio": 0.5},
    "grouped": {"block": "bottleneck", "bottleneck_ratio": 0.5, "groups": 4},
    "dilated": {"dilation": 2},
}


@pytest.mark.parametrize("which", PLAIN_ALWAYS)
def test_plain_blocks_that_can(which: str) -> None:
    keys = {**SMALL, "shortcut": "none", **PLAIN_ALWAYS[which]}
    pair = Pair(keys, with_depth(keys, 2))
    assert pair.apart() == 0.0
    learns(pair)


def test_a_path_that_ends_in_a_relu_would_never_learn() -> None:
    """What is refused: with a scale of zero before a ReLU, nothing of the path has a gradient."""
    keys = {**SMALL, "order": "relu-before-add"}
    module = trained(resolve(load_spec(keys))).train()
    block: Any = module.get_submodule("layer1.0")
    nn.init.zeros_(block.bn2.weight)
    nn.init.zeros_(block.bn2.bias)
    module(torch.randn(4, 3, 32, 32)).sum().backward()
    assert not any(p.grad.any() for p in block.parameters() if p.grad is not None)


@given(eps=st.floats(1e-12, 1.0), seed=st.integers(0, 99))
@settings(max_examples=50, deadline=None)
def test_a_batch_norm_with_variance_one_less_eps_is_exact(eps: float, seed: int) -> None:
    norm = nn.BatchNorm2d(3, eps=eps).eval()
    assert norm.running_var is not None
    norm.running_var.fill_(unit_variance(eps))
    x = torch.randn(2, 3, 5, 5, generator=torch.Generator().manual_seed(seed)) * 10
    for layout in (torch.contiguous_format, torch.channels_last):
        assert torch.equal(norm(x.to(memory_format=layout)), x)  # type: ignore[call-overload]


NOT_WIDENED = {
    "attention eca": "EfficientChannelAttention",
    "attention cbam": "SpatialAttention",
    "attention gc": "GlobalContext",
    "convolution standardized": "weights standardized",
    "convolution scaled": "weights standardized",
    "shortcut gated": "Gate",
    "shortcut gated-shortcut": "Gate",
    "norm instance-batch": "InstanceBatchNorm",
    "branches": "ChannelShuffle",
    "many branches": "its groups of channels do not hold each other",
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("times", [1.5, 2])
def test_a_wider_network_computes_the_same(kind: str, times: float) -> None:
    keys = network(kind)
    try:
        pair = Pair(keys, with_width(keys, times))
    except UserError as refused:
        uneven = times == 1.5 and "not held equally often" in str(refused)
        assert uneven or NOT_WIDENED[kind] in str(refused)
        return
    assert pair.made.widened
    assert pair.apart() < 1e-5
    plan = pair.plans[1]
    if not any(isinstance(at.op, Dropout | DropPath | Shake) for _, at in plan.named_layers()):
        small, large = pair.losses()
        assert large == pytest.approx(small, rel=1e-4)


def test_a_wider_layer_holds_the_channels_of_the_narrower_and_they_part() -> None:
    """Net2WiderNet, seen from outside: c of 24 channels is c * 16 // 24 of 16."""
    pair = Pair(SMALL, with_width(SMALL, 1.5))
    seen: list[Tensor] = []
    for module in (pair.small, pair.large):
        layer = module.get_submodule("layer1.0.bn1")
        layer.register_forward_hook(lambda layer, given, out: seen.append(out.detach()))
        module(pair.images)
    of = [c * 16 // 24 for c in range(24)]
    torch.testing.assert_close(seen[1], seen[0][:, of])
    labels = torch.arange(4)
    F.cross_entropy(pair.large(pair.images), labels).backward()
    grad = pair.large.get_submodule("layer1.0").conv1.weight.grad  # type: ignore[union-attr]
    assert of[0] == of[1]
    assert not torch.allclose(grad[0], grad[1], rtol=1e-2)  # type: ignore[index]


@given(keys=spec_data(), more=st.integers(0, 2), times=st.sampled_from([1, 2]))
@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
def test_any_network_is_deepened_exactly_or_refused_in_a_sentence(
    keys: dict[str, Any], more: int, times: int
) -> None:
    keys["input"] = {**keys["input"], "size": 32}
    try:
        pair = Pair(keys, with_width(with_depth(keys, more), times))
    except UserError as refused:
        assert "\n" not in str(refused)
        return
    if times == 1:
        assert pair.apart() == 0.0
    else:
        with torch.no_grad():
            wanted, found = pair.small(pair.images), pair.large(pair.images)
        assert float((found - wanted).abs().max()) <= 1e-4 * float(wanted.abs().max()) + 1e-6


MISTAKES: dict[str, tuple[dict[str, Any], dict[str, Any], str]] = {
    "fewer blocks": (with_depth(SMALL, 1), SMALL, "takes none away"),
    "narrower": (with_width(SMALL, 2), SMALL, "is narrower here"),
    "classes": (SMALL, {**SMALL, "classes": 7}, "classes: 7, and 5 in small"),
    "input": (SMALL, {**SMALL, "input": {"size": 48}}, "input: 3x48x48, and 3x32x32"),
    "stages": (SMALL, {**SMALL, "stages": SMALL["stages"][:1]}, "stages: 1, and 2"),
    "another block": (SMALL, {**SMALL, "block": "bottleneck"}, "layer1.0 cannot be layer1.0"),
    "another shortcut": (SMALL, {**SMALL, "shortcut": "none"}, "its shortcut is none here"),
    "another stem": (SMALL, {**SMALL, "stem": {"kind": "conv3x3", "width": 16}}, "its stem: "),
    "another eps": (SMALL, {**SMALL, "norm": {"kind": "batch", "eps": 1e-3}}, "eps 0.001 here"),
    "a backbone": (
        {**SMALL, "classes": 0},
        {**with_width(SMALL, 2), "classes": 0},
        "its head: a backbone",
    ),
    "another activation": (SMALL, {**SMALL, "activation": "silu"}, "is SiLU here and ReLU"),
}


@pytest.mark.parametrize("which", MISTAKES)
def test_networks_that_cannot_compute_the_same(which: str) -> None:
    small, large, says = MISTAKES[which]
    with pytest.raises(UserError, match=says):
        Pair(small, large)
