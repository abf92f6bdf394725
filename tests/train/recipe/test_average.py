"""The average of the weights against timm's, against its formula, and across a checkpoint."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from typing import Any

import pytest
import torch
from timm.utils import ModelEmaV3
from torch import nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from resgen.tensors import checkpoint
from resgen.train.recipe.average import Average
from resgen.train.run import runs
from resgen.train.run.loop import Stepper


def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(16, 5))


def trained(module: nn.Module, step: int) -> None:
    """Other weights and statistics, as a step leaves them."""
    torch.manual_seed(100 + step)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(torch.randn_like(parameter))
    module(torch.randn(8, 3, 4, 4))


@pytest.mark.parametrize("decay", [0.5, 0.95])
def test_it_is_timms_with_tensorflows_decay(decay: float) -> None:
    module = network()
    mine, theirs = Average(module, decay), ModelEmaV3(module)
    used = []
    for step in range(40):
        trained(module, step)
        used.append(min(decay, (1 + step) / (10 + step)))
        assert mine.share == pytest.approx(1 - used[-1])
        mine.follow()
        theirs.apply_update_(module, used[-1])
    assert used[0] == 0.1
    assert (used[-1] == decay) is (decay == 0.5)
    for one, other in zip(
        mine.module.state_dict().values(), theirs.module.state_dict().values(), strict=True
    ):
        torch.testing.assert_close(one, other, rtol=1e-6, atol=1e-7)


def test_it_goes_on_from_torchs_average_which_runs_had_before() -> None:
    module = network()
    before = AveragedModel(
        module, multi_avg_fn=get_ema_multi_avg_fn(0.9), use_buffers=True  # type: ignore[no-untyped-call]
    )  # fmt: skip
    for step in range(200):
        trained(module, step)
        before.update_parameters(module)
    saved = deepcopy(before.state_dict())
    mine = Average(module, 0.9)
    mine.load_state_dict(saved)
    assert mine.state_dict().keys() == saved.keys()
    assert all(torch.equal(value, saved[name]) for name, value in mine.state_dict().items())
    # Far from its beginning the decay is the recipe's, and so was theirs.
    trained(module, 200)
    mine.follow()
    before.update_parameters(module)
    for name, value in before.state_dict().items():
        if value.is_floating_point():
            torch.testing.assert_close(mine.state_dict()[name], value)


def test_a_run_evaluates_saves_and_resumes_it(
    job: Callable[..., runs.Job], monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[torch.Tensor] = []
    call = Stepper.__call__

    def watched(stepper: Stepper, batches: Any, *, step: int, rate: float) -> bool:
        fine = call(stepper, batches, step=step, rate=rate)
        seen.append(next(iter(stepper.module.parameters())).detach().clone())
        return fine

    monkeypatch.setattr(Stepper, "__call__", watched)
    chosen = job(recipe_={"ema": {"decay": 0.6}})
    expected = chosen.networks[0].module(0).get_parameter("conv1.weight").detach()
    runs.train(chosen)
    for step, weights in enumerate(seen):
        decay = min(0.6, (1 + step) / (10 + step))
        expected = decay * expected + (1 - decay) * weights
    state = checkpoint.load(chosen.settings.out / "last.pt")
    assert len(seen) == int(state["average"]["n_averaged"]) == 22
    torch.testing.assert_close(state["average"]["module.conv1.weight"], expected)
    assert torch.equal(checkpoint.weights_for_use(state)["conv1.weight"],
                       state["average"]["module.conv1.weight"])  # fmt: skip
