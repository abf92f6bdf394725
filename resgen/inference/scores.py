"""Answers -> errors with their intervals, of all images and of each class, and confusions."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from math import sqrt
from typing import NamedTuple

from resgen.inference.answers import Answers
from resgen.train.run.counting import TOP


class Rate(NamedTuple):
    """Errors among images: `errors / images`, and between what it lies at 95 %."""

    errors: int
    images: int

    @property
    def error(self) -> float:
        """The share of the images that were taken for something else; NaN of none."""
        return self.errors / self.images if self.images else float("nan")

    @property
    def interval(self) -> tuple[float, float]:
        """Wilson's interval of the error."""
        return wilson(self.errors, self.images)


def wilson(errors: int, images: int, z: float = 1.959963984540054) -> tuple[float, float]:
    """(low, high) = (p + z^2/2n -+ z sqrt(p (1 - p) / n + z^2/4n^2)) / (1 + z^2/n), p = errors / n.

    Wilson 1927; z is the normal distribution's at 95 %. All of [0, 1] where there are no images.
    """
    if not images:
        return 0.0, 1.0
    share = errors / images
    middle = share + z * z / (2 * images)
    reach = z * sqrt(share * (1 - share) / images + z * z / (4 * images * images))
    whole = 1 + z * z / images
    # At the ends it is exact, and rounding is not.
    low = 0.0 if errors == 0 else (middle - reach) / whole
    return low, 1.0 if errors == images else (middle + reach) / whole


class Class(NamedTuple):
    """One class: its images, those taken for it, and what its own are most often taken for."""

    name: str
    rate: Rate
    taken: int
    """Images, of whatever class, that were taken for it."""
    mostly: tuple[str, int] | None
    """The class that most of its errors are taken for, and how many; the first of equals."""


class Scores(NamedTuple):
    """What a network's answers on a set of images come to."""

    loss: float
    """Mean cross-entropy."""
    top1: Rate
    top5: Rate | None
    """None of five classes or fewer, among which nothing could be wrong."""
    classes: tuple[Class, ...]
    confusions: dict[tuple[int, int], int]
    """(true class, the class it was taken for) -> images; pairs that do not occur are left out."""


def scores(answers: Answers, names: Sequence[str]) -> Scores:
    """The figures of one network; every image weighs the same."""
    count = len(answers.truth)
    firsts = [best[0] for best in answers.best]
    pairs = Counter(zip(answers.truth, firsts, strict=True))
    wrong = sum(images for (truth, first), images in pairs.items() if truth != first)
    missed = sum(truth not in best for truth, best in zip(answers.truth, answers.best, strict=True))
    return Scores(
        sum(answers.loss) / max(1, count),
        Rate(wrong, count),
        Rate(missed, count) if len(names) > TOP else None,
        tuple(_classes(pairs, names)),
        dict(sorted(pairs.items())),
    )


def _classes(pairs: Counter[tuple[int, int]], names: Sequence[str]) -> list[Class]:
    rows: list[Counter[int]] = [Counter() for _ in names]
    taken: Counter[int] = Counter()
    for (truth, first), images in sorted(pairs.items()):
        rows[truth][first] += images
        taken[first] += images
    found = []
    for number, name in enumerate(names):
        row = rows[number]
        images = row.total()
        others = [(each, other) for other, each in row.items() if other != number]
        most = max(others, key=lambda pair: pair[0], default=None)
        mostly = None if most is None else (names[most[1]], most[0])
        found.append(Class(name, Rate(images - row[number], images), taken[number], mostly))
    return found


def matrix(found: Scores) -> list[list[int]]:
    """[true class][the class it was taken for] -> images, those that do not occur as zeros."""
    count = len(found.classes)
    rows = [[0] * count for _ in range(count)]
    for (truth, first), images in found.confusions.items():
        rows[truth][first] = images
    return rows
