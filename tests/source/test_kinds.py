"""What Python and torch do with modules, done with one small network of every kind."""

from __future__ import annotations

import copy
import pickle
import warnings
from collections.abc import Iterator

import pytest
import torch
from torch import nn

from resgen import build_module
from tests.kinds import KINDS, OTHER_KINDS, network


@pytest.fixture(autouse=True)
def _apart() -> Iterator[None]:
    """torch.compile stops after so many networks of one kind of code; each test starts anew."""
    yield
    torch._dynamo.reset()


def of(kind: str, *, features: bool = False) -> nn.Module:
    torch.manual_seed(0)
    return build_module(network(kind), features=features).eval()


def output(module: nn.Module) -> torch.Tensor:
    x = torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        found: torch.Tensor = module(x)
    return found


def scripted(module: nn.Module) -> nn.Module:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch says that TorchScript has successors
        return torch.jit.script(module)


@pytest.mark.parametrize("kind", KINDS)
def test_a_module_is_copied_pickled_scripted_and_compiled_in_one_graph(kind: str) -> None:
    module = of(kind)
    wanted = output(module)
    for again in (
        copy.deepcopy(module),
        pickle.loads(pickle.dumps(module)),
        scripted(module),
        torch.compile(module, fullgraph=True, backend="eager"),
    ):
        assert torch.equal(output(again), wanted)


@pytest.mark.parametrize("kind", ["order original", "order preact", *OTHER_KINDS])
def test_features_are_scripted(kind: str) -> None:
    module = of(kind, features=True)
    both = scripted(module)
    assert torch.equal(output(both), output(module))
    x = torch.randn(1, 3, 32, 32)
    with torch.no_grad():
        for found, wanted in zip(
            both.forward_features(x),  # type: ignore[operator]
            module.forward_features(x),  # type: ignore[operator]
            strict=True,
        ):
            assert torch.equal(found, wanted)
