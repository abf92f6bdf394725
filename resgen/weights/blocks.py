"""Tensors of one block -> what made it: kind, widths, groups, projection.

Knows the names that resgen, torchvision and timm give to layers, and shapes; nothing else.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from resgen.plan.layers import Shape
from resgen.weights.shapes import as_words

Shapes = Mapping[str, Shape]


class Unexplained(ValueError):
    """A tensor that no key of a spec explains: its name, and why."""

    def __init__(self, name: str, why: str) -> None:
        super().__init__(why)
        self.name, self.why = name, why


class Facts(NamedTuple):
    """One block: what enters it, its widths and groups, its projection ("" without one)."""

    name: str
    kind: str
    enters: int
    width: int
    first: int
    mid: int
    groups: int
    projection: str
    strided: bool
    """Whether its projection says that the block strides."""
    tensors: Shapes


def facts(name: str, tensors: Shapes, enters: int) -> Facts:
    """What one block is. Raises Unexplained where it is neither basic nor a bottleneck."""
    convs = [tensors.get(f"conv{i}.weight", ()) for i in (1, 2, 3, 4)]
    kernels = [shape[2:] for shape in convs if len(shape) == 4]
    kind = {
        ((3, 3), (3, 3)): "basic",
        ((1, 1), (3, 3), (1, 1)): "bottleneck",
    }.get(tuple(kernels))
    if kind is None:
        odd = next((key for key in tensors), "conv1.weight")
        said = ", ".join(as_words(side) for side in kernels) or "none of such names"
        raise Unexplained(
            f"{name}.{odd}",
            f"is in a block whose convolutions are {said}; read are basic blocks (3x3, 3x3) and "
            "bottlenecks (1x1, 3x3, 1x1)",
        )
    first, last = convs[0][0], len(kernels) - 1
    mid = convs[1][0] if kind == "bottleneck" else first
    if not convs[1][1] or first % convs[1][1]:
        raise Unexplained(
            f"{name}.conv2.weight", f"takes {convs[1][1]} channels a group, and {first} enter"
        )
    groups = first // convs[1][1]
    takes = convs[0][1] * (groups if kind == "basic" else 1)
    if takes != enters:
        raise Unexplained(
            f"{name}.conv1.weight", f"takes {takes} channels, and {enters} enter the block"
        )
    width = convs[last][0]
    projection, strided = _projection(name, tensors, width)
    return Facts(name, kind, enters, width, first, mid, groups, projection, strided, tensors)


def _projection(name: str, tensors: Shapes, width: int) -> tuple[str, bool]:
    """A projection's word, and whether it is a 3x3 convolution, as only where it strides."""
    for place, word in ((0, "conv"), (1, "avgpool-conv")):
        shape = tensors.get(f"downsample.{place}.weight", ())
        if len(shape) == 4 and shape[0] == width and shape[2:] in ((1, 1), (3, 3)):
            if shape[2:] == (3, 3):
                return "conv3x3", True
            return word, False
    odd = next((key for key in tensors if key.startswith("downsample.")), None)
    if odd is not None:
        raise Unexplained(f"{name}.{odd}", "is in a projection that is no 1x1 convolution")
    return "", False
