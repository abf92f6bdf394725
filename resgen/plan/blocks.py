"""One row of each table -> the named layers of one Block; the table of shortcut functions.

Cost, source, drawing and proof follow from what is put together here.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from resgen.plan import layers as L
from resgen.plan.layers import Layer, Op, Shape, chain
from resgen.plan.model import PLAIN, Block, Merge, Shortcut
from resgen.plan.tables import (
    ANTIALIAS,
    ATTENTIONS,
    BLOCKS,
    NORMS,
    ORDERS,
    Mismatch,
    Order,
    Steps,
    activation_name,
    convolution,
    norm_and_activation,
)
from resgen.spec.rules import inner_widths


def block(
    values: dict[str, Any],
    shape: Shape,
    width: int,
    *,
    stride: int = 1,
    dilation: int = 1,
    first_dilation: int = 1,
    preactivated: bool = False,
    drop_path: L.DropPath | None = None,
) -> Block:
    """One block for the settings of its stage and the shape it takes in.

    Raises Mismatch where a norm's groups do not divide or the two paths do not meet.
    """
    order = ORDERS[values["order"]]
    leaves_after, steps = _main(
        values, order, shape[0], width, stride, dilation, first_dilation, preactivated
    )
    mode = values["shortcut"]
    if mode.kind == "scaled":
        steps.append(("residual_scale", L.Scale(mode.residual_scale)))
    if drop_path:
        steps.append(("drop_path", drop_path))
    main = chain(shape, *steps)
    output = main[-1].output
    shortcut = _shortcut(values, shape, width, stride)
    if shortcut.kind == "none" or not (
        order.shares == "all" or (order.shares == "projections" and shortcut.kind == "projection")
    ):
        leaves_after = 0
    if shortcut.layers and shortcut.layers[-1].output != output:
        raise Mismatch(
            f"the main path puts out {output[1]}x{output[2]}, the shortcut "
            f"{shortcut.layers[-1].output[1]}x{shortcut.layers[-1].output[2]}"
        )
    gate = None
    if mode.kind == "gated":
        gate = Layer("gate", L.Gate(width, mode.gate_bias), output, output)
    last = len(BLOCKS[values["block"]])
    after = norm_and_activation(
        order.after, values, width, (f"bn{last}", activation_name(values)), inplace=True
    )
    return Block(
        _kind(values),
        shape,
        output,
        main,
        shortcut,
        Merge(gate),
        chain(output, *after),
        leaves_after,
        f"bn{last}" if values["zero_init"] == "last" and shortcut.kind != "none" else "",
    )


def _kind(values: dict[str, Any]) -> str:
    pre = "preact_" if ORDERS[values["order"]].before else ""
    return pre + str(values["block"])


def _main(
    values: dict[str, Any],
    order: Order,
    in_width: int,
    width: int,
    stride: int,
    dilation: int,
    first_dilation: int,
    preactivated: bool,
) -> tuple[int, Steps]:
    """(layers before the first convolution, the main path's steps)."""
    inner = inner_widths(values, width)
    groups = inner.groups
    widths = {"in": in_width, "first": inner.first, "mid": inner.mid, "out": width}
    units = BLOCKS[values["block"]]
    steps: Steps = []
    before_first = 0
    act = activation_name(values)
    antialias = ANTIALIAS.get(values["antialias"]) if stride > 1 else None
    for number, unit in enumerate(units, start=1):
        into, out = widths[unit.into], widths[unit.out]
        names = (f"bn{number}", act)
        if number > 1 or not preactivated:
            steps += norm_and_activation(order.before, values, into, names, inplace=number > 1)
        if number == 1:
            before_first = len(steps)
        strides = values["stride_at"] in unit.strides_at
        conv = convolution(
            values,
            into,
            out,
            unit.kernel,
            stride if strides and not antialias else 1,
            1 if unit.kernel == 1 else first_dilation if strides else dilation,
            1 if unit.kernel == 1 else groups,
        )
        if into % (1 if unit.kernel == 1 else groups):
            raise Mismatch(f"{into} input channels are not divisible by the {groups} groups")
        steps.append((f"conv{number}", conv))
        letters = order.last if number == len(units) else order.between
        steps += norm_and_activation(letters, values, out, names, inplace=True)
        if antialias and strides:
            steps.append(("aa", antialias(out, stride)))
        attention = ATTENTIONS.get(values["attention"].kind)
        at_3x3 = (
            values["attention"].position == "3x3"
            and unit.kernel == 3
            and not (any(later.kernel == 3 for later in units[number:]))
        )
        at_end = values["attention"].position == "end" and number == len(units)
        if attention and (at_3x3 or at_end):
            # Every kind has this name, as in published weights.
            steps.append(("se", attention(values, out, in_width)))
    return before_first, steps


def _projection(values: dict[str, Any], into: int, out: int, stride: int) -> list[Op]:
    kind = values["projection"]
    pooled = kind == "avgpool-conv" and stride > 1
    ops: list[Op] = []
    if kind == "avgpool-conv":
        ops.append(L.AvgPool(2, stride, 0, True, False) if pooled else L.Identity())
    kernel = 3 if kind == "conv3x3" and stride > 1 else 1
    ops.append(convolution(values, into, out, kernel, 1 if pooled else stride))
    if not ORDERS[values["order"]].before.startswith("n") and values["norm"].kind != "none":
        ops.append(NORMS[values["norm"].kind](values["norm"], out))
    return ops


def _shortcut(values: dict[str, Any], shape: Shape, width: int, stride: int) -> Shortcut:
    """The shortcut of one block: what its mode says for a shape that is kept or changed."""
    mode, changes = values["shortcut"], stride != 1 or shape[0] != width
    if mode.kind == "none" or (mode.kind == "identity-same" and changes):
        return PLAIN
    if mode.kind == "projection-all" or (mode.kind == "projection" and changes):
        ops = _projection(values, shape[0], width, stride)
        return Shortcut("projection", _numbered("downsample", shape, ops))
    ops = []
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
    return Shortcut(kind, _numbered("downsample", shape, ops))


SHORTCUT_FUNCTIONS: dict[str, Callable[[Any, int], Op]] = {
    "scaled": lambda mode, width: L.Scale(mode.scale),
    "gated-shortcut": lambda mode, width: L.ShortcutGate(width, mode.gate_bias),
    "dropout": lambda mode, width: L.Dropout(mode.rate),
}


def _numbered(name: str, shape: Shape, ops: Sequence[Op]) -> tuple[Layer, ...]:
    """One parameter-free layer keeps the name; several, or a projection's, are numbered."""
    if len(ops) == 1 and not isinstance(ops[0], L.Conv):
        return chain(shape, (name, ops[0]))
    return chain(shape, *((f"{name}.{i}", op) for i, op in enumerate(ops)))
