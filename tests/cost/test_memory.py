"""The memory of a training step, against what torch does."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from strategies import plans
from torch.nn import functional as F
from torch.utils.flop_counter import FlopCounterMode

from resgen import build_module, load_spec, resolve
from resgen.cost.autograd import RULES
from resgen.cost.memory import OPTIMIZERS, largest_batch, training_step
from resgen.plan import Plan, layers
from resgen.spec import Spec

VARIANTS: dict[str, dict[str, Any]] = {
    "projection": {},
    "identity": {"shortcut": "identity"},
    "plain": {"shortcut": "none"},
    "bottleneck": {"block": "bottleneck", "groups": 4},
    "preact": {"order": "preact"},
    "preact-shared": {"order": "preact-shared"},
    "relu-preact": {"order": "relu-preact"},
    "bn-after-add": {"order": "bn-after-add"},
    "relu-before-add": {"order": "relu-before-add"},
    "se": {"attention": "se"},
    "eca": {"attention": "eca"},
    "se-plain": {"attention": {"kind": "se", "bias": False, "gate": "hardsigmoid"}},
    "se-silu": {"attention": {"kind": "se", "activation": "silu"}},
    "se-shortcut": {"attention": {"kind": "se", "position": "shortcut"}},
    "se-pre": {"attention": {"kind": "se", "position": "pre"}},
    "se-post": {"attention": {"kind": "se", "position": "post"}},
    "se-before-norm": {"attention": {"kind": "se", "position": "before-norm"}},
    "cbam": {"attention": "cbam"},
    "cbam-silu": {"attention": {"kind": "cbam", "activation": "silu", "bias": False}},
    "gc": {"attention": "gc"},
    "gc-scale": {"attention": {"kind": "gc", "fuse": "scale", "activation": "gelu"}},
    "attention-pool": {"head": [{"attention-pool": 24, "heads": 4}, {"linear": "classes"}]},
    "flatten": {
        "head": ["flatten", {"linear": 48}, "act", {"dropout": 0.5}, {"linear": "classes"}]
    },
    "group-norm": {"norm": {"kind": "group", "groups": 8}},
    "no-norm": {"norm": "none"},
    "silu": {"activation": "silu"},
    "gelu": {"activation": "gelu"},
    "leaky-relu": {"activation": "leaky-relu"},
    "elu": {"activation": "elu"},
    "leaky-preact": {"activation": "leaky-relu", "order": "relu-preact", "shortcut": "none"},
    "hardswish": {"activation": "hardswish"},
    "relu6": {"activation": "relu6"},
    "mish": {"activation": "mish"},
    "hardsigmoid": {"activation": "hardsigmoid"},
    "leaky-slope": {"activation": {"kind": "leaky-relu", "slope": 0.1}},
    "prelu": {"activation": "prelu"},
    "prelu-preact": {"activation": "prelu", "order": "preact"},
    "prelu-se": {"activation": "prelu", "attention": "se"},
    "threshold": {"activation": "threshold"},
    "layer-eps": {"norm": {"kind": "layer", "eps": 1e-3}},
    "frozen": {"norm": "frozen"},
    "instance": {"norm": "instance"},
    "instance-batch": {"norm": {"kind": "instance-batch", "share": 0.25}},
    "filter-response": {"norm": "filter-response", "activation": "threshold"},
    "evonorm-b0": {"norm": "evonorm-b0"},
    "evonorm-b0-preact": {"norm": "evonorm-b0", "order": "preact"},
    "evonorm-s0": {"norm": {"kind": "evonorm-s0", "groups": 8}},
    "evonorm-s0-preact": {"norm": {"kind": "evonorm-s0", "groups": 8}, "order": "preact"},
    "scaled": {"shortcut": "scaled"},
    "gated": {"shortcut": "gated"},
    "gated-shortcut": {"shortcut": "gated-shortcut"},
    "dropout": {"shortcut": {"kind": "dropout", "rate": 0.5}},
    "blur": {"antialias": "blur"},
    "avgpool": {"antialias": "avgpool"},
    "avgpool-conv": {"projection": "avgpool-conv"},
    "standardized": {"convolution": "standardized"},
    "head-dropout": {"head": {"dropout": 0.3}},
    "deep": {"stem": {"kind": "deep", "width": 32}},
    "pool": {"stem": {"kind": "conv7x7-pool", "width": 32}},
}
# CPU autocast runs these otherwise than CUDA's, which the closed form follows: group norm, layer
# norm and softmax stay in bf16 there, and reflected padding goes to fp32.
CPU_DIFFERS = {"group-norm", "layer-eps", "blur", "gc", "gc-scale", "attention-pool"}


def plan(**words: Any) -> Plan:
    data = {
        "name": "variant",
        "input": {"size": 16},
        "stem": {"kind": "conv3x3", "width": 32},
        "block": "basic",
        "shortcut": "projection",
        "stages": [{"depth": 2, "width": 64}, {"depth": 3, "width": 128, "stride": 2}],
        "classes": 10,
    }
    return resolve(Spec.model_validate(data | words))


def kept_bytes(network: Plan, batch: int, *, half: bool = False) -> int:
    """Bytes of the storages autograd saves, parameters and buffers aside."""
    module = build_module(network).train()
    own = {tensor.untyped_storage().data_ptr() for tensor in module.state_dict().values()}
    own |= {buffer.untyped_storage().data_ptr() for buffer in module.buffers()}
    kept: dict[int, torch.Tensor] = {}

    def pack(tensor: torch.Tensor) -> torch.Tensor:
        if (key := tensor.untyped_storage().data_ptr()) not in own:
            kept[key] = tensor
        return tensor

    images = torch.randn(batch, *network.input)
    labels = torch.zeros(batch, dtype=torch.long)
    with (
        torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor),
        torch.autocast("cpu", dtype=torch.bfloat16, enabled=half),
    ):
        F.cross_entropy(module(images), labels)
    return sum(tensor.untyped_storage().nbytes() for tensor in kept.values())


@pytest.mark.parametrize("name", VARIANTS)
def test_buffers_are_those_of_the_module(name: str) -> None:
    network = plan(**VARIANTS[name])
    buffers = build_module(network).buffers()
    assert training_step(network, 1).buffers == sum(buffer.nbytes for buffer in buffers)


@pytest.mark.parametrize("name", VARIANTS)
def test_kept_is_what_autograd_saves_to_the_byte(name: str) -> None:
    network = plan(**VARIANTS[name])
    for batch in (1, 4):
        assert training_step(network, batch).kept == kept_bytes(network, batch)


@pytest.mark.parametrize("name", sorted(VARIANTS.keys() - CPU_DIFFERS))
def test_kept_under_autocast_is_what_autograd_saves_to_the_byte(name: str) -> None:
    network = plan(**VARIANTS[name])
    assert training_step(network, 4, "bf16").kept == kept_bytes(network, 4, half=True)


@settings(max_examples=20, deadline=None, suppress_health_check=list(HealthCheck))
@given(plans())
def test_kept_holds_for_any_network(network: Plan) -> None:
    if network.classes:
        assert training_step(network, 3).kept == kept_bytes(network, 3)


@pytest.mark.parametrize("name", ["projection", "preact", "se", "gated", "standardized"])
def test_backward_macs_are_what_torch_counts(name: str) -> None:
    network = plan(**VARIANTS[name])
    module = build_module(network).train()
    with FlopCounterMode(display=False) as counter:
        module(torch.randn(2, *network.input)).sum().backward()
    step = training_step(network, 2)
    assert counter.get_total_flops() == 2 * 2 * (step.forward_macs + step.backward_macs)


def test_every_kind_of_layer_has_a_rule() -> None:
    kinds = {
        kind
        for kind in vars(layers).values()
        if isinstance(kind, type) and hasattr(kind, "torch") and kind is not layers.Op
    }
    named = {kind for kind in kinds if not kind.__name__.startswith("_")}
    assert {kind.keeps for kind in named} == set(RULES)


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_optimizer_state_is_what_torch_allocates(optimizer: str) -> None:
    network = plan()
    module = build_module(network)
    made = {
        "sgd": lambda: torch.optim.SGD(module.parameters(), 0.1),
        "momentum": lambda: torch.optim.SGD(module.parameters(), 0.1, momentum=0.9),
        "adamw": lambda: torch.optim.AdamW(module.parameters()),
    }[optimizer]()
    module(torch.randn(2, *network.input)).sum().backward()
    made.step()
    state = [tensor for values in made.state.values() for tensor in values.values()]
    bytes_of = sum(t.nbytes for t in state if t is not None and t.dim())
    step = training_step(network, 2, optimizer=optimizer)
    assert step.state == bytes_of
    assert step.weights == sum(p.nbytes for p in module.parameters())
    assert step.gradients == sum(p.grad.nbytes for p in module.parameters())
    assert step.buffers == sum(buffer.nbytes for buffer in module.buffers())


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_the_largest_batch_fits_and_one_more_does_not(precision: str) -> None:
    network, limit = resolve(load_spec("resnet50")), 8 * 2**30
    batch = largest_batch(network, limit, precision, "momentum")
    assert training_step(network, batch, precision).peak <= limit
    assert training_step(network, batch + 1, precision).peak > limit
    assert largest_batch(network, 2**20, precision, "momentum") == 0


def test_the_peak_holds_the_weights_the_state_and_what_is_kept() -> None:
    for name in VARIANTS:
        step = training_step(plan(**VARIANTS[name]), 8)
        assert step.peak >= step.weights + step.buffers + step.state + step.kept
        assert step.kept - training_step(plan(**VARIANTS[name]), 7).kept == step.kept_image
