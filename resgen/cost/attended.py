"""What autograd keeps of attentions: pools of the largest, weighted means, the pool of heads."""

from __future__ import annotations

from collections.abc import Callable

from resgen.cost.tape import FULL, Held, Tape, weighted
from resgen.plan import Layer, elements
from resgen.plan.layers import AttentionPool


def _largest(tape: Tape, x: Held, layer: Layer) -> Held:
    """Means keep nothing; the largest are found again in the input, by their values."""
    out = tape.like(layer.output, x.item)
    tape.keep(x, tape.tensor(out.size // out.item // 2, x.item))
    tape.node(0, x.size + out.size)
    return out


def _weighted_mean(tape: Tape, x: Held, layer: Layer) -> Held:
    """A convolution, the softmax of it, and the product of that with the pixels."""
    convolution, softmax, _ = layer.op.parts(layer.input)
    scores = weighted(tape, x, convolution)
    weights = tape.like(softmax.output, FULL)  # autocast runs it in fp32
    tape.keep(weights)
    tape.keep(tape.half_of(x), tape.half_of(weights))
    out = tape.like(layer.output, scores.item)
    tape.node(0, x.size + scores.size + weights.size + out.size)
    return out


def _attention_pool(tape: Tape, x: Held, layer: Layer) -> Held:
    """Tokens, three projections of them, the scores' softmax, its product, the last projection."""
    op = layer.op
    assert isinstance(op, AttentionPool)
    *_, positions, summed, key, query, value, _, softmax, product, last = op.parts(layer.input)
    tokens = tape.like(summed.output, FULL)  # the positions are fp32
    tape.node(FULL * elements(positions.op.params()["positional_embedding"]), 2 * tokens.size)
    # The query is of the first token alone, which under autocast is cast alone, too.
    first = tape.like(query.input, FULL) if tape.half else tokens
    k, q, v = (weighted(tape, *pair) for pair in ((tokens, key), (first, query), (tokens, value)))
    tape.keep(k, q)
    weights = tape.like(softmax.output, FULL)
    tape.keep(weights)
    tape.node(0, 2 * weights.size + k.size)
    tape.keep(tape.half_of(weights), v)
    y = tape.like(product.output, v.item)
    tape.node(0, weights.size + v.size + y.size)
    return weighted(tape, y, last)


RULES: dict[str, Callable[[Tape, Held, Layer], Held]] = {
    "largest": _largest,
    "weighted-mean": _weighted_mean,
    "attention-pool": _attention_pool,
}
"""Of the words that layers say in their `keeps`; see resgen.cost.autograd for the others."""
