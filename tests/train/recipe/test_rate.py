"""Rates at their boundaries, against formulas and torch's own schedulers."""

from __future__ import annotations

from math import cos, pi
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from resgen.spec.reading import read_model
from resgen.spec.shipped import find, names
from resgen.train.recipe import Recipe
from resgen.train.recipe.rate import Rate
from tests.training import RECIPE, recipe


def rate(epoch_steps: int = 100, **schedule: Any) -> Rate:
    length = schedule.pop("length", "10 epochs")
    changed = recipe(length=length, schedule=schedule, optimizer={"lr": 0.4})
    return Rate(changed, epoch_steps)


def test_he2015_drops_exactly_at_32000_and_48000_steps() -> None:
    r = Rate(read_model(Recipe, find("recipe", "he2015-cifar")), 351)
    assert r.total == 64_000
    assert [r(step) for step in (0, 31_999, 32_000, 47_999, 48_000, 63_999)] == pytest.approx(
        [0.1, 0.1, 0.01, 0.01, 0.001, 0.001], rel=1e-12
    )


def test_he2015_warmup_runs_at_a_tenth_and_returns_to_0_1() -> None:
    r = Rate(read_model(Recipe, find("recipe", "he2015-cifar-warmup")), 351)
    assert r(0, warm=False) == pytest.approx(0.01)
    assert r(399, warm=False) == pytest.approx(0.01)
    assert r(400) == pytest.approx(0.1)
    assert r(32_000) == pytest.approx(0.01)


def test_cosine_is_half_way_at_half_time_and_final_at_the_end() -> None:
    r = rate(kind="cosine", final=0.1)
    assert r(0) == pytest.approx(0.4)
    assert r(500) == pytest.approx(0.4 * (0.1 + 0.9 / 2))
    assert r(999) == pytest.approx(0.4 * (0.1 + 0.9 * (1 + cos(pi * 0.999)) / 2))


def test_linear_falls_by_the_same_each_step() -> None:
    r = rate(kind="linear")
    assert [r(step) for step in (0, 250, 750)] == pytest.approx([0.4, 0.3, 0.1])


@given(warmup=st.integers(1, 900), step=st.integers(0, 999))
def test_warmup_rises_in_a_straight_line_to_lr(warmup: int, step: int) -> None:
    r = rate(kind="constant", warmup=f"{warmup} steps", warmup_from=0.25)
    expected = 0.4 * (0.25 + 0.75 * min(1.0, step / warmup))
    assert r(step) == pytest.approx(expected)


def test_one_cycle_is_torchs() -> None:
    r = rate(kind="one-cycle", warmup="30 %", warmup_from=0.04, final=4e-6, epoch_steps=10)
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0, momentum=0.9)
    theirs = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, 0.4, total_steps=100, pct_start=0.31, div_factor=25, final_div_factor=1e4
    )
    for step in range(100):
        assert r(step) == pytest.approx(theirs.get_last_lr()[0], abs=1e-9), step
        optimizer.step()
        theirs.step()


def test_epochs_and_percent_are_steps_of_this_run() -> None:
    by_epochs = rate(kind="step", milestones=["5 epochs"])
    by_percent = rate(kind="step", milestones=["50 %"])
    by_steps = rate(kind="step", milestones=["500 steps"])
    for r in (by_epochs, by_percent, by_steps):
        assert (r(499), r(500)) == pytest.approx((0.4, 0.04))


@pytest.mark.parametrize("name", names("recipe"))
def test_every_shipped_recipe_ends_no_higher_than_it_peaks(name: str) -> None:
    r = Rate(read_model(Recipe, find("recipe", name)), 351)
    changes = list(r.changes())
    assert changes[0][0] == 0
    assert changes[-1][0] == r.total - 1
    lr = r.recipe.optimizer.lr
    assert all(0 <= value <= lr * (1 + 1e-12) for _, value, _ in changes)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"length": "30"}, "must be a number with its unit, as 30 epochs, 64000 steps or 10 %"),
        ({"length": 30}, "must be a number with its unit"),
        ({"length": "50 %"}, "length must be in epochs or steps (got 50 %)"),
        ({"schedule": {"kind": "cosine", "milestones": ["3 epochs"]}}, "milestones belong to"),
        ({"schedule": {"kind": "step"}}, "kind step needs milestones"),
        ({"schedule": {"kind": "one-cycle"}}, "kind one-cycle needs warmup"),
        ({"schedule": {"kind": "linear", "warmup_until_error": 0.8}}, "needs warmup_from above 0"),
    ],
)
def test_a_recipe_that_makes_no_sense_is_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError) as caught:
        Recipe.model_validate({**RECIPE, **changes})
    assert message in str(caught.value)
