"""A dropped block leaves its shortcut, as a forward written by hand does (Veit et al. 2016)."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from resgen.analysis import Asked, drops
from resgen.analysis.dropping import dropped
from resgen.analysis.layers import blocks
from resgen.analysis.looking import pictures, subject
from resgen.errors import UserError
from resgen.inference.trained import read
from resgen.train.device.engine import Engine
from tests.analysis.networks import rewritten, shaken, spec

Make = Callable[..., Path]


def by_hand(net: nn.Module, x: Tensor, gone: str, *, preact: bool, plain: bool = False) -> Tensor:
    """The small network without a block, from its modules."""

    def part(name: str) -> nn.Module:
        return net.get_submodule(name)

    x = part("bn1")(part("conv1")(x)).relu()
    for name in ("layer1.0", "layer1.1", "layer2.0", "layer2.1"):
        block = part(name)
        if plain:
            x = x if name == gone else block(x)
        elif not preact:
            short = part(f"{name}.downsample")(x)
            if name == gone:
                x = short.relu()
            else:
                y = part(f"{name}.bn1")(part(f"{name}.conv1")(x)).relu()
                x = (part(f"{name}.bn2")(part(f"{name}.conv2")(y)) + short).relu()
        elif name == "layer2.0" and name == gone:
            # He et al. 2016: a projection leaves behind the first activation, an identity before.
            projects = hasattr(part(f"{name}.downsample"), "0")
            x = part(f"{name}.downsample")(part(f"{name}.bn1")(x).relu() if projects else x)
        else:
            x = x if name == gone else block(x)
    if preact:
        x = part("final_bn")(x).relu()
    logits: Tensor = part("fc")(x.mean((2, 3)))
    return logits


@pytest.mark.parametrize("shortcut", ["identity", "projection"])
@pytest.mark.parametrize("order", ["original", "preact"])
def test_dropping_is_a_forward_written_by_hand(
    trained: Make, cpu: Engine, shortcut: str, order: str
) -> None:
    run = rewritten(trained(shortcut=shortcut, order=order), shaken)
    network = read(str(run))
    module = network.module(cpu)
    x = torch.randn(5, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    preact = order == "preact"
    with torch.no_grad():
        whole = module(x.clone())
        torch.testing.assert_close(by_hand(module, x.clone(), "", preact=preact), whole)
        for name, block in blocks(network.plan):
            wanted = by_hand(module, x.clone(), name, preact=preact)
            with dropped(module, name, block):
                found = module(x.clone())
            torch.testing.assert_close(found, wanted)
            assert not torch.equal(found, whole)
        assert torch.equal(module(x.clone()), whole), "a hook was left"


def test_a_zeroed_block_is_not_missed(trained: Make, cpu: Engine) -> None:
    def zero(name: str, value: Tensor) -> None:
        shaken(name, value)
        if name in ("layer1.1.bn2.weight", "layer1.1.bn2.bias", "layer2.0.bn2.weight",
                    "layer2.0.bn2.bias"):  # fmt: skip
            value.zero_()

    run = rewritten(trained(), zero)
    network = read(str(run))
    module = network.module(cpu)
    x = torch.randn(5, 1, 8, 8)
    with torch.no_grad():
        whole = module(x.clone())
        for name in ("layer1.1", "layer2.0"):
            with dropped(module, name, dict(blocks(network.plan))[name]):
                assert (module(x.clone()) - whole).abs().max() == 0.0
    found = drops(run, engine=cpu)
    rates = {each.name: each.rate for each in found.blocks}
    assert rates["layer1.1"] == rates["layer2.0"] == found.whole


@pytest.mark.parametrize("keys", [{}, {"shortcut": "none"}, {"order": "preact"}])
def test_errors_are_those_of_the_network_run_whole(
    trained: Make, cpu: Engine, keys: dict[str, str]
) -> None:
    """Nothing is computed once that would be another without the block."""
    run = trained(stages="[{depth: 3, width: 8}, {depth: 2, width: 16, stride: 2}]", **keys)
    asked = Asked(batch=100)
    found = drops(run, asked, engine=cpu)
    network = read(str(run))
    module = network.module(cpu)

    def errors() -> int:
        seen = pictures(network, subject(network, asked), asked, cpu)
        return sum(int((module(images).argmax(1) != labels).sum()) for images, labels in seen)

    with torch.no_grad():
        assert (found.whole.errors, found.whole.images) == (errors(), 360)
        for each, (name, block) in zip(found.blocks, blocks(network.plan), strict=True):
            if each.rate is None:
                continue
            with dropped(module, name, block):
                assert (each.name, each.rate.errors) == (name, errors())
    if keys.get("shortcut") != "none":  # in so few steps a plain network learns nothing
        assert len({each.rate.errors for each in found.blocks if each.rate}) > 1
    assert found.worst is not None
    assert found.worst.rate == max(each.rate for each in found.blocks if each.rate)


def test_plain_blocks_are_replaced_by_the_identity(trained: Make, cpu: Engine) -> None:
    run = trained(shortcut="none")
    network = read(str(run))
    module = network.module(cpu)
    x = torch.randn(5, 1, 8, 8)
    with torch.no_grad():
        for name, block in blocks(network.plan):
            if name == "layer2.0":
                continue
            with dropped(module, name, block):
                wanted = by_hand(module, x.clone(), name, preact=False, plain=True)
                # by_hand calls the blocks that stay, of which this one's hook is no part.
                torch.testing.assert_close(module(x.clone()), wanted)
    found = drops(run, engine=cpu).blocks[2]
    assert (found.name, found.rate) == ("layer2.0", None)
    assert found.why == "it has no shortcut and changes the shape, 8x8x8 to 16x4x4"


def test_what_cannot_be_dropped(trained: Make, tmp_path: Path, cpu: Engine) -> None:
    with pytest.raises(UserError, match="names no trained network; give a run folder"):
        drops(spec(tmp_path))
    run = trained(
        block="[{branches: [[], [{conv: 3, width: out}]], join: concat}, {conv: 1, width: out}, "
        "norm, add, {max-pool: 3, stride: 1}, add]",
        stages="[{depth: 1, width: 8}]",
    )
    found = drops(run, engine=cpu)
    assert [each.why for each in found.blocks] == ["its residual path hands its input on"]
    assert found.worst is None
