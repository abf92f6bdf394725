"""Zeroed blocks are the identity, to the last bit (He et al. 2015, section 3.1)."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from resgen.analysis import zeroed, zeroing
from resgen.analysis.zeroing import COUNT
from resgen.errors import UserError
from resgen.train.data.seeds import generator
from resgen.train.device.engine import Engine
from tests.analysis.networks import rewritten, shaken, spec

ORDERS = {
    # order -> what is zeroed, for which x it is the identity
    "original": ("bn2", "x >= 0"),
    "preact": ("conv2", "any sign"),
    "relu-before-add": ("bn2", "any sign"),
    "relu-around-add": ("bn2", "x >= 0"),
    "linear": ("bn2", "any sign"),
    "relu-preact": ("bn2", "any sign"),
    "preact-raw": ("conv2", "any sign"),
}


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("shortcut", ["identity", "projection", "identity-pooled", "identity-same"])
def test_a_zeroed_block_is_the_identity(
    tmp_path: Path, cpu: Engine, order: str, shortcut: str
) -> None:
    last, inputs = ORDERS[order]
    found = zeroed(spec(tmp_path, order=order, shortcut=shortcut), seed=4, engine=cpu)
    kept = [each for each in found.blocks if each.difference is not None]
    assert found.largest == 0.0
    assert [each.name for each in kept][-1] == "layer2.1"
    for each in kept:
        assert (each.inputs, each.difference) == (inputs, 0.0)
        assert each.zeroed == (f"{each.name}.{last}",)
    (changing,) = [each for each in found.blocks if each.name == "layer2.0"]
    said = "it has no shortcut" if shortcut == "identity-same" else "it changes the shape, 8x8x8 to"
    assert changing.why.startswith(said)
    assert changing.difference is None


def test_of_any_sign_a_block_that_ends_in_a_relu_is_that_relu(tmp_path: Path, cpu: Engine) -> None:
    found = zeroed(spec(tmp_path), engine=cpu).blocks[0]
    x = torch.randn(COUNT, 8, 8, 8, generator=generator(0, "zeroed"))
    assert found.signed == (x.relu() - x).abs().max().item() > 3


def test_a_block_that_is_not_zeroed_is_not_the_identity(
    tmp_path: Path, cpu: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(zeroing, "_zero", lambda layer, name: None)
    largest = zeroed(spec(tmp_path), engine=cpu).largest
    assert largest is not None
    assert largest > 0.1


def test_weights_of_a_run(trained: Callable[..., Path], cpu: Engine) -> None:
    """Whatever the other weights are, gamma = beta = 0 is enough."""
    run = rewritten(trained(), shaken)
    before = (run / "last.pt").read_bytes()
    found = zeroed(run, engine=cpu)
    assert found.largest == 0.0
    assert found.seed is None
    assert (run / "last.pt").read_bytes() == before


@pytest.mark.parametrize(
    ("keys", "why"),
    [
        ({"shortcut": "none"}, "it has no shortcut"),
        ({"shortcut": "projection-all"}, "its shortcut is no identity (projection)"),
        ({"shortcut": "gated"}, "a gate g joins g F(x) + (1 - g) x"),
        ({"order": "bn-after-add"}, "behind its addition stands BatchNorm"),
        ({"activation": "silu"}, "behind its addition stands SiLU"),
    ],
)
def test_where_it_does_not_apply_it_says_so(
    tmp_path: Path, cpu: Engine, keys: dict[str, str], why: str
) -> None:
    found = zeroed(spec(tmp_path, **keys), engine=cpu)
    assert found.blocks[1].why == why
    assert found.largest is None


def test_every_addition_of_a_block_is_zeroed(tmp_path: Path, cpu: Engine) -> None:
    """A block of two residual units, and one whose path ends in branches."""
    two = spec(
        tmp_path, block="[norm, {conv: 3, stride: stage}, add, norm, {conv: 1, width: out}, add]",
        stages="[{depth: 1, width: 8}]",
    )  # fmt: skip
    (found,) = zeroed(two, engine=cpu).blocks
    assert (found.difference, found.inputs) == (0.0, "any sign")
    assert {*found.zeroed} == {"layer1.0.conv1", "layer1.0.conv2"}
    branched = spec(
        tmp_path, block="[{branches: [[{conv: 3, stride: stage, width: out / 2}, norm], "
        "[{conv: 1, stride: stage, width: out / 2}]], join: concat}, add, act]",
        stages="[{depth: 1, width: 8}]",
    )  # fmt: skip
    (found,) = zeroed(branched, engine=cpu).blocks
    assert (found.difference, found.inputs) == (0.0, "x >= 0")
    assert {*found.zeroed} == {"layer1.0.bn1", "layer1.0.conv2"}


def test_what_is_no_network(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="nothing-of-this-name"):
        zeroed("nothing-of-this-name")
