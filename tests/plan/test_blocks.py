"""What a residual block is: H(x) = F(x) + x, and the identity where F is zero."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from resgen import build_module, resolve
from resgen.spec import Spec


def network(**keys: Any) -> tuple[Spec, nn.Module]:
    spec = Spec.model_validate(
        {
            "name": "net",
            "input": {"channels": 3, "size": 8},
            "stem": {"kind": "conv3x3", "width": 16},
            "block": "basic",
            "shortcut": "identity",
            "stages": [{"depth": 2, "width": 16}, {"depth": 2, "width": 32, "stride": 2}],
            "classes": 10,
            **keys,
        }
    )
    return spec, build_module(spec)


def zero_last(spec: Spec, block: nn.Module) -> None:
    """Sets the last weights and biases of a block's main path to zero."""
    layers = [layer for layer in resolve(spec).stages[0].runs[-1].block.main if layer.op.params()]
    weighted = block.get_submodule(layers[-1].name)
    for parameter in weighted.parameters():
        nn.init.zeros_(parameter)


@pytest.mark.parametrize(
    "order", ["original", "relu-before-add", "linear", "relu-preact", "preact"]
)
@pytest.mark.parametrize("block", ["basic", "bottleneck"])
def test_a_block_with_zero_last_weights_is_the_identity_on_what_a_relu_put_out(
    block: str, order: str
) -> None:
    spec, module = network(block=block, order=order)
    inner = module.get_submodule("layer1.1")
    zero_last(spec, inner)
    x = torch.relu(torch.randn(4, 16, 8, 8))
    for mode in (True, False):
        assert (inner.train(mode)(x) - x).abs().max() == 0.0


def test_with_the_norm_after_the_addition_it_is_the_norm_of_x() -> None:
    _, module = network(order="bn-after-add")
    inner = module.get_submodule("layer1.1").eval()
    nn.init.zeros_(inner.get_submodule("conv2").weight)
    x = torch.relu(torch.randn(4, 16, 8, 8))
    assert torch.equal(inner(x), torch.relu(inner.get_submodule("bn2")(x)))


@pytest.mark.parametrize("order", ["linear", "preact"])
def test_without_a_relu_behind_the_addition_it_is_the_identity_on_any_sign(order: str) -> None:
    spec, module = network(order=order)
    inner = module.get_submodule("layer1.1").eval()
    zero_last(spec, inner)
    x = torch.randn(4, 16, 8, 8)
    assert (inner(x) - x).abs().max() == 0.0


def test_with_the_relu_behind_the_addition_negative_values_are_lost() -> None:
    spec, module = network()
    inner = module.get_submodule("layer1.1").eval()
    zero_last(spec, inner)
    x = torch.randn(4, 16, 8, 8)
    assert torch.equal(inner(x), torch.relu(x))


def test_a_block_computes_relu_of_f_plus_x() -> None:
    _, module = network()
    inner = module.get_submodule("layer1.1").eval()
    x = torch.randn(4, 16, 8, 8)
    residual: list[torch.Tensor] = []
    handle = inner.get_submodule("bn2").register_forward_hook(lambda m, i, o: residual.append(o))
    y = inner(x)
    handle.remove()
    assert torch.equal(y, torch.relu(residual[0] + x))


def test_the_padded_identity_keeps_every_second_pixel_and_adds_zero_channels() -> None:
    _, module = network()
    shortcut = module.get_submodule("layer2.0.downsample")
    x = torch.randn(2, 16, 7, 8)
    y = shortcut(x)
    assert y.shape == (2, 32, 4, 4)
    assert torch.equal(y[:, :16], x[:, :, ::2, ::2])
    assert not y[:, 16:].any()


def test_original_blocks_put_out_no_negative_value_and_preact_blocks_do() -> None:
    for order, negative in (("original", False), ("preact", True)):
        _, module = network(order=order)
        seen: list[bool] = []
        inner = module.get_submodule("layer1.1")
        inner.register_forward_hook(lambda m, i, o, seen=seen: seen.append(bool((o < 0).any())))
        module(torch.randn(2, 3, 8, 8))
        assert seen == [negative]


def test_no_dropout_one_max_pool_and_one_global_pool_in_resnet50() -> None:
    kinds = [type(part) for part in build_module("resnet50").modules()]
    assert nn.Dropout not in kinds
    assert kinds.count(nn.MaxPool2d) == kinds.count(nn.AdaptiveAvgPool2d) == 1


def test_zero_init_starts_each_block_as_its_shortcut() -> None:
    _, module = network(zero_init="last")
    x = torch.relu(torch.randn(4, 16, 8, 8))
    assert torch.equal(module.get_submodule("layer1")(x), x)


def test_a_module_pickles_and_copies() -> None:
    import copy
    import pickle

    _, module = network()
    x = torch.randn(2, 3, 8, 8)
    expected = module.eval()(x)
    assert torch.equal(copy.deepcopy(module)(x), expected)
    assert torch.equal(pickle.loads(pickle.dumps(module))(x), expected)


@pytest.mark.parametrize(
    ("key", "words"),
    [("activation", ("relu", "elu", "gelu")), ("convolution", ("plain", "standardized", "plain"))],
)
def test_stages_that_differ_in_kind_alone_are_built_as_written(
    key: str, words: tuple[str, ...]
) -> None:
    from resgen.proof import prove

    spec, module = network(stages=[{"depth": 2, "width": 16, key: word} for word in words])
    kinds = [str(module.get_submodule(f"layer{i}.1")) for i in (1, 2, 3)]
    assert len(set(kinds)) == len(set(words))
    assert prove(resolve(spec), module).ok


def test_paths_of_specs_alike_in_all_else_are_each_their_own() -> None:
    """Steps are read once for specs of the same settings, and for the same path only."""
    common = {
        "input": {"size": 32},
        "classes": 10,
        "block": "basic",
        "shortcut": "identity",
        "stages": [{"depth": 1, "width": 8}],
    }
    specs = [
        Spec.model_validate(
            {
                **common,
                "name": f"stem{width}",
                "stem": [{"conv": 3, "width": width}, "norm"],
                "head": ["global-pool", "flatten", {"linear": width}],
            }
        )
        for width in (8, 4)
    ]
    assert [resolve(spec).stem[0].output[0] for spec in specs] == [8, 4]
    assert [resolve(spec).head[-1].output for spec in specs] == [(8,), (4,)]
