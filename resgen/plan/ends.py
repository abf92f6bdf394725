"""What stands outside of the stages: stem and head, by their words or as paths."""

from __future__ import annotations

from resgen.plan.layers import Layer, Mismatch, Shape, leaves
from resgen.plan.model import Stage
from resgen.plan.numbers import Numbers, Step, run
from resgen.plan.orders import fill_of, filled, letters
from resgen.plan.paths import Reader, given_to, spliced
from resgen.plan.space import Space, called
from resgen.plan.tables import Order
from resgen.spec import Spec
from resgen.spec.builtin import shipped
from resgen.spec.definitions import WORDS, Use
from resgen.spec.grammar import Row, Rows
from resgen.spec.parts import Head, Stem
from resgen.spec.settings import LayerSettings
from resgen.spec.values import Path_

_SHARES = {
    "deep": ("width / 2", "divisible by 2"),
    "deep-tiered": ("3 * width / 8 and width / 2", "divisible by 8"),
}
"""What a stem's first convolutions put out, and when that is whole."""


def stem(spec: Spec, image: Shape) -> tuple[Layer, ...]:
    """The stem's layers; Mismatch where they do not go together or the image is too small."""
    given, settings = spec.stem, spec.outside
    if isinstance(given, Use):
        return _own(spec, given, image, Space(settings), "stem")
    key = (given.kind, given.pool, given.first_activation)
    steps = spec.library.kept(settings, key, lambda: _stem_steps(given, settings))
    made = (*key, given.width, image)
    return spec.library.kept(settings, made, lambda: _stem(given, steps, image))


def _stem(given: Stem, steps: list[Step], image: Shape) -> tuple[Layer, ...]:
    """The layers of a shipped stem."""
    try:
        made = run(steps, image, Numbers(image[0], out=given.width))
    except Mismatch as error:
        kind, width = given.kind, given.width
        if "no whole number" in str(error):
            share, rule = _SHARES[kind]
            raise Mismatch(
                f"a {kind} stem has convolutions of {share} channels; give it a width {rule} "
                f"(got {width})"
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


def _stem_steps(stem: Stem, settings: LayerSettings) -> list[Step]:
    return Reader(settings, WORDS).steps(_stem_rows(stem, settings), Space(settings))


def _head_steps(given: Head, settings: LayerSettings) -> list[Step]:
    rows = _head_rows(given, settings)
    return Reader(settings, WORDS).steps(rows, Space(settings), fresh=True)


def _stem_rows(stem: Stem, settings: LayerSettings) -> Rows:
    """The convolutions, each with norm and activation, and the pool."""
    order, antialias = fill_of(settings.order), ""
    block = bool(order.before) and stem.first_activation == "block"
    between = Order(between="na", last="" if block else "na")
    pool = stem.halves
    if settings.antialias != "none" and pool in ("max", "conv"):
        antialias = f" {settings.antialias}"
    pooled = shipped(f"pool {pool}{antialias}")
    if pool == "conv":
        pooled += letters("na", "maxpool")
    return filled(shipped(stem.kind), between) + pooled


def head(spec: Spec, stem: tuple[Layer, ...], stages: tuple[Stage, ...]) -> tuple[Layer, ...]:
    """The head's layers, under names that stem and stages do not have."""
    shape = stages[-1].output
    settings = spec.settings(-1, -1)
    if isinstance(spec.head, Use):
        names = {layer.name.partition(".")[0] for layer in leaves(stem)}
        space = Space(settings, "head_", names | {stage.name for stage in stages})
        return _own(spec, spec.head, shape, space, "head")
    given = spec.head
    key = (given.width, given.dropout, given.final_activation)
    steps = spec.library.kept(settings, key, lambda: _head_steps(given, settings))
    numbers = Numbers(shape[0], classes=spec.classes)
    made = (*key, shape, spec.classes)
    return spec.library.kept(settings, made, lambda: run(steps, shape, numbers))


def _module(row: Row, settings: LayerSettings) -> str:
    return "bn" if row.word == "norm" else called(settings.activation)


def _head_rows(given: Head, settings: LayerSettings) -> Rows:
    """What the order leaves for the end, a convolution, the pool and the linear layer."""
    final = fill_of(settings.order).final
    linear = settings.order == "linear" and given.width
    if linear or given.final_activation == "none":
        final = ""  # a head's convolution takes a linear output as it is
    rows = [row._replace(options=(("name", f"final_{_module(row, settings)}"),))
            for row in letters(final)]  # fmt: skip
    if given.width:
        rows.append(spliced(shipped("head conv"), {"to": given.width}, "head_conv"))
        rows += [row._replace(options=(("name", f"head_{_module(row, settings)}"),))
                 for row in letters("na")]  # fmt: skip
    rows += shipped("head pool")
    if given.dropout:
        rows.append(spliced(shipped("head dropout"), {"rate": given.dropout}, "dropout"))
    return (*rows, *shipped("head classes"))


def _own(spec: Spec, use: Use, shape: Shape, space: Space, key: str) -> tuple[Layer, ...]:
    """A path of the spec's own."""
    base: Path_ = (key,)
    rows = use.rows
    numbers = Numbers(shape[0], classes=spec.classes, made=[0])
    if rows is None:
        definition = spec.library[use.name]
        base, rows = definition.place, definition.rows
        given = given_to(definition, use.parameters, (key,))
        numbers = numbers._replace(parameters=given(shape, numbers))
    reader = Reader(space.settings, spec.library)
    known = (key, use, frozenset(space.taken))
    steps = spec.library.kept(space.settings, known, lambda: reader.steps(rows, space, base))
    return run(steps, shape, numbers)
