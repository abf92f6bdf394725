"""The norms and activations that resgen writes itself, against torch, timm and torchvision."""

from __future__ import annotations

from typing import Any

import pytest
import timm
import torch
import torchvision
from timm.layers import EvoNorm2dB0, EvoNorm2dS0, FilterResponseNormTlu2d
from torch import Tensor, nn
from torchvision.ops import FrozenBatchNorm2d

from resgen import emit_source
from resgen.cost import cost
from resgen.errors import UserError
from resgen.plan import Plan, resolve
from resgen.source import norm_parts as parts
from resgen.source.module import build_module
from resgen.spec import Spec, load_spec
from resgen.weights import load_weights

ROUNDING = 1e-5  # a bias added in one rounding, not in two


class InstanceBatch(nn.Module):
    """IBN-Net's layer, from its equation: half of the channels as images, half as a batch."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.half = channels // 2
        self.IN = nn.InstanceNorm2d(self.half, affine=True)
        self.BN = nn.BatchNorm2d(channels - self.half)

    def forward(self, x: Tensor) -> Tensor:
        first, rest = torch.split(x, [self.half, x.shape[1] - self.half], 1)
        mean, var = first.mean((2, 3), keepdim=True), first.var((2, 3), correction=0, keepdim=True)
        first = (first - mean) / (var + 1e-5).sqrt() * self.IN.weight.view(1, -1, 1, 1)
        return torch.cat((first + self.IN.bias.view(1, -1, 1, 1), self.BN(rest)), 1)


LAYERS: dict[str, tuple[nn.Module, nn.Module]] = {
    "layer": (parts.PixelNorm2d(64, eps=1e-3), timm.layers.LayerNorm2d(64, eps=1e-3)),
    "frozen": (parts.FrozenBatchNorm2d(64), FrozenBatchNorm2d(64)),
    "instance-batch": (parts.InstanceBatchNorm2d(64), InstanceBatch(64)),
    "evonorm-b0": (parts.EvoNorm2dB0(64, eps=1e-3), EvoNorm2dB0(64)),
    "evonorm-s0": (parts.EvoNorm2dS0(32, 64), EvoNorm2dS0(64)),
    "evonorm-s0 of 4": (parts.EvoNorm2dS0(4, 64), EvoNorm2dS0(64, groups=4)),
    "filter-response": (
        nn.Sequential(parts.FilterResponseNorm2d(64), parts.ThresholdedLinearUnit(64)),
        FilterResponseNormTlu2d(64),
    ),
}


def shaken(module: nn.Module, seed: int) -> None:
    """Gives every parameter and statistic a value of its own."""
    random = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, value in sorted(module.state_dict().items()):
            if value.is_floating_point():
                noise = torch.randn(value.shape, generator=random)
                if value.ndim > 1:
                    noise *= (2 / value[0].numel()) ** 0.5
                value.copy_(0.5 + noise.abs() if "var" in name else noise)


@pytest.mark.parametrize("training", [True, False], ids=["training", "evaluation"])
@pytest.mark.parametrize("name", LAYERS)
def test_a_norm_its_statistics_and_its_gradients_are_the_librarys(
    name: str, *, training: bool
) -> None:
    ours, theirs = (module.train(training) for module in LAYERS[name])
    shaken(theirs, 0)
    given = list(theirs.state_dict().values())
    assert len(given) == len(ours.state_dict())
    with torch.no_grad():
        for mine, value in zip(ours.state_dict().values(), given, strict=True):
            mine.copy_(value)
    images = torch.randn(3, 64, 9, 7, generator=torch.Generator().manual_seed(1))
    weights = torch.randn(3, 64, 9, 7, generator=torch.Generator().manual_seed(2))
    found: list[list[Tensor]] = []
    for module in (ours, theirs):
        x = images.clone().requires_grad_()
        y = module(x)
        (y * weights).sum().backward()
        vectors = [p.grad for p in module.parameters()]
        found.append([y.detach(), x.grad, *vectors, *module.state_dict().values()])  # type: ignore[list-item]
    for mine, value in zip(*found, strict=True):
        scale = value.abs().max().clamp(min=1)
        assert (mine - value).abs().max() <= ROUNDING * scale


def test_nothing_of_a_frozen_norm_is_trained_or_moves() -> None:
    module = parts.FrozenBatchNorm2d(8).train()
    before = {name: value.clone() for name, value in module.state_dict().items()}
    module(torch.randn(4, 8, 5, 5))
    assert not list(module.parameters())
    assert all(torch.equal(before[name], value) for name, value in module.state_dict().items())


def test_a_network_with_evonorm_b0_is_timms_in_training_and_evaluation() -> None:
    reference = timm.create_model("resnetv2_50d_evos", norm_layer=EvoNorm2dB0, num_classes=10)
    for module in reference.modules():
        module.momentum = 1.0  # type: ignore[assignment]
    plan = plan_of("preact/resnetv2_50d_evos", norm={"kind": "evonorm-b0", "eps": 1e-3}, classes=10)
    images = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(1))
    for training in (True, False):  # the first pass finds the statistics of the second
        reference.train(training)
        ours = build_module(plan).train(training)
        load_weights(ours, plan, reference.state_dict())
        with torch.no_grad():
            theirs = reference(images)
            difference = (ours(images) - theirs).abs().max() / theirs.abs().max()
        assert difference <= 1e-4


def plan_of(name: str, **keys: Any) -> Plan:
    data = load_spec(name).model_dump(mode="json", exclude_unset=True)
    data.pop("depth", None)
    return resolve(Spec.model_validate({**data, **keys}))


STAGES = ((3, 256), (4, 512), (6, 1024), (3, 2048))
IBN_A = [
    {"conv": 1, "width": "mid"}, {"norm": "instance-batch"}, "act",
    {"conv": 3, "stride": "stage"}, "norm", "act", {"conv": 1, "width": "out"}, "norm",
    "add", "act",
]  # fmt: skip
IBN_B = [
    {"conv": 1, "width": "mid"}, "norm", "act", {"conv": 3, "stride": "stage"}, "norm", "act",
    {"conv": 1, "width": "out"}, "norm", "add", {"norm": "instance"}, "act",
]  # fmt: skip


def test_ibn_a_is_its_authors_network_by_names_integers_and_outputs() -> None:
    """ResNet-50 whose first three stages have the layer behind each first convolution."""
    reference = torchvision.models.resnet50()
    for stage in (reference.layer1, reference.layer2, reference.layer3):
        for block in stage:
            block.bn1 = InstanceBatch(block.bn1.num_features)
    shaken(reference.eval(), 3)
    plan = ibn(IBN_A)
    assert cost(plan).params == sum(p.numel() for p in reference.parameters()) == 25_557_032
    ours = build_module(plan).eval()
    assert ours.state_dict().keys() == reference.state_dict().keys()
    ours.load_state_dict(reference.state_dict())
    images = torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        theirs = reference(images)
        assert (ours(images) - theirs).abs().max() <= ROUNDING * theirs.abs().max()


def ibn(block: list[Any]) -> Plan:
    """ResNet-50 with this block in all stages but the last."""
    stages: list[dict[str, Any]] = [
        {"depth": depth, "width": width, "stride": 1 + (width > 256)} for depth, width in STAGES
    ]
    stages[-1]["block"] = "bottleneck"
    return plan_of("imagenet/resnet50", block=block, bottleneck_ratio=4, stages=stages)


def test_ibn_b_has_an_instance_norm_behind_the_addition() -> None:
    plan = ibn(IBN_B)
    more = cost(plan).params - cost(resolve(load_spec("imagenet/resnet50"))).params
    assert more == sum(2 * width * depth for depth, width in STAGES[:3])
    assert "return self.relu(self.bn4(y + self.downsample(x)))" in emit_source(plan)


def test_an_iresnet_with_prelu_is_the_one_that_spells_it_out() -> None:
    """insightface's iresnet, and max(x, 0) + a min(x, 0) in branches."""
    written = resolve(load_spec("faces/iresnet18"))
    negative = [{"scale": -1}, {"act": "relu"}, {"scale": -1}, {"scale": 0.25, "per": "channel"}]
    spelled = plan_of(
        "faces/iresnet18",
        define={
            "slopes": [{"branches": [[{"act": "relu"}], negative]}],
            "improved": [
                "norm", {"conv": 3, "width": "out"}, "norm", "slopes",
                {"conv": 3, "stride": "stage"}, "norm", "add",
            ],
        },
        stem=[{"conv": 3, "width": 64}, "norm", "slopes"],
    )  # fmt: skip
    assert cost(written).params == cost(spelled).params
    assert cost(written).macs == cost(spelled).macs
    ours, theirs = build_module(written).eval(), build_module(spelled).eval()
    shaken(theirs, 5)
    mine = {n: v for n, v in ours.state_dict().items() if v.is_floating_point()}
    given = [v for v in theirs.state_dict().values() if v.is_floating_point()]
    with torch.no_grad():
        for value, other in zip(mine.values(), given, strict=True):
            value.copy_(other)
        images = torch.randn(2, 3, 112, 112)
        expected = theirs(images)
        assert (ours(images) - expected).abs().max() <= ROUNDING * expected.abs().max()
    assert "self.prelu = nn.PReLU(width)" in emit_source(written)


def test_each_place_of_an_activation_that_learns_has_its_own_module() -> None:
    plan = plan_of("imagenet/resnet50", activation="prelu")
    names = [name for name, _ in plan.named_parameters() if ".act" in name or name[:3] == "act"]
    assert names[:4] == ["act1.weight", *(f"layer1.0.act{i}.weight" for i in (1, 2, 3))]
    assert len(names) == 1 + 3 * 16
    shared = plan_of("imagenet/resnet50")
    each = sum(depth * (2 * width // 4 + width) for depth, width in STAGES)
    assert cost(plan).params - cost(shared).params == 64 + each


@pytest.mark.parametrize(
    ("keys", "texts"),
    [
        ({"activation": "prelu"}, ["nn.PReLU(64)"]),
        ({"activation": {"kind": "prelu", "slope": 0.1}}, ["nn.PReLU(64, init=0.1)"]),
        (
            {"activation": {"kind": "leaky-relu", "slope": 0.1}},
            ["nn.LeakyReLU(0.1, inplace=True)"],
        ),
        ({"activation": "leaky-relu"}, ["nn.LeakyReLU(inplace=True)"]),
        ({"activation": "threshold"}, ["ThresholdedLinearUnit(64)"]),
        ({"norm": {"kind": "batch", "eps": 1.001e-5}}, ["nn.BatchNorm2d(64, eps=1.001e-05)"]),
        ({"norm": {"kind": "batch", "eps": 1e-5}}, ["nn.BatchNorm2d(64)"]),
        ({"norm": {"kind": "group", "eps": 1e-3}}, ["nn.GroupNorm(32, 64, eps=0.001)"]),
        ({"norm": "instance"}, ["nn.InstanceNorm2d(64, affine=True)"]),
        ({"norm": {"kind": "instance-batch", "share": 0.25}}, ["(64, share=0.25)"]),
        ({"norm": {"kind": "layer", "eps": 1e-3}}, ["PixelNorm2d(64, eps=0.001)"]),
        ({"norm": "layer"}, ["LayerNorm2d(64)"]),
        (
            {"head": ["global-pool", "flatten", {"norm": "layer", "eps": 1e-6}]},
            ["nn.LayerNorm(512, eps=1e-06)"],
        ),
        ({"norm": "frozen"}, ["FrozenBatchNorm2d(64)"]),
        # The norm ahead of the addition has no activation behind it: a factor and a bias.
        (
            {"norm": "evonorm-s0"},
            ["self.bn1 = EvoNorm2dS0(32, 64)", "self.bn2 = LearnedScale(width, 1.0, bias=True)"],
        ),
    ],
    ids=str,
)
def test_a_setting_is_written_as_by_hand(keys: dict[str, Any], texts: list[str]) -> None:
    source = emit_source(plan_of("imagenet/resnet18", **keys))
    for text in texts:
        assert text in source


def test_rows_say_their_own_norms_and_activations() -> None:
    rows = [
        {"conv": 3, "width": "out", "stride": "stage"}, {"norm": "evonorm-s0", "groups": 16}, "act",
        {"conv": 3}, {"norm": "evonorm-s0", "groups": 8}, {"act": "leaky-relu", "slope": 0.2},
        {"conv": 3}, {"norm": "batch", "eps": 0.01}, {"act": "leaky-relu", "slope": 0.1},
        {"conv": 3}, {"norm": "instance-batch", "share": 0.25}, {"act": "prelu", "slope": 0.3},
        {"conv": 3}, {"norm": "frozen"}, {"act": "prelu"}, "add", "act",
    ]  # fmt: skip
    source = emit_source(plan_of("imagenet/resnet18", block=rows))
    for text in (
        "self.bn1 = EvoNorm2dS0(16, width)",
        "self.bn2 = LearnedScale(width, 1.0, bias=True)",
        "self.leaky_relu = nn.LeakyReLU(0.2, inplace=True)",
        "self.bn3 = nn.BatchNorm2d(width, eps=0.01)",
        "self.leaky_relu_ = nn.LeakyReLU(0.1, inplace=True)",
        "self.bn4 = InstanceBatchNorm2d(width, share=0.25)",
        "self.act1 = nn.PReLU(width, init=0.3)",
        "self.act2 = nn.PReLU(width)",
        "self.bn1(self.conv1(x))",
    ):
        assert text in source


def test_weights_with_counters_load_into_frozen_norms() -> None:
    plan = plan_of("imagenet/resnet18", norm="frozen", classes=10)
    reference = torchvision.models.resnet18(num_classes=10).eval()
    shaken(reference, 7)
    ours = build_module(plan).eval()
    load_weights(ours, plan, reference.state_dict())
    images = torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        theirs = reference(images)
        assert (ours(images) - theirs).abs().max() <= ROUNDING * theirs.abs().max()


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ({"norm": {"kind": "batch", "share": 0.5}}, "share belongs to instance-batch norm"),
        ({"norm": {"kind": "response", "eps": 0.1}}, "not to response"),
        ({"norm": {"kind": "batch", "eps": 0}}, "norm.eps"),
        ({"activation": {"kind": "relu", "slope": 0.1}}, "slope belongs to leaky-relu and prelu"),
        ({"zero_init": "last", "norm": "instance-batch"}, "with norm instance-batch has none"),
        ({"zero_init": "last", "norm": "frozen"}, "with norm frozen has none"),
        ({"norm": {"kind": "instance-batch", "share": 0.001}}, "leaves one of the norms none"),
        ({"norm": {"kind": "evonorm-s0", "groups": 48}}, "cannot be divided by 48 groups"),
        ({"head": ["global-pool", "flatten", {"act": "threshold"}]}, "here is a vector"),
        ({"head": ["global-pool", {"norm": "instance"}]}, "one value a channel"),
        ({"head": [{"norm": "batch", "share": 0.5}]}, "share belongs to instance-batch norm"),
        ({"head": [{"act": "gelu", "slope": 0.5}]}, "slope belongs to leaky-relu and prelu"),
    ],
    ids=str,
)
def test_what_a_kind_has_not_is_refused(keys: dict[str, Any], said: str) -> None:
    with pytest.raises((UserError, ValueError), match=said):
        plan_of("imagenet/resnet18", **keys)
