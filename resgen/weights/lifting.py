"""Identity blocks that are the identity in training, too, where batch norms stand in the way.

A batch norm of a batch puts out the mean beta and the deviation gamma, whatever it takes in. Behind
a ReLU these two differ from batch to batch, so that one that follows can never give them back.
Lifted by K, so that the ReLU cuts nothing, they are known:

    z = batch norm of the block before, mean beta, deviation |gamma|
    ReLU(z + K) = z + K,  gamma' norm(z + K) + beta + K = z + K, ...,  gamma' norm(z + K) + beta = z

with K = 16 |gamma| and gamma' = sqrt(gamma^2 + eps). Between, values are rounded as numbers of the
size of K, in evaluation, too: the outputs agree but for rounding.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from torch import Tensor

from resgen.plan import Block
from resgen.plan import layers as L
from resgen.plan.layers import Layer
from resgen.weights.identity import Impossible, Writer
from resgen.weights.ranges import Values

DEVIATIONS = 16
"""A batch norm's outputs lie within so many deviations of their mean, with room to spare."""
_LIFTS = (L.ReLU, L.LeakyReLU, L.ELU)


class Tail(NamedTuple):
    """The batch norm before the activation that a block ends in, and what it puts out."""

    norm: str
    mean: Tensor
    deviation: Tensor


def tail_of(name: str, block: Block, tensors: dict[str, Tensor]) -> Tail | None:
    """How a block ends, where it ends in a batch norm and an activation with no end above."""
    path = _path(block)
    if len(path) < 2 or not isinstance(path[-2].op, L.BatchNorm):
        return None
    if not isinstance(path[-1].op, _LIFTS):
        return None
    norm = f"{name}.{path[-2].name}"
    weight, bias = tensors[f"{norm}.weight"], tensors[f"{norm}.bias"]
    return Tail(norm, bias.clone(), weight.abs())


def make_identity(writer: Writer, name: str, block: Block, values: Values) -> None:
    """after(merge(main(x), shortcut(x'))) = x, for x of these values. Raises Impossible."""
    writer.unit(name, block.main, block.shortcut, block.merge, block.leaves_after, values)
    writer.identity(name, block.after, values)


def lift(writer: Writer, name: str, block: Block, tail: Tail | None, values: Values) -> Tail | None:
    """Makes a block the identity of what ends in `tail`, in training as in evaluation.

    Returns how it ends itself. Raises Impossible where its batch norms do not allow it.
    """
    renormalized = writer.renormalizes
    writer.renormalizes = False
    make_identity(writer, name, block, values)
    normed, writer.renormalizes = writer.renormalizes, renormalized
    if not normed:
        return None
    path = [at for at in _path(block) if isinstance(at.op, L.BatchNorm)]
    if tail is None or not path or block.shortcut.layers:
        raise Impossible(
            "its batch norms take the mean and deviation of the batch, which what they take in "
            "does not keep from batch to batch"
        )
    if not isinstance(_path(block)[-1].op, _LIFTS):
        raise Impossible("it does not end in an activation behind its last batch norm")
    channels = len(tail.mean)
    if any(at.op.params()["weight"] != (channels,) for at in path):
        raise Impossible("its paths are of other widths inside, and its batch norms with them")
    above = DEVIATIONS * tail.deviation + (-tail.mean).clamp(min=0)
    writer.tensors[f"{tail.norm}.bias"][:channels] += above
    for layer in path:
        assert isinstance(layer.op, L.BatchNorm)
        norm = f"{name}.{layer.name}"
        for key, value in (
            ("weight", (tail.deviation**2 + layer.op.eps).sqrt()),
            ("bias", tail.mean + above),
            ("running_mean", tail.mean + above),
            ("running_var", tail.deviation**2),
        ):
            writer.tensors[f"{norm}.{key}"][:channels] = value
    writer.lifted = True
    last = f"{name}.{path[-1].name}"
    writer.tensors[f"{last}.bias"][:channels] = tail.mean
    return Tail(last, tail.mean, tail.deviation)


def _path(block: Block) -> Sequence[Layer]:
    """The layers that every value of a block's output went through, one after another."""
    return block.main + block.after if block.shortcut.kind == "none" else block.after
