"""What autograd keeps of a forward pass, and the most alive on the way back, in closed form.

The rules follow torch's derivative formulas, operator by operator: a convolution keeps
its input, a batch norm its input and its statistics, an in-place ReLU its result (which
is the next convolution's input: one tensor, kept once), an addition nothing. Under bf16
autocast the casts of weights and inputs are kept as well.
"""

from __future__ import annotations

from collections.abc import Callable

from resgen.cost.attended import RULES as ATTENDED
from resgen.cost.norms import RULES as NORMS
from resgen.cost.norms import fresh
from resgen.cost.tape import FULL, Held, Tape, weighted
from resgen.plan import Block, Layer, Op, Plan, Shape, elements
from resgen.plan import layers as L
from resgen.plan.layers import Branches, Residual, inside, leaves


def forward(plan: Plan, batch: int, half: bool, frozen: int = 0) -> Tape:
    """The tape of one forward pass and its cross entropy; `half` under bf16 autocast.

    Of the first `frozen` of stem and blocks nothing is kept, as no gradient goes back there.
    """
    tape = Tape(batch, half)
    x = tape.like(plan.input, FULL)
    image = x.key
    x = _chain(tape, x, plan.stem)
    done = 1
    if frozen:
        tape.forget()
    for stage in plan.stages:
        for run in stage.runs:
            block = _as_written(run.block)
            for _ in range(run.count):
                x = _block(tape, x, block)
                done += 1
                if done <= frozen:
                    tape.forget()
    head = plan.head
    while frozen >= done and not head[0].op.params():
        x, head = _chain(tape, x, head[:1]), head[1:]
        tape.forget()
    x = _chain(tape, x, head)
    scores = batch * elements(plan.head[-1].output)
    # The log-softmax, the labels, the sum of their weights.
    tape.keep(tape.tensor(scores, FULL), tape.tensor(batch, 8), tape.tensor(1, FULL))
    tape.node(0, 2 * FULL * scores)
    if image in tape.kept and half:
        del tape.kept[image]
    return tape


def _chain(tape: Tape, x: Held, layers: tuple[Layer, ...]) -> Held:
    for layer in layers:
        x = RULES[layer.op.keeps](tape, x, layer)
    return x


def _as_written(block: Block) -> Block:
    """A path calls its one activation several times: in place only if the first call is."""
    first: dict[str, Op] = {}
    for layer in leaves(block.main + block.after):
        first.setdefault(layer.name, layer.op)

    def written(layers: tuple[Layer, ...]) -> tuple[Layer, ...]:
        return tuple(layer._replace(op=first.get(layer.name, layer.op)) for layer in layers)

    return block._replace(main=written(block.main), after=written(block.after))


def _block(tape: Tape, x: Held, block: Block) -> Held:
    return _chain(tape, _unit(tape, x, block, block.joined), block.after)


def _unit(tape: Tape, x: Held, unit: Block | Residual, output: Shape) -> Held:
    """merge(main(x), shortcut(x')), of a block or of a unit inside a path."""
    shared = _chain(tape, x, unit.main[: unit.leaves_after])
    y = _chain(tape, shared, unit.main[unit.leaves_after :])
    if unit.shortcut.kind != "none":
        s = _chain(tape, shared if unit.leaves_after else x, unit.shortcut.layers)
        if unit.merge.gate:
            g = RULES[unit.merge.gate.op.keeps](tape, s, unit.merge.gate)
            rest = tape.like(output, g.item)
            tape.keep(g, y, rest, s)
        y = tape.like(output, max(y.item, s.item))
        tape.node(0, 2 * y.size)
    return y


def _standardized(tape: Tape, x: Held, layer: Layer) -> Held:
    *_, conv = layer.op.parts(layer.input)
    weight = conv.op.params()["weight"]
    vectors = 3 if isinstance(layer.op, L.ScaledConv) else 2
    tape.keep(tape.tensor(vectors * weight[0], FULL))
    if not tape.half:  # under autocast only the cast of the standardized weight is kept
        tape.keep(tape.tensor(elements(weight), FULL))
    return weighted(tape, x, conv)


def _kept_result(tape: Tape, x: Held, layer: Layer) -> Held:
    """An activation whose derivative is written in its result; in place, no new storage."""
    out = x if getattr(layer.op, "inplace", False) else tape.like(layer.output, x.item)
    tape.keep(out)
    tape.node(0, 2 * x.size)
    return out


def _kept_input(tape: Tape, x: Held, layer: Layer) -> Held:
    """An activation or a pool whose derivative is written in its input."""
    tape.keep(x)
    out = tape.like(layer.output, x.item)
    tape.node(0, x.size + out.size)
    return out


def _prelu(tape: Tape, x: Held, layer: Layer) -> Held:
    """Keeps its input and, under autocast, casts of its input and slopes."""
    x = tape.half_of(x)
    (slopes,) = map(elements, layer.op.params().values())
    tape.keep(x)
    tape.weight(slopes)
    out = tape.like(layer.output, x.item)
    tape.node(FULL * slopes, x.size + out.size)
    return out


def _either(tape: Tape, x: Held, layer: Layer) -> Held:
    inplace = getattr(layer.op, "inplace", False)
    return (_kept_result if inplace else _kept_input)(tape, x, layer)


def _max_pool(tape: Tape, x: Held, layer: Layer) -> Held:
    tape.keep(tape.like(layer.output, 8))  # the place of each maximum
    return _kept_input(tape, x, layer)


def _blur(tape: Tape, x: Held, layer: Layer) -> Held:
    tape.keep(x)  # the reflected padding keeps its input
    _, height, width = layer.input
    padded = tape.half_of(tape.like((layer.input[0], height + 2, width + 2), x.item))
    tape.keep(padded)
    tape.weight(9 * layer.input[0])
    out = tape.like(layer.output, padded.item)
    tape.node(0, padded.size + out.size)
    return out


def _same(tape: Tape, x: Held, layer: Layer) -> Held:
    return x


def _dropout(tape: Tape, x: Held, layer: Layer) -> Held:
    tape.keep(tape.like(layer.output, x.item))  # the mask
    return fresh(tape, x, layer)


def _drop_path(tape: Tape, x: Held, layer: Layer) -> Held:
    tape.keep(tape.tensor(tape.batch, x.item))
    return fresh(tape, x, layer)


def _attention(tape: Tape, x: Held, layer: Layer) -> Held:
    """x times a vector of it: keeps x and what the vector is made of."""
    *inner, _ = layer.op.parts(layer.input)
    vector = _chain(tape, x, tuple(inner))
    tape.keep(x, vector)
    out = tape.like(layer.output, max(x.item, vector.item))
    tape.node(0, x.size + out.size)
    return out


def _added(tape: Tape, x: Held, layer: Layer) -> Held:
    """x plus a vector of it: keeps what the vector is made of."""
    *inner, _ = layer.op.parts(layer.input)
    vector = _chain(tape, x, tuple(inner))
    out = tape.like(layer.output, max(x.item, vector.item))
    tape.node(0, x.size + out.size)
    return out


def _gate(tape: Tape, x: Held, layer: Layer) -> Held:
    return _chain(tape, x, layer.op.parts(layer.input))


def _part(tape: Tape, x: Held, layer: Layer) -> Held:
    return _chain(tape, x, inside(layer.op))


def _residual(tape: Tape, x: Held, layer: Layer) -> Held:
    unit = layer.op
    assert isinstance(unit, Residual)
    return _unit(tape, x, unit, layer.output)


def _branches(tape: Tape, x: Held, layer: Layer) -> Held:
    op = layer.op
    assert isinstance(op, Branches)
    ends: list[Held] = []
    for index, (path, shape) in enumerate(zip(op.paths, op.inputs, strict=True)):
        enters = x._replace(size=tape.batch * elements(shape) * x.item) if op.takes else x
        if index and op.carry == "chain":
            enters = ends[-1]
        elif index and path and op.carry == "sum":
            enters = tape.like(shape, max(enters.item, ends[-1].item))
            tape.node(0, 2 * enters.size)
        ends.append(_chain(tape, enters, path))
    item = max(end.item for end in ends)
    if op.joiner:
        stacked = tape.tensor(sum(end.size // end.item for end in ends), item)
        return _joined(tape, stacked, op.joiner)
    if len(ends) == 1:
        return ends[0]
    if op.join == "product":
        tape.keep(*ends, *(tape.like(layer.output, item) for _ in ends[2:]))
    out = tape.like(layer.output, item)
    tape.node(0, out.size + sum(end.size for end in ends))
    return out


def _joined(tape: Tape, stacked: Held, layer: Layer) -> Held:
    """A weighted sum of stacked branches: keeps them, and the weights."""
    out = tape.like(layer.output, stacked.item)
    if parts := layer.op.parts(layer.input):
        tape.keep(stacked, _chain(tape, out, parts[:-1]))
    else:  # weights that are drawn need no gradient, and so not what they weigh
        tape.keep(tape.tensor(2 * tape.batch, FULL))
    tape.node(0, out.size + stacked.size)
    return out


def _threshold(tape: Tape, x: Held, layer: Layer) -> Held:
    """Keeps its input, and the thresholds where they are cast."""
    channels = layer.input[0]
    tape.keep(x, *([] if x.item == FULL else [tape.tensor(channels, x.item)]))
    out = tape.like(layer.output, x.item)
    tape.node(FULL * channels, x.size + out.size)
    return out


def _learned_scale(tape: Tape, x: Held, layer: Layer) -> Held:
    """Keeps its input; a factor in fp32 makes a product in fp32."""
    tape.keep(x)
    out = tape.like(layer.output, FULL)
    tape.node(FULL * sum(map(elements, layer.op.params().values())), x.size + out.size)
    return out


def _shortcut_gate(tape: Tape, x: Held, layer: Layer) -> Held:
    g = _chain(tape, x, layer.op.parts(layer.input)[:1])
    rest = tape.like(layer.output, g.item)
    tape.keep(x, rest)
    out = tape.like(layer.output, max(x.item, g.item))
    tape.node(0, x.size + 2 * out.size)
    return out


# What a kind of layer says of itself in its `keeps`, and what that means.
RULES: dict[str, Callable[[Tape, Held, Layer], Held]] = {
    **NORMS,
    "conv": weighted,
    "standardized": _standardized,
    "input": _kept_input,
    "input-and-slopes": _prelu,
    "input-and-thresholds": _threshold,
    "result": _kept_result,
    "result-in-place": _either,
    "places": _max_pool,
    "padded": _blur,
    "nothing": fresh,
    "same": _same,
    "mask": _dropout,
    "a-number-an-image": _drop_path,
    "attended": _attention,
    "parts": _gate,
    "gated": _shortcut_gate,
    "part": _part,
    "residual": _residual,
    "branches": _branches,
    "joined": _part,
    "input-and-factors": _learned_scale,
    "added": _added,
    **ATTENDED,
}
