"""Tensors of blocks' attentions -> the setting that makes each of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from math import floor, log2
from typing import NamedTuple

from resgen.weights.blocks import Facts, Unexplained

Setting = dict[str, object] | str

_KEYS = {
    "eca": "se.conv.weight",
    "cbam": "se.0.fc1.weight",
    "gc": "se.conv_attn.weight",
    "se": "se.fc1.weight",
}
"""A tensor that only this attention has, looked for in this order."""

_SQUEEZE = {"se": "se.fc1.weight", "gc": "se.fc1.weight", "cbam": "se.0.fc1.weight"}


class _Rounding(NamedTuple):
    """How a squeezed width becomes whole, and what the setting says of it."""

    said: dict[str, object]
    rounded: Callable[[Fraction], int]


def _eights(width: Fraction) -> int:
    return max(1, floor(width / 8 + Fraction(1, 2))) * 8


_EIGHTS = _Rounding({}, _eights)
_EVEN = _Rounding({"divisor": 1, "round": "nearest"}, lambda width: max(1, round(width)))
_DOWN = _Rounding({}, lambda width: max(1, floor(width)))
_ROUNDINGS = {"se": (_EIGHTS, _EVEN), "cbam": (_DOWN, _EVEN), "gc": (_DOWN, _EVEN)}


def attentions(blocks: Sequence[Facts]) -> list[Setting]:
    """The attention of each block: the simplest setting that gives every width and kernel.

    Raises Unexplained for one that attends to channels which its block has nowhere.
    """
    kinds = [_kind(block) for block in blocks]
    found: dict[str, Iterator[Setting]] = {}
    for kind in dict.fromkeys(kinds):
        own = [block for block, each in zip(blocks, kinds, strict=True) if each == kind]
        if kind != "none":
            found[kind] = iter(_kernels(own) if kind == "eca" else _squeezed(kind, own))
    return ["none" if kind == "none" else next(found[kind]) for kind in kinds]


def _kind(block: Facts) -> str:
    return next((kind for kind, key in _KEYS.items() if key in block.tensors), "none")


def _setting(kind: str, position: str, said: dict[str, object]) -> Setting:
    """A word alone where nothing else is said."""
    if position != "end":
        said = {**said, "position": position}
    return {"kind": kind, **said} if said else kind


def _positions(blocks: Sequence[Facts]) -> dict[str, list[int]]:
    """Where an attention may stand, and the channels of each block there."""
    return {
        "end": [block.width for block in blocks],
        "3x3": [block.mid for block in blocks],
        "pre": [block.enters for block in blocks],
    }


def _kernels(blocks: Sequence[Facts]) -> list[Setting]:
    """Efficient channel attention by its rule, where that gives every kernel; else by number."""
    kernels = [block.tensors[_KEYS["eca"]][-1] for block in blocks]
    for position, widths in _positions(blocks).items():
        if kernels == [max(int((log2(width) + 1) / 2) | 1, 3) for width in widths]:
            return [_setting("eca", position, {})] * len(blocks)
    return [_setting("eca", "end", {"kernel": kernel}) for kernel in kernels]


def _squeezed(kind: str, blocks: Sequence[Facts]) -> list[Setting]:
    """Attentions that squeeze, by one ratio for all blocks, or by one for each."""
    squeezes = [block.tensors[_SQUEEZE[kind]] for block in blocks]
    made, over = [shape[0] for shape in squeezes], [shape[1] for shape in squeezes]
    places = [place for place, widths in _positions(blocks).items() if widths == over]
    if not places:
        raise Unexplained(
            f"{blocks[0].name}.{_SQUEEZE[kind]}",
            "is of an attention to channels that not every block has at its end, behind its 3x3 "
            "convolution or before its first",
        )
    extra = _extra(kind, blocks[0])
    bases = {"width": over, "input": [block.enters for block in blocks]}
    if kind != "se":
        del bases["input"]
    for of, base in bases.items():
        for share in dict.fromkeys([*_LIKELY, *map(Fraction, made, base)]):
            written = Fraction(repr(float(share)))
            for rounding in _ROUNDINGS[kind]:
                if [rounding.rounded(written * width) for width in base] == made:
                    said = {**extra, **rounding.said, "ratio": float(share)}
                    if of != "width":
                        said["ratio_of"] = of
                    return [_setting(kind, places[0], said)] * len(blocks)
    return [
        _setting(kind, places[0], {**extra, **_EVEN.said, "ratio": squeeze / width})
        for squeeze, width in zip(made, over, strict=True)
    ]


_LIKELY = (Fraction(1, 16), Fraction(1, 8), Fraction(1, 4), Fraction(1, 2))


def _extra(kind: str, block: Facts) -> dict[str, object]:
    """Biases and kernels inside."""
    said: dict[str, object] = {}
    if kind != "gc" and _SQUEEZE[kind].replace("weight", "bias") not in block.tensors:
        said["bias"] = False
    if kind == "cbam" and (shape := block.tensors.get("se.1.conv.weight")) and shape[-1] != 7:
        said["kernel"] = shape[-1]
    return said
