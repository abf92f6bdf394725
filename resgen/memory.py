"""The memory of one training step, in closed form: what autograd keeps, and the peak.

    peak = weights + buffers + optimizer state + the most of, on the way back,
           (tensors still kept + gradients so far + gradients in flight)

What is kept follows torch's derivative formulas, operator by operator: a convolution
keeps its input, a batch norm its input and its statistics, an in-place ReLU its result
(which is the next convolution's input: one tensor, kept once), an addition nothing.
Under bf16 autocast the casts of weights and inputs are kept as well. All of it is
bytes of tensors; the device's context, its kernels' workspace and the allocator's
rounding come on top.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from resgen import layers as L
from resgen.conventions import conv_and_linear
from resgen.cost import cost
from resgen.layers import Layer, Op, elements
from resgen.plan import Block, Plan
from resgen.words import hung, memory, short

PRECISIONS = ("fp32", "bf16")
OPTIMIZERS = {"sgd": ("no state", 0), "momentum": ("momentum", 1), "adamw": ("two moments", 2)}
FULL = 4


class Step(NamedTuple):
    """Bytes of a training step at a batch size, and its multiply-adds for one image.

    kept: what autograd holds between forward and backward, `kept_image` of it for each
    image; casts: the bf16 copies of the weights among it. peak: the most alive at once.
    """

    batch: int
    precision: str
    optimizer: str
    weights: int
    buffers: int
    gradients: int
    state: int
    kept: int
    kept_image: int
    casts: int
    peak: int
    forward_macs: int
    backward_macs: int


def step_lines(step: Step, limit: int | None = None, fits: int | None = None) -> list[str]:
    """The breakdown as text: what fills the memory, and what one step computes."""
    words = OPTIMIZERS[step.optimizer][0]
    compute = step.batch * (step.forward_macs + step.backward_macs)
    lines = [f"training   batch {step.batch}, {step.precision}, {_TITLES[step.optimizer]}"]
    found = [
        ("weights", step.weights, "fp32"),
        ("buffers", step.buffers, "running means and variances"),
        ("gradients", step.gradients, "fp32"),
        ("optimizer", step.state, words),
        ("kept", step.kept, f"by autograd for the way back, {memory(step.kept_image)} an image"),
    ]
    if step.casts:
        found.append(("of it", step.casts, "bf16 copies of the weights"))
    found.append(("peak", step.peak, "the most at once, images and gradients in flight included"))
    for label, count, what in found:
        lines += hung(f"  {label:<9}{memory(count):>11}", f"  {what}", 24)
    lines += hung(
        "  compute",
        f"forward {short(step.forward_macs)} MACs, backward {short(step.backward_macs)} an image; "
        f"{short(compute)} MACs a step",
        11,
    )
    if limit is not None:
        size = "no batch, not even one image," if not fits else f"batch {fits}"
        lines += hung("  fits", f"{size} into {memory(limit)}, by the peak above", 11)
    lines += hung(
        "",
        "Bytes of tensors; the device's context and its kernels' workspace come on top.",
        11,
    )
    return lines


_TITLES = {"sgd": "plain SGD", "momentum": "SGD with momentum", "adamw": "AdamW"}


class _Tensor(NamedTuple):
    """A tensor in the making: its storage, its bytes and the bytes of one element."""

    key: int
    size: int
    item: int


class _Tape:
    """What a forward pass keeps, in order."""

    def __init__(self, batch: int, half: bool) -> None:
        self.batch, self.half = batch, half
        self.kept: dict[int, int] = {}
        self.last_use: dict[int, int] = {}
        self.nodes: list[tuple[int, int]] = []
        self.casts = 0
        self._keys = 0

    def tensor(self, count: int, item: int) -> _Tensor:
        """A new tensor of `count` elements."""
        self._keys += 1
        return _Tensor(self._keys, count * item, item)

    def like(self, shape: L.Shape, item: int) -> _Tensor:
        """A new tensor of a batch of this shape."""
        return self.tensor(self.batch * elements(shape), item)

    def keep(self, *tensors: _Tensor) -> None:
        """Holds tensors for the node in the making; a storage is held once."""
        for tensor in tensors:
            self.kept[tensor.key] = tensor.size
            # The way back frees a storage at the first node that kept it.
            self.last_use.setdefault(tensor.key, len(self.nodes))

    def node(self, gradient: int, flight: int) -> None:
        """Ends a node: bytes of parameter gradients it makes and of tensors in flight."""
        self.nodes.append((gradient, flight))

    def half_of(self, x: _Tensor) -> _Tensor:
        """x as the convolutions take it: cast under autocast, itself otherwise."""
        if not self.half or x.item == 2:
            return x
        return _Tensor(self.tensor(0, 2).key, x.size // x.item * 2, 2)

    def weight(self, count: int) -> None:
        """Under autocast, keeps the cast copy of a weight."""
        if self.half:
            self.casts += 2 * count
            self.keep(self.tensor(count, 2))


def training_step(
    plan: Plan, batch: int, precision: str = "fp32", optimizer: str = "momentum"
) -> Step:
    """The bytes of one step with cross entropy, gradients set to None before it."""
    tape = _run(plan, batch, precision == "bf16")
    books = cost(plan)
    weights = FULL * books.params
    buffers = _buffers(plan)
    state = OPTIMIZERS[optimizer][1] * weights
    largest = FULL * max(elements(shape) for _, shape in plan.named_parameters())
    kept = sum(tape.kept.values())
    two = sum(_run(plan, 2, precision == "bf16").kept.values())
    one = sum(_run(plan, 1, precision == "bf16").kept.values())
    first = next((c for c in map(conv_and_linear, plan.stem) if c), 0)
    image = FULL * batch * elements(plan.input)
    peak = weights + buffers + state + max(image + _backward_peak(tape), weights + largest)
    return Step(
        batch,
        precision,
        optimizer,
        weights,
        buffers,
        weights,
        state,
        kept,
        two - one,
        tape.casts,
        peak,
        books.macs,
        2 * books.macs - first,
    )


def largest_batch(plan: Plan, limit: int, precision: str, optimizer: str) -> int:
    """The largest batch whose peak fits into `limit` bytes; 0 where one image does not."""

    def fits(batch: int) -> bool:
        return training_step(plan, batch, precision, optimizer).peak <= limit

    if not fits(1):
        return 0
    low, high = 1, 2
    while fits(high):
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if fits(middle) else (low, middle)
    return low


def _buffers(plan: Plan) -> int:
    """Running mean, variance and the batches seen of every batch norm; fixed filters."""
    total = 0
    for _, layer in plan.named_layers():
        if isinstance(layer.op, L.BatchNorm):
            total += 2 * FULL * layer.op.num_features + 8
        if isinstance(layer.op, L.BlurPool):
            total += 9 * FULL * layer.op.channels
    return total


# --- the way forward -----------------------------------------------------------------


def _run(plan: Plan, batch: int, half: bool) -> _Tape:
    tape = _Tape(batch, half)
    x = tape.like(plan.input, FULL)
    image = x.key
    x = _chain(tape, x, plan.stem)
    for stage in plan.stages:
        for run in stage.runs:
            block = _as_written(run.block)
            for _ in range(run.count):
                x = _block(tape, x, block)
    x = _chain(tape, x, plan.head)
    scores = batch * elements(plan.head[-1].output)
    # The log-softmax, the labels, the sum of their weights.
    tape.keep(tape.tensor(scores, FULL), tape.tensor(batch, 8), tape.tensor(1, FULL))
    tape.node(0, 2 * FULL * scores)
    if image in tape.kept and half:
        del tape.kept[image]
    return tape


def _chain(tape: _Tape, x: _Tensor, layers: tuple[Layer, ...]) -> _Tensor:
    for layer in layers:
        x = _RULES[type(layer.op)](tape, x, layer)
    return x


def _as_written(block: Block) -> Block:
    """A path calls its one activation several times: in place only if the first call is."""
    first: dict[str, Op] = {}
    for layer in block.main + block.after:
        first.setdefault(layer.name, layer.op)

    def written(layers: tuple[Layer, ...]) -> tuple[Layer, ...]:
        return tuple(layer._replace(op=first[layer.name]) for layer in layers)

    return block._replace(main=written(block.main), after=written(block.after))


def _block(tape: _Tape, x: _Tensor, block: Block) -> _Tensor:
    shared = _chain(tape, x, block.main[: block.leaves_after])
    y = _chain(tape, shared, block.main[block.leaves_after :])
    if block.shortcut.kind != "none":
        s = _chain(tape, shared if block.leaves_after else x, block.shortcut.layers)
        if block.merge.gate:
            g = _RULES[type(block.merge.gate.op)](tape, s, block.merge.gate)
            rest = tape.like(block.output, g.item)
            tape.keep(g, y, rest, s)
        y = tape.like(block.output, max(y.item, s.item))
        tape.node(0, 2 * y.size)
    return _chain(tape, y, block.after)


def _conv(tape: _Tape, x: _Tensor, layer: Layer) -> _Tensor:
    x = tape.half_of(x)
    shapes = layer.op.params()
    params = sum(map(elements, shapes.values()))
    tape.keep(x)
    tape.weight(elements(shapes["weight"]))
    out = tape.like(layer.output, x.item)
    tape.node(FULL * params, x.size + out.size + (2 * params if tape.half else 0))
    return out


def _standardized(tape: _Tape, x: _Tensor, layer: Layer) -> _Tensor:
    *_, conv = layer.op.parts(layer.input)
    weight = conv.op.params()["weight"]
    tape.keep(tape.tensor(2 * weight[0], FULL))
    if not tape.half:  # under autocast only the cast of the standardized weight is kept
        tape.keep(tape.tensor(elements(weight), FULL))
    return _conv(tape, x, conv)


def _batch_norm(tape: _Tape, x: _Tensor, layer: Layer) -> _Tensor:
    tape.keep(x, tape.tensor(2 * layer.input[0], FULL))
    out = tape.like(layer.output, x.item)
    tape.node(2 * FULL * layer.input[0], x.size + out.size)
    return out


def _group_norm(tape: _Tape, x: _Tensor, layer: Layer) -> _Tensor:
    if x.item != FULL:  # autocast runs it in fp32
        x = tape.like(layer.input, FULL)
    groups = layer.op.num_groups  # type: ignore[attr-defined]
    tape.keep(x, tape.tensor(2 * groups * tape.batch, FULL))
    out = tape.like(layer.output, FULL)
    tape.node(2 * FULL * layer.input[0], x.size + out.size)
    return out


def _kept_result(tape: _Tape, x: _Tensor, layer: Layer) -> _Tensor:
    """An activation whose derivative is written in its result; in place, no new storage."""
    out = x if getattr(layer.op, "inplace", False) else tape.like(layer.output, x.item)
    tape.keep(out)
    tape.node(0, 2 * x.size)
    return out


def _kept_input(tape: _Tape, x: _Tensor, layer: Layer) -> _Tensor:
    """An activation or a pool whose derivative is written in its input."""
    tape.keep(x)
    out = tape.like(layer.output, x.item)
    tape.node(0, x.size + out.size)
    return out


def _either(tape: _Tape, x: _Tensor, layer: Layer) -> _Tensor:
    inplace = getattr(layer.op, "inplace", False)
    return (_kept_result if inplace else _kept_input)(tape, x, layer)


def _max_pool(tape: _Tape, x: _Tensor, layer: Layer) -> _Tensor:
    tape.keep(tape.like(layer.output, 8))  # the place of each maximum
    return _kept_input(tape, x, layer)


def _blur(tape: _Tape, x: _Tensor, layer: Layer) -> _Tensor:
    tape.keep(x)  # the reflected padding keeps its input
    _, height, width = layer.input
    padded = tape.half_of(tape.like((layer.input[0], height + 2, width + 2), x.item))
    tape.keep(padded)
    tape.weight(9 * layer.input[0])
    out = tape.like(layer.output, padded.item)
    tape.node(0, padded.size + out.size)
    return out


def _fresh(tape: _Tape, x: _Tensor, layer: Layer) -> _Tensor:
    """A layer that makes a new tensor and keeps nothing."""
    out = tape.like(layer.output, x.item)
    tape.node(0, x.size + out.size)
    return out


def _same(tape: _Tape, x: _Tensor, layer: Layer) -> _Tensor:
    return x


def _linear(tape: _Tape, x: _Tensor, layer: Layer) -> _Tensor:
    return _conv(tape, x, layer)


def _dropout(tape: _Tape, x: _Tensor, layer: Layer) -> _Tensor:
    tape.keep(tape.like(layer.output, x.item))  # the mask
    return _fresh(tape, x, layer)


def _drop_path(tape: _Tape, x: _Tensor, layer: Layer) -> _Tensor:
    tape.keep(tape.tensor(tape.batch, x.item))
    return _fresh(tape, x, layer)


def _attention(tape: _Tape, x: _Tensor, layer: Layer) -> _Tensor:
    """x times a vector of it: keeps x and what the vector is made of."""
    *inner, _ = layer.op.parts(layer.input)
    vector = _chain(tape, x, tuple(inner))
    tape.keep(x, vector)
    out = tape.like(layer.output, max(x.item, vector.item))
    tape.node(0, x.size + out.size)
    return out


def _gate(tape: _Tape, x: _Tensor, layer: Layer) -> _Tensor:
    return _chain(tape, x, layer.op.parts(layer.input))


def _shortcut_gate(tape: _Tape, x: _Tensor, layer: Layer) -> _Tensor:
    g = _chain(tape, x, layer.op.parts(layer.input)[:1])
    rest = tape.like(layer.output, g.item)
    tape.keep(x, rest)
    out = tape.like(layer.output, max(x.item, g.item))
    tape.node(0, x.size + 2 * out.size)
    return out


_RULES: dict[type[Op], Callable[[_Tape, _Tensor, Layer], _Tensor]] = {
    L.Conv: _conv,
    L.Conv1d: _conv,
    L.StandardizedConv: _standardized,
    L.Linear: _linear,
    L.BatchNorm: _batch_norm,
    L.GroupNorm: _group_norm,
    L.ReLU: _kept_result,
    L.Sigmoid: _kept_result,
    L.SiLU: _kept_input,
    L.GELU: _kept_input,
    L.Hardswish: _kept_input,
    L.LeakyReLU: _either,
    L.ELU: _either,
    L.MaxPool: _max_pool,
    L.AvgPool: _kept_input,
    L.BlurPool: _blur,
    L.GlobalAvgPool: _fresh,
    L.Flatten: _same,
    L.Identity: _same,
    L.Dropout: _dropout,
    L.DropPath: _drop_path,
    L.PaddedIdentity: _fresh,
    L.ZeroPad: _fresh,
    L.Scale: _fresh,
    L.SqueezeExcitation: _attention,
    L.EfficientChannelAttention: _attention,
    L.Gate: _gate,
    L.ShortcutGate: _shortcut_gate,
}


# --- the way back --------------------------------------------------------------------


def _backward_peak(tape: _Tape) -> int:
    """The most of kept tensors, gradients so far and gradients in flight."""
    frees: dict[int, int] = {}
    for key, index in tape.last_use.items():
        frees[index] = frees.get(index, 0) + tape.kept.get(key, 0)
    alive = sum(tape.kept.values())
    gradients = most = 0
    for index in reversed(range(len(tape.nodes))):
        gradient, flight = tape.nodes[index]
        gradients += gradient
        most = max(most, alive + gradients + flight)
        alive -= frees.get(index, 0)
    return most
