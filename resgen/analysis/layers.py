"""A Plan -> the layers that are looked at: convolutions in order, and where residual paths end."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Literal, NamedTuple

from resgen.plan import Block, Plan
from resgen.plan import layers as L
from resgen.plan.layers import Layer
from resgen.weights.identity import FACTORS, FLAT_AT_ZERO, ZERO_AT_ZERO, Impossible
from resgen.weights.ranges import join

NORMS = (
    L.BatchNorm, L.FrozenBatchNorm, L.LayerNorm, L.LayerNorm2d, L.GroupNorm, L.InstanceNorm,
    L.InstanceBatchNorm, L.FilterResponseNorm,
)  # fmt: skip
"""What normalises and does nothing else: an EvoNorm is an activation as well."""


class Conv(NamedTuple):
    """A convolution where it stands; `norm`: what normalises its output and nothing else's."""

    name: str
    op: L.Conv
    norm: str
    path: Literal["main", "shortcut"]

    @property
    def kernel(self) -> tuple[int, int]:
        """(height, width)."""
        return L.base.both(self.op.kernel_size)


def convolutions(plan: Plan) -> Iterator[Conv]:
    """Every convolution of stem, blocks and head, in order; not those inside attention.

    A norm belongs to a convolution that it stands directly behind, in the same path. What stands
    behind an addition normalises the sum.
    """
    yield from _row("", plan.stem, "main")
    for name, block in plan.named_blocks():
        yield from _row(name, block.main, "main")
        yield from _row(name, block.shortcut.layers, "shortcut")
        yield from _row(name, block.after, "main")
    yield from _row("", plan.head, "main")


def _row(prefix: str, row: Sequence[Layer], path: Literal["main", "shortcut"]) -> Iterator[Conv]:
    for place, layer in enumerate(row):
        op, name = layer.op, join(prefix, layer.name)
        if isinstance(op, L.Part):
            yield from _row(name, op.layers, path)
        elif isinstance(op, L.Branches):
            for each in op.paths:
                yield from _row(prefix, each, path)
        elif isinstance(op, L.Residual):
            yield from _row(prefix, op.main, path)
            yield from _row(prefix, op.shortcut.layers, "shortcut")
        elif isinstance(op, L.Conv):
            follows = row[place + 1] if place + 1 < len(row) else None
            normed = follows is not None and isinstance(follows.op, NORMS)
            yield Conv(name, op, join(prefix, follows.name) if follows and normed else "", path)


def blocks(plan: Plan) -> Iterator[tuple[str, Block]]:
    """("layer1.0", block), ... without what stands before a stage's blocks."""
    for stage in plan.stages:
        for run in stage.blocks:
            for index in range(run.first, run.first + run.count):
                yield f"{stage.name}.{index}", run.block


# ---- where a residual path ends


def ends(name: str, block: Block) -> tuple[str, ...]:
    """The modules of a block with which its residual paths F put out 0 if these do.

    Between them and the addition stands only what keeps 0. Of a block with several additions, they
    are those of each. Raises Impossible where there are none.
    """
    counts = Counter(layer.name for layer in L.leaves(block.layers))
    found: list[str] = []
    for row in _residual(block.main, block.leaves_after):
        names, closed = _ends(name, row, counts)
        if not closed:
            raise Impossible("its residual path hands its input on")
        found += names
    return tuple(found)


def _residual(main: tuple[Layer, ...], leaves_after: int) -> Iterator[tuple[Layer, ...]]:
    """What is added: behind where the shortcut leaves, and of units ahead of it likewise."""
    for layer in main[:leaves_after]:
        if isinstance(layer.op, L.Residual) and layer.op.shortcut.kind != "none":
            yield from _residual(layer.op.main, layer.op.leaves_after)
    yield main[leaves_after:]


_KEEPS_ZERO = (*ZERO_AT_ZERO, *FLAT_AT_ZERO, *FACTORS)


def _ends(prefix: str, row: Sequence[Layer], counts: Mapping[str, int]) -> tuple[list[str], bool]:
    """The modules, and whether 0 there is 0 behind the row, whatever enters it."""
    found: list[str] = []
    for layer in reversed(row):
        op = layer.op
        if isinstance(op, L.Part):
            inner = Counter(each.name for each in L.leaves(op.layers))
            parts = [_ends(join(prefix, layer.name), op.layers, inner)]
        elif isinstance(op, L.Branches):
            parts = [_ends(prefix, path, counts) for path in op.paths]
        elif isinstance(op, L.Residual):
            paths = [op.main, op.shortcut.layers] if op.shortcut.kind != "none" else [op.main]
            parts = [_ends(prefix, path, counts) for path in paths]
        elif isinstance(op, _KEEPS_ZERO):
            continue
        elif layer.name and counts[layer.name] == 1:
            return [*found, join(prefix, layer.name)], True
        else:
            raise Impossible(f"its residual path ends in {type(op).__name__}, which is never 0")
        found += [name for names, _ in parts for name in names]
        if all(closed for _, closed in parts):
            return found, True
    return found, False
