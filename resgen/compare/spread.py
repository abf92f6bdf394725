"""Values of several seeds -> their mean and deviation; two such -> Welch's interval.

A difference is said to be beyond the spread where 0 lies outside its 95 % interval. Seeds are
independent draws, not pairs: the same seed is another draw in another network. Where runs are
pairs, one begun from the other, their differences are one sample, and its interval Student's.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import sqrt
from statistics import mean, stdev
from typing import Literal, NamedTuple

LEVEL = 0.95

Verdict = Literal["unknown", "equal", "constant", "within", "beyond"]


class Spread(NamedTuple):
    """n values: their mean; the deviation of a sample, sqrt(sum (x - mean)^2 / (n - 1))."""

    n: int
    mean: float
    deviation: float | None
    """None of one value."""


class Difference(NamedTuple):
    """The second mean less the first; its interval where there is one, and what that says.

    unknown: one of the two has a single value; equal, constant: neither has any deviation, and the
    means are the same, or not; within, beyond: 0 lies in the interval, or outside.
    """

    mean: float
    low: float | None
    high: float | None
    verdict: Verdict


def spread(values: Sequence[float]) -> Spread | None:
    """Of no values there is none."""
    if not values:
        return None
    # Exact sums: equal values have a deviation of exactly 0.
    return Spread(len(values), mean(values), stdev(values) if len(values) > 1 else None)


def difference(first: Spread, second: Spread) -> Difference:
    """Welch 1947: m2 - m1 +/- t(df) sqrt(v1 + v2), v = s^2 / n, t at 97.5 %.

    df = (v1 + v2)^2 / (v1^2 / (n1 - 1) + v2^2 / (n2 - 1)) (Satterthwaite 1946).
    """
    apart = second.mean - first.mean
    if first.deviation is None or second.deviation is None:
        return Difference(apart, None, None, "unknown")
    v1, v2 = first.deviation**2 / first.n, second.deviation**2 / second.n
    if v1 + v2 == 0:
        return Difference(apart, None, None, "constant" if apart else "equal")
    from scipy.special import stdtrit

    # The shares of the two, whose squares do not vanish however small the deviations are.
    p1, p2 = v1 / (v1 + v2), v2 / (v1 + v2)
    df = 1 / (p1**2 / (first.n - 1) + p2**2 / (second.n - 1))
    half = float(stdtrit(df, (1 + LEVEL) / 2)) * sqrt(v1 + v2)
    low, high = apart - half, apart + half
    return Difference(apart, low, high, "within" if low <= 0 <= high else "beyond")


def student(apart: Spread) -> Difference:
    """Student 1908: m +/- t(n - 1) s / sqrt(n), of differences that are one sample."""
    if apart.deviation is None:
        return Difference(apart.mean, None, None, "unknown")
    if apart.deviation == 0:
        return Difference(apart.mean, None, None, "constant" if apart.mean else "equal")
    from scipy.special import stdtrit

    half = float(stdtrit(apart.n - 1, (1 + LEVEL) / 2)) * apart.deviation / sqrt(apart.n)
    low, high = apart.mean - half, apart.mean + half
    return Difference(apart.mean, low, high, "within" if low <= 0 <= high else "beyond")
