"""Zeroed blocks are the identity (He et al. 2015, section 3.1; He et al. 2016, equation 4).

F = 0:  y = after(F(x) + x) = after(x),  which is x for x >= 0 behind a ReLU, and for any x in
blocks with nothing behind the addition
"""

from __future__ import annotations

from copy import deepcopy
from pathlib import Path
from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn

from resgen.analysis.layers import blocks, ends
from resgen.analysis.looking import placed
from resgen.errors import UserError
from resgen.export.subject import read
from resgen.plan import Block, resolve
from resgen.plan import layers as L
from resgen.plan.layers import Layer
from resgen.source.module import build_module
from resgen.train.data.seeds import drawn_apart, generator
from resgen.train.device.engine import Engine
from resgen.weights import load_weights
from resgen.weights.identity import Impossible
from resgen.weights.ranges import FREE

COUNT = 8
"""Images that enter each block: normal numbers, and for `x >= 0` their absolute values."""
Inputs = Literal["any sign", "x >= 0"]


class Zeroed(NamedTuple):
    """One block with its residual paths zeroed.

    zeroed: the layers whose weights are 0. inputs: for which x the block is to be the identity.
    difference: max |block(x) - x| over those; None where it has no identity, `why` saying so.
    signed: the same over x of any sign.
    """

    name: str
    zeroed: tuple[str, ...]
    inputs: Inputs | None
    difference: float | None
    signed: float | None
    why: str = ""


class Zeros(NamedTuple):
    """A network's blocks, in order."""

    label: str
    name: str
    seed: int | None
    """Of its weights, where they were drawn here."""
    blocks: tuple[Zeroed, ...]

    @property
    def largest(self) -> float | None:
        """The largest difference of all blocks that have an identity; None where none has."""
        found = [each.difference for each in self.blocks if each.difference is not None]
        return max(found, default=None)


def zeroed(run_or_spec: str | Path, *, seed: int = 0, engine: Engine | None = None) -> Zeros:
    """The blocks of a run, a file of weights or a spec, each with its residual paths zeroed.

    Zeroed is what a path ends in: its last norm (gamma = beta = 0) or, where none stands there, its
    last convolution; nothing else is touched. In evaluation mode and fp32. A spec's weights are
    drawn from `seed`. Raises UserError for what is no network, or has no blocks.
    """
    source = str(run_or_spec)
    subject = read(source)
    plan = resolve(subject.spec)
    if subject.folded is not None:
        raise UserError(f"{source}: its batch norms are folded; give the file it was made from")
    if not plan.blocks:
        raise UserError(f"{source}: {plan.name} has no blocks that could be zeroed")
    with drawn_apart(seed, "weights"):
        module = build_module(plan)
    if subject.trained is not None:
        load_weights(module, plan, subject.trained.weights, file=source)
    engine = placed(engine)
    module = module.to(engine.device).eval()
    with torch.no_grad():
        found = tuple(_zeroed(module, name, block) for name, block in blocks(plan))
    drawn = seed if subject.trained is None else None
    from resgen.inference.trained import labels

    return Zeros(labels([source])[0], plan.name, drawn, found)


def _zeroed(module: nn.Module, name: str, block: Block) -> Zeroed:
    try:
        inputs = _identity(block)
        last = ends(name, block)
        made = deepcopy(module.get_submodule(name))
        for end in last:
            _zero(made.get_submodule(end.removeprefix(f"{name}.")), end)
    except Impossible as reason:
        return Zeroed(name, (), None, None, None, str(reason))
    device = next(module.parameters()).device
    signed = torch.randn(COUNT, *block.input, generator=generator(0, "zeroed")).to(device)
    apart = _apart(made, signed)
    difference = apart if inputs == "any sign" else _apart(made, signed.abs())
    return Zeroed(name, last, inputs, difference, apart)


def _apart(block: nn.Module, x: Tensor) -> float:
    return float((block(x.clone()) - x).abs().max())


def _zero(layer: nn.Module, name: str) -> None:
    """Zeroes a layer's weights. Raises Impossible where it does not put out 0 of them."""
    for key, value in layer.state_dict().items():
        if key.rpartition(".")[2] in ("weight", "bias", "gain"):
            value.zero_()
    if type(layer).__name__ == "StandardizedConv2d" or not any(
        key.rpartition(".")[2] in ("weight", "gain") for key in layer.state_dict()
    ):
        raise Impossible(f"its residual path ends in {name}, which no weights make 0")


def _identity(block: Block) -> Inputs:
    """For which x the block is the identity where F = 0. Raises Impossible where for none."""
    shortcut = block.shortcut
    if shortcut.kind == "none":
        raise Impossible("it has no shortcut")
    if block.input != block.output:
        into, out = ("x".join(map(str, shape)) for shape in (block.input, block.output))
        raise Impossible(f"it changes the shape, {into} to {out}")
    _bare(block.main[: block.leaves_after], shortcut, block.merge)
    behind = [layer.op for layer in block.after if not isinstance(layer.op, FREE)]
    for op in behind:
        if not isinstance(op, L.ReLU):
            raise Impossible(f"behind its addition stands {type(op).__name__}")
    return "x >= 0" if behind else "any sign"


def _bare(ahead: tuple[Layer, ...], shortcut: L.Shortcut, merge: L.Merge) -> None:
    """Raises Impossible where what joins is not what enters."""
    for layer in ahead:
        if not isinstance(layer.op, L.Residual):
            raise Impossible(f"its shortcut leaves behind {layer.name}, not where x enters")
        _bare(layer.op.main[: layer.op.leaves_after], layer.op.shortcut, layer.op.merge)
    if merge.gate:
        raise Impossible("a gate g joins g F(x) + (1 - g) x")
    if [layer for layer in shortcut.layers if not isinstance(layer.op, FREE)]:
        kind = "projection" if shortcut.kind == "projection" else shortcut.kind
        raise Impossible(f"its shortcut is no identity ({kind})")
