"""The row `branches`: paths side by side, what each takes, what it carries on, how they join."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import Any

from resgen.plan import layers as L
from resgen.plan.layers import Layer, Mismatch, Op, Shape
from resgen.plan.numbers import Make, Number, Numbers, Step, number, run
from resgen.plan.space import Space
from resgen.plan.tables import NORMS, activation
from resgen.spec.grammar import Row, Rows
from resgen.spec.settings import LayerSettings
from resgen.spec.values import Path_, Value

Read = Callable[[Rows, Space], list[Step]]
Joiner = Callable[[int, Shape], tuple[Op, str]]


def branches(row: Row, space: Space, place: Path_, read: Read) -> Make:
    """What makes the branches of one row; `read` reads a path in a module's names."""
    paths, times = row.paths, row.get("times")
    carry, join = str(row.get("carry", "none")), row.get("join", "sum")
    listed = space.name("branches") if times is not None else ""
    if listed:
        ways = [read(paths[0], Space(space.settings))]
        count = number(times, (*place, "times"))
    else:
        ways = [read(path, space) for path in paths]
        count = number(len(ways))
        if not any(ways) and join != "concat" and row.get("take", "all") == "all":
            raise Mismatch("branches without a layer", place)
    if len(ways) == 2 and join == "sum" and not all(ways) and carry == "none":
        raise Mismatch("an input that is added to a path is a shortcut: write add", place)
    takes = _takes(row.get("take", "all"), (*place, "take"))
    word = join if isinstance(join, str) else "select"
    called = space.name(word) if word in MODULES else ""

    def make(shape: Shape, numbers: Numbers) -> Op:
        if len(shape) != 3:
            raise Mismatch("branches take an image, and here is a vector", place)
        many = count(shape, numbers)
        shares = takes(shape, numbers, many)
        made: list[tuple[Layer, ...]] = []
        inputs: list[Shape] = []
        outputs: list[Shape] = []
        for index in range(many):
            enters: Shape = (shares[index], *shape[1:]) if shares else shape
            if index and carry == "chain":
                enters = outputs[-1]
            steps = ways[0 if listed else index]
            if index and steps and carry == "sum" and outputs[-1] != enters:
                raise Mismatch(
                    f"branch {index + 1} takes in {_said(enters)}, and what the one before puts "
                    f"out is {_said(outputs[-1])}; carry: sum adds them",
                    (*place, "carry"),
                )
            layers = run(steps, enters, numbers._replace(branch=enters[0]))
            if listed:
                layers = _member(f"{listed}.{index}", layers, enters)
            made.append(layers)
            inputs.append(enters)
            outputs.append(layers[-1].output if layers else enters)
        output = _output(word, outputs, place)
        joiner = None
        if called:
            if many < 2:
                raise Mismatch(f"{word} joins at least two branches", (*place, "join"))
            given: Given = dict(join[1:]) if isinstance(join, tuple) else {}  # type: ignore[arg-type]
            op = MODULES[word](many, output, space.settings, given)
            joiner = Layer(called, op, output, output)
        return L.Branches(
            tuple(made), tuple(inputs), tuple(outputs), shares, carry, word, joiner, listed, output
        )  # fmt: skip

    return make


def _member(name: str, layers: tuple[Layer, ...], enters: Shape) -> tuple[Layer, ...]:
    """One path among `times`: a module of its own, or its only layer."""
    if not layers:
        return ()
    if len(layers) == 1 and not L.inside(layers[0].op):
        return (layers[0]._replace(name=name),)
    output = layers[-1].output
    return (Layer(name, L.Part("branch", layers, output), enters, output),)


def _takes(value: Value, place: Path_) -> Callable[[Shape, Numbers, int], tuple[int, ...]]:
    """The channels each branch takes; nothing where all take all."""
    if value == "all":
        return lambda shape, numbers, many: ()
    if value == "slices":

        def equal(shape: Shape, numbers: Numbers, many: int) -> tuple[int, ...]:
            if shape[0] % many:
                raise Mismatch(f"{shape[0]} channels are not {many} equal slices", place)
            return (shape[0] // many,) * many

        return equal
    assert isinstance(value, tuple)
    parts: list[Number | None] = [
        None if share == "rest" else number(share, (*place, i)) for i, share in enumerate(value)
    ]

    def shares(shape: Shape, numbers: Numbers, many: int) -> tuple[int, ...]:
        found = [part(shape, numbers) if part else 0 for part in parts]
        rest = shape[0] - sum(found)
        if rest < 0 or (rest > 0) != (None in parts):
            raise Mismatch(
                f"the shares are {sum(found)} of {shape[0]} channels"
                + (", and nothing is left for rest" if None in parts else ""),
                place,
            )
        return tuple(rest if part is None else n for part, n in zip(parts, found, strict=True))

    return shares


def _said(shape: Shape) -> str:
    return "x".join(map(str, shape))


def _output(join: str, outputs: list[Shape], place: Path_) -> Shape:
    """The shape behind the join; Mismatch, naming the branch, where the branches do not meet."""
    first = outputs[0]
    if any(len(shape) != 3 for shape in outputs):
        raise Mismatch("a branch ends in a vector; branches join images", place)
    if join == "concat":
        for index, shape in enumerate(outputs[1:], start=2):
            if shape[1:] != first[1:]:
                raise _apart(index, shape, first, "concat needs one image size", place)
        return (sum(shape[0] for shape in outputs), *first[1:])
    largest = max(outputs, key=lambda shape: shape[1] * shape[2])
    whole = (max(shape[0] for shape in outputs), *largest[1:])
    for index, shape in enumerate(outputs, start=1):
        sizes = shape[1:] == whole[1:] or (shape[1:] == (1, 1) and join in ("sum", "product"))
        channels = shape[0] == whole[0] or (shape[0] == 1 and join == "product")
        if not (sizes and channels):
            rule = {
                "product": "a product meets in the same shape, in 1 channel or in 1x1",
                "sum": "a sum meets in the same channels, and the same size or 1x1",
            }.get(join, f"{join} needs one shape")
            raise _apart(index, shape, first if index > 1 else whole, rule, place)
    return whole


def _apart(index: int, shape: Shape, other: Shape, rule: str, place: Path_) -> Mismatch:
    return Mismatch(
        f"branch {index} puts out {_said(shape)}, another {_said(other)}: {rule}", place
    )


Given = dict[str, Any]


def _select(many: int, output: Shape, settings: LayerSettings, given: Given) -> Op:
    """Weights of a softmax, from the mean of the sum squeezed to a share of its width."""
    ratio, divisor = Fraction(repr(given.get("ratio", 0.0625))), int(given.get("divisor", 8))
    squeezed = int(output[0] * ratio / divisor + Fraction(1, 2)) * divisor
    squeezed = max(squeezed, int(given.get("least", divisor)), 1)
    norm = settings.norm
    made = NORMS[norm.kind](norm, squeezed) if norm.kind != "none" else L.Identity()
    act = activation(settings.activation, squeezed, inplace=True)
    return L.Select(output[0], squeezed, many, made, act, bool(given.get("bias", False)))


MODULES: dict[str, Callable[[int, Shape, LayerSettings, Given], Op]] = {
    "shake": lambda many, output, settings, given: L.Shake(many),
    "select": _select,
}
"""Joins that are modules: what makes one for so many branches of a shape."""
