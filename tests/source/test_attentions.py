"""Attentions compute what their formulas say, wherever they stand; an attention pool too."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from timm.layers import AttentionPool2d, GlobalContext, SEModule
from timm.layers.cbam import CbamModule
from torch import Tensor, nn
from torch.nn import functional as F

from resgen.cost import cost
from resgen.plan import Plan, resolve
from resgen.source.file import emit_source
from resgen.source.module import build_module
from resgen.spec import Spec, load_spec
from resgen.weights import load_weights

WIDTH = 32


def plan(**words: Any) -> Plan:
    data = {
        "name": "attended",
        "input": {"channels": WIDTH, "size": 9},
        "stem": [],
        "block": "basic",
        "shortcut": "projection",
        "stages": [{"depth": 1, "width": WIDTH}],
        "head": ["flatten"],
        "classes": 0,
    }
    return resolve(Spec.model_validate(data | words))


def drawn(network: Plan, seed: int = 0) -> nn.Module:
    """Its module in evaluation, weights and statistics drawn at random."""
    module, random = build_module(network).double().eval(), torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, value in module.state_dict().items():
            if value.is_floating_point():
                noise = torch.randn(value.shape, generator=random, dtype=torch.float64)
                value.copy_(0.5 + noise.abs() if name.endswith("var") else 0.3 * noise)
    return module


IMAGES = torch.randn(2, WIDTH, 9, 9, generator=torch.Generator().manual_seed(1)).double()


def attended(**keys: Any) -> tuple[Any, Tensor]:
    """The one block of a network whose attention has these keys, and what it puts out."""
    module = drawn(plan(attention=keys))
    with torch.no_grad():
        y = module(IMAGES).view(2, WIDTH, 9, 9)
    return module.get_submodule("layer1.0"), y


def main(block: Any, x: Tensor) -> Tensor:
    return block.bn2(block.conv2(F.relu(block.bn1(block.conv1(x)))))


def test_each_position_is_where_it_says() -> None:
    """Hu et al. 2018, section 6.5: SE, SE-PRE, SE-POST, SE-Identity; and before the last norm."""
    x = IMAGES

    def before_norm(block: Any) -> Tensor:
        y = block.conv2(F.relu(block.bn1(block.conv1(x))))
        return F.relu(block.bn2(block.se(y)) + x)

    said = {
        "end": lambda block: F.relu(block.se(main(block, x)) + x),
        "before-norm": before_norm,
        "pre": lambda block: F.relu(main(block, block.se(x)) + x),
        "post": lambda block: block.se(F.relu(main(block, x) + x)),
        "shortcut": lambda block: F.relu(main(block, x) + block.shortcut(x)),
    }
    for position, formula in said.items():
        block, found = attended(kind="se", position=position)
        with torch.no_grad():
            assert torch.allclose(found, formula(block), rtol=1e-12), position


def test_a_projection_ends_in_the_attention_of_its_shortcut() -> None:
    network = plan(
        stages=[{"depth": 1, "width": 48, "stride": 2}],
        attention={"kind": "se", "position": "shortcut"},
    )
    block = drawn(network).get_submodule("layer1.0")
    with torch.no_grad():
        convolution, norm, squeezed = block.downsample
        y = F.relu(main(block, IMAGES) + squeezed(norm(convolution(IMAGES))))
        assert torch.equal(y, block(IMAGES))
    assert [name for name, _ in network.named_parameters() if "downsample.2" in name]


@pytest.mark.parametrize(
    ("keys", "gate", "bias"),
    [
        ({}, torch.sigmoid, True),
        ({"bias": False}, torch.sigmoid, False),
        ({"gate": "hardsigmoid"}, F.hardsigmoid, True),
        ({"bias": False, "gate": "tanh", "activation": "silu"}, torch.tanh, False),
    ],
)
def test_squeeze_and_excitation_is_its_formula(keys: Any, gate: Any, bias: bool) -> None:
    block, found = attended(kind="se", ratio=0.25, **keys)
    se, act = block.se, F.silu if "activation" in keys else F.relu
    assert (se.fc1.bias is not None) is bias
    y = main(block, IMAGES)
    squeezed = act(F.linear(y.mean((2, 3)), se.fc1.weight.flatten(1), se.fc1.bias))
    factor = gate(F.linear(squeezed, se.fc2.weight.flatten(1), se.fc2.bias))
    assert torch.allclose(found, F.relu(y * factor[:, :, None, None] + IMAGES), rtol=1e-12)


def test_squeeze_and_excitation_without_biases_is_timms() -> None:
    block, _ = attended(kind="se", ratio=0.25, bias=False)
    theirs = SEModule(WIDTH, 0.25, bias=False).double()
    theirs.load_state_dict(block.se.state_dict())
    assert torch.equal(theirs(IMAGES), block.se(IMAGES))


def test_cbam_is_its_formula_and_timms() -> None:
    """Woo et al. 2018; the mean is the first plane in timm and the second there."""
    block, found = attended(kind="cbam", ratio=0.25)
    channels, pixels = block.se

    def mlp(z: Tensor) -> Tensor:
        z = F.relu(F.linear(z, channels.fc1.weight.flatten(1), channels.fc1.bias))
        return F.linear(z, channels.fc2.weight.flatten(1), channels.fc2.bias)

    y = x = main(block, IMAGES)
    gate = torch.sigmoid(mlp(x.mean((2, 3))) + mlp(x.amax((2, 3))))
    y = y * gate[:, :, None, None]
    planes = torch.stack((y.amax(1), y.mean(1)), 1)
    plane = F.conv2d(planes, pixels.conv.weight, padding=3)
    y = y * torch.sigmoid(pixels.bn(plane))
    assert torch.allclose(found, F.relu(y + IMAGES), rtol=1e-12)

    theirs = CbamModule(WIDTH, 0.25, mlp_bias=True).double().eval()
    theirs.channel.fc1.load_state_dict(channels.fc1.state_dict())
    theirs.channel.fc2.load_state_dict(channels.fc2.state_dict())
    with torch.no_grad():
        theirs.spatial.conv.conv.weight.copy_(pixels.conv.weight.flip(1))
        theirs.spatial.conv.bn.load_state_dict(pixels.bn.state_dict())
        assert torch.allclose(theirs(x), block.se(x), rtol=1e-12)


@pytest.mark.parametrize("fuse", ["add", "scale"])
def test_global_context_is_timms(fuse: str) -> None:
    block, _ = attended(kind="gc", ratio=0.25, fuse=fuse)
    theirs = GlobalContext(
        WIDTH, rd_ratio=0.25, fuse_add=fuse == "add", fuse_scale=fuse == "scale"
    ).double()
    inner = f"mlp_{fuse}."
    theirs.load_state_dict(
        {
            name if name.startswith("conv_attn") else inner + name: value
            for name, value in block.se.state_dict().items()
        }
    )
    with torch.no_grad():
        assert torch.equal(theirs(IMAGES), block.se(IMAGES))


@pytest.mark.parametrize(
    ("keys", "width", "squeezed"),
    [
        ({}, 40, 8),  # the nearest multiple of 8, at least one
        ({"divisor": 1}, 40, 2),  # 2.5, halves to even
        ({"divisor": 1, "round": "up"}, 40, 3),
        ({"divisor": 1, "round": "down"}, 56, 3),  # channels // 16
        ({"ratio": 0.25, "round": "down"}, 92, 16),
        ({"ratio": 0.25, "round": "up"}, 68, 24),
        ({"ratio": 0.25}, 76, 16),  # 19 to 16 loses more than a tenth
        ({"ratio": 0.25, "round": "up-from-90-percent"}, 76, 24),
        ({"kind": "cbam"}, 40, 2),
        ({"kind": "gc"}, 56, 3),
    ],
)
def test_the_squeezed_width_is_rounded_as_said(keys: Any, width: int, squeezed: int) -> None:
    network = plan(stages=[{"depth": 1, "width": width}], attention={"kind": "se", **keys})
    found = dict(network.named_parameters())
    ends = [shape for name, shape in found.items() if name.endswith("fc1.weight")]
    assert ends == [(squeezed, width, 1, 1)]


def test_a_row_is_the_setting() -> None:
    """Each attention as a row of a path is the same layer as the word of the setting."""
    path: list[Any] = [
        {"conv": 3, "width": "out"}, "norm", "act", {"conv": 3, "width": "out"}, "norm",
    ]  # fmt: skip
    for keys, row in (
        ({"kind": "se", "bias": False}, {"squeeze-excitation": 8, "bias": False}),
        ({"kind": "se", "gate": "tanh"}, {"squeeze-excitation": 8, "gate": "tanh"}),
        ({"kind": "gc", "fuse": "scale"}, {"global-context": "here / 16", "fuse": "scale"}),
        ({"kind": "gc", "activation": "gelu"}, {"global-context": 2, "activation": "gelu"}),
    ):
        named: dict[str, Any] = {**row, "name": "se"}
        spelled = plan(block=[*path, named, "add", "act"])
        ours, theirs = spelled.stages[0].runs[0].block, plan(attention=keys).stages[0].runs[0].block
        assert ours.main == theirs.main


def asked_by_the_mean(pool: Any, x: Tensor) -> Tensor:
    """Radford et al. 2021, in torch's own attention: the mean asks, mean and pixels answer."""
    x = x.flatten(2).permute(2, 0, 1)
    x = torch.cat((x.mean(0, keepdim=True), x)) + pool.positional_embedding[:, None]
    made = ("q_proj", "k_proj", "v_proj")
    y, _ = F.multi_head_attention_forward(
        x[:1], x, x, x.shape[2], pool.heads, None,
        torch.cat([getattr(pool, name).bias for name in made]), None, None, False, 0.0,
        pool.c_proj.weight, pool.c_proj.bias, need_weights=False, use_separate_proj_weight=True,
        **{f"{name}_weight": getattr(pool, name).weight for name in made},
    )  # fmt: skip
    return y[0]


def test_an_attention_pool_is_clips_and_timms() -> None:
    network = plan(head=[{"attention-pool": 12, "heads": 4}])
    module = drawn(network)
    pool = module.attnpool
    with torch.no_grad():
        found = pool(IMAGES)
        assert torch.allclose(found, asked_by_the_mean(pool, IMAGES), rtol=1e-10)
        theirs = AttentionPool2d(WIDTH, 9, 12, num_heads=4, qkv_separate=True).double().eval()
        for ours, name in (("q_proj", "q"), ("k_proj", "k"), ("v_proj", "v"), ("c_proj", "proj")):
            getattr(theirs, name).load_state_dict(getattr(pool, ours).state_dict())
        theirs.pos_embed.copy_(pool.positional_embedding)
        assert torch.allclose(found, theirs(IMAGES), rtol=1e-10)


def test_an_attention_pools_macs_are_its_formula() -> None:
    """n = pixels + 1 tokens of c channels: 2 n c c, c c, 2 n c and c out."""
    c, n, out = WIDTH, 82, 12
    without, with_pool = plan(head=["flatten"]), plan(head=[{"attention-pool": 12, "heads": 4}])
    macs = cost(with_pool).macs - cost(without).macs
    assert macs == 2 * n * c * c + c * c + 2 * n * c + c * out
    params = cost(with_pool).params - cost(without).params
    assert params == n * c + 3 * (c * c + c) + c * out + out


def test_clips_network_asks_for_the_mean_alone() -> None:
    """timm's asks for all 50 tokens and keeps one: 49 c (c + out) and 49 2 n c MACs more."""
    c, n, out = 2048, 50, 1024
    theirs = 6_111_469_568  # torch's counter over timm's resnet50_clip
    more = (n - 1) * (c * (c + out) + 2 * n * c)
    assert cost(resolve(load_spec("clip/resnet50_clip"))).macs == theirs - more


def test_a_head_of_several_linear_layers_is_its_layers_in_a_row() -> None:
    head = ["flatten", {"linear": 48}, "act", {"dropout": 0.5}, {"linear": "classes"}]
    network = plan(head=head, classes=7)
    assert "self.fc2 = nn.Linear(48, num_classes)" in emit_source(network)
    module = drawn(network)
    with torch.no_grad():
        y = module.get_submodule("layer1")(IMAGES).flatten(1)
        y = F.linear(F.relu(F.linear(y, module.fc.weight, module.fc.bias)), module.fc2.weight)
        assert torch.allclose(module(IMAGES), y + module.fc2.bias, rtol=1e-12)


def test_an_emitted_file_has_the_classes_it_uses_and_no_other() -> None:
    def classes(**keys: Any) -> set[str]:
        text = emit_source(plan(attention=keys))
        return {
            line.split()[1].partition("(")[0]
            for line in text.splitlines()
            if line.startswith("class ")
        } - {"BasicBlock", "Attended"}

    assert classes(kind="se") == {"SqueezeExcitation"}
    assert classes(kind="se", bias=False) == {"GatedSqueezeExcitation"}
    assert classes(kind="cbam") == {"ChannelAttention", "SpatialAttention"}
    assert classes(kind="gc") == {"GlobalContext", "LayerNorm2d"}
    assert classes(kind="gc", fuse="scale") == {"GlobalContextGate", "LayerNorm2d"}


def test_clips_names_lead_to_ours() -> None:
    """CLIP's projections count from the convolution behind their pool."""
    network = resolve(load_spec("clip/resnet50_clip"))
    with torch.device("meta"):
        module = build_module(network)
    ours = module.to_empty(device="cpu").state_dict()
    for value in ours.values():
        value.zero_()

    def theirs(name: str) -> str:
        for one, other in (("1", "0"), ("2", "1")):
            if f".downsample.{one}." in name:
                return "visual." + name.replace(f".downsample.{one}.", f".downsample.{other}.")
        return f"visual.{name}"

    weights = {theirs(name): torch.ones_like(value) for name, value in ours.items()}
    assert load_weights(module, network, weights).key_map == "CLIP"
    assert all(bool((value == 1).all()) for value in module.state_dict().values())
