"""Parameters -> groups under one weight decay and one share of the rate each."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from resgen.train.recipe.keys import Optimizer
from resgen.train.recipe.parts import BACKBONE, ONE, Parts

Shapes = Sequence[tuple[str, Sequence[int]]]


class Group(NamedTuple):
    """Parameters under one weight decay, whose rate is `scale` times the schedule's."""

    title: str
    weight_decay: float
    names: tuple[str, ...]
    scale: float = 1.0


def groups(
    shapes: Iterable[tuple[str, Sequence[int]]], recipe: Optimizer, parts: Parts = ONE
) -> list[Group]:
    """The groups of the (name, shape) pairs that are trained.

    Weights have two dimensions or more; norms and biases are the vectors, and `decay: weights`
    keeps the decay from them. Parts with rates of their own have groups of their own.
    """
    return [
        group
        for title, scale, found in _by_rate(list(shapes), recipe, parts)
        for group in _by_decay(title, scale, found, recipe)
        if group.names
    ]


def _by_rate(
    shapes: Shapes, recipe: Optimizer, parts: Parts
) -> Iterator[tuple[str, float, Shapes]]:
    """(title, scale, shapes) of parts that have one rate; one untitled where all have it."""
    if recipe.layer_decay == recipe.head_rate == 1:
        yield "", 1.0, shapes
        return
    depths = parts.depths()
    if recipe.layer_decay == 1:
        spans = [(BACKBONE, range(parts.head)), ("head", range(parts.head, parts.head + 1))]
    else:
        spans = [(part.name, range(depth, depth + 1)) for depth, part in enumerate(parts.row)]
    for title, span in spans:
        found = [each for each in shapes if depths[each[0]] in span]
        yield f"{title}, ", parts.scale(span[-1], recipe), found


def _by_decay(title: str, scale: float, shapes: Shapes, recipe: Optimizer) -> Iterator[Group]:
    if recipe.decay == "all":
        names = tuple(name for name, _ in shapes)
        yield Group(f"{title}all parameters", recipe.weight_decay, names, scale)
        return
    weights = tuple(name for name, shape in shapes if len(shape) > 1)
    vectors = tuple(name for name, shape in shapes if len(shape) <= 1)
    yield Group(f"{title}weights", recipe.weight_decay, weights, scale)
    yield Group(f"{title}norms and biases", 0.0, vectors, scale)
