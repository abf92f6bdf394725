"""Verdicts: intervals are scipy's, relations what their words say, one seed is never enough."""

from __future__ import annotations

from math import inf
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from resgen.experiment.judging import EXACT, PAIRED, RANKS, STUDENT, WELCH, Sample, judge, overall
from resgen.experiment.model import Expectation, Relation
from resgen.experiment.outcome import Comparison

RELATIONS: list[Relation] = ["above", "below", "not above", "not below", "equal"]
OPPOSITE = {"above": "below", "below": "above", "not above": "not below", "not below": "not above"}


def expected(relation: str, *, margin: float = 0.0, to: float | None = None) -> Expectation:
    """Of `a` something than of `b`, or to a number."""
    return Expectation.model_validate(
        {
            "measure": "train_error", "of": "a", "is": relation, "margin": margin,
            **({"than": "b"} if to is None else {"to": to}),
        }
    )  # fmt: skip


def sample(network: str, *values: float, **more: Any) -> Sample:
    """Of seeds 0, 1, ..."""
    return Sample(network, dict(enumerate(values)), **more)


def judged(
    relation: str, of: Sample, than: Sample | None = None, *, paired: bool = False, **more: Any
) -> Comparison:
    """The comparison, by the relation alone."""
    return judge(expected(relation, **more), of, than, sentence="a is so", paired=paired)


DEEP, SHALLOW = (0.31, 0.30, 0.28, 0.35, 0.29), (0.02, 0.05, 0.01, 0.03, 0.02)


def test_the_interval_of_independent_seeds_is_scipys_welch() -> None:
    found = judged("above", sample("a", *DEEP), sample("b", *SHALLOW))
    wanted = stats.ttest_ind(DEEP, SHALLOW, equal_var=False).confidence_interval(0.95)
    assert (found.low, found.high) == pytest.approx((wanted.low, wanted.high), rel=1e-12)
    assert found.mean == pytest.approx(sum(DEEP) / 5 - sum(SHALLOW) / 5)
    assert (found.test, found.n, found.agree, found.verdict) == (WELCH, (5, 5), (5, 5), "holds")


def test_the_interval_of_pairs_is_scipys_and_narrower_than_that_of_strangers() -> None:
    before, after = (0.1, 0.5, 0.3, 0.7), (0.08, 0.47, 0.29, 0.66)
    found = judged("below", sample("a", *after), sample("b", *before), paired=True)
    wanted = stats.ttest_rel(after, before).confidence_interval(0.95)
    assert (found.low, found.high) == pytest.approx((wanted.low, wanted.high), rel=1e-12)
    assert (found.test, found.verdict) == (PAIRED, "holds")
    assert judged("below", sample("a", *after), sample("b", *before)).verdict == "undecided"


def test_the_interval_of_a_number_is_scipys_of_one_sample() -> None:
    values = (0.9, 1.1, 1.3, 1.0)
    found = judged("above", sample("a", *values), to=0.5)
    wanted = stats.ttest_1samp(values, 0.5).confidence_interval(0.95)
    assert (found.low, found.high) == pytest.approx((wanted.low - 0.5, wanted.high - 0.5))
    assert (found.test, found.n, found.verdict) == (STUDENT, (4, 0), "holds")


@pytest.mark.parametrize(
    ("relation", "margin", "verdict"),
    [
        ("above", 0.0, "holds"), ("above", 0.1, "holds"), ("above", 0.28, "undecided"),
        ("above", 0.5, "does not hold"), ("below", 0.0, "does not hold"),
        ("not above", 0.0, "does not hold"), ("not above", 0.28, "undecided"),
        ("not above", 0.5, "holds"), ("not below", 0.0, "holds"), ("not below", 0.5, "holds"),
        ("equal", 0.1, "does not hold"), ("equal", 0.28, "undecided"), ("equal", 0.5, "holds"),
    ],
)  # fmt: skip
def test_a_relation_holds_by_its_margin(relation: str, margin: float, verdict: str) -> None:
    # The difference is 0.28, its interval about 0.24 to 0.32.
    found = judged(relation, sample("a", *DEEP), sample("b", *SHALLOW), margin=margin)
    assert found.verdict == verdict


def test_an_interval_with_room_for_both_is_undecided() -> None:
    found = judged("above", sample("a", 0.1, 0.3, 0.2), sample("b", 0.1, 0.2, 0.1))
    assert (found.verdict, found.agree) == ("undecided", (2, 3))
    assert found.why == "the interval has room for both"


@pytest.mark.parametrize("relation", RELATIONS)
@given(of=st.floats(0, 1), than=st.lists(st.floats(0, 1), min_size=1, max_size=6))
def test_nothing_holds_by_one_seed(relation: str, of: float, than: list[float]) -> None:
    for mine, its in (([of], than), (than, [of])):
        one, other = sample("a", *mine), sample("b", *its)
        assert judged(relation, one, other).verdict != "holds"
        assert judged(relation, one, other, margin=0.2).verdict == "undecided"


VALUES = st.lists(st.floats(0, 1), min_size=2, max_size=6)


@given(of=VALUES, than=VALUES, margin=st.floats(0, 0.5), relation=st.sampled_from(sorted(OPPOSITE)))
def test_it_does_not_matter_who_is_named_first(
    of: list[float], than: list[float], margin: float, relation: str
) -> None:
    one = judged(relation, sample("a", *of), sample("b", *than), margin=margin)
    other = judged(OPPOSITE[relation], sample("a", *than), sample("b", *of), margin=margin)
    assert one.verdict == other.verdict


@given(of=VALUES, than=VALUES, margin=st.floats(0, 0.5), up=st.booleans())
def test_a_relation_and_its_negation_never_both_hold(
    of: list[float], than: list[float], margin: float, up: bool
) -> None:
    word = "above" if up else "below"
    one, other = (
        judged(each, sample("a", *of), sample("b", *than), margin=margin).verdict
        for each in (word, f"not {word}")
    )
    assert (one, other) != ("holds", "holds")
    assert (one == "holds") == (other == "does not hold")
    if one == "does not hold":
        assert other == "holds"


@given(of=VALUES, than=VALUES, larger=st.floats(0, 1), margin=st.floats(0, 0.5))
def test_a_larger_margin_asks_more_of_above_and_less_of_not_above(
    of: list[float], than: list[float], larger: float, margin: float
) -> None:
    def holds(relation: str, margin: float) -> bool:
        found = judged(relation, sample("a", *of), sample("b", *than), margin=margin)
        return found.verdict == "holds"

    assert holds("above", margin) or not holds("above", margin + larger)
    assert holds("not above", margin + larger) or not holds("not above", margin)


# ---- without any spread


def test_without_any_deviation_the_difference_itself_decides_and_it_is_said() -> None:
    found = judged("above", sample("a", 0.5, 0.5), sample("b", 0.1, 0.1))
    assert (found.verdict, found.low, found.high) == ("holds", None, None)
    assert "no interval" in found.why


def test_equal_in_every_run_is_no_difference_and_no_contradiction() -> None:
    zeros = sample("a", 0.0, 0.0, 0.0), sample("b", 0.0, 0.0, 0.0)
    assert judged("below", *zeros).verdict == "undecided"
    assert judged("below", *zeros).why == "equal in every run"
    assert judged("not above", *zeros).verdict == "holds"
    assert judged("not above", *zeros, margin=0.01).verdict == "holds"


def test_an_exact_claim_is_exact() -> None:
    assert judged("equal", sample("a", 0.0, 0.0), to=0).verdict == "holds"
    assert judged("equal", sample("a", 0.0, 0.0), to=0).test == EXACT
    found = judged("equal", sample("a", 0.0, 0.0, 1e-9), to=0)
    assert (found.verdict, found.agree) == ("does not hold", (2, 3))
    assert found.why == "apart by up to 1e-09"
    # One run is too few for it and enough against it.
    assert judged("equal", sample("a", 0.0), to=0).verdict == "undecided"
    assert judged("equal", sample("a", 0.1), to=0).verdict == "does not hold"


# ---- runs that diverged, did not get there, or are not there


def test_a_run_that_did_not_get_there_can_only_make_the_difference_larger() -> None:
    slow = sample("b", 264, 264, 250, at_least=frozenset({0, 1}))
    found = judged("below", sample("a", 33, 44, 33), slow)
    assert found.verdict == "holds"
    assert "of b's runs 2 had not reached it by the end" in found.why
    # The other way round nothing is sure.
    late = sample("a", 33, 44, 33, at_least=frozenset({1}))
    found = judged("below", late, sample("b", 264, 260, 250))
    assert (found.verdict, found.low is not None) == ("undecided", True)
    assert found.why.startswith("the true mean of a is above that of its values")


def test_neither_does_what_is_left_out_make_a_claim_fail() -> None:
    late = sample("a", 33, 44, 33, at_least=frozenset({1}))
    assert judged("above", late, sample("b", 264, 260, 250)).verdict == "undecided"
    assert judged("above", sample("a", 33, 44, 33), sample("b", 264, 260, 250)).verdict == (
        "does not hold"
    )
    assert judged("equal", late, sample("b", 34, 43, 34), margin=50).verdict == "undecided"


def test_a_network_of_which_every_run_diverged_is_compared_by_ranks() -> None:
    gone = sample("b", diverged=frozenset(range(5)))
    found = judged("below", sample("a", *SHALLOW), gone)
    p = stats.mannwhitneyu(SHALLOW, [inf] * 5, method="exact").pvalue
    assert found.test == RANKS
    assert p == pytest.approx(2 / 252)
    assert "p = 0.0079" in found.why
    assert (found.verdict, found.n, found.agree, found.mean) == ("holds", (5, 5), (5, 5), None)
    assert judged("above", sample("a", *SHALLOW), gone).verdict == "does not hold"
    # Of three and three, p = 0.1 even where all are apart.
    few = sample("b", diverged=frozenset(range(3)))
    assert judged("below", sample("a", 0.1, 0.2, 0.1), few).verdict == "undecided"
    # Where both diverge neither is above.
    assert judged("below", gone._replace(network="a"), gone).verdict == "undecided"


def test_where_some_diverged_the_others_have_the_interval_and_it_is_told() -> None:
    some = sample("b", 0.5, 0.6, 0.55, diverged=frozenset({3, 4}))
    found = judged("below", sample("a", *SHALLOW), some)
    assert (found.test, found.verdict, found.n) == (WELCH, "holds", (5, 3))
    assert found.agree == (5, 5)
    assert found.why == "of b's runs 2 diverged"
    found = judged("above", sample("a", *DEEP), sample("b", 0.0, 0.01, diverged=frozenset({2})))
    assert found.verdict == "undecided"


def test_what_is_not_there_is_undecided_and_what_no_scale_has_not_tested() -> None:
    found = judged("above", sample("a", missing=5), sample("b", *SHALLOW, missing=1))
    assert (found.verdict, found.mean) == ("undecided", None)
    assert found.why == (
        "no value of a; of a's runs 5 without a value; of b's runs 1 without a value"
    )
    absent = sample("a", absent="a is not in the scale small")
    found = judged("above", absent, sample("b", 0.1, 0.2))
    assert (found.verdict, found.why) == ("not tested", "a is not in the scale small")


def test_pairs_are_of_the_same_seed() -> None:
    one, other = Sample("a", {0: 0.1, 1: 0.2}), Sample("b", {2: 0.3, 3: 0.4})
    found = judged("below", one, other, paired=True)
    assert (found.verdict, found.why) == ("undecided", "no seed has a run of both")


# ---- all of them together


def made(*verdicts: str) -> list[Comparison]:
    """Comparisons of these verdicts."""
    return [
        Comparison(f"claim {i}", WELCH, (3, 3), 0.1, 0.0, 0.2, (3, 3), verdict)  # type: ignore[arg-type]
        for i, verdict in enumerate(verdicts)
    ]


@pytest.mark.parametrize(
    ("verdicts", "verdict", "sentence"),
    [
        (("holds", "holds"), "holds", "All 2 expectations hold."),
        (("holds",), "holds", "The one expectation holds."),
        (
            ("holds", "not tested"), "holds",
            "The one expectation holds. 1 more is not tested at this scale.",
        ),
        (
            ("holds", "undecided"), "undecided",
            "1 of 2 expectations holds, undecided: claim 1.",
        ),
        (
            ("undecided", "does not hold", "holds"), "does not hold",
            "The opposite of 1 of 3 expectations was found: claim 1.",
        ),
        (("not tested",), "not tested", "No expectation's networks are at this scale."),
    ],
)  # fmt: skip
def test_the_claim_holds_where_all_that_was_tested_does(
    verdicts: tuple[str, ...], verdict: str, sentence: str
) -> None:
    assert overall(made(*verdicts)) == (verdict, sentence)


def test_a_long_list_of_expectations_is_cut() -> None:
    _, sentence = overall(made(*["undecided"] * 7))
    assert sentence.endswith("claim 3; and 3 more.")
