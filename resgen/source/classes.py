"""One class for each structure of block: what differs between blocks becomes a parameter."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from resgen.plan import Block, Layer
from resgen.plan.layers import Branches, Conv, Residual
from resgen.plan.layers.base import both
from resgen.source.called import Called
from resgen.source.forward import Forward, heads
from resgen.source.shape import (
    arguments,
    assignments,
    family,
    lists,
    modules,
    signature,
    skeleton,
    unique,
)
from resgen.source.words import sentence
from resgen.source.writing import Call, module


def structure(block: Block) -> tuple[Any, ...]:
    """What blocks of one class have in common: all but their numbers and their shortcut."""
    # A shortcut's name is its class's attribute; where there is none, any name serves.
    attribute = block.shortcut.layers[0].name.partition(".")[0] if block.shortcut.layers else ""
    return (
        block.kind,
        skeleton(block.main),
        skeleton(block.after),
        block.leaves_after,
        block.shortcut.kind == "none",
        block.merge.gate is not None,
        attribute if block.merge.gate or attribute != "downsample" else "",
        block.zero_init,
    )


class BlockClass:
    """The class of every block of one structure."""

    def __init__(self, name: str, blocks: Sequence[Block]) -> None:
        self.name = name
        self.blocks = tuple(dict.fromkeys(blocks))
        first = self.blocks[0]
        self.first = first
        ends = [(block.input, block.output) for block in self.blocks]
        self.own = family([self._own(block) for block in self.blocks], ends)
        shortcuts = {skeleton(block.shortcut.layers) for block in self.blocks}
        # One structure of shortcut is written inside; several are handed in.
        self.handed_in = len(shortcuts) > 1
        self.attribute = next(
            (b.shortcut.layers[0].name.partition(".")[0] for b in self.blocks if b.shortcut.layers),
            "",
        )
        if not self.handed_in and first.shortcut.layers:
            whole = [self._own(b) + tuple(modules(b.shortcut.layers)) for b in self.blocks]
            self.own = family(whole, ends)

    @staticmethod
    def _own(block: Block) -> tuple[Layer, ...]:
        gate = (block.merge.gate,) if block.merge.gate else ()
        return tuple(modules(block.main + block.after + gate))

    def call(self, block: Block, shortcut: Any, drop_path: Any) -> Call:
        """The constructor call of one block."""
        member = self._own(block)
        if not self.handed_in:
            member += tuple(modules(block.shortcut.layers))
        values = self.own.arguments(member)
        if drop_path is not None and "drop_path" in values:
            values["drop_path"] = drop_path
        extra = [(self.attribute, shortcut)] if shortcut is not None and self.handed_in else []
        return arguments(self.name, values, extra)

    def lines(self) -> list[str]:
        """The class."""
        extra = [f"{self.attribute}: nn.Module | None = None"] if self.handed_in else []
        listed = lists(self.first.layers)
        body = unique(assignments(self.own.members[0], self.own.columns, listed))
        if self.handed_in:
            body.append(f"self.{self.attribute} = {self.attribute} or nn.Identity()")
        if self.first.zero_init:
            body.append(f"nn.init.zeros_(self.{self.first.zero_init}.weight)")
        head = signature(self.own.parameters, extra)
        return module(self.name, self._equation(), head, body, self._forward())

    def _equation(self) -> str:
        """y = relu(F(x) + shortcut(x)); F: 1x1, 3x3, 1x1 convolutions."""
        block = self.first
        kernels = ", ".join(
            "x".join(map(str, both(layer.op.kernel_size)))
            for layer in block.main
            if isinstance(layer.op, Conv)
        )
        held = any(isinstance(layer.op, Branches | Residual | Called) for layer in block.layers)
        source = "preact(x)" if block.leaves_after else "x"
        shortcut = f"shortcut({source})" if self.attribute else source
        total = f"F({source})"
        if block.merge.gate:
            total = f"g {total} + (1 - g) {shortcut}"
        elif block.shortcut.kind != "none":
            total += f" + {shortcut}"
        if held or not kernels:
            after = sentence(block.after, total) if block.after else total
            return f"y = {after}; F(x) = {sentence(block.main)}."
        for head in heads(block.after):
            total = f"{head}({total})"
        return f"y = {total}; F: {kernels} convolutions."

    def _forward(self) -> list[str]:
        block, forward = self.first, Forward()
        split, source = block.leaves_after, "x"
        if split:
            plain = not any(isinstance(layer.op, Residual) for layer in block.main[:split])
            source = forward.call(block.main[:split], "x", "y" if plain else "x")
            source = forward.let("preact" if plain else "x", source)
        line = forward.call(block.main[split:], source)
        if block.shortcut.kind == "none":
            end = forward.call(block.after, line)
            return [*forward.lines, f"return {end}"]
        forward.let("y", line)
        shortcut = source
        if self.attribute:
            shortcut = f"self.{self.attribute}({source})"
        joined = f"y + {shortcut}"
        if block.merge.gate:
            forward.let("shortcut", shortcut)
            forward.let("gate", f"self.{block.merge.gate.name}(shortcut)")
            joined = "gate * y + (1.0 - gate) * shortcut"
        end = forward.call(block.after, joined)
        return [*forward.lines, f"return {end}"]
