"""Residual networks without one of their blocks (Veit et al. 2016, section 4.1).

y = after(shortcut(x)) in place of y = after(F(x) + shortcut(x)), one block at a time
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import torch
from torch import nn

from resgen.analysis.layers import blocks, ends
from resgen.analysis.looking import Asked, judging, pictures, subject
from resgen.errors import UserError
from resgen.inference.answers import outputs
from resgen.inference.scores import Rate
from resgen.inference.trained import Trained, read
from resgen.plan import Block
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
        from statistics import median

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
    with torch.inference_mode():
        seen = list(pictures(trained, shown, asked, engine))

        def rate() -> Rate:
            wrong = 0
            for images, labels in seen:
                answers = outputs(module, images, engine, trained).argmax(1)
                wrong += int((answers != labels).sum())
            return Rate(wrong, len(shown.images))

        whole, found = rate(), []
        for name, block in blocks(trained.plan):
            left = block.shortcut.kind if block.shortcut.kind != "none" else "input"
            try:
                with dropped(module, name, block):
                    found.append(Dropped(name, left, rate()))
            except Impossible as reason:
                found.append(Dropped(name, left, None, str(reason)))
    return Drops(trained, shown.title, engine.precision, whole, tuple(found))


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
