"""A block computed anew on the way back counts what it met once."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from resgen.plan import resolve
from resgen.source.module import build_module
from resgen.spec import Spec
from resgen.train.device.recompute import recompute_blocks

NORMS: tuple[Any, ...] = ("batch", "instance-batch", "evonorm-b0", "frozen", "instance")


@pytest.mark.parametrize("order", ["original", "preact"])
@pytest.mark.parametrize("norm", NORMS)
def test_statistics_and_gradients_are_those_without(norm: str, order: str) -> None:
    data = {
        "name": "small",
        "input": {"size": 16},
        "stem": {"kind": "conv3x3", "width": 8},
        "block": "basic",
        "shortcut": "projection",
        "order": order,
        "norm": norm,
        "stages": [{"depth": 2, "width": 8}, {"depth": 1, "width": 16, "stride": 2}],
        "classes": 4,
    }
    module = build_module(resolve(Spec.model_validate(data))).train()
    other = build_module(resolve(Spec.model_validate(data))).train()
    other.load_state_dict(module.state_dict())
    assert recompute_blocks(other) == 3
    images = torch.randn(4, 3, 16, 16)
    for network in (module, other):
        network(images).square().sum().backward()
    for (name, mine), theirs in zip(
        other.state_dict().items(), module.state_dict().values(), strict=True
    ):
        assert torch.equal(mine, theirs), name
    for mine, theirs in zip(other.parameters(), module.parameters(), strict=True):
        assert mine.grad is not None
        assert torch.equal(mine.grad, theirs.grad)  # type: ignore[arg-type]
