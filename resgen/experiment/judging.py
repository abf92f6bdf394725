"""Values of two networks' runs -> an expectation tested over seeds, and the verdict over all.

The difference d is the looked at network's mean less the other's, or less a number:

    above:      d >  margin        not above:  d <=  margin
    below:      d < -margin        not below:  d >= -margin
    equal:    |d| <= margin        without a margin: in every run, exactly

An expectation holds where its whole interval says so, does not hold where its whole interval says
the opposite, and is undecided else, also where two networks are equal and one was to be above the
other. Nothing holds by one seed. A run that diverged has no error and counts as above all others:
means are those of the other runs, and where too few of these are left ranks are compared.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from math import comb, inf, isnan
from typing import NamedTuple

from resgen.compare.spread import LEVEL, Difference, difference, spread, student
from resgen.experiment.model import Expectation
from resgen.experiment.outcome import Comparison, Verdict
from resgen.words import joined

WELCH = f"Welch's t interval, {LEVEL:.0%}".replace("%", " %")
PAIRED = f"paired t interval, {LEVEL:.0%}".replace("%", " %")
STUDENT = f"Student's t interval, {LEVEL:.0%}".replace("%", " %")
RANKS = f"Mann-Whitney test of ranks, {1 - LEVEL:.0%}".replace("%", " %")
EXACT = "equality in every run"


class Sample(NamedTuple):
    """A measure of one network, by the seeds of its runs.

    at_least: seeds whose value is a lower bound, as the steps of a run that ended before it was
    there. diverged: seeds without a value, which counts as above all others. missing: how many
    seeds are without a value for any other reason. absent: why the network is not there at all.
    """

    network: str
    values: Mapping[int, float]
    at_least: frozenset[int] = frozenset()
    diverged: frozenset[int] = frozenset()
    missing: int = 0
    absent: str = ""

    @property
    def ranked(self) -> dict[int, float]:
        """The values, infinite where a run diverged."""
        return {**self.values, **dict.fromkeys(self.diverged, inf)}

    @property
    def few(self) -> bool:
        """Whether so many runs diverged that the others have no spread."""
        return bool(self.diverged) and len(self.values) < 2

    @property
    def open(self) -> bool:
        """Whether its true mean can only be above that of its values."""
        return bool(self.at_least or self.diverged)


class _Rule(NamedTuple):
    """Of an interval (low, high) and a margin: whether the relation holds, whether its opposite.

    large: whether it holds by a large difference, or by a small one; None where by neither.
    """

    holds: Callable[[float, float, float], bool]
    fails: Callable[[float, float, float], bool]
    large: bool | None


_RULES: dict[str, _Rule] = {
    "above": _Rule(lambda low, _, m: low > m, lambda _, high, m: high < m, True),
    "not above": _Rule(lambda _, high, m: high <= m, lambda low, _, m: low > m, False),
    "below": _Rule(lambda _, high, m: high < -m, lambda low, _, m: low > -m, False),
    "not below": _Rule(lambda low, _, m: low >= -m, lambda _, high, m: high < -m, True),
    "equal": _Rule(
        lambda low, high, m: -m <= low and high <= m,
        lambda low, high, m: low > m or high < -m,
        None,
    ),
}  # fmt: skip


def judge(
    expected: Expectation, of: Sample, than: Sample | None, *, sentence: str, paired: bool = False
) -> Comparison:
    """The expectation tested on the runs there are; `than` is None where it names a number.

    Where seeds are independent draws: Welch 1947. paired: each run began as the other network's of
    the same seed, so that their differences are one sample (Student 1908).
    """
    rule, margin = _RULES[expected.relation], expected.margin
    sides = [of] if than is None else [of, than]
    test, found, verdict, why = _tested(expected, of, than, paired)
    counts = [len(each.ranked if test == RANKS else each.values) for each in sides]
    apart = _apart(of.ranked, expected.to, than and than.ranked)
    told = [] if verdict == "not tested" else map(_told, sides)
    return Comparison(
        sentence=sentence,
        test=test,
        n=(counts[0], 0 if than is None else counts[1]),
        mean=None if found is None else found.mean,
        low=None if found is None else found.low,
        high=None if found is None else found.high,
        agree=(sum(rule.holds(d, d, margin) for d in apart), len(apart)),
        verdict=verdict,
        why="; ".join(filter(None, [why, *told])),
        measure=expected.measure,
    )


def _tested(
    expected: Expectation, of: Sample, than: Sample | None, paired: bool
) -> tuple[str, Difference | None, Verdict, str]:
    """The test's name, the difference by it, the verdict and why."""
    rule, margin = _RULES[expected.relation], expected.margin
    exact = expected.relation == "equal" and not margin
    test = EXACT if exact else STUDENT if than is None else PAIRED if paired else WELCH
    sides = [of] if than is None else [of, than]
    apart = _apart(of.values, expected.to, than and than.values)
    if absent := [each.absent for each in sides if each.absent]:
        return test, None, "not tested", joined(absent)
    if than is not None and not exact and (of.few or than.few):
        return RANKS, None, *_by_rank(rule, margin, of, than)
    if empty := [each.network for each in sides if not each.values]:
        return test, None, "undecided", f"no value of {joined(empty)}"
    if not apart and test != WELCH:
        return test, None, "undecided", "no seed has a run of both"
    if exact:
        return test, *_exactly(apart)
    found = _interval(of, than, apart, test)
    return test, found, *_decided(rule, margin, found, of, than)


def _apart(
    of: Mapping[int, float], to: float | None, than: Mapping[int, float] | None
) -> list[float]:
    """The difference of each seed that both have."""
    if to is not None:
        return [value - to for value in of.values()]
    assert than is not None
    return [of[seed] - than[seed] for seed in sorted(of.keys() & than.keys())]


def _by_rank(rule: _Rule, margin: float, of: Sample, than: Sample) -> tuple[Verdict, str]:
    """Where every run of the one is above every run of the other: p = 2 / C(n1 + n2, n1)."""
    mine, its = of.ranked.values(), than.ranked.values()
    if not mine or not its:
        return "undecided", f"no value of {than.network if mine else of.network}"
    ends = (min(mine) - max(its), max(mine) - min(its))
    # Both diverged: inf - inf is no number, and neither is above the other.
    low, high = (0.0 if isnan(end) else end for end in ends)
    chance = 2 / comb(len(mine) + len(its), len(mine))
    told = f"by ranks alone, p = {chance:.2g} where all of one are above all of the other"
    if chance > 1 - LEVEL:
        return "undecided", f"{told}: too few runs"
    if rule.holds(low, high, margin):
        return "holds", told
    if rule.fails(low, high, margin):
        return "does not hold", told
    return "undecided", f"{told}, which they are not"


def _interval(of: Sample, than: Sample | None, apart: Sequence[float], test: str) -> Difference:
    """The difference of means with the test's interval."""
    if test == WELCH:
        assert than is not None
        first, second = spread([*than.values.values()]), spread([*of.values.values()])
        assert first is not None
        assert second is not None
        return difference(first, second)
    one = spread(apart)
    assert one is not None
    return student(one)


def _exactly(apart: Sequence[float]) -> tuple[Difference, Verdict, str]:
    """One run that differs is enough against it; one that does not is too few for it."""
    found = Difference(sum(apart) / len(apart), None, None, "constant")
    if any(apart):
        worst = max(map(abs, apart))
        return found, "does not hold", f"apart by up to {worst:.3g}"
    if len(apart) < 2:
        return found, "undecided", ONE
    return found, "holds", ""


ONE = "one seed says nothing of the spread"


def _decided(
    rule: _Rule, margin: float, found: Difference, of: Sample, than: Sample | None
) -> tuple[Verdict, str]:
    why = ""
    low, high = found.low, found.high
    if low is None or high is None:
        if found.verdict == "unknown":
            return "undecided", ONE
        low = high = found.mean
        why = "no run differs from its network's mean: there is no interval"
        if not found.mean:
            why = "equal in every run"
    holds, fails = rule.holds(low, high, margin), rule.fails(low, high, margin)
    if not (holds or fails):
        return "undecided", why or "the interval has room for both"
    # What is left out is above the rest: of `than` it could make a large difference smaller, of
    # `of` a small one larger.
    large = low > margin if rule.large is None else rule.large == holds
    for side in (of, than) if rule.large is None and holds else (than if large else of,):
        if side is not None and side.open:
            return "undecided", f"the true mean of {side.network} is above that of its values"
    return ("holds" if holds else "does not hold"), why


def _told(sample: Sample) -> str:
    """What is not in a network's figures."""
    parts = []
    if sample.diverged:
        parts.append(f"{len(sample.diverged)} diverged")
    if sample.at_least:
        parts.append(f"{len(sample.at_least)} had not reached it by the end")
    if sample.missing:
        parts.append(f"{sample.missing} without a value")
    return f"of {sample.network}'s runs {joined(parts)}" if parts else ""


def overall(comparisons: Iterable[Comparison]) -> tuple[Verdict, str]:
    """The claim's verdict, and the same in words.

    Holds where all that was tested does; does not where the opposite of one was found.
    """
    every = list(comparisons)
    tested = [each for each in every if each.verdict != "not tested"]
    counts = {
        verdict: [each for each in tested if each.verdict == verdict]
        for verdict in ("holds", "does not hold", "undecided")
    }
    rest = ""
    if left := len(every) - len(tested):
        rest = f" {left} more {'is' if left == 1 else 'are'} not tested at this scale."
    if not tested:
        return "not tested", "No expectation's networks are at this scale."
    of = f"of {len(tested)} expectation{'' if len(tested) == 1 else 's'}"
    if against := counts["does not hold"]:
        said = f"The opposite of {len(against)} {of} was found: {_list(against)}.{rest}"
        return "does not hold", said
    if open_ := counts["undecided"]:
        held = len(counts["holds"])
        said = f"{held} {of} {'holds' if held == 1 else 'hold'}, undecided: {_list(open_)}.{rest}"
        return "undecided", said
    if len(tested) == 1:
        return "holds", f"The one expectation holds.{rest}"
    return "holds", f"All {len(tested)} expectations hold.{rest}"


_MOST = 4
"""Expectations that are named in the verdict; the tables have all."""


def _list(comparisons: Sequence[Comparison]) -> str:
    named = [each.sentence for each in comparisons[:_MOST]]
    more = len(comparisons) - len(named)
    return "; ".join([*named, f"and {more} more"] if more else named)
