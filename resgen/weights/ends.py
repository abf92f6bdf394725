"""Tensors outside of the stages -> stem and head."""

from __future__ import annotations

import re
from collections.abc import Mapping
from math import isqrt
from typing import NamedTuple

from resgen.plan.layers import Shape
from resgen.weights.blocks import Unexplained
from resgen.weights.shapes import as_words

Shapes = Mapping[str, Shape]
Keys = dict[str, object]


class Stem(NamedTuple):
    """A stem as a spec says it.

    keys: of `stem`, a mapping or rows. shrinks: how often it halves the image, as a factor.
    small: whether it is a stem for small images. normed: whether it ends in a norm.
    """

    keys: Keys | list[object]
    channels: int
    width: int
    shrinks: int
    small: bool
    normed: bool
    assumed: dict[str, str]


def stem_of(outside: Shapes, norm: str) -> Stem:
    """The stem, by its convolutions. Raises Unexplained for one that no word and no path says."""
    deep = _members(outside, r"conv1\.(\d+)\.weight")
    single = _members(outside, r"conv(\d+)\.weight")
    pool: Keys = {"pool": "conv"} if "maxpool.0.weight" in outside else {}
    if deep:
        return _deep(list(deep.values()), pool, f"{norm}1.weight" in outside)
    if not single:
        raise Unexplained("conv1.weight", "is missing: no convolution stands before the stages")
    shapes = list(single.values())
    first = shapes[0]
    normed = any(key.startswith(f"{norm}{len(shapes)}.") for key in outside)
    kind = _KINDS.get(first[2:])
    if len(shapes) > 1 or kind is None:
        return _rows(shapes, normed)
    small = kind == "conv3x3" and outside.get("fc.weight", (0,))[0] < _MANY
    if kind == "conv3x3" and not small:
        kind = "conv3x3-s2"
    same = "conv7x7" if first[2:] == (7, 7) else "conv3x3-s2" if small else "conv3x3"
    keys: Keys = {"kind": kind, "width": first[0], **pool}
    shrinks = 4 if kind == "conv7x7-pool" else 1 if small else 2
    assumed = {"stem": f"its strides and its pool; {same} has the same tensors"}
    return Stem(keys, first[1], first[0], shrinks, small, normed, assumed)


_KINDS: dict[Shape, str] = {(7, 7): "conv7x7-pool", (3, 3): "conv3x3"}
_MANY = 1000
"""Classes from which on images are taken for large ones."""


def _members(outside: Shapes, pattern: str) -> dict[int, Shape]:
    """Convolutions by their numbers, in order."""
    matches = ((re.fullmatch(pattern, key), shape) for key, shape in outside.items())
    found = {int(match[1]): shape for match, shape in matches if match and len(shape) == 4}
    return dict(sorted(found.items()))


def _deep(shapes: list[Shape], pool: Keys, normed: bool) -> Stem:
    """Three 3x3 convolutions, of whose widths the last is the stem's."""
    widths = [shape[0] for shape in shapes]
    width = widths[-1]
    words = {(width // 2, width // 2): "deep", (3 * width // 8, width // 2): "deep-tiered"}
    kind = words.get((widths[0], widths[1])) if len(widths) == 3 else None
    if kind is None or any(shape[2:] != (3, 3) for shape in shapes):
        said = ", ".join(map(as_words, shapes))
        raise Unexplained("conv1.0.weight", f"is in a stem that no word says: {said}")
    assumed = {"stem": "its strides and its pool"}
    keys: Keys = {"kind": kind, "width": width, **pool}
    return Stem(keys, shapes[0][1], width, 4, False, normed, assumed)


def _rows(shapes: list[Shape], normed: bool) -> Stem:
    """A stem of several convolutions, or of another kernel, as a path."""
    rows: list[object] = []
    for number, shape in enumerate(shapes):
        kernel = shape[2] if shape[2] == shape[3] else list(shape[2:])
        row: Keys = {"conv": kernel, "width": shape[0]}
        if not number:
            row["stride"] = 2
        if any(side % 2 == 0 for side in shape[2:]):
            row["padding"] = 0
        rows.append(row)
        if normed or number + 1 < len(shapes):
            rows += ["norm", "act"]
    assumed = {"stem": "its strides and paddings, and its pools"}
    return Stem(rows, shapes[0][1], shapes[-1][0], 2, False, normed, assumed)


class Head(NamedTuple):
    """A head as a spec says it; size: pixels that reach it a side, where tensors say them."""

    classes: int
    keys: Keys
    assumed: dict[str, str]
    size: int = 0


def head_of(outside: Shapes, *, ahead: bool) -> Head:
    """The head; ahead: whether the order has norms ahead of convolutions, and one at the end."""
    pixels = outside.get("attnpool.positional_embedding")
    if pixels:
        out = outside.get("attnpool.c_proj.weight", pixels)[0]
        assumed = {"head": "the number of heads of its attention"}
        return Head(0, {"head": [{"attention-pool": out}]}, assumed, isqrt(pixels[0] - 1))
    shape = outside.get("fc.weight", ())
    classes = shape[0] if shape else 0
    keys: Keys = {}
    assumed = {"head.dropout": ""}
    if "head_conv.weight" in outside:
        keys["width"] = outside["head_conv.weight"][0]
    if ahead and not any(key.startswith("final_") for key in outside):
        keys["final_activation"] = "none"
        assumed["head.final_activation"] = "order, if that is preact-shared"
    if shape and "fc.bias" not in outside and not keys and not ahead:
        rows = ["global-pool", "flatten", {"linear": "classes", "bias": False}]
        return Head(classes, {"head": rows}, {})
    return Head(classes, {"head": keys} if keys else {}, assumed)
