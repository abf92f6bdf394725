"""Mean, deviation and Welch's interval against the formulas written out, tables and scipy.stats."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from resgen.compare.spread import Spread, difference, spread

errors = st.lists(st.integers(0, 360).map(lambda wrong: wrong / 360), min_size=2, max_size=8)


@given(errors)
def test_mean_and_deviation_are_those_of_a_sample(values: list[float]) -> None:
    found = spread(values)
    assert found is not None
    assert found.n == len(values)
    assert found.mean == pytest.approx(sum(values) / len(values))
    squares = sum((x - found.mean) ** 2 for x in values)
    assert found.deviation == pytest.approx(math.sqrt(squares / (len(values) - 1)), abs=1e-12)
    assert found.deviation == pytest.approx(float(np.std(values, ddof=1)), abs=1e-12)


def test_one_value_has_no_deviation_and_none_has_nothing() -> None:
    assert spread([0.25]) == Spread(1, 0.25, None)
    assert spread([]) is None


def test_equal_values_have_a_deviation_of_exactly_nothing() -> None:
    assert spread([0.1] * 3) == Spread(3, 0.1, 0.0)


@given(errors, errors)
def test_the_interval_is_scipys(first: list[float], second: list[float]) -> None:
    a, b = spread(first), spread(second)
    assert a is not None
    assert b is not None
    found = difference(a, b)
    if a.deviation == b.deviation == 0:
        assert found.low is found.high is None
        assert found.verdict == ("equal" if a.mean == b.mean else "constant")
        return
    tested = stats.ttest_ind(second, first, equal_var=False)
    low, high = tested.confidence_interval(0.95)
    assert found.low == pytest.approx(low, abs=1e-9)
    assert found.high == pytest.approx(high, abs=1e-9)
    if abs(tested.pvalue - 0.05) > 1e-9:
        assert found.verdict == ("beyond" if tested.pvalue < 0.05 else "within")


# Student's t at 97.5 %, as printed tables have it.
@pytest.mark.parametrize(("n", "t"), [(2, 4.303), (3, 2.776), (4, 2.447), (6, 2.228), (61, 1.980)])
def test_of_equal_deviations_the_quantile_is_the_tables(n: int, t: float) -> None:
    """With n1 = n2 and s1 = s2 there are 2 n - 2 degrees of freedom."""
    found = difference(Spread(n, 0.5, 0.01), Spread(n, 0.5, 0.01))
    assert found.high == pytest.approx(t * 0.01 * math.sqrt(2 / n), rel=3e-4)
    assert found.low == -found.high  # type: ignore[operator]


def test_a_group_without_deviation_leaves_the_other_its_degrees_of_freedom() -> None:
    found = difference(Spread(5, 0.0, 0.0), Spread(3, 0.2, 0.03))
    assert found.high == pytest.approx(0.2 + 4.3027 * 0.03 / math.sqrt(3), rel=1e-4)
    assert found.verdict == "beyond"


def test_deviations_of_which_squares_vanish_still_have_an_interval() -> None:
    found = difference(Spread(3, 0.0, 1e-150), Spread(3, 0.0, 1e-150))
    assert found.verdict == "within"


def test_of_a_single_value_nothing_is_said() -> None:
    for pair in (
        (Spread(1, 0.1, None), Spread(5, 0.2, 0.01)),
        (Spread(5, 0.2, 0.0), Spread(1, 0.1, None)),
    ):
        found = difference(*pair)
        assert found[1:] == (None, None, "unknown")
        assert found.mean == pytest.approx(pair[1].mean - pair[0].mean)
