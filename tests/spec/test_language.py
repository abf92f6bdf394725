"""The language: what it refuses and why, and what it builds that no library offers."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from hypothesis import HealthCheck, given, settings
from strategies import unheard_of
from torch import Tensor, nn

from resgen.cost import cost, shortcut_costs
from resgen.errors import UserError
from resgen.plan import Plan, resolve
from resgen.proof import prove
from resgen.source import emit_source
from resgen.source.module import build_module
from resgen.spec import Spec, load_spec
from resgen.spec.mistakes import Document
from resgen.spec.reading import validate

BASE: dict[str, Any] = {
    "name": "net",
    "input": {"channels": 3, "size": 16},
    "stem": {"kind": "conv3x3", "width": 8},
    "block": "basic",
    "shortcut": "projection",
    "stages": [{"depth": 2, "width": 8}, {"depth": 2, "width": 16, "stride": 2}],
    "classes": 5,
}


def plan_of(**keys: Any) -> Plan:
    data = {**copy.deepcopy(BASE), **keys}
    return resolve(validate(Spec, Document("net.yaml", data, {}, {})))


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "zero-init without a norm": (
        {"zero_init": "last", "norm": "none"},
        "net.yaml: zero_init: zero_init: last needs a norm at the end of the main path; "
        "order original with norm none has none",
    ),
    "zero-init in pre-activation": (
        {"zero_init": "last", "order": "preact"},
        "net.yaml: zero_init: zero_init: last needs a norm at the end of the main path; "
        "order preact with norm batch has none",
    ),
    "groups that do not divide": (
        {"groups": 3},
        "net.yaml: stages[0].width: the width 8 must be divisible by the 3 groups",
    ),
    "group width that does not divide": (
        {"group_width": 3},
        "net.yaml: stages[0].width: the inner width 8 must be divisible by group_width 3",
    ),
    "a ratio that does not divide": (
        {"bottleneck_ratio": 3},
        "net.yaml: stages[0].width: must be divisible by bottleneck_ratio 3 (got 8)",
    ),
    "two spellings of one width": (
        {"mid_width": 8, "bottleneck_ratio": 1},
        "net.yaml: mid_width: bottleneck_ratio and mid_width say the same thing; keep one",
    ),
    "gating without a shortcut": (
        {"shortcut": {"kind": "none", "gate_bias": -6}},
        "net.yaml: shortcut.gate_bias: gate_bias belongs to gated and gated-shortcut shortcuts, "
        "not to none",
    ),
    "a ratio for efficient channel attention": (
        {"attention": {"kind": "eca", "ratio": 0.25}},
        "net.yaml: attention.ratio: ratio belongs to se, cbam and gc attention, not to eca",
    ),
    "a gate of global context": (
        {"attention": {"kind": "gc", "gate": "tanh"}},
        "net.yaml: attention.gate: gate belongs to se attention, not to gc",
    ),
    "attention on a shortcut that is not there": (
        {"shortcut": "none", "attention": {"kind": "se", "position": "shortcut"}},
        "net.yaml: attention.position: a block without a shortcut has none to attend to; give it "
        "one, or another position",
    ),
    "attention before a norm that is not there": (
        {"order": "preact", "attention": {"kind": "cbam", "position": "before-norm"}},
        "net.yaml: attention.position: before-norm needs a norm behind the last convolution; "
        "order preact with norm batch has none",
    ),
    "heads that do not divide": (
        {"head": [{"attention-pool": 4, "heads": 3}]},
        "net: head[0]: 16 channels cannot be divided into 3 heads",
    ),
    "heads of 64 among fewer channels": (
        {"head": [{"attention-pool": 4}]},
        "net: head[0]: 16 channels cannot be divided into heads of 64; say heads",
    ),
    "an even kernel of a spatial attention": (
        {"head": [{"spatial-attention": 4}, "flatten", {"linear": "classes"}]},
        "net: head[0]: the kernel must be odd, to have a middle (got 4)",
    ),
    "a way to round without its multiple": (
        {"head": [{"squeeze-excitation": "here / 3", "round": ["down"]}]},
        "net.yaml: head[0].round: must be a multiple and a way, as [8, down] (got ['down'])",
    ),
    "an even kernel": (
        {"attention": {"kind": "eca", "kernel": 4}},
        "net.yaml: attention.kernel: must be odd, to have a middle (got 4)",
    ),
    "groups of batch norm": (
        {"norm": {"kind": "batch", "groups": 4}},
        "net.yaml: norm.groups: groups belongs to group and evonorm-s0 norm, not to batch",
    ),
    "group norm that does not divide": (
        {"norm": {"kind": "group", "group_width": 3}},
        "net.yaml: stem: group norm: 8 channels cannot be divided by 3 channels a group",
    ),
    "an identity that narrows": (
        {"shortcut": "identity", "stages": [{"depth": 1, "width": 4}]},
        "net.yaml: stages[0]: an identity shortcut cannot narrow 8 channels to 4; "
        "use shortcut: projection",
    ),
    "a stride at a convolution that is not there": (
        {"stride_at": "1x1"},
        "net.yaml: stride_at: a basic block has no 1x1 convolution to stride at",
    ),
    "stages and regnet": (
        {"regnet": {"depth": 4, "w0": 8, "wa": 8.0, "wm": 2.0, "group_width": 8}},
        "net.yaml: regnet: regnet stands in place of stages; keep one of the two",
    ),
    "a depth and another number of blocks": (
        {"stages": [{"depth": 3, "width": 8, "blocks": [{}, {}]}]},
        "net.yaml: stages[0].blocks: depth 3 and a list of 2 blocks disagree; keep one of the two",
    ),
    "a rule broken in one block": (
        {"stages": [{"width": 8, "blocks": [{}, {"groups": 2, "group_width": 4}]}]},
        "net.yaml: stages[0].blocks[1].group_width: groups and group_width say the same thing; "
        "keep one",
    ),
    "an output stride under the stem's": (
        {"stem": {"kind": "conv7x7-pool", "width": 8}, "output_stride": 2},
        "net: output_stride: the stem alone shrinks the image 4 times; give at least that",
    ),
    "a name's depth that is not built": (
        {"depth": 18},
        "net: depth: the main path has 10 weighted layers, not 18",
    ),
}


@pytest.mark.parametrize(("keys", "sentence"), REFUSED.values(), ids=REFUSED.keys())
def test_what_makes_no_sense_is_refused_with_the_reason(
    keys: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(UserError) as caught:
        plan_of(**keys)
    text = str(caught.value)
    # Without a file, a rule found while resolving names the network in place of the line.
    assert text.removeprefix("net.yaml: ").removeprefix("net: ") == sentence.removeprefix(
        "net.yaml: "
    ).removeprefix("net: ")


UNHEARD_OF: dict[str, dict[str, Any]] = {
    "grouped basic blocks": {"groups": 4},
    "dilated basic blocks": {"output_stride": 1},
    "dilated bottlenecks that stride at the 1x1": {
        "block": "bottleneck",
        "stride_at": "1x1",
        "output_stride": 1,
    },
    "five stages": {
        "stages": [{"depth": 1, "width": 8 * 2**i, "stride": 1 + i % 2} for i in range(5)]
    },
    "images of 7x5": {"input": {"channels": 2, "size": [7, 5]}},
    "a stride of three": {"stages": [{"depth": 2, "width": 16, "stride": 3}]},
    "a padded identity over a stride of three": {
        "shortcut": "identity",
        "stages": [{"depth": 2, "width": 24, "stride": 3}],
    },
    "gates over pre-activation": {"shortcut": "gated", "order": "preact"},
    "attention after the 3x3 of a bottleneck": {
        "block": "bottleneck",
        "attention": {"kind": "se", "position": "3x3"},
    },
    "a plain stage between residual ones": {
        "stages": [
            {"depth": 1, "width": 8},
            {"depth": 2, "width": 8, "shortcut": "none"},
            {"depth": 1, "width": 16, "stride": 2, "block": "bottleneck"},
        ]
    },
    "blocks one by one": {
        "stages": [
            {
                "width": 16,
                "blocks": [
                    {"block": "bottleneck"},
                    {"attention": "eca", "activation": "silu"},
                    {"shortcut": "none", "groups": 2},
                ],
            }
        ]
    },
    "no norm at all": {"norm": "none"},
    "standardized weights with batch norm": {"convolution": "standardized"},
    "blurred pre-activation": {"antialias": "blur", "order": "preact"},
    "a backbone": {"classes": 0},
}


def proved(plan: Plan) -> nn.Module:
    module = build_module(plan)
    failed = [check.text for check in prove(plan, module).checks if not check.holds]
    assert failed == []
    return module


@pytest.mark.parametrize("keys", UNHEARD_OF.values(), ids=UNHEARD_OF.keys())
def test_what_makes_sense_is_built_as_it_is_costed(keys: dict[str, Any]) -> None:
    plan = plan_of(**keys)
    module = proved(plan).eval()
    out = module(torch.randn(2, *plan.input))
    assert out.shape == (2, plan.classes or plan.stages[-1].output[0])


def test_dilation_changes_the_sizes_and_not_the_parameters() -> None:
    assert cost(plan_of(output_stride=1)).params == cost(plan_of()).params
    assert plan_of(output_stride=1).stages[-1].output == (16, 16, 16)


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
@given(unheard_of())
def test_any_spec_measures_as_costed_and_its_file_is_its_module(plan: Plan) -> None:
    module = proved(plan).eval()
    namespace: dict[str, Any] = {"__name__": "a_file_of_its_own"}
    exec(compile(emit_source(plan), "net.py", "exec"), namespace)
    (name,) = namespace["__all__"]
    alone = namespace[name]().eval()
    alone.load_state_dict(module.state_dict())
    images = torch.randn(2, *plan.input)
    with torch.no_grad():
        assert torch.equal(alone(images), module(images))
    parameters = {name: tuple(p.shape) for name, p in module.named_parameters()}
    assert parameters == dict(plan.named_parameters())


# He et al. 2016, written out: what a block of each order computes from x, W1 and W2.


def conv(block: nn.Module, number: int, x: Tensor, stride: int = 1) -> Tensor:
    return F.conv2d(x, getattr(block, f"conv{number}").weight, stride=stride, padding=1)


def norm(layer: nn.Module, x: Tensor) -> Tensor:
    mean, var = (t[None, :, None, None] for t in (layer.running_mean, layer.running_var))
    scale, shift = (t[None, :, None, None] for t in (layer.weight, layer.bias))
    return (x - mean) / (var + 1e-5).sqrt() * scale + shift


def projects(block: nn.Module) -> bool:
    return isinstance(getattr(block, "downsample", None), nn.Sequential)


def projected(block: nn.Module, x: Tensor, stride: int) -> Tensor:
    if not projects(block):
        return x
    y = F.conv2d(x, block.downsample[0].weight, stride=stride)
    return norm(block.downsample[1], y) if len(block.downsample) > 1 else y


def original(b: nn.Module, x: Tensor, s: int) -> Tensor:
    y = norm(b.bn2, conv(b, 2, F.relu(norm(b.bn1, conv(b, 1, x, s)))))
    return F.relu(y + projected(b, x, s))


def bn_after_add(b: nn.Module, x: Tensor, s: int) -> Tensor:
    y = conv(b, 2, F.relu(norm(b.bn1, conv(b, 1, x, s))))
    return F.relu(norm(b.bn2, y + projected(b, x, s)))


def relu_before_add(b: nn.Module, x: Tensor, s: int) -> Tensor:
    y = F.relu(norm(b.bn2, conv(b, 2, F.relu(norm(b.bn1, conv(b, 1, x, s))))))
    return y + projected(b, x, s)


def relu_around_add(b: nn.Module, x: Tensor, s: int) -> Tensor:
    return F.relu(relu_before_add(b, x, s))


def linear(b: nn.Module, x: Tensor, s: int) -> Tensor:
    y = norm(b.bn2, conv(b, 2, F.relu(norm(b.bn1, conv(b, 1, x, s)))))
    return y + projected(b, x, s)


def relu_preact(b: nn.Module, x: Tensor, s: int, first: bool) -> Tensor:
    a = x if first else F.relu(x)
    y = norm(b.bn2, conv(b, 2, F.relu(norm(b.bn1, conv(b, 1, a, s)))))
    return y + projected(b, a if projects(b) else x, s)


def preact(b: nn.Module, x: Tensor, s: int, first: bool, order: str) -> Tensor:
    a = x if first else F.relu(norm(b.bn1, x))
    y = conv(b, 2, F.relu(norm(b.bn2, conv(b, 1, a, s))))
    shares = order == "preact-shared" or (order == "preact" and projects(b))
    return y + projected(b, a if shares else x, s)


def after_the_last(module: nn.Module, order: str, x: Tensor) -> Tensor:
    if order in ("preact", "preact-raw"):
        return F.relu(norm(module.final_bn, x))
    return F.relu(x) if order in ("linear", "relu-preact", "preact-shared") else x


def randomized(module: nn.Module) -> nn.Module:
    for name, value in module.state_dict().items():
        if value.dtype.is_floating_point:
            value.copy_(
                torch.rand(value.shape) + 0.5 if value.ndim == 1 else torch.randn_like(value) / 8
            )
            if name.endswith(("bias", "running_mean")):
                value.sub_(1.0)
    return module.double().eval()


AFTER = ("original", "bn-after-add", "relu-before-add", "relu-around-add", "linear")
AHEAD = ("relu-preact", "preact", "preact-raw", "preact-shared")
PLACES = ("stem", "block", "both")


@pytest.mark.parametrize(
    ("order", "first_activation"),
    [(order, "stem") for order in AFTER] + [(order, place) for order in AHEAD for place in PLACES],
)
def test_an_order_computes_what_the_paper_says(order: str, first_activation: str) -> None:
    """The first block, a stage's entry and the last norm and activation, written out."""
    stem = {"kind": "conv3x3", "width": 8, "first_activation": first_activation}
    module = randomized(build_module(plan_of(order=order, stem=stem)))
    x = torch.randn(2, 3, 16, 16, dtype=torch.float64)
    before_the_paths_split = order in AFTER
    y = F.conv2d(x, module.conv1.weight, padding=1)
    in_stem = before_the_paths_split or first_activation != "block"
    if in_stem:
        y = F.relu(norm(module.bn1, y))
    in_stem = before_the_paths_split or first_activation == "stem"
    for stage, stride in ((module.layer1, 1), (module.layer2, 2)):
        for index, block in enumerate(stage):
            s = stride if index == 0 else 1
            first = in_stem and stage is module.layer1 and index == 0
            if order == "relu-preact":
                y = relu_preact(block, y, s, first)
            elif order.startswith("preact"):
                y = preact(block, y, s, first, order)
            else:
                written = {
                    "original": original,
                    "bn-after-add": bn_after_add,
                    "relu-before-add": relu_before_add,
                    "relu-around-add": relu_around_add,
                    "linear": linear,
                }
                y = written[order](block, y, s)
    y = after_the_last(module, order, y).mean((2, 3))
    expected = y @ module.fc.weight.T + module.fc.bias
    assert torch.allclose(module(x), expected, rtol=1e-9, atol=1e-9)


def padded(x: Tensor, width: int, stride: int) -> Tensor:
    y = torch.zeros(x.shape[0], width, *x[0, 0, ::stride, ::stride].shape, dtype=x.dtype)
    y[:, : x.shape[1]] = x[:, :, ::stride, ::stride]
    return y


@pytest.mark.parametrize("kind", ["identity", "scaled", "gated", "gated-shortcut", "dropout"])
def test_a_shortcut_function_is_its_formula(kind: str) -> None:
    """He et al. 2016, table 1, in evaluation; u is the padded identity."""
    mode: dict[str, Any] = {"kind": kind}
    if kind == "scaled":
        mode |= {"scale": 0.7, "residual_scale": 0.3}
    module = randomized(build_module(plan_of(shortcut=mode)))
    block = module.layer2[0]
    x = torch.randn(2, 8, 16, 16, dtype=torch.float64)
    f = norm(block.bn2, conv(block, 2, F.relu(norm(block.bn1, conv(block, 1, x, 2)))))
    u = padded(x, 16, 2)

    def gate(layer: nn.Module) -> Tensor:
        return torch.sigmoid(F.conv2d(u, layer.weight, layer.bias))

    if kind == "scaled":
        expected = 0.3 * f + 0.7 * u
    elif kind == "gated":
        g = gate(block.gate.conv)
        expected = g * f + (1 - g) * u
    elif kind == "gated-shortcut":
        g = gate(block.shortcut[1].gate.conv)
        expected = f + (1 - g) * u
    else:
        expected = f + u
    assert torch.allclose(block(x), F.relu(expected), rtol=1e-9, atol=1e-9)


def test_a_dropped_shortcut_is_scaled_while_training() -> None:
    module = build_module(plan_of(shortcut={"kind": "dropout", "rate": 0.25})).layer1[0].shortcut
    torch.manual_seed(0)
    out = module.train()(torch.ones(4, 8, 16, 16))
    assert out.unique().tolist() == pytest.approx([0.0, 4 / 3])
    assert (out == 0).float().mean().item() == pytest.approx(0.25, abs=0.03)


def test_the_gates_start_at_their_bias() -> None:
    module = build_module(plan_of(shortcut={"kind": "gated", "gate_bias": -6}))
    assert module.layer1[0].gate.conv.bias.tolist() == [-6.0] * 8


@pytest.mark.parametrize(
    ("mode", "params", "macs"),
    [
        ("none", 0, 0),
        ("identity", 0, 0),
        ("identity-same", 0, 0),
        ("scaled", 0, 0),
        ("dropout", 0, 0),
        # One 1x1 convolution from 8 to 16 channels at 8x8, and its norm.
        ("projection", 8 * 16 + 32, 8 * 16 * 64),
        # And three that keep their shape: two of 8 at 16x16, one of 16 at 8x8.
        (
            "projection-all",
            8 * 16 + 32 + 2 * (8 * 8 + 16) + (16 * 16 + 32),
            8 * 16 * 64 + 2 * 8 * 8 * 256 + 16 * 16 * 64,
        ),
        # A biased 1x1 convolution a block: two of 8 at 16x16, two of 16 at 8x8.
        ("gated", 2 * (64 + 8) + 2 * (256 + 16), 2 * 64 * 256 + 2 * 256 * 64),
        ("gated-shortcut", 2 * (64 + 8) + 2 * (256 + 16), 2 * 64 * 256 + 2 * 256 * 64),
    ],
)
def test_what_a_shortcut_costs_against_the_plain_twin(mode: str, params: int, macs: int) -> None:
    plan, twin = plan_of(shortcut=mode), plan_of(shortcut="none")
    assert cost(plan).params - cost(twin).params == params
    assert cost(plan).macs - cost(twin).macs == macs
    assert shortcut_costs(plan)[-2:] == (params, macs)


def test_drop_path_grows_linearly_to_its_rate() -> None:
    module = build_module(plan_of(drop_path=0.3))
    rates = [block.drop_path.rate for stage in (module.layer1, module.layer2) for block in stage]
    assert rates == pytest.approx([0.0, 0.1, 0.2, 0.3])


def test_zero_init_starts_every_block_as_its_shortcut() -> None:
    module = build_module(plan_of(shortcut="identity", zero_init="last")).eval()
    x = torch.rand(1, 8, 16, 16)
    assert torch.equal(module.layer1(x), x)


@pytest.mark.parametrize("name", ["resnet18", "preact/resnetv2_18", "regnet/regnetz_005"])
def test_features_are_the_outputs_of_stem_and_stages(name: str) -> None:
    plan = resolve(load_spec(name))
    module = build_module(plan, features=True).eval()
    x = torch.randn(1, 3, 64, 64)
    seen: list[Tensor] = []
    stages = [getattr(module, stage.name) for stage in plan.stages]
    for stage in stages:
        stage.register_forward_hook(lambda _m, _x, y: seen.append(y))
    features = module.forward_features(x)
    assert len(features) == len(stages) + 1
    assert [f.shape[1] for f in features[1:-1]] == [s.output[0] for s in plan.stages[:-1]]
    for feature, output in zip(features[1:-1], seen, strict=False):
        assert torch.equal(feature, output)
