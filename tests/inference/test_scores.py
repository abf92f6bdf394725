"""Counts against those of scikit-learn, intervals against Wilson's definition."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import confusion_matrix, recall_score, top_k_accuracy_score

from resgen.inference.answers import Answers, ranked
from resgen.inference.scores import Rate, matrix, scores, wilson

NAMES = tuple("abcdefgh")


@pytest.fixture
def answered() -> tuple[Answers, np.ndarray]:
    draw = np.random.default_rng(0)
    truth = draw.integers(0, len(NAMES) - 1, 200)  # no image of the last class
    logits = draw.normal(size=(200, len(NAMES)))
    logits[np.arange(200), truth] += 1
    best = np.argsort(-logits, axis=1)[:, :5]
    return Answers(truth.tolist(), best.tolist(), [0.5] * 200, 1.0), logits


def test_errors_are_scikit_learns(answered: tuple[Answers, np.ndarray]) -> None:
    answers, logits = answered
    found = scores(answers, NAMES)
    truth, firsts = answers.truth, [best[0] for best in answers.best]
    labels = list(range(len(NAMES)))
    assert matrix(found) == confusion_matrix(truth, firsts, labels=labels).tolist()
    for k, rate in ((1, found.top1), (5, found.top5)):
        assert rate is not None
        theirs = top_k_accuracy_score(truth, logits, k=k, labels=labels, normalize=False)
        assert (rate.images, rate.images - rate.errors) == (200, theirs)
    recalls = recall_score(truth, firsts, labels=labels, average=None, zero_division=np.nan)
    for one, recall in zip(found.classes, recalls, strict=True):
        assert 1 - one.rate.error == pytest.approx(recall, nan_ok=True)
        assert one.taken == firsts.count(NAMES.index(one.name))
    assert found.loss == 0.5
    assert math.isnan(found.classes[-1].rate.error)
    assert found.classes[-1].mostly is None


def test_of_equal_outputs_the_first_is_argmaxs() -> None:
    """topk takes another of them; training counts by argmax."""
    logits = torch.randint(0, 3, (500, 40), generator=torch.Generator().manual_seed(0)).float()
    assert logits.topk(5).indices[:, 0].tolist() != logits.argmax(1).tolist()
    for top in (1, 5, 40, 99):
        rows = ranked(logits, top)
        assert [row[0] for row in rows] == logits.argmax(1).tolist()
        for row, values in zip(rows, logits, strict=True):
            assert len({*row}) == len(row) == min(top, 40)
            largest = values.sort(descending=True).values[: len(row)]
            assert torch.equal(values[row], largest)


def test_what_a_class_is_mostly_taken_for() -> None:
    answers = Answers([0, 0, 0, 1], [[1], [2], [2], [1]], [0.0] * 4, 1.0)
    first, second, _ = scores(answers, ("x", "y", "z")).classes
    assert first.mostly == ("z", 2)
    assert second.mostly is None
    assert scores(answers, ("x", "y", "z")).top5 is None


@given(st.integers(1, 10**6).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_the_interval_is_where_the_deviation_is_1_96(pair: tuple[int, int]) -> None:
    """Wilson 1927: the shares q for which |p - q| = z sqrt(q (1 - q) / n)."""
    errors, images = pair
    low, high = wilson(errors, images)
    share = errors / images
    assert 0 <= low <= share <= high <= 1
    for end in (low, high):
        reach = 1.959963984540054 * math.sqrt(end * (1 - end) / images)
        assert abs(share - end) == pytest.approx(reach, rel=1e-6, abs=1e-9)


def test_known_intervals() -> None:
    """Newcombe 1998, table I: 81 of 263 and 15 of 148."""
    assert Rate(81, 263).interval == pytest.approx((0.2553, 0.3662), abs=5e-5)
    assert Rate(15, 148).interval == pytest.approx((0.0624, 0.1605), abs=5e-5)
    assert Rate(0, 0).interval == (0.0, 1.0)
