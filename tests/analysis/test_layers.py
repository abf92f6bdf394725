"""The layers a Plan names are modules of the network it is built as, whatever its family."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from resgen import build_module, load_spec, resolve
from resgen.analysis.layers import NORMS, blocks, convolutions, ends
from resgen.plan import layers as L

SPECS = (
    "imagenet/resnet50", "cifar/resnet110", "preact/resnetv2_50", "bit/resnetv2_50x1_bit",
    "res2net/res2net50_26w_4s", "resnest/resnest14d", "sknet/skresnet18", "cbam/bam_resnet18",
    "inception/inception_resnet_v2", "dla/dla34", "convnext/convnext_atto",
    "shake/shake_shake26_2x32d", "efficientnet/efficientnet_b0", "nfnet/dm_nfnet_f0",
    "poolformer/poolformer_s12",
)  # fmt: skip


@pytest.mark.parametrize("name", SPECS)
def test_every_name_is_a_module(name: str) -> None:
    plan = resolve(load_spec(name))
    with torch.device("meta"):
        modules = dict(build_module(plan).named_modules())
    found = list(convolutions(plan))
    for each in found:
        assert isinstance(modules[each.name].weight, nn.Parameter)
        assert not each.norm or each.norm in modules
    named = {name for name, layer in plan.named_layers() if isinstance(layer.op, L.Conv)}
    inside = {name for name, layer in plan.named_layers() if layer.op.line == "parts" and name}
    # All of them, but for those that are parts of an attention.
    missing = named - {each.name for each in found}
    assert all(any(name.startswith(f"{part}.") for part in inside) for name in missing)
    for block, shape in blocks(plan):
        if shape.shortcut.kind != "none":
            assert all(end in modules for end in ends(block, shape))


def test_a_norm_behind_an_addition_is_not_the_convolutions() -> None:
    plan = resolve(load_spec("digits/resnet20", ["order=bn-after-add"]))
    norms = {each.name: each.norm for each in convolutions(plan)}
    assert norms["layer1.0.conv1"] == "layer1.0.bn1"
    assert norms["layer1.0.conv2"] == ""
    plain = resolve(load_spec("digits/plain20", ["order=bn-after-add"]))
    assert {each.name: each.norm for each in convolutions(plain)}["layer1.0.conv2"] == ""


def test_norms_are_those_that_do_nothing_else() -> None:
    assert not issubclass(L.EvoNormB0, NORMS)
    assert not issubclass(L.EvoNormS0, NORMS)
