"""Times of rounds -> a median with its interval, percentiles, and ratios round by round.

Times are skewed, with a tail of whatever else the machine did: no mean, no normal distribution.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from math import ceil, floor
from statistics import median
from typing import NamedTuple


class Estimate(NamedTuple):
    """A median, and between what the true one lies at 95 %; None where there are too few."""

    median: float
    low: float | None
    high: float | None

    def over(self, amount: float) -> Estimate:
        """amount / x: of seconds a step the images a second. Its low is made of the high."""
        low, high = self.high, self.low
        return Estimate(
            amount / self.median,
            None if low is None else amount / low,
            None if high is None else amount / high,
        )


def estimate(values: Sequence[float]) -> Estimate:
    """The median of n values, and the order statistics x_(k), x_(n + 1 - k) that enclose it.

    k is the largest for which P(B < k) <= 2.5 %, B binomial of n and 1/2: whatever the values are
    drawn from, both together miss its median in at most 5 of 100 cases. Below six there is no k.
    """
    ordered = sorted(values)
    rank = enclosing_rank(len(ordered))
    if not rank:
        return Estimate(median(ordered), None, None)
    return Estimate(median(ordered), ordered[rank - 1], ordered[-rank])


@cache
def enclosing_rank(n: int) -> int:
    """The k of `estimate`; 0 where there is none."""
    below, ways, rank = 0, 1, 0  # ways: n over k
    for k in range(n // 2):
        below += ways
        if 40 * below > 2**n:  # exact, of whole numbers
            break
        rank, ways = k + 1, ways * (n - k) // (k + 1)
    return rank


def percentile(values: Sequence[float], share: float) -> float:
    """The value that a share of them lies below, between two neighbours in proportion."""
    ordered = sorted(values)
    place = share * (len(ordered) - 1)
    low, high = ordered[floor(place)], ordered[ceil(place)]
    return low + (place - floor(place)) * (high - low)


def ratio(times: Mapping[int, float], first: Mapping[int, float]) -> Estimate | None:
    """first / times: how many times as fast as the first, over the rounds that both have.

    Round by round, so that what slows a whole round down is in both. None without such a round.
    """
    shared = [first[number] / times[number] for number in times if number in first]
    return estimate(shared) if shared else None
