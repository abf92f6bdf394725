"""The shipped words, written out as paths, are the same networks; equal forms, equal functions."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from resgen import build_module, resolve
from resgen.plan import Block, Plan
from resgen.plan.layers import leaves
from resgen.spec import Spec

STAGES = [
    {"depth": 2, "width": 32},
    {"depth": 2, "width": 64, "stride": 2},
]

# He et al. 2016, figure 4, by hand: n a norm, a an activation, c a convolution, s where the
# paths split (S: all of them), + the addition.
WRITTEN = {
    "original": ("cnacn+a", "cnacnacn+a"),
    "bn-after-add": ("cnac+na", "cnacnac+na"),
    "relu-before-add": ("cnacna+", "cnacnacna+"),
    "relu-around-add": ("cnacna+a", "cnacnacna+a"),
    "linear": ("cnacn+", "cnacnacn+"),
    "relu-preact": ("ascnacn+", "ascnacnacn+"),
    "preact": ("nascnac+", "nascnacnac+"),
    "preact-raw": ("nacnac+", "nacnacnac+"),
    "preact-shared": ("naScnac+", "naScnacnac+"),
}
CONVOLUTIONS = {
    "basic": [
        {"conv": 3, "width": "mid", "stride": "stage", "groups": "stage"},
        {"conv": 3, "width": "out", "groups": "stage"},
    ],
    "bottleneck": [
        {"conv": 1, "width": "mid"},
        {"conv": 3, "stride": "stage", "groups": "stage"},
        {"conv": 1, "width": "out"},
    ],
}
LETTERS: dict[str, Any] = {"n": "norm", "a": "act", "s": "split", "S": {"split": "all"}, "+": "add"}


def plan(**keys: Any) -> Plan:
    data = {
        "name": "net",
        "input": {"channels": 3, "size": 32},
        "stem": {"kind": "conv3x3", "width": 32},
        "shortcut": "projection",
        "stages": STAGES,
        "classes": 10,
        **keys,
    }
    return resolve(Spec.model_validate(data))


def blocks(plan: Plan) -> list[Block]:
    """The blocks of a network, whatever they are called."""
    return [block._replace(kind="") for _, block in plan.named_blocks()]


@pytest.mark.parametrize("groups", [1, 4])
@pytest.mark.parametrize("shortcut", ["projection", "identity", "none", "scaled"])
@pytest.mark.parametrize("order", WRITTEN)
@pytest.mark.parametrize("block", CONVOLUTIONS)
def test_a_word_is_its_path(block: str, order: str, shortcut: str, groups: int) -> None:
    ratio = 4 if block == "bottleneck" else 1
    keys: dict[str, Any] = {"shortcut": shortcut, "groups": groups}
    stem = {"kind": "conv3x3", "width": 32, "first_activation": "block"}
    if "preact" not in order:
        del stem["first_activation"]
    word = plan(block=block, order=order, stem=stem, **keys)
    filled = plan(block=CONVOLUTIONS[block], order=order, stem=stem, bottleneck_ratio=ratio, **keys)
    assert blocks(filled) == blocks(word)
    convolutions = iter(CONVOLUTIONS[block])
    letters = WRITTEN[order][block == "bottleneck"]
    path = [next(convolutions) if letter == "c" else LETTERS[letter] for letter in letters]
    projection: list[Any] = [{"conv": 1, "width": "out", "stride": "stage"}]
    projection += [] if order.startswith("preact") else ["norm"]
    if shortcut == "projection":
        keys["projection"] = projection
    spelled = plan(block=path, bottleneck_ratio=ratio, **keys)
    assert blocks(spelled) == blocks(word)


def outputs(one: Plan, other: Plan) -> tuple[torch.Tensor, torch.Tensor]:
    """Of two networks with the same weights, in the order of their parameters."""
    torch.manual_seed(0)
    first, second = build_module(one), build_module(other)
    with torch.no_grad():
        for parameter in first.parameters():
            parameter.copy_(torch.randn_like(parameter) / 8)
        for mine, theirs in zip(first.parameters(), second.parameters(), strict=True):
            assert mine.shape == theirs.shape
            theirs.copy_(mine)
    x = torch.randn(4, *one.input)
    return first.train()(x), second.train()(x)


SQUEEZE = {
    "squeeze": {
        "with": {"ratio": 16},
        "path": [
            {
                "branches": [
                    [],
                    [
                        "global-pool",
                        {"conv": 1, "width": "branch / ratio", "bias": True},
                        "act",
                        {"conv": 1, "width": "branch", "bias": True},
                        {"act": "sigmoid"},
                    ],
                ],
                "join": "product",
            }
        ],
    }
}
CHANNELS = {
    "channels": [
        {
            "branches": [
                [],
                ["global-pool", {"conv": 5, "over": "channels"}, {"act": "sigmoid"}],
            ],
            "join": "product",
        }
    ]
}
ATTENDED = [
    {"conv": 3, "width": "out", "stride": "stage"}, "norm", "act", {"conv": 3}, "norm",
]  # fmt: skip


@pytest.mark.parametrize(
    ("word", "use", "define"),
    [
        ({"kind": "se", "divisor": 1}, {"squeeze": {"ratio": 16}}, SQUEEZE),
        ({"kind": "eca", "kernel": 5}, "channels", CHANNELS),
    ],
)
def test_an_attention_as_a_definition_is_the_layers_function(
    word: dict[str, Any], use: Any, define: dict[str, Any]
) -> None:
    layer = plan(block="basic", attention=word)
    defined = plan(block=[*ATTENDED, use, "add", "act"], define=define)
    mine, theirs = outputs(layer, defined)
    assert torch.allclose(mine, theirs, rtol=1e-5, atol=1e-6)
    as_setting = plan(block="basic", attention=use if isinstance(use, str) else
                      {"kind": "squeeze", "ratio": 16}, define=define)  # fmt: skip
    assert torch.equal(outputs(layer, as_setting)[0], mine)
    assert torch.allclose(outputs(layer, as_setting)[1], mine, rtol=1e-5, atol=1e-6)


def paths_of(joined: bool) -> list[Any]:
    """ResNeXt's block of 4 paths (Xie et al. 2017, figure 3 a and b), each 4 wide of 32."""
    path: list[Any] = [{"conv": 1, "width": "out / 8"}, "norm", "act"]
    path += [{"conv": 3, "stride": "stage"}, "norm", "act"]
    last = {"conv": 1, "width": "out"}
    if joined:
        return [{"branches": path, "times": 4, "join": "concat"}, last, "norm", "add", "act"]
    return [{"branches": [*path, last], "times": 4, "join": "sum"}, "norm", "add", "act"]


def test_resnexts_three_forms_are_one_function() -> None:
    """Xie et al. 2017, figure 3: a sum of paths, a concatenation, a grouped convolution."""
    grouped = plan(block="bottleneck", bottleneck_ratio=2, groups=4)
    forms = [build_module(p) for p in (grouped, plan(block=paths_of(True)))]
    forms.append(build_module(plan(block=paths_of(False))))
    torch.manual_seed(0)
    for parameter in forms[0].parameters():
        nn.init.normal_(parameter, std=0.2)
    for form, joined in zip(forms[1:], (True, False), strict=True):
        _split(forms[0], form, joined=joined)
    x = torch.randn(2, 3, 32, 32)
    first, *others = [form.eval()(x) for form in forms]
    assert first.abs().max() > 0.1
    for other in others:
        assert torch.allclose(first, other, rtol=1e-4, atol=1e-5)


def _split(grouped: nn.Module, paths: nn.Module, *, joined: bool) -> None:
    """Gives each path its share of the grouped block's weights."""
    whole, state = grouped.state_dict(), paths.state_dict()
    for name in state:
        head, _, rest = name.partition(".branches.")
        if not rest:
            source = name.replace(".conv1.", ".conv3.") if joined else name
            source = (
                source.replace(".bn1.", ".bn3.") if ".bn1." in name and "layer" in name else source
            )
            state[name] = whole[source]
            continue
        number, _, layer = rest.partition(".")
        weight = whole[f"{head}.{layer}"]
        if layer.startswith("conv3"):
            state[name] = weight.chunk(4, 1)[int(number)]
        else:
            state[name] = weight.chunk(4, 0)[int(number)] if weight.ndim else weight
    paths.load_state_dict(state)


def test_a_path_of_two_units_adds_twice_and_its_twin_never() -> None:
    unit: list[Any] = ["norm", {"conv": 3}, "add", "norm", {"conv": 1}, "act", {"conv": 1}, "add"]
    network = plan(block=unit, shortcut="identity", stages=[{"depth": 2, "width": 32}])
    module = build_module(network)
    block = module.get_submodule("layer1.1")
    x = torch.randn(2, 32, 8, 8)
    mixed = block.conv1(block.bn1(x)) + x
    by_hand = block.conv3(block.relu(block.conv2(block.bn2(mixed)))) + mixed
    assert torch.equal(block(x), by_hand)
    assert len(list(network.named_additions())) == 4
    twin = network.plain()
    assert list(twin.named_additions()) == []
    names = [layer.name for layer in leaves(blocks(twin)[0].main)]
    assert names == ["bn1", "conv1", "bn2", "conv2", "relu", "conv3"]


def test_a_block_without_its_shortcut_is_never_dropped() -> None:
    """MobileNets' and EfficientNets' first blocks: drop path is where an identity joins."""
    network = plan(block="basic", shortcut="identity-same", drop_path=0.5)
    dropped = [name for name, layer in network.named_layers() if layer.op.torch == "DropPath"]
    assert dropped == ["layer1.0.drop_path", "layer1.1.drop_path", "layer2.1.drop_path"]
    module = build_module(network).train()
    x = torch.randn(8, 32, 8, 8)
    assert module.get_submodule("layer2.0")(x).flatten(1).abs().sum(1).min() > 0
