"""Keys for how other libraries write residual networks: the same weights, the same outputs."""

from __future__ import annotations

from typing import Any

import pytest
import timm.layers
import torch
import torchvision
from torch import nn

from resgen import build_module, cost


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
