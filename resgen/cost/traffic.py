"""The closed form of what a forward pass moves: operations and bytes, operation by operation.

    bytes = b (n (inputs + outputs) + weights)     n images, b bytes an element

Each operation reads all it takes in from memory and writes all it puts out, in the precision at
hand, and a batch reads the weights once. `weights` are parameters and the buffers that a layer
computes with: running means and variances, fixed filters. An activation in place still reads and
writes. Views (flatten, slices) and what evaluation leaves out (dropout) move nothing. So it is
when every layer is a call of its own; caches and compilers that fuse layers move less.

    operations = 2 MACs + biases, of a convolution or a linear layer; else as in the books

A training step of a convolution or a linear layer is three such passes, each of as many
operations and bytes, so that their quotient is the same in training.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from resgen.cost.buffers import buffers
from resgen.plan import Block, Layer, Op, Plan, elements
from resgen.plan import layers as L

WIDTHS = {"fp32": 4, "bf16": 2, "fp16": 2}
"""Bytes of an element."""


class Traffic(NamedTuple):
    """What one operation computes and moves, `times` over.

    operations, inputs, outputs: for one image; the last two in elements, as are weights.
    """

    operations: int = 0
    inputs: int = 0
    outputs: int = 0
    weights: int = 0
    times: int = 1

    def bytes(self, batch: int, width: int) -> int:
        """Moved for a batch, by all times together."""
        return width * self.times * (batch * (self.inputs + self.outputs) + self.weights)

    def computed(self, batch: int) -> int:
        """Operations for a batch, of all times together."""
        return self.times * batch * self.operations


def traffic(layers: tuple[Layer, ...]) -> tuple[Traffic, ...]:
    """Of layers in a row: an entry an operation, those inside of layers included."""
    return tuple(_moved(layers))


def traffic_of_block(block: Block) -> tuple[Traffic, ...]:
    """Of one block: main path, shortcut, and where they join."""
    return (*traffic(block.layers), *traffic_of_join(block))


def traffic_of_join(block: Block) -> tuple[Traffic, ...]:
    """Of the addition where a block's shortcut joins, and of its gate's products."""
    if block.shortcut.kind == "none":
        return ()
    joins: list[Op] = [L.Add(2), *([L.GatedAdd(2)] if block.merge.gate else [])]
    return traffic(tuple(Layer("", op, block.joined, block.joined) for op in joins))


def traffic_of_network(plan: Plan) -> tuple[Traffic, ...]:
    """Of a whole network; a run of equal blocks is there once, with its `times`."""
    made = [*traffic(plan.stem)]
    for stage in plan.stages:
        for run in stage.runs:
            made += [
                each._replace(times=run.count * each.times) for each in traffic_of_block(run.block)
            ]
    return (*made, *traffic(plan.head))


def _moved(layers: tuple[Layer, ...]) -> Iterator[Traffic]:
    before: Layer | None = None
    for layer in layers:
        op = layer.op
        if isinstance(op, L.Branches):
            yield from _branches(op)
        elif op.line == "parts":
            yield from _moved(op.parts(layer.input))
        elif isinstance(op, L.Multiply):
            # The factor that the layers before it made: a number a channel, a pixel, an element.
            assert before is not None
            yield _product(elements(layer.input), elements(before.output), elements(layer.output))
        elif not isinstance(op, _STILL):
            yield _of_layer(layer)
        before = layer


_STILL = (L.Flatten, L.Identity, L.Dropout, L.DropPath)
"""Views, and what is there in training only."""


def _of_layer(layer: Layer) -> Traffic:
    op, output = layer.op, elements(layer.output)
    inputs, outputs = elements(layer.input), output
    params = op.params()
    weights = sum(map(elements, params.values())) + buffers(op)
    amount = op.amount(layer.input, layer.output)
    if op.line in ("conv", "linear"):
        amount = 2 * amount + (output if "bias" in params else 0)
    for kind, moved in _OTHERWISE.items():
        if isinstance(op, kind):
            inputs, outputs, weights = moved(op, output)
    return Traffic(amount, inputs, outputs, weights)


# (inputs, outputs, weights) of what takes in other than one tensor, by its elements put out.
_OTHERWISE: dict[type, Callable[[Any, int], tuple[int, int, int]]] = {
    # An addition at a time: a + b, then the sum + c.
    L.Sum: lambda op, e: (2 * (op.of - 1) * e, (op.of - 1) * e, 0),
    L.Add: lambda op, e: (2 * (op.of - 1) * e, (op.of - 1) * e, 0),
    # g F, 1 - g, and (1 - g) S: the addition itself is one of the others.
    L.GatedAdd: lambda op, e: (5 * e, 3 * e, 0),
    # The sum of the branches, of which the weights are made, and then their weighted sum.
    L.BranchSoftmax: lambda op, e: (2 * op.branches * e, 2 * e, 0),
    L.Shake: lambda op, e: (op.branches * e, e, 0),
    L.MatrixProduct: lambda op, e: (op.inner * (op.rows + op.columns), e, 0),
    # Their addition to the tokens is a sum of its own.
    L.Positions: lambda op, e: (0, 0, op.tokens * op.channels),
    L.WeightNorm: lambda op, e: (0, 0, 2 * elements(op.weight)),
    L.Gain: lambda op, e: (0, 0, op.channels),
}


def _product(one: int, other: int, output: int) -> Traffic:
    return Traffic(output, one + other, output)


def _branches(op: L.Branches) -> Iterator[Traffic]:
    for number, path in enumerate(op.paths):
        if number and path and op.carry == "sum":
            enters = op.inputs[number]
            yield from _moved((Layer("", L.Sum(2), enters, enters),))
        yield from _moved(path)
    if op.joiner:
        yield from _moved((op.joiner,))
    yield from traffic_of_branches(op)


def traffic_of_branches(op: L.Branches) -> tuple[Traffic, ...]:
    """Of where branches join, unless a module joins them."""
    sizes = [elements(shape) for shape in op.outputs]
    output = elements(op.output)
    if op.joiner or len(sizes) < 2:
        return ()
    if op.join == "concat":
        return (Traffic(0, sum(sizes), output),)
    if op.join == "sum":
        return traffic((Layer("", L.Sum(len(sizes)), op.output, op.output),))
    first, *others = sizes
    return tuple(
        _product(output if number else first, size, output) for number, size in enumerate(others)
    )
