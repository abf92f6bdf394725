"""Parameters -> groups under one weight decay each."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from resgen.train.recipe.keys import Optimizer


class Group(NamedTuple):
    """Parameters under one weight decay."""

    title: str
    weight_decay: float
    names: tuple[str, ...]


def groups(shapes: Iterable[tuple[str, Sequence[int]]], recipe: Optimizer) -> list[Group]:
    """The groups of (name, shape) pairs: weights have two dimensions or more.

    Norms and biases are the vectors; `decay: weights` keeps the decay from them.
    """
    shapes = list(shapes)
    if recipe.decay == "all":
        names = tuple(name for name, _ in shapes)
        return [Group("all parameters", recipe.weight_decay, names)]
    weights = tuple(name for name, shape in shapes if len(shape) > 1)
    vectors = tuple(name for name, shape in shapes if len(shape) <= 1)
    found = [
        Group("weights", recipe.weight_decay, weights),
        Group("norms and biases", 0.0, vectors),
    ]
    return [group for group in found if group.names]
