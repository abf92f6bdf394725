"""Other people's numbers for the same network, to the integer, from the same Plan.

torchvision   conv + linear                    the `_ops` of its weights, in billions
fvcore        conv + linear + norms + pools    what FlopCountAnalysis(...).total() says
pycls         conv + linear + biases           the `flops` of its model zoo
paper         conv + linear                    the "FLOPs" of He et al. 2015, table 1
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from resgen.plan import Block, Layer, Plan, elements
from resgen.plan.layers import (
    Branches,
    Conv,
    GlobalAvgPool,
    Linear,
    MatrixProduct,
    MaxPool,
    Part,
    RectConv,
    Residual,
    chain,
)
from resgen.words import short

_FVCORE = ("conv", "linear", "norm")


class Convention(NamedTuple):
    """How somebody counts: `says` in one line, and the MACs of one layer."""

    name: str
    says: str
    macs: Callable[[Layer], int]
    note: Callable[[Plan], str] = lambda plan: ""


def conv_and_linear(layer: Layer) -> int:
    """Multiply-adds of convolutions and linear layers, biases not counted."""
    parts = layer.op.parts(layer.input)
    if parts:
        return sum(map(conv_and_linear, parts))
    if layer.op.line not in ("conv", "linear"):
        return 0
    return layer.op.amount(layer.input, layer.output)


def fvcore(layer: Layer) -> int:
    """Adds to it the norms, and 1 an element that adaptive pooling takes in."""
    op = layer.op
    if isinstance(op, GlobalAvgPool):
        return elements(layer.input)
    parts = op.parts(layer.input)
    if isinstance(op, Branches | Residual | Part):
        return sum(map(fvcore, parts))
    # The pooling inside an attention is a mean(), for which it has no rule.
    if parts:
        return sum(fvcore(part) for part in parts if not isinstance(part.op, GlobalAvgPool))
    return op.amount(layer.input, layer.output) if op.line in _FVCORE else 0


def pycls(layer: Layer) -> int:
    """Adds to it one for every bias added."""
    parts = layer.op.parts(layer.input)
    if parts:
        return sum(map(pycls, parts))
    biased = isinstance(layer.op, Conv | Linear) and layer.op.bias
    return conv_and_linear(layer) + (elements(layer.output) if biased else 0)


def pycls_activations(plan: Plan) -> int:
    """Elements put out by convolutions, the max pool and the linear layer."""
    return sum(_put_out(layer) for _, layer in plan.named_layers())


def _put_out(layer: Layer) -> int:
    if layer.op.parts(layer.input) or isinstance(layer.op, MatrixProduct):
        return 0
    counted = layer.op.line in ("conv", "linear") or isinstance(layer.op, MaxPool)
    return elements(layer.output) if counted else 0


def _strided_first(plan: Plan) -> str:
    """The count with the stride in each bottleneck's first 1x1, where this network has it later."""
    total, moved = 0, False
    for _, block in plan.named_blocks():
        ours = sum(map(conv_and_linear, block.layers))
        theirs = _stride_first(block)
        total += ours if theirs is None else theirs
        moved = moved or theirs is not None
    if not moved:
        return ""
    total += sum(map(conv_and_linear, plan.stem + plan.head))
    return (
        "the paper's bottlenecks stride in their first 1x1 (stride_at: 1x1): so built, this "
        f"network has {total:,} ({short(total)})"
    )


def _stride_first(block: Block) -> int | None:
    if any(isinstance(layer.op, Branches | Residual | Part | RectConv) for layer in block.main):
        return None
    convs = [layer.op for layer in block.main if isinstance(layer.op, Conv)]
    strided = [op for op in convs if op.stride > 1]
    if len(strided) != 1 or strided[0] is convs[0] or convs[0].kernel_size > 1:
        return None
    stride, steps = strided[0].stride, []
    for layer in block.main:
        op = layer.op
        if isinstance(op, Conv):
            op = op._replace(stride=stride if op is convs[0] else 1)
        steps.append((layer.name, op))
    main = chain(block.input, *steps)
    return sum(map(conv_and_linear, main + block.after + block.shortcut_layers))


CONVENTIONS = {
    rule.name: rule
    for rule in (
        Convention(
            "torchvision",
            "torchvision's `_ops`: convolutions and linear layers without biases; its "
            '"GFLOPS" are these MACs in billions',
            conv_and_linear,
        ),
        Convention(
            "fvcore",
            "fvcore's total: convolutions and linear layers without biases, 2 an element of "
            "batch norm, 5 of group norm, 1 an element that adaptive pooling takes in; its "
            '"flops" are these MACs, additions are not counted',
            fvcore,
        ),
        Convention(
            "pycls",
            'pycls\' "flops": multiply-adds of convolutions and linear layers, and one for '
            "every bias added",
            pycls,
            lambda plan: (
                f'pycls\' "acts" are {pycls_activations(plan):,}: elements put out by '
                "convolutions, the max pool and the linear layer"
            ),
        ),
        Convention(
            "paper",
            'the "FLOPs" of He et al. 2015: multiply-adds of convolutions and linear layers, '
            "truncated there to two digits",
            conv_and_linear,
            _strided_first,
        ),
    )
}
