"""Medians, their intervals, percentiles and ratios, against numpy and scipy."""

from __future__ import annotations

import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from resgen.timing.statistics import Estimate, enclosing_rank, estimate, percentile, ratio

VALUES = st.lists(st.floats(1e-6, 1e3), min_size=1, max_size=60)


@given(VALUES, st.floats(0, 1))
def test_percentiles_are_numpys(values: list[float], share: float) -> None:
    assert percentile(values, share) == pytest.approx(np.percentile(values, 100 * share))


@given(VALUES)
def test_the_estimate_is_numpys_median(values: list[float]) -> None:
    assert estimate(values).median == pytest.approx(np.median(values))


@pytest.mark.parametrize("n", [*range(1, 40), 100, 101, 1000, 3000])
def test_the_interval_is_the_narrowest_that_the_binomial_allows(n: int) -> None:
    rank = enclosing_rank(n)
    if rank:
        assert stats.binom.cdf(rank - 1, n, 0.5) <= 0.025
    assert stats.binom.cdf(rank, n, 0.5) > 0.025


@pytest.mark.parametrize("n", [6, 20, 35, 100])
def test_the_interval_is_scipys(n: int) -> None:
    values = [random.Random(n).random() for _ in range(n)]
    theirs = stats.quantile_test(values).confidence_interval(0.95)
    assert estimate(values)[1:] == pytest.approx((theirs.low, theirs.high))


def test_five_values_have_no_interval() -> None:
    assert estimate([3.0, 1.0, 2.0, 5.0, 4.0]) == Estimate(3.0, None, None)
    assert estimate([3.0, 1.0, 2.0, 5.0, 4.0, 6.0]) == Estimate(3.5, 1.0, 6.0)


def test_the_interval_holds_the_true_median_as_often_as_it_says() -> None:
    drawn = random.Random(0)
    hits = 0
    for _ in range(2000):
        found = estimate([drawn.lognormvariate(0.0, 1.0) for _ in range(20)])
        assert found.low is not None
        assert found.high is not None
        hits += found.low <= 1.0 <= found.high
    assert hits / 2000 > 0.94  # 95.9 % by the binomial of 20


def test_seconds_become_images_a_second_and_ends_change_places() -> None:
    assert Estimate(2.0, 1.0, 4.0).over(8) == Estimate(4.0, 2.0, 8.0)
    assert Estimate(2.0, None, None).over(8) == Estimate(4.0, None, None)


def test_a_ratio_is_made_round_by_round() -> None:
    # Each round is slower than the one before; twice as fast in every one of them.
    first = {number: 2.0**number for number in range(8)}
    other = {number: seconds / 2 for number, seconds in first.items()}
    assert ratio(other, first) == Estimate(2.0, 2.0, 2.0)
    assert ratio({0: 1.0, 99: 5.0}, first) == Estimate(1.0, None, None)
    assert ratio({99: 1.0}, first) is None
