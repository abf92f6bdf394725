"""A deepened network puts out what its origin does: a difference of 0.0."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from resgen.analysis import difference
from resgen.errors import UserError
from resgen.export import deepening
from resgen.export.weights import safetensors
from resgen.inference.trained import read
from resgen.spec import load_spec
from resgen.train.device.engine import Engine
from tests.analysis.networks import spec


def test_a_deepened_network_differs_by_nothing(
    trained: Callable[..., Path], tmp_path: Path, cpu: Engine
) -> None:
    run = trained()
    large = load_spec(spec(tmp_path, stages="[{depth: 3, width: 8}, {depth: 3, width: 16, "
                           "stride: 2}]", name="large"))  # fmt: skip

    small = deepening.trained(str(run), None)
    content, _ = safetensors(deepening.deeper(small, "large", large, exact="evaluation").large)
    (tmp_path / "large.safetensors").write_bytes(content)
    found = difference(run, tmp_path / "large.safetensors", engine=cpu)
    assert (found.largest, found.relative, found.images) == (0.0, 0.0, 360)
    assert found.shown == "digits, held-out"


def test_others_differ_by_what_their_outputs_do(trained: Callable[..., Path], cpu: Engine) -> None:
    one, two = trained(), trained(out="two", shortcut="projection")
    found = difference(one, two, engine=cpu)
    from resgen.analysis.looking import Asked, pictures, subject

    networks = [read(str(run)) for run in (one, two)]
    modules = [network.module(cpu) for network in networks]
    images = torch.cat(
        [x for x, _ in pictures(networks[0], subject(networks[0], Asked()), Asked(), cpu)]
    )
    with torch.no_grad():
        wanted = (modules[0](images) - modules[1](images)).abs().max().item()
    assert found.largest == pytest.approx(wanted, rel=1e-5)
    assert found.largest > 0
    with pytest.raises(UserError, match="so their outputs cannot be compared"):
        difference(one, trained(data="synthetic", out="three", classes="4"))
