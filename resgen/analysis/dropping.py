"""Residual networks without one of their blocks (Veit et al. 2016, section 4.1).

y = after(shortcut(x)) in place of y = after(F(x) + shortcut(x)), one block at a time
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import NamedTuple

import torch
from torch import Tensor, nn

from resgen.analysis.layers import blocks, ends
from resgen.analysis.looking import Asked, judging, pictures, subject
from resgen.errors import UserError
from resgen.inference.answers import outputs
from resgen.inference.scores import Rate
from resgen.inference.trained import Trained, read
from resgen.plan import Block, Plan
from resgen.train.device.engine import Engine
from resgen.weights.identity import Impossible


class Dropped(NamedTuple):
    """The errors without one block.

    left: what stands in its place: its shortcut's kind, or `input` for a block without one, which
    is replaced by the identity. rate: None where the block cannot be dropped, `why` saying so.
    """

    name: str
    left: str
    rate: Rate | None
    why: str = ""


class Drops(NamedTuple):
    """The errors of the whole network, and without each of its blocks, in order."""

    trained: Trained
    shown: str
    precision: str
    whole: Rate
    blocks: tuple[Dropped, ...]

    @property
    def worst(self) -> Dropped | None:
        """The block without which the error is largest; None where none can be dropped."""
        found = [each for each in self.blocks if each.rate is not None]
        return max(found, key=lambda each: each.rate.error if each.rate else 0.0, default=None)

    @property
    def median(self) -> float:
        """The median error without one block; NaN where none can be dropped."""
        return median([each.rate.error for each in self.blocks if each.rate] or [float("nan")])


def drops(
    run: str | Path,
    asked: Asked = Asked(),
    *,
    engine: Engine | None = None,
) -> Drops:
    """The errors of a run's network, or a checkpoint's, with each block dropped in turn.

    Nothing is trained or adapted after a drop. Raises UserError for what is no trained network, or
    has no blocks.
    """
    trained = read(str(run))
    engine = judging(engine, trained, asked.precision)
    if not trained.plan.blocks:
        raise UserError(f"{run}: {trained.plan.name} has no blocks that could be dropped")
    shown = subject(trained, asked)
    module = trained.module(engine)
    refused = dict(_refused(module, trained.plan))
    wrong: Counter[str] = Counter()
    with torch.inference_mode():
        for images, labels in pictures(trained, shown, asked, engine):

            def errors(images: Tensor = images, labels: Tensor = labels) -> int:
                given = outputs(module, images, engine, trained)
                return int((given.argmax(1) != labels).sum())

            wrong.update(dict(_wrong(module, trained.plan, errors, engine, refused)))
    count = len(shown.images)
    found = []
    for name, block in blocks(trained.plan):
        left = block.shortcut.kind if block.shortcut.kind != "none" else "input"
        rate = None if name in refused else Rate(wrong[name], count)
        found.append(Dropped(name, left, rate, refused.get(name, "")))
    whole = Rate(wrong[""], count)
    return Drops(trained, shown.title, engine.precision, whole, tuple(found))


def _refused(module: nn.Module, plan: Plan) -> Iterator[tuple[str, str]]:
    """The blocks that cannot be dropped, and why."""
    for name, block in blocks(plan):
        try:
            with dropped(module, name, block):
                pass
        except Impossible as reason:
            yield name, str(reason)


def _wrong(
    module: nn.Module, plan: Plan, errors: Callable[[], int], engine: Engine,
    refused: Mapping[str, str],
) -> Iterator[tuple[str, int]]:  # fmt: skip
    """(block, errors of a batch without it), first the whole network's under no name.

    What stands before a block puts out the same with and without it, and is computed once.
    """
    row = [(name, module.get_submodule(name), block) for name, block in plan.named_blocks()]
    entered: list[Tensor] = []
    hook = row[0][1].register_forward_pre_hook(lambda _, inputs: entered.append(inputs[0].clone()))
    yield "", errors()
    hook.remove()
    (x,) = entered
    droppable = {name for name, _ in blocks(plan)} - refused.keys()
    try:
        for name, made, block in row:
            if name in droppable:
                hook = made.register_forward_pre_hook(lambda _, __, x=x: (x.clone(),))
                with dropped(module, name, block):
                    yield name, errors()
                hook.remove()
            with engine.autocast():
                x = made(x)
            made.forward = _same
    finally:
        for _, made, _ in row:
            made.__dict__.pop("forward", None)


def _same(x: Tensor) -> Tensor:
    return x


@contextmanager
def dropped(module: nn.Module, name: str, block: Block) -> Iterator[None]:
    """The network without a block while it lasts. Raises Impossible where that cannot be."""
    if block.shortcut.kind != "none":
        hooks = [
            module.get_submodule(end).register_forward_hook(
                lambda _, __, output: torch.zeros_like(output)
            )
            for end in ends(name, block)
        ]
    elif block.input == block.output:
        # As Veit et al. did with VGG's layers: nothing stands in its place.
        hooks = [module.get_submodule(name).register_forward_hook(lambda _, inputs, __: inputs[0])]
    else:
        into, out = ("x".join(map(str, shape)) for shape in (block.input, block.output))
        raise Impossible(f"it has no shortcut and changes the shape, {into} to {out}")
    try:
        yield
    finally:
        for each in hooks:
            each.remove()
