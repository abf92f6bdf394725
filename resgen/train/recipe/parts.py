"""The parts of a network from its input to its output: what is frozen, and whose rate is whose."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import takewhile
from typing import NamedTuple

from resgen.errors import UserError
from resgen.train.recipe.keys import Optimizer
from resgen.words import joined

BACKBONE = "backbone"


class Part(NamedTuple):
    """A stem, a block or a head: its name, its layers' and its parameters', MACs of an image."""

    name: str
    layers: tuple[str, ...]
    parameters: tuple[str, ...]
    macs: int = 0


class Parts(NamedTuple):
    """Stem, every block, head; depth is the place in this row."""

    row: tuple[Part, ...]

    @property
    def head(self) -> int:
        """The depth of what comes after the last stage."""
        return len(self.row) - 1

    def depths(self) -> dict[str, int]:
        """Parameter -> the depth of its part."""
        return {name: depth for depth, part in enumerate(self.row) for name in part.parameters}

    def scale(self, depth: int, recipe: Optimizer) -> float:
        """layer_decay ** (head - depth), times head_rate for the head itself."""
        own = recipe.head_rate if depth == self.head else 1.0
        return float(own * recipe.layer_decay ** (self.head - depth))


ONE = Parts(())
"""Of what is trained at one rate, nothing has to be known."""


class Frozen(NamedTuple):
    """What a recipe freezes of a network, as the names of modules; what lies in them is, too."""

    modules: tuple[str, ...] = ()

    def holds(self, name: str) -> bool:
        """Whether a module or parameter of this name is frozen."""
        return any(name == each or name.startswith(f"{each}.") for each in self.modules)

    def leading(self, parts: Parts) -> int:
        """How many parts, counted from the input, need no way back: all before the first trained.

        A part without parameters goes with those before it.
        """
        still = (all(map(self.holds, part.parameters)) for part in parts.row)
        return sum(1 for _ in takewhile(bool, still))

    def backward_macs(self, parts: Parts) -> int:
        """Multiply-adds of one image's way back: twice those forward, less what is not asked for.

        Of parts before the first trained one nothing; of later frozen ones the gradient of their
        input only.
        """
        after = parts.row[self.leading(parts) :]
        whole = [all(map(self.holds, part.parameters)) for part in after]
        return sum((1 if still else 2) * p.macs for p, still in zip(after, whole, strict=True))


def frozen(wanted: Sequence[str], parts: Parts, network: str) -> Frozen:
    """The modules that a recipe's `freeze` names.

    A name is stem, head, backbone (all but the head), or a stage's, a block's or a layer's.
    Raises UserError for a name the network does not have, and where nothing is left to train.
    """
    if not wanted:
        return Frozen()
    names = [name for part in parts.row for name in part.parameters]
    stem, head = parts.row[0], parts.row[-1]
    blocks = tuple(part.name for part in parts.row[1:-1])
    words = {"stem": stem.layers, "head": head.layers, BACKBONE: (*stem.layers, *blocks)}
    modules: list[str] = []
    for name in wanted:
        if name not in words and not any(each.startswith(f"{name}.") for each in names):
            stages = dict.fromkeys(block.partition(".")[0] for block in blocks)
            known = joined(["stem", *stages, "head", BACKBONE])
            raise UserError(
                f"freeze: {name} is nothing that {network} trains; it has {known}, and blocks and "
                f"layers by their names, as {blocks[0]}"
            )
        modules += words.get(name, (name,))
    found = Frozen(tuple(dict.fromkeys(modules)))
    if all(map(found.holds, names)):
        raise UserError(f"freeze: {joined(wanted)} is all of {network}; nothing is left to train")
    return found


def trained(
    shapes: Iterable[tuple[str, Sequence[int]]], still: Frozen
) -> list[tuple[str, Sequence[int]]]:
    """The (name, shape) pairs that are not frozen."""
    return [(name, shape) for name, shape in shapes if not still.holds(name)]
