"""What a forward pass keeps for the way back, as it is written down, and the most alive there."""

from __future__ import annotations

from typing import NamedTuple

from resgen.plan import Layer, Shape, elements

FULL = 4
"""Bytes of a float."""


class Held(NamedTuple):
    """A tensor in the making: its storage, its bytes and the bytes of one element.

    A part of another has that one's storage, which is kept whole.
    """

    key: int
    size: int
    item: int


class Tape:
    """What a forward pass keeps, in order."""

    def __init__(self, batch: int, half: bool) -> None:
        self.batch, self.half = batch, half
        self.kept: dict[int, int] = {}
        self.last_use: dict[int, int] = {}
        self.nodes: list[tuple[int, int]] = []
        self.casts = 0
        self.passing = 0
        self._whole: dict[int, int] = {}
        self._keys = 0

    def tensor(self, count: int, item: int) -> Held:
        """A new tensor of `count` elements."""
        self._keys += 1
        self._whole[self._keys] = count * item
        return Held(self._keys, count * item, item)

    def like(self, shape: Shape, item: int) -> Held:
        """A new tensor of a batch of this shape."""
        return self.tensor(self.batch * elements(shape), item)

    def keep(self, *tensors: Held) -> None:
        """Holds tensors for the node in the making; a storage is held once."""
        for tensor in tensors:
            self.kept[tensor.key] = self._whole[tensor.key]
            # The way back frees a storage at the first node that kept it.
            self.last_use.setdefault(tensor.key, len(self.nodes))

    def node(self, gradient: int, flight: int) -> None:
        """Ends a node: bytes of parameter gradients it makes and of tensors in flight."""
        self.nodes.append((gradient, flight))

    def forget(self) -> None:
        """Drops all that was written, as if without gradients; tensors in hand stay.

        What a layer takes and gives was alive as it was computed.
        """
        self.passing = max([self.passing, *(flight for _, flight in self.nodes)])
        self.kept.clear()
        self.last_use.clear()
        self.nodes.clear()
        self.casts = 0

    def half_of(self, x: Held) -> Held:
        """x as the convolutions take it: cast under autocast, itself otherwise."""
        if not self.half or x.item == 2:
            return x
        return self.tensor(x.size // x.item, 2)

    def weight(self, count: int) -> None:
        """Under autocast, keeps the cast copy of a weight."""
        if self.half:
            self.casts += 2 * count
            self.keep(self.tensor(count, 2))


def weighted(tape: Tape, x: Held, layer: Layer) -> Held:
    """A convolution or a linear layer keeps its input, and under autocast both casts."""
    x = tape.half_of(x)
    shapes = layer.op.params()
    params = sum(map(elements, shapes.values()))
    tape.keep(x)
    tape.weight(elements(shapes["weight"]))
    out = tape.like(layer.output, x.item)
    tape.node(FULL * params, x.size + out.size + (2 * params if tape.half else 0))
    return out


def backward_peak(tape: Tape) -> int:
    """The most of kept tensors, gradients so far and gradients in flight."""
    frees: dict[int, int] = {}
    for key, index in tape.last_use.items():
        frees[index] = frees.get(index, 0) + tape.kept.get(key, 0)
    alive = sum(tape.kept.values())
    gradients = most = 0
    for index in reversed(range(len(tape.nodes))):
        gradient, flight = tape.nodes[index]
        gradients += gradient
        most = max(most, alive + gradients + flight)
        alive -= frees.get(index, 0)
    return most
