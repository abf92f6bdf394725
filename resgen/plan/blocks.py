"""One row of each table -> the named layers of one Block; the table of shortcut functions.

Cost, source, drawing and proof follow from what is put together here. What settings say is
read once into `Steps`; each block then gives the steps its own numbers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from resgen.plan import layers as L
from resgen.plan.layers import Layer, Mismatch, Op, Shape, chain
from resgen.plan.model import PLAIN, Block, Merge, Shortcut
from resgen.plan.tables import (
    ANTIALIAS,
    ATTENTIONS,
    BLOCKS,
    CONVOLUTIONS,
    NORMS,
    ORDERS,
    Unit,
    activation,
    activation_name,
    convolution,
)
from resgen.spec.parts import ShortcutMode
from resgen.spec.settings import BlockSettings, Inner


class Numbers(NamedTuple):
    """What differs between the blocks of one structure: widths, groups, stride, dilations.

    first_dilation: of the convolution that strides, where strides became dilations.
    """

    enters: int
    inner: Inner
    width: int
    stride: int = 1
    dilation: int = 1
    first_dilation: int = 1


Step = tuple[str, Callable[[int, Numbers], Op]]
"""A layer's name, and the layer for the channels that reach it and the block's numbers."""


class Structure:
    """The steps of every block made by the same settings."""

    def __init__(self, settings: BlockSettings, drop_path: L.DropPath | None) -> None:
        self.settings = settings
        self.order = ORDERS[settings.order]
        self.kind = ("preact_" if self.order.before else "") + settings.block
        last_norm = f"bn{len(BLOCKS[settings.block])}"
        self.zero_init = last_norm if settings.zero_init == "last" else ""
        ends: list[Step] = []
        if settings.shortcut.kind == "scaled":
            ends.append(_always("residual_scale", L.Scale(settings.shortcut.residual_scale)))
        if drop_path:
            ends.append(_always("drop_path", drop_path))
        self.main = (*_main(settings, strided=False), *ends)
        # Only what blurs or pools in place of a stride is not the same layers at every stride.
        pools = settings.antialias != "none"
        self.strided = (*_main(settings, strided=True), *ends) if pools else self.main
        self.projections = [
            tuple(
                (f"downsample.{number}", make)
                for number, make in enumerate(_projection(settings, strided=strided))
            )
            for strided in (False, True)
        ]
        names = (last_norm, activation_name(settings))
        self.after = tuple(_around(self.order.after, settings, names, inplace=True))
        before = self.order.before
        self.before = len(before) - (before.count("n") if settings.norm.kind == "none" else 0)

    def block(self, shape: Shape, numbers: Numbers, *, preactivated: bool = False) -> Block:
        """One block for the shape it takes in.

        Raises Mismatch where a norm's groups do not divide or the two paths do not meet.
        """
        steps = self.strided if numbers.stride > 1 else self.main
        main = run(steps[self.before :] if preactivated else steps, shape, numbers)
        output = main[-1].output
        shortcut = self._shortcut(shape, numbers)
        if shortcut.layers and (joins := shortcut.layers[-1].output) != output:
            raise Mismatch(
                f"the main path puts out {output[1]}x{output[2]}, the shortcut "
                f"{joins[1]}x{joins[2]}"
            )
        after = run(self.after, output, numbers)
        if shortcut.kind == "none":
            return Block(self.kind, shape, output, main, shortcut, JOINED, after)
        mode, merge = self.settings.shortcut, JOINED
        if mode.kind == "gated":
            merge = Merge(Layer("gate", L.Gate(output[0], mode.gate_bias), output, output))
        shared = self.order.shares in ("all", f"{shortcut.kind}s") and not preactivated
        return Block(
            self.kind, shape, output, main, shortcut, merge, after,
            self.before if shared else 0, self.zero_init,
        )  # fmt: skip

    def _shortcut(self, shape: Shape, numbers: Numbers) -> Shortcut:
        """The shortcut of one block: what its mode says for a shape that is kept or changed."""
        width, stride, mode = numbers.width, numbers.stride, self.settings.shortcut
        changes = stride != 1 or shape[0] != width
        if mode.kind == "none" or (mode.kind == "identity-same" and changes):
            return PLAIN
        if mode.kind == "projection-all" or (mode.kind == "projection" and changes):
            return Shortcut("projection", run(self.projections[stride > 1], shape, numbers))
        ops: list[Op] = []
        if changes:
            if shape[0] > width:
                raise Mismatch(
                    f"an identity shortcut cannot narrow {shape[0]} channels to {width}; "
                    "use shortcut: projection"
                )
            ops.append(L.PaddedIdentity(shape[0], width, stride))
        kind = "identity-padded" if changes else "identity"
        if mode.kind in SHORTCUT_FUNCTIONS:
            ops.append(SHORTCUT_FUNCTIONS[mode.kind](mode, width))
            return Shortcut(kind, _numbered("shortcut", shape, ops))
        return Shortcut(kind, _numbered("downsample", shape, ops)) if ops else IDENTITY


JOINED = Merge()
IDENTITY = Shortcut("identity")


def run(steps: Sequence[Step], shape: Shape, numbers: Numbers) -> tuple[Layer, ...]:
    """The steps as layers, each with its shapes."""
    layers = []
    for name, make in steps:
        op = make(shape[0], numbers)
        out = op.out(shape)
        layers.append(_layer(Layer, (name, op, shape, out)))
        shape = out
    return tuple(layers)


# Layer(...) less a Python call; this line is run for every layer there is.
_layer = tuple.__new__


def _always(name: str, op: Op) -> Step:
    return (name, lambda into, numbers: op)


def _main(settings: BlockSettings, *, strided: bool) -> Iterator[Step]:
    """The steps of the main path: convolutions, and what the order puts around them."""
    order, act, attention = ORDERS[settings.order], activation_name(settings), settings.attention
    attend = ATTENTIONS.get(attention.kind)
    antialias = ANTIALIAS.get(settings.antialias) if strided else None
    units = BLOCKS[settings.block]
    last_3x3 = max(number for number, unit in enumerate(units, 1) if unit.kernel == 3)
    attended = len(units) if attention.position == "end" else last_3x3
    for number, unit in enumerate(units, start=1):
        names = (f"bn{number}", act)
        strides = settings.stride_at in unit.strides_at
        yield from _around(order.before, settings, names, inplace=number > 1)
        yield (f"conv{number}", _convolution(settings, unit, strides and not antialias, strides))
        letters = order.last if number == len(units) else order.between
        yield from _around(letters, settings, names, inplace=True)
        if antialias and strides:
            yield ("aa", lambda into, numbers, pool=antialias: pool(into, numbers.stride))  # type: ignore[misc]
        if attend and number == attended:
            # Every kind has this name, as in published weights.
            yield ("se", lambda into, numbers: attend(settings, into, numbers.enters))


def _around(
    letters: str, settings: BlockSettings, names: tuple[str, str], *, inplace: bool
) -> Iterator[Step]:
    """The steps of a string over n (norm) and a (activation)."""
    norm, first = settings.norm, True
    for letter in letters:
        if letter == "a":
            # An activation right behind x, which the shortcut reads too, keeps x whole.
            yield _always(names[1], activation(settings, inplace=inplace or not first))
            first = False
        elif norm.kind != "none":
            make = NORMS[norm.kind]
            yield (names[0], lambda into, numbers, make=make: make(norm, into))  # type: ignore[misc]
            first = False


def _convolution(
    settings: BlockSettings, unit: Unit, strided: bool, undilated: bool
) -> Callable[[int, Numbers], Op]:
    """A convolution that keeps the size at stride 1; biased where no norm follows any."""
    kind, bias, kernel = (
        CONVOLUTIONS[settings.convolution],
        settings.norm.kind == "none",
        unit.kernel,
    )
    out = unit.out

    def make(into: int, numbers: Numbers) -> Op:
        _, inner, width, stride, dilation, first_dilation = numbers
        width = width if out == "out" else inner.mid if out == "mid" else inner.first
        stride = stride if strided else 1
        if kernel == 1:
            return kind(into, width, 1, stride, 0, 1, 1, bias)
        if into % inner.groups:
            raise Mismatch(f"{into} input channels are not divisible by the {inner.groups} groups")
        if undilated:
            dilation = first_dilation
        padding = dilation * (kernel - 1) // 2
        return kind(into, width, kernel, stride, padding, dilation, inner.groups, bias)

    return make


def _projection(
    settings: BlockSettings, *, strided: bool
) -> Iterator[Callable[[int, Numbers], Op]]:
    """The layers of a projection: a 1x1 convolution or what stands for it, and its norm."""
    kind, norm = settings.projection, settings.norm
    pooled = kind == "avgpool-conv" and strided
    if pooled:
        yield lambda into, numbers: L.AvgPool(2, numbers.stride, 0, True, False)
    elif kind == "avgpool-conv":
        yield lambda into, numbers: L.Identity()
    kernel = 3 if kind == "conv3x3" and strided else 1
    yield lambda into, numbers: convolution(
        settings, into, numbers.width, kernel, 1 if pooled else numbers.stride
    )
    if not ORDERS[settings.order].before.startswith("n") and norm.kind != "none":
        yield lambda into, numbers: NORMS[norm.kind](norm, into)


SHORTCUT_FUNCTIONS: dict[str, Callable[[ShortcutMode, int], Op]] = {
    "scaled": lambda mode, width: L.Scale(mode.scale),
    "gated-shortcut": lambda mode, width: L.ShortcutGate(width, mode.gate_bias),
    "dropout": lambda mode, width: L.Dropout(mode.rate),
}


def _numbered(name: str, shape: Shape, ops: Sequence[Op]) -> tuple[Layer, ...]:
    """One layer keeps the name, several are numbered."""
    if len(ops) == 1:
        return chain(shape, (name, ops[0]))
    return chain(shape, *((f"{name}.{i}", op) for i, op in enumerate(ops)))
