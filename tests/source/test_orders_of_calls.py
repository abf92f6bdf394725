"""Networks made of paths put out what timm's do, their weights copied in the order of calls.

Names differ, and so do the kinds of modules; what has parameters is called in the same order,
with the same shapes. A convolution of 1x1 may be a linear layer there, a learned factor a
parameter of its block.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import timm
import torch
from torch import Tensor, nn

from resgen.plan import Plan, resolve
from resgen.source.module import build_module
from resgen.spec import Spec, load_spec, shipped

PATHS = json.loads((Path(__file__).parents[1] / "golden" / "paths.json").read_text())
KNOWN = {f"{row['source']}:{row['name']}" for row in PATHS if row["source"] == "timm"}


def theirs_of(spec: str) -> str:
    """The name that timm has for a spec's network, if it has one."""
    found = [ref for ref in load_spec(spec).reference if ref in KNOWN]
    return found[0].removeprefix("timm:") if found else ""


# Ours concatenate in the order of the branches, timm's the last one first: the same network, its
# weights in another order within a convolution.
ORDERED_OTHERWISE = {"dla/dla34"}
THEIRS = {
    name: theirs
    for name in shipped.names()
    if name not in ORDERED_OTHERWISE and (theirs := theirs_of(name))
}
# One or two of each family; the others are slow.
QUICK = [
    "convmixer/convmixer_1024_20_ks9_p14", "convnext/convnext_atto", "convnext/convnextv2_atto",
    "csp/cspresnet50", "csp/darknet17", "efficientnet/efficientnet_b0", "fasternet/fasternet_t0",
    "efficientnet/efficientnet_es", "fbnet/fbnetv3_b", "genet/gernet_s", "ghostnet/ghostnet_100",
    "hardcorenas/hardcorenas_a", "hgnet/hgnet_tiny", "hgnet/hgnetv2_b0",
    "inception/inception_next_atto", "lcnet/lcnet_050", "mixnet/mixnet_s", "mnasnet/mnasnet_small",
    "mobilenet/mobilenet_v2", "mobilenet/mobilenet_v3_small", "mobilenet/mobilenetv4_conv_small",
    "nfnet/nf_resnet26", "poolformer/poolformer_s12", "regnet/regnetz_b16", "repvgg/repvgg_a0",
    "res2net/res2net50_26w_4s", "resnest/resnest14d", "rexnet/rexnet_100", "sknet/skresnet18",
    "starnet/starnet_s1", "tinynet/tinynet_e", "vovnet/ese_vovnet19b_dw",
]  # fmt: skip
SIDE = 64
SIDES = {"inception/inception_resnet_v2": 107}  # whose convolutions are without borders

# What is added to a variance, or to a mean of norms, where it differs: ours, timm's. Norms take
# timm's; what is fixed here, in a scaled convolution and a response norm, timm's takes.
EPS = {
    "inception/inception_resnet_v2": {("BatchNorm2d", 1e-5, 1e-3)},
    "nfnet": {("ScaledConv2d", None, 1e-5)},
    "convnext/convnextv2": {("ResponseNorm", None, 1e-6)},
}
FIXED_EPS = 1e-6
# Families whose blocks call the projection first, and what timm calls that.
PROJECTION_FIRST = {"nfnet": "downsample"}


def of_family(table: dict[str, Any], spec: str, default: Any) -> Any:
    """What a table has for the names that a spec's begins with."""
    return next((value for key, value in table.items() if spec.startswith(key)), default)


def plan_of(name: str) -> Plan:
    """The network for small images."""
    data = load_spec(name).model_dump(mode="json", exclude_unset=True)
    data.pop("extends", None)
    channels, side = data["input"].get("channels", 3), SIDES.get(name, SIDE)
    return resolve(Spec.model_validate({**data, "input": {"channels": channels, "size": side}}))


def parameters(module: nn.Module) -> list[nn.Parameter]:
    """Those of the module itself, not of others in it."""
    return [p for p in module._parameters.values() if p is not None]


def calls(network: nn.Module, images: Tensor) -> tuple[list[tuple[str, nn.Module]], Tensor]:
    """The modules with parameters in the order in which they are done, and the outputs."""
    done: list[tuple[str, nn.Module]] = []
    hooks = [
        module.register_forward_hook(lambda m, _i, _o, name=name: done.append((name, m)))
        for name, module in network.named_modules()
        if parameters(module)
    ]
    with torch.no_grad():
        outputs = network(images)
    for hook in hooks:
        hook.remove()
    return done, outputs


def last_in_its_block(
    done: list[tuple[str, nn.Module]], projection: str
) -> Iterator[tuple[str, nn.Module]]:
    """The same calls, each block's projection behind all others of the block."""
    waiting: list[tuple[str, nn.Module]] = []
    for name, module in done:
        block = waiting[0][0].partition(f"{projection}.")[0] if waiting else ""
        if waiting and not f"{name}.".startswith(block):
            yield from waiting
            waiting = []
        if f".{projection}." in name:
            waiting.append((name, module))
        else:
            yield name, module
    yield from waiting


def randomized(network: nn.Module) -> nn.Module:
    """Random weights, statistics and biases, in evaluation."""
    random = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for key, value in network.state_dict().items():
            noise = torch.randn(value.shape, generator=random)
            if value.ndim > 1 and value[0].numel() > 1:
                value.copy_(noise * (2 / value[0].numel()) ** 0.5)
            elif key.endswith(("running_mean", "bias")):
                value.copy_(0.1 * noise)
            elif value.is_floating_point():
                value.copy_(0.5 + 0.5 * noise.abs())
    return network.eval()


def shape(value: Tensor) -> list[int]:
    """Its shape, sides of 1 aside: a linear layer's weights are a 1x1 convolution's."""
    return [side for side in value.shape if side > 1]


@pytest.mark.parametrize("name", QUICK)
def test_outputs_are_timms(name: str) -> None:
    _compare(name)


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in THEIRS if name not in QUICK])
def test_outputs_are_timms_of_the_others(name: str) -> None:
    _compare(name)


def _compare(name: str) -> None:
    plan = plan_of(name)
    ours, theirs = build_module(plan).eval(), randomized(timm.create_model(THEIRS[name]))
    images = torch.randn(2, *plan.input, generator=torch.Generator().manual_seed(1))
    here, there = calls(ours, images)[0], calls(theirs, images)[0]
    if projection := of_family(PROJECTION_FIRST, name, ""):
        there = list(last_in_its_block(there, projection))
    assert len(here) == len(there)
    found: set[tuple[str, float | None, float]] = set()
    for (our_name, our), (their_name, their) in zip(here, there, strict=True):
        pairs = list(zip(parameters(our), parameters(their), strict=True))
        assert [shape(a) for a, _ in pairs] == [shape(b) for _, b in pairs], (our_name, their_name)
        with torch.no_grad():
            for a, b in pairs:
                a.copy_(b.reshape(a.shape))
        for key in ("running_mean", "running_var"):
            if their._buffers.get(key) is not None:
                our._buffers[key].copy_(their._buffers[key])
        eps, other = getattr(our, "eps", None), getattr(their, "eps", None)
        if other is not None and eps != other:
            found.add((type(our).__name__, eps, other))
            setattr(*((their, "eps", FIXED_EPS) if eps is None else (our, "eps", other)))
    assert found == of_family(EPS, name, set())
    with torch.no_grad():
        got, expected = ours(images), theirs(images)
    assert torch.isfinite(expected).all()
    assert expected.std() > 0
    assert (got - expected).abs().max() <= 1e-5 * expected.abs().max()
