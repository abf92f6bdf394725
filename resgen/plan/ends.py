"""What stands outside of the stages: stem and head, by their words or as paths."""

from __future__ import annotations

from resgen.plan.layers import Layer, Shape
from resgen.plan.model import Stage
from resgen.plan.numbers import Mismatch, Numbers, run
from resgen.plan.orders import fill_of, filled, letters
from resgen.plan.paths import Reader, parameters, spliced
from resgen.plan.space import Space
from resgen.plan.tables import ORDERS, Order
from resgen.spec import Spec
from resgen.spec.builtin import shipped
from resgen.spec.definitions import Use
from resgen.spec.grammar import Row, Rows
from resgen.spec.parts import Head, Stem
from resgen.spec.values import Path_

_POOLED = ("conv7x7-pool", "deep", "deep-tiered")
"""The stems that pool where they do not say."""


def stem(spec: Spec, image: Shape) -> tuple[Layer, ...]:
    """The stem's layers; Mismatch where they do not go together or the image is too small."""
    if isinstance(spec.stem, Use):
        return _own(spec, spec.stem, image, Space(spec.outside), "stem")
    settings = spec.outside
    rows = _stem_rows(spec.stem, spec)
    steps = Reader(settings, spec.library).steps(rows, Space(settings))
    numbers = Numbers(image[0], out=spec.stem.width)
    try:
        made = run(steps, image, numbers)
    except Mismatch as error:
        kind, width = spec.stem.kind, spec.stem.width
        if "no whole number" in str(error):
            least = 8 if kind == "deep-tiered" else 2
            raise Mismatch(
                f"a {kind} stem needs a width divisible by {least} (got {width})"
            ) from None
        raise
    for layer in made:
        strides = int(getattr(layer.op, "stride", 1))
        if min(layer.input[1:]) < strides:
            raise Mismatch(
                f"the stem would shrink the image below 1x1: {layer.name} strides by {strides} "
                f"over {layer.input[1]}x{layer.input[2]}; give the network a larger input or "
                "another stem"
            )
    return made


def _stem_rows(stem: Stem, spec: Spec) -> Rows:
    """The convolutions, each with norm and activation, and the pool."""
    order, antialias = ORDERS[spec.outside.order] if spec.outside.order != "none" else Order(), ""
    block = bool(order.before) and stem.first_activation == "block"
    between = Order(between="na", last="" if block else "na")
    pool = stem.pool or ("max" if stem.kind in _POOLED else "none")
    if spec.outside.antialias != "none" and pool in ("max", "conv"):
        antialias = f" {spec.outside.antialias}"
    pooled = shipped(f"pool {pool}{antialias}")
    if pool == "conv":
        pooled += letters("na", "maxpool")
    return filled(shipped(stem.kind), between) + pooled


def head(spec: Spec, stages: tuple[Stage, ...], names: set[str]) -> tuple[Layer, ...]:
    """The head's layers; `names`: those that the network has given already."""
    shape = stages[-1].output
    settings = spec.settings(-1, -1)
    if isinstance(spec.head, Use):
        space = Space(settings, "head_", names)
        return _own(spec, spec.head, shape, space, "head")
    given = spec.head
    final = fill_of(settings.order).final
    if settings.order == "linear" and given.width:
        final = ""  # the head's convolution takes the linear output as it is
    rows = [row._replace(options=(("name", f"final_{_module(row, settings.activation)}"),))
            for row in letters(final)]  # fmt: skip
    rows += _head_rows(given, settings.activation)
    steps = Reader(settings, spec.library).steps(tuple(rows), Space(settings), fresh=True)
    return run(steps, shape, Numbers(shape[0], classes=spec.classes))


def _module(row: Row, activation: str) -> str:
    return "bn" if row.word == "norm" else "relu" if activation == "relu" else "act"


def _head_rows(given: Head, activation: str) -> list[Row]:
    rows: list[Row] = []
    if given.width:
        rows.append(spliced(shipped("head conv"), {"to": given.width}, "head_conv"))
        rows += [row._replace(options=(("name", f"head_{_module(row, activation)}"),))
                 for row in letters("na")]  # fmt: skip
    rows += shipped("head pool")
    if given.dropout:
        rows.append(spliced(shipped("head dropout"), {"rate": given.dropout}, "dropout"))
    return [*rows, *shipped("head classes")]


def _own(spec: Spec, use: Use, shape: Shape, space: Space, key: str) -> tuple[Layer, ...]:
    """A path of the spec's own."""
    base: Path_ = (key,)
    rows = use.rows
    numbers = Numbers(shape[0], classes=spec.classes, made=[0])
    if rows is None:
        definition = spec.library[use.name]
        base, rows = definition.place, definition.rows
        values = {**dict(definition.parameters), **dict(use.parameters)}
        numbers = numbers._replace(parameters=parameters(values, (key,))(shape, numbers))
    steps = Reader(space.settings, spec.library).steps(rows, space, base)
    return run(steps, shape, numbers)
