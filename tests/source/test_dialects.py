"""Keys for how other libraries write residual networks: the same weights, the same outputs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import timm.layers
import torch
import torch.nn.functional as F
import torchvision
from torch import nn
from torchvision.models import optical_flow

from resgen import build_module, cost, emit_source


def like(reference: nn.Module, **keys: Any) -> nn.Module:
    """resgen's network of some keys, with the weights of one whose names are the same."""
    module = build_module(keys)
    state = reference.state_dict()
    assert {k: v.shape for k, v in module.state_dict().items()} == {
        k: v.shape for k, v in state.items()
    }
    module.load_state_dict(state)
    return module.eval()


def _max_pool(pool: nn.MaxPool2d) -> nn.Module:
    made: nn.Module = timm.layers.create_pool2d(
        "max", pool.kernel_size, pool.stride, padding="same"
    )
    return made


def same(module: nn.Module) -> nn.Module:
    """A network with every window that slides padded as TensorFlow does, by timm's layers."""
    for name, child in module.named_children():
        if isinstance(child, nn.Conv2d):
            padded = timm.layers.Conv2dSame(
                child.in_channels, child.out_channels, child.kernel_size, child.stride,
                groups=child.groups, bias=child.bias is not None,
            )  # fmt: skip
            padded.load_state_dict(child.state_dict())
            setattr(module, name, padded)
        elif isinstance(child, nn.MaxPool2d):
            setattr(module, name, _max_pool(child))
        else:
            same(child)
    return module


@pytest.mark.parametrize("size", [64, 75, (64, 90)])
@pytest.mark.parametrize("name", ["resnet18", "resnet50", "resnext50_32x4d"])
def test_padding_same_is_tensorflows(name: str, size: Any) -> None:
    torch.manual_seed(0)
    reference = same(torchvision.models.get_model(name)).eval()
    folder = "resnext" if "resnext" in name else "imagenet"
    module = like(
        reference, extends=f"{folder}/{name}", name="net", padding="same", input={"size": size}
    )
    x = torch.randn(2, 3, *(size if isinstance(size, tuple) else (size, size)))
    assert torch.equal(module(x), reference(x))


def test_padding_same_costs_what_symmetric_padding_does_where_sizes_are_even() -> None:
    symmetric, asymmetric = (
        cost({"extends": "imagenet/resnet50", "name": "net", "padding": word})
        for word in ("symmetric", "same")
    )
    assert (asymmetric.params, asymmetric.macs) == (symmetric.params, symmetric.macs)


def test_a_stage_dilated_from_its_first_block_on_is_detectron2s() -> None:
    """`RES5_DILATION: 2`: the last stage keeps its size, and all of its 3x3 are dilated."""
    torch.manual_seed(0)
    reference = torchvision.models.resnet50().eval()
    for block in reference.layer4:
        block.conv2.stride, block.conv2.dilation, block.conv2.padding = (1, 1), (2, 2), (2, 2)
    reference.layer4[0].downsample[0].stride = (1, 1)
    stages = [
        {"depth": 3, "width": 256},
        {"depth": 4, "width": 512, "stride": 2},
        {"depth": 6, "width": 1024, "stride": 2},
        {"depth": 3, "width": 2048, "dilation": 2},
    ]
    module = like(reference, extends="imagenet/resnet50", name="dc5", stages=stages)
    x = torch.randn(2, 3, 96, 96)
    assert torch.equal(module(x), reference(x))


@pytest.mark.parametrize("stride", [[2, 1], [1, 2]])
def test_a_stage_may_stride_down_alone(stride: list[int]) -> None:
    """As in networks that read text or speech, where the width of the image is time."""
    torch.manual_seed(0)
    reference = torchvision.models.resnet18().eval()
    for stage in (reference.layer3, reference.layer4):
        stage[0].conv1.stride = stage[0].downsample[0].stride = tuple(stride)
    stages = [
        {"depth": 2, "width": 64},
        {"depth": 2, "width": 128, "stride": 2},
        {"depth": 2, "width": 256, "stride": stride},
        {"depth": 2, "width": 512, "stride": stride},
    ]
    keys = {"extends": "imagenet/resnet18", "name": "net", "input": {"size": [64, 160]}}
    module = like(reference, **keys, stages=stages)
    x = torch.randn(2, 3, 64, 160)
    assert torch.equal(module(x), reference(x))


def test_rafts_encoder_has_a_relu_before_and_behind_each_addition_and_biased_convolutions() -> None:
    torch.manual_seed(0)
    block = optical_flow.raft.ResidualBlock
    reference = optical_flow.raft.FeatureEncoder(
        block=block,
        layers=(64, 64, 96, 128, 256),
        strides=(2, 1, 2, 2),
        norm_layer=nn.BatchNorm2d,
    ).eval()
    keys: dict[str, Any] = {
        "name": "encoder",
        "input": {"size": [96, 128]},
        "stem": {"kind": "conv7x7", "width": 64},
        "block": "basic",
        "order": "relu-around-add",
        "shortcut": "projection",
        "bias": True,
        "stages": [
            {"depth": 2, "width": 64},
            {"depth": 2, "width": 96, "stride": 2},
            {"depth": 2, "width": 128, "stride": 2},
        ],
        "head": [{"conv": 1, "width": 256}],
        "classes": 0,
    }
    module = build_module(keys).eval()
    ours, theirs = module.state_dict(), reference.state_dict()
    assert [v.shape for v in ours.values()] == [v.shape for v in theirs.values()]
    module.load_state_dict(dict(zip(ours, theirs.values(), strict=True)))
    x = torch.randn(2, 3, 96, 128)
    assert torch.equal(module(x), reference(x))
    assert cost(keys).params == sum(p.numel() for p in reference.parameters()) == 1_069_728


class PaddedOnBothSides(nn.Module):
    """Option A as in akamaster/pytorch_resnet_cifar10, whose weights are published."""

    def __init__(self, new: int) -> None:
        super().__init__()
        self.new = new

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return F.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, self.new // 2, self.new // 2))


def test_zeros_on_both_sides_are_idelbayevs() -> None:
    torch.manual_seed(0)
    keys = {"extends": "cifar/resnet20", "name": "net"}
    module = build_module({**keys, "shortcut": {"kind": "identity", "padding": "both-sides"}})
    reference = build_module(keys)
    reference.load_state_dict(module.state_dict())
    x = torch.randn(2, 3, 32, 32)
    assert not torch.equal(module.eval()(x), reference.eval()(x))
    reference.layer2[0].downsample = PaddedOnBothSides(16)
    reference.layer3[0].downsample = PaddedOnBothSides(32)
    assert torch.equal(module(x), reference(x))
    books = cost({**keys, "shortcut": {"kind": "identity", "padding": "both-sides"}})
    assert (books.params, books.macs) == (cost(keys).params, cost(keys).macs)


def test_a_stride_of_two_numbers_is_one_in_the_emitted_signature() -> None:
    stages = [{"depth": 2, "width": 16}, {"depth": 2, "width": 32, "stride": [1, 4]}]
    text = emit_source({"extends": "cifar/resnet20", "name": "net", "stages": stages})
    assert "stride: int | tuple[int, int] = 1" in text
    assert "stride=(1, 4)" in text


def strides_second(network: nn.Module) -> None:
    """Insightface's and PreResNet's B forms."""
    for stage in (network.layer2, network.layer3, network.layer4):
        stage[0].conv1.stride, stage[0].conv2.stride = (1, 1), (2, 2)


def grouped_from_the_first(network: nn.Module) -> None:
    """Every convolution of a bottleneck but the last in groups."""
    for stage in (network.layer1, network.layer2, network.layer3, network.layer4):
        for block in stage:
            old = block.conv1
            block.conv1 = nn.Conv2d(old.in_channels, old.out_channels, 1, groups=32, bias=False)


def stem_of_one_pixel(network: nn.Module) -> None:
    network.conv1, network.maxpool = nn.Conv2d(3, 64, 1, bias=False), nn.Identity()


def pool_over_the_edge(network: nn.Module) -> None:
    network.maxpool = nn.MaxPool2d(3, 2, ceil_mode=True)


@pytest.mark.parametrize(
    ("name", "change", "keys"),
    [
        (
            "imagenet/resnet18",
            strides_second,
            {
                "block": [
                    {"conv": 3, "width": "mid"},
                    {"conv": 3, "width": "out", "stride": "stage"},
                ]
            },
        ),
        (
            "resnext/resnext50_32x4d",
            grouped_from_the_first,
            {
                "block": [
                    {"conv": 1, "width": "mid", "groups": "stage"},
                    {"conv": 3, "stride": "stage", "groups": "stage"},
                    {"conv": 1, "width": "out"},
                ],
            },
        ),
        (
            "imagenet/resnet18",
            stem_of_one_pixel,
            {"stem": [{"conv": 1, "width": 64}, "norm", "act"]},
        ),
        (
            "imagenet/resnet50",
            pool_over_the_edge,
            {"stem": {"kind": "conv7x7-pool", "width": 64, "pool": "max-ceil"}},
        ),
    ],
)
def test_what_others_write_differently_is_a_row_or_two(
    name: str, change: Callable[[nn.Module], None], keys: dict[str, Any]
) -> None:
    torch.manual_seed(0)
    reference = torchvision.models.get_model(name.partition("/")[2])
    change(reference)
    reference.eval()
    keys = {"extends": name, "name": "net", **keys}
    module = like(reference, **keys)
    x = torch.randn(2, 3, 65, 65)
    assert torch.equal(module(x), reference(x))
    assert cost(keys).params == sum(p.numel() for p in reference.parameters())
