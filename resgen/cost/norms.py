"""What autograd keeps of norms: a rule for each, as those of `autograd`."""

from __future__ import annotations

from collections.abc import Callable

from resgen.cost.tape import FULL, Held, Tape
from resgen.plan import Layer, elements


def fresh(tape: Tape, x: Held, layer: Layer) -> Held:
    """A layer that makes a new tensor and keeps nothing."""
    out = tape.like(layer.output, x.item)
    tape.node(0, x.size + out.size)
    return out


def _batch_norm(tape: Tape, x: Held, layer: Layer) -> Held:
    tape.keep(x, tape.tensor(2 * layer.input[0], FULL))
    out = tape.like(layer.output, x.item)
    tape.node(2 * FULL * layer.input[0], x.size + out.size)
    return out


def _group_norm(tape: Tape, x: Held, layer: Layer) -> Held:
    if x.item != FULL:  # autocast runs it in fp32
        x = tape.like(layer.input, FULL)
    groups = layer.op.num_groups  # type: ignore[attr-defined]
    tape.keep(x, tape.tensor(2 * groups * tape.batch, FULL))
    out = tape.like(layer.output, FULL)
    tape.node(2 * FULL * layer.input[0], x.size + out.size)
    return out


def _layer_norm(tape: Tape, x: Held, layer: Layer) -> Held:
    if x.item != FULL:  # autocast runs it in fp32
        x = tape.like(layer.input, FULL)
    pixels = elements(layer.input[1:])
    tape.keep(x, tape.tensor(tape.batch * pixels, FULL), tape.tensor(tape.batch * pixels, FULL))
    out = tape.like(layer.output, FULL)
    tape.node(2 * FULL * layer.input[0], x.size + out.size)
    return out


def _response(tape: Tape, x: Held, layer: Layer) -> Held:
    vectors = (tape.tensor(tape.batch * layer.input[0], FULL) for _ in range(3))
    tape.keep(x, *vectors, tape.tensor(2 * tape.batch, FULL))
    out = tape.like(layer.output, FULL)
    tape.node(2 * FULL * layer.input[0], x.size + 2 * out.size)
    return out


def _frozen(tape: Tape, x: Held, layer: Layer) -> Held:
    """Keeps the scale alone, which nothing trains."""
    tape.keep(tape.tensor(layer.input[0], x.item))
    return fresh(tape, x, layer)


def _instance_norm(tape: Tape, x: Held, layer: Layer) -> Held:
    """Images as channels of one: statistics and the scale of each."""
    each = tape.batch * layer.input[0]
    tape.keep(x, tape.tensor(2 * each, FULL), tape.tensor(each, FULL))
    out = tape.like(layer.output, x.item)
    tape.node(2 * FULL * layer.input[0], x.size + out.size)
    return out


def _side_by_side(tape: Tape, x: Held, layer: Layer) -> Held:
    """Some channels under one norm, the others under another; a share of several images is new."""
    one, other = layer.op.parts(layer.input)
    shares = [x._replace(size=tape.batch * elements(part.input) * x.item) for part in (one, other)]
    first = shares[0] if tape.batch == 1 else tape.like(one.input, x.item)
    _instance_norm(tape, first, one)
    _batch_norm(tape, shares[1], other)
    return fresh(tape, x, layer)


def _elementwise_norm(
    tape: Tape, x: Held, layer: Layer, results: int, statistics: int, casts: int
) -> Held:
    """A norm in single operations: its input, so many results of its size, statistics in fp32.

    casts: numbers that are cast where the input is, of which the statistics need a copy in fp32.
    """
    tape.keep(x, tape.tensor(statistics, FULL))
    tape.keep(*(tape.like(layer.output, x.item) for _ in range(results)))
    flight = x.size
    if x.item != FULL:
        full = tape.like(layer.input, FULL)
        tape.keep(full, tape.tensor(casts, x.item))
        flight = full.size
    out = tape.like(layer.output, x.item)
    params = sum(map(elements, layer.op.params().values()))
    tape.node(FULL * params, flight + 2 * out.size)
    return out


def _filter_response(tape: Tape, x: Held, layer: Layer) -> Held:
    channels, each = layer.input[0], tape.batch * layer.input[0]
    return _elementwise_norm(tape, x, layer, 1, each, each + channels)


def _evonorm_b0(tape: Tape, x: Held, layer: Layer) -> Held:
    channels, each = layer.input[0], tape.batch * layer.input[0]
    return _elementwise_norm(tape, x, layer, 3, channels + each, 3 * channels)


def _evonorm_s0(tape: Tape, x: Held, layer: Layer) -> Held:
    each = tape.batch * layer.op.num_groups  # type: ignore[attr-defined]
    return _elementwise_norm(tape, x, layer, 3, each, each + 2 * layer.input[0])


RULES: dict[str, Callable[[Tape, Held, Layer], Held]] = {
    "statistics": _batch_norm,
    "group-statistics": _group_norm,
    "pixel-statistics": _layer_norm,
    "response": _response,
    "scale": _frozen,
    "instance-statistics": _instance_norm,
    "side-by-side": _side_by_side,
    "filter-response": _filter_response,
    "evonorm-b0": _evonorm_b0,
    "evonorm-s0": _evonorm_s0,
}
