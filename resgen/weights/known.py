"""The shipped networks by their tensors: which has these names, or these shapes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache
from typing import Any, NamedTuple

from resgen.errors import UserError
from resgen.plan import resolve
from resgen.plan.layers import Shape
from resgen.spec import Spec, load_spec, shipped
from resgen.spec.loading import resolved_data
from resgen.spec.mistakes import dotted
from resgen.weights.shapes import plain, tensors_of
from resgen.words import joined

Shapes = Mapping[str, Shape]


class Known(NamedTuple):
    """A shipped network and its tensors; shapes: how many there are of each, less sides of 1."""

    name: str
    classes: int
    channels: int
    tensors: Shapes
    shapes: Counter[Shape]


class Match(NamedTuple):
    """A shipped network with the classes and channels of a file: the same tensors."""

    name: str
    spec: Spec
    tensors: Shapes
    overrides: tuple[str, ...]

    @property
    def title(self) -> str:
        """Its name, and what is changed of it."""
        return f"{self.name} with {joined(self.overrides)}" if self.overrides else self.name


@cache
def known() -> tuple[Known, ...]:
    """Every shipped network, resolved once."""
    found = []
    for name in shipped.names():
        plan = resolve(load_spec(name))
        tensors = tensors_of(plan)
        shapes = Counter(map(plain, tensors.values()))
        found.append(Known(name, plan.classes, plan.input[0], tensors, shapes))
    return tuple(found)


def by_name(tensors: Shapes) -> Iterator[Match]:
    """The shipped networks with tensors of these names and shapes, whatever their classes."""
    for each in known():
        if abs(len(each.tensors) - len(tensors)) > _HEAD:
            continue
        odd = each.tensors.keys() ^ tensors.keys()
        bare = bool(odd) and odd <= each.tensors.keys() and all(n.startswith("fc.") for n in odd)
        if odd and not bare:
            continue
        pairs = [(tensors[n], shape) for n, shape in each.tensors.items() if n in tensors]
        changed = _changes([pair for pair in pairs if pair[0] != pair[1]], each)
        if changed is None:
            continue
        match = _changed(each, {**changed, **({"classes": 0} if bare else {})})
        if match and match.tensors == dict(tensors):
            yield match


_HEAD = 2
"""Tensors of a classifier, which a backbone has not."""


def by_shape(tensors: Shapes) -> Iterator[Match]:
    """The shipped networks with as many tensors of each shape, sides of 1 apart."""
    shapes = Counter(map(plain, tensors.values()))
    for each in known():
        if len(each.tensors) != len(tensors):
            continue
        here, there = list((shapes - each.shapes).elements()), each.shapes - shapes
        if len(here) > _MOST_CHANGED:
            continue
        # Of the shapes that differ, which stands for which is told by all sides but one.
        pairs = [
            (mine, shape)
            for shape in there.elements()
            for mine in here
            if len(mine) == len(shape) and sum(a != b for a, b in zip(mine, shape, strict=True)) < 2
        ]
        changed = _changes(pairs, each) if len(pairs) == len(here) else None
        match = _changed(each, changed) if changed is not None else None
        if match and Counter(map(plain, match.tensors.values())) == shapes:
            yield match


_MOST_CHANGED = 4
"""Tensors that another number of classes and of channels may change."""


def _changes(pairs: Iterable[tuple[Shape, Shape]], network: Known) -> dict[str, int] | None:
    """The classes and channels that make every first shape of the second; None without any."""
    found: dict[str, int] = {}
    for theirs, ours in pairs:
        for key, side, usual in (
            ("classes", 0, network.classes), ("input.channels", 1, network.channels),
        ):  # fmt: skip
            if ours[side : side + 1] == (usual,) and len(theirs) == len(ours):
                made = (*ours[:side], theirs[side], *ours[side + 1 :])
                if made == theirs and found.setdefault(key, theirs[side]) == theirs[side]:
                    break
        else:
            return None
    return found


def _changed(network: Known, changes: Mapping[str, int]) -> Match | None:
    """The network with other numbers; None where it has no such version."""
    overrides = tuple(f"{key}={value}" for key, value in changes.items())
    try:
        spec = load_spec(network.name, overrides)
        tensors = tensors_of(resolve(spec)) if changes else network.tensors
    except UserError:
        return None
    return Match(network.name, spec, tensors, overrides)


def in_order(tensors: Shapes, match: Match) -> bool:
    """Whether the tensors stand in the order of the network's, shape by shape."""
    return list(map(plain, tensors.values())) == list(map(plain, match.tensors.values()))


def ranked(
    matches: Sequence[Match], usual: Spec | None, tensors: Shapes | None = None
) -> list[Match]:
    """The likeliest first: of equal order and last names, and near to what is usual."""

    def rank(match: Match) -> tuple[bool, int, int, int, int, str]:
        moved = tensors is not None and not in_order(tensors, match)
        named = (_parts(tensors) & _parts(match.tensors)).total() if tensors else 0
        unlike = len(differing(usual, match.spec)) if usual else 0
        return moved, -named, len(match.overrides), unlike, len(match.name), match.name

    return sorted(matches, key=rank)


def _parts(tensors: Shapes) -> Counter[tuple[str, Shape]]:
    """How many tensors there are of each shape and last name."""
    return Counter((name.rpartition(".")[2], plain(shape)) for name, shape in tensors.items())


def nearest(tensors: Shapes) -> tuple[str, int, int]:
    """The shipped network with most of these shapes, how many of its tensors, of how many."""
    shapes = Counter(map(plain, tensors.values()))
    best = max(
        known(), key=lambda each: _shared(shapes, each) - abs(each.shapes.total() - shapes.total())
    )
    return best.name, _shared(shapes, best), best.shapes.total()


def _shared(shapes: Counter[Shape], network: Known) -> int:
    return (shapes & network.shapes).total()


def differing(one: Spec, other: Spec) -> tuple[str, ...]:
    """The keys in which two specs differ, but for their names."""
    mine, theirs = dict(_leaves(one)), dict(_leaves(other))
    keys = {key for key in {**mine, **theirs} if mine.get(key) != theirs.get(key)}
    keys -= {"name", "depth"}
    return tuple(sorted(key for key in keys if key.partition(".")[0] not in keys - {key}))


def _leaves(spec: Spec) -> Iterator[tuple[str, object]]:
    """(dotted key, value), of a stage as often as it is said, a block's kind by its own name."""
    said: dict[str, list[object]] = {}

    def visit(value: Any, path: tuple[str, ...]) -> None:
        if isinstance(value, dict):
            for key, inner in value.items():
                visit(inner, path if key == "kind" else (*path, key))
        elif isinstance(value, Sequence) and not isinstance(value, str):
            for inner in value:
                visit(inner, path)
        else:
            said.setdefault(dotted(path), []).append(value)

    visit(resolved_data(spec), ())
    yield from said.items()
