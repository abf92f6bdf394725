"""Weights of a network -> those of a deeper or wider one that computes the same function.

By construction (He et al. 2015, section 1): each stage's blocks are copied in their order, and
blocks that it has besides are made the identity; channels that it has besides hold copies of others
(Chen et al. 2016).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Literal, NamedTuple

import torch
from torch import Tensor

from resgen.errors import UserError
from resgen.plan import Block, Plan, Stage
from resgen.weights.channels import Channels, same
from resgen.weights.identity import Impossible, Writer
from resgen.weights.lifting import Tail, lift, make_identity, tail_of
from resgen.weights.ranges import ANY, Tensors, Values, behind, joined
from resgen.weights.widening import Pairing
from resgen.words import overridden

Exact = Literal["evaluation", "training"]


class Deepened(NamedTuple):
    """The weights of the larger network, and how they came about.

    stages: of each its name, the blocks copied and the identity blocks. widened: whether channels
    are held more than once. lifted: whether batch norms are, see `lifting`. renormalizes: whether
    an identity block has a batch norm that is the identity in evaluation alone.
    """

    weights: dict[str, Tensor]
    stages: tuple[tuple[str, int, int], ...]
    widened: bool
    lifted: bool
    renormalizes: bool


class _Run(NamedTuple):
    """What the blocks of a stage are made with: names, and what reaches them."""

    pairing: Pairing
    writer: Writer
    small: Plan
    large: Plan
    exact: Exact


def deepen(
    small: Plan,
    weights: Mapping[str, Tensor],
    large: Plan,
    fresh: Mapping[str, Tensor],
    *,
    exact: Exact = "evaluation",
    seed: int = 0,
) -> Deepened:
    """Weights with which the large network puts out what the small one does with its own.

    fresh: initial weights of the large network; what is free stays as it is there. exact: the mode
    in which that holds where it cannot in both: `training` lifts values (see `lifting`).
    Raises UserError where no weights do that, with the place and the reason.
    """
    _check(small, large)
    target = {name: value.clone() for name, value in fresh.items()}
    made = _Run(
        Pairing(weights, target, torch.Generator().manual_seed(seed)),
        Writer(target), small, large, exact,
    )  # fmt: skip
    with torch.no_grad():
        return _deepened(made)


def _deepened(run: _Run) -> Deepened:
    small, large = run.small, run.large
    try:
        of = run.pairing.row(("", ""), small.stem, large.stem, torch.arange(small.input[0]))
    except Impossible as reason:
        raise _refused(run, "its stem", reason) from None
    values = behind(run.writer.tensors, "", large.stem, ANY)
    counts = []
    for one, other in zip(small.stages, large.stages, strict=True):
        of, values, copied, added = _stage(run, one, other, of, values)
        counts.append((other.name, copied, added))
    try:
        to = torch.arange(small.classes) if small.classes else None
        if not same(run.pairing.row(("", ""), small.head, large.head, of, to)):
            raise Impossible("a backbone puts out the channels themselves, and here are more")
    except Impossible as reason:
        raise _refused(run, "its head", reason) from None
    return Deepened(
        run.pairing.target,
        tuple(counts),
        run.pairing.widened,
        run.writer.lifted,
        run.writer.renormalizes,
    )


def _stage(
    run: _Run, one: Stage, other: Stage, of: Channels, values: Values
) -> tuple[Channels, Values, int, int]:
    """Copies a stage's blocks, the others being the identity; how many there are of each."""
    left, made = list(_blocks(one)), list(_blocks(other))
    if len(made) < len(left):
        raise UserError(
            f"{_named(run.large)}: {other.name} has {_many(other.depth)}, and {_many(one.depth)} "
            f"in {run.small.name}; deepening adds blocks and takes none away"
        )
    added, unlike = 0, None
    tail: Tail | None = None
    for name, block in made:
        if left:
            widened = run.pairing.widened
            try:
                of = _copied(run.pairing, (left[0][0], name), left[0][1], block, of)
            except Impossible as reason:
                run.pairing.widened = widened
                unlike = unlike or _refused(run, f"{name} cannot be {left[0][0]} there", reason)
            else:
                left.pop(0)
                values = _behind(run.writer.tensors, name, block, values)
                tail = tail_of(name, block, run.pairing.target)
                continue
        try:
            tail = _identity(run, name, block, tail, values)
        except Impossible as reason:
            what = f"{name}, a block more than there, cannot be the identity"
            raise unlike or _refused(run, what, reason) from None
        added += 1
    if left and unlike:
        raise unlike
    return of, values, len(made) - added, added


def _copied(
    pairing: Pairing, names: tuple[str, str], small: Block, large: Block, of: Channels
) -> Channels:
    units = [(at.main, at.shortcut, at.merge, at.leaves_after) for at in (small, large)]
    if small.input[1:] != large.input[1:] or small.output[1:] != large.output[1:]:
        raise Impossible("its images are of another size here than there")
    of = pairing.unit(names, units[0], units[1], of)
    return pairing.row(names, small.after, large.after, of)


def _identity(run: _Run, name: str, block: Block, tail: Tail | None, values: Values) -> Tail | None:
    """Makes a block put out what it takes in, of these values. Raises Impossible."""
    if block.input != block.output:
        raise Impossible("it changes the shape of what it takes in")
    if run.exact == "training":
        return lift(run.writer, name, block, tail, values) or tail
    make_identity(run.writer, name, block, values)
    return None


def _behind(tensors: Tensors, name: str, block: Block, values: Values) -> Values:
    """Between what numbers the values lie that a block puts out."""
    values = joined(
        tensors, name, block.main, block.shortcut, block.merge, block.leaves_after, values
    )
    return behind(tensors, name, block.after, values)


def _check(small: Plan, large: Plan) -> None:
    """Raises UserError where the two cannot be compared."""
    for what, here, there in (
        ("input", large.input, small.input),
        ("classes", large.classes, small.classes),
        ("stages", len(large.stages), len(small.stages)),
    ):
        if here != there:
            shown = ["x".join(map(str, v)) if isinstance(v, tuple) else v for v in (here, there)]
            raise UserError(
                f"{_named(large)}: {what}: {shown[0]}, and {shown[1]} in {small.name}; a deeper "
                f"network that computes the same has the same {what}"
            )


def _blocks(stage: Stage) -> Iterator[tuple[str, Block]]:
    """The blocks of a stage with their names, repeats written out."""
    for run in stage.runs:
        for index in range(run.first, run.first + run.count):
            yield f"{stage.name}.{index}", run.block


def _refused(run: _Run, what: str, reason: Impossible) -> UserError:
    there = f"{_named(run.large)} cannot compute what {run.small.name} does"
    return UserError(f"{there}: {what}: {reason}")


def _named(plan: Plan) -> str:
    return f"{plan.name} with {overridden(plan.overrides)}" if plan.overrides else plan.name


def _many(blocks: int) -> str:
    return f"{blocks} block{'' if blocks == 1 else 's'}"
