"""The closed form: what a network costs, from its Plan alone, in exact integers.

    MACs   one multiply-add of a convolution or a linear layer, biases not counted; products
           of two matrices that both come from the image count as linear
    FLOPs  = 2 MACs

Everything else a forward pass does is counted too, each kind in its own line and in
single operations: norm (a scale and a shift an element), activation, pool, bias,
elementwise products, and the residual additions. Nothing is a silent zero. All
figures are for one image.
"""

from __future__ import annotations

from math import prod
from typing import NamedTuple

from resgen.plan import Block, Layer, Plan, Stage, elements
from resgen.plan.layers import residuals

COUNTING = (
    "1 MAC = one multiply-add; FLOPs = 2 x MACs; convolutions and linear layers without "
    "biases; one image"
)


class Cost(NamedTuple):
    """The books of a layer, a block or a network.

    params: trainable parameters. conv, linear: MACs. activations: elements put out by
    convolutions. residual_adds, norm, activation, pool, bias, elementwise: operations.

    Examples:
        >>> from resgen import cost
        >>> books = cost("resnet50")
        >>> books
        <Cost: 25,557,032 params, 4,089,184,256 MACs>
        >>> books.flops == 2 * books.macs, books.residual_adds
        (True, 5519360)
    """

    params: int = 0
    conv: int = 0
    linear: int = 0
    activations: int = 0
    residual_adds: int = 0
    norm: int = 0
    activation: int = 0
    pool: int = 0
    bias: int = 0
    elementwise: int = 0

    def __repr__(self) -> str:
        return f"<Cost: {self.params:,} params, {self.macs:,} MACs>"

    @property
    def macs(self) -> int:
        """Multiply-adds of convolutions and linear layers."""
        return self.conv + self.linear

    @property
    def flops(self) -> int:
        """2 MACs."""
        return 2 * self.macs

    def plus(self, other: Cost, times: int = 1) -> Cost:
        """self + times x other, line by line."""
        return Cost(*[mine + times * theirs for mine, theirs in zip(self, other, strict=True)])


def cost_of_layers(layers: tuple[Layer, ...]) -> Cost:
    """The books of layers in a row, the layers inside them included."""
    books = [0] * len(Cost._fields)
    _enter(books, layers)
    return Cost(*books)


def cost_of_block(block: Block) -> Cost:
    """The books of one block: main path, shortcut and the addition that joins them."""
    books = [0] * len(Cost._fields)
    _enter_block(books, block)
    return Cost(*books)


def cost_of_stage(stage: Stage) -> Cost:
    """The books of one stage; a repeated block is costed once."""
    books = [0] * len(Cost._fields)
    for run in stage.runs:
        _enter_block(books, run.block, run.count)
    return Cost(*books)


def cost(plan: Plan) -> Cost:
    """The books of a whole network, for one image."""
    books = [0] * len(Cost._fields)
    _enter(books, plan.stem)
    _enter(books, plan.head)
    for stage in plan.stages:
        for run in stage.runs:
            _enter_block(books, run.block, run.count)
    return Cost(*books)


_MOST_KEPT = 1024
_kept: dict[int, tuple[Block, list[int]]] = {}
"""The books of blocks that keep their shape, which many networks share as one object."""


def _enter_block(books: list[int], block: Block, times: int = 1) -> None:
    if block.input != block.output:
        _enter_own(books, block, times)
        return
    found = _kept.get(id(block))
    if found is None or found[0] is not block:
        found = (block, [0] * len(books))
        _enter_own(found[1], block, 1)
        if len(_kept) >= _MOST_KEPT:
            _kept.clear()
        _kept[id(block)] = found
    for index, amount in enumerate(found[1]):
        books[index] += times * amount


def _enter_own(books: list[int], block: Block, times: int) -> None:
    # y = g F + (1 - g) S: two products and a complement an element.
    gated = 3 * elements(block.output) if block.merge.gate else 0
    _enter(books, block.layers, times, block.residual_adds, gated)


def _enter(
    books: list[int],
    layers: tuple[Layer, ...],
    times: int = 1,
    residual_adds: int = 0,
    elementwise: int = 0,
) -> None:
    """Adds layers in a row, and the layers inside them, to the lines of a Cost."""
    params = conv = linear = activations = norm = activation = pool = bias = 0
    for _, op, shape, out in layers:
        line = op.line
        if line == "free":
            continue
        if line == "parts":
            _enter(books, op.parts(shape), times)
            continue
        amount = op.amount(shape, out)
        if line == "norm":
            norm += amount
        elif line == "conv":
            conv += amount
            activations += prod(out)
        elif line == "activation":
            activation += amount
        elif line == "pool":
            pool += amount
        elif line == "linear":
            linear += amount
        elif line == "residual":
            residual_adds += amount
        else:
            assert line == "elementwise", line
            elementwise += amount
        if line == "pool" or line == "residual":
            continue  # without weights
        weights = op.params()
        for weight in weights.values():
            params += prod(weight)
        # The bias of a norm is part of its scale and shift.
        if line != "norm" and "bias" in weights:
            bias += prod(out)
    found = (
        params, conv, linear, activations, residual_adds, norm, activation, pool, bias, elementwise
    )  # fmt: skip
    for index, amount in enumerate(found):
        books[index] += times * amount


class ShortcutCosts(NamedTuple):
    """How many shortcuts there are of each kind, how many blocks without, and what they add."""

    identity: int
    identity_padded: int
    projection: int
    none: int
    params: int
    macs: int


def shortcut_costs(plan: Plan) -> ShortcutCosts:
    """The shortcuts of a network. `identity` counts the padded ones too."""
    counts = {"none": 0, "identity": 0, "identity-padded": 0, "projection": 0}
    added = Cost()
    for stage in plan.stages:
        for run in stage.runs:
            units = list(run.block.units)
            for unit in units:
                counts[unit.shortcut.kind] += run.count
                added = added.plus(cost_of_layers(unit.added), run.count)
            if not units and run in stage.blocks:
                counts["none"] += run.count
    for unit in residuals(plan.stem + plan.head):
        counts[unit.shortcut.kind] += 1
        added = added.plus(cost_of_layers(unit.added))
    return ShortcutCosts(
        counts["identity"] + counts["identity-padded"],
        counts["identity-padded"],
        counts["projection"],
        counts["none"],
        added.params,
        added.macs,
    )
