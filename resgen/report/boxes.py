"""Layers -> what a drawing shows of them: which get a box, its text, and how wide that is."""

from __future__ import annotations

import math
import re
from collections.abc import Hashable, Iterator, Sequence

from resgen.plan import Layer, Op
from resgen.plan.layers import (
    Branches,
    ChannelAttention,
    ChannelConv,
    ChannelShuffle,
    Conv,
    EfficientChannelAttention,
    GatedSqueezeExcitation,
    GlobalAvgPool,
    Linear,
    OffsetIdentity,
    PaddedIdentity,
    Part,
    Residual,
    ResponseNorm,
    Shift,
    SpaceToDepth,
    SqueezeExcitation,
    StandardizedConv,
    Upsample,
)
from resgen.report.kinds import depthwise, holds, kind_of, side, sides

_HIDDEN = ("norm", "activation", "free")
_SHOWN = (ChannelShuffle, Shift, SpaceToDepth, Upsample)  # of the free ones: they move values
_TITLES: dict[type, str] = {
    GlobalAvgPool: "avg pool",
    SqueezeExcitation: "squeeze, excite",
    GatedSqueezeExcitation: "squeeze, excite",
    EfficientChannelAttention: "channel attention",
    ChannelAttention: "channel attention",
    ResponseNorm: "response norm",
}


def shown(layers: Sequence[Layer]) -> list[Layer]:
    """The layers that are drawn; a definition of one box is that box, repeats stand in a row."""
    found: list[Layer] = []
    for layer in layers:
        op = layer.op
        if isinstance(op, Part):
            inner = shown(op.layers)
            alone = len(inner) < 2 and not any(holds(part.op) for part in inner)
            found += inner if alone else [layer]
        elif isinstance(op, Residual) and repeats(op):
            found += shown(op.main)
        elif holds(op) or isinstance(op, _SHOWN) or op.line not in _HIDDEN:
            found.append(layer)
    return found


def shown_branch(path: Sequence[Layer], join: str) -> list[Layer]:
    """The layers drawn of a branch: norms and activations where nothing else is, a gate's last."""
    found = shown(path) or [layer for layer in path if layer.op.line != "free"]
    ends = join == "product" and path and path[-1].op.line == "activation"
    return [*found, path[-1]] if ends and path[-1] not in found else found


def repeats(op: Residual) -> bool:
    """Whether a plain unit is one definition so many times in a row."""
    numbered = all(re.search(r"\.\d+$", layer.name) for layer in op.main)
    return op.shortcut.kind == "none" and numbered


def unlisted(op: Branches, path: Sequence[Layer]) -> Sequence[Layer]:
    """A path's layers; out of the module of their own where one path stands many times."""
    inner = path[0].op if op.listed and len(path) == 1 else None
    return inner.layers if isinstance(inner, Part) and inner.title == "branch" else path


def skeleton(layers: Sequence[Layer]) -> Hashable:
    """What two definitions share that look alike but for their widths."""
    return tuple(_bones(layer.op) for layer in shown(layers))


def _bones(op: Op) -> Hashable:
    if isinstance(op, Part):
        return (op.title, skeleton(op.layers))
    if isinstance(op, Branches):
        return (op.join, op.carry, bool(op.takes), tuple(map(skeleton, op.paths)))
    if isinstance(op, Residual):
        return (op.shortcut.kind, op.leaves_after, skeleton(op.main))
    kernel, stride = getattr(op, "kernel_size", 0), getattr(op, "stride", 1)
    return (type(op).__name__, kernel, stride, depthwise(op))


def carried(op: Branches) -> set[int]:
    """The branches that add what the one before puts out to what they take in."""
    parts, at, found = list(op.parts(op.inputs[0])), 0, set()
    joins = 1 if op.joiner or (op.join == "sum" and len(op.paths) > 1) else 0
    for number, path in enumerate(op.paths):
        if number and op.carry == "sum" and at < len(parts) - joins:
            sums = getattr(parts[at].op, "of", 0) == 2 and not parts[at].name
            if sums and parts[at] not in path[:1]:
                found.add(number)
                at += 1
        at += len(path)
    return found


# --- text ----------------------------------------------------------------------------


def box_text(layer: Layer) -> str:
    """3x3 conv, 64, /2."""
    op = layer.op
    if isinstance(op, Conv):
        words = [f"{sides(op.kernel_size)} conv", str(op.out_channels)]
        words += [f"/{side(op.stride)}"] if op.stride != 1 else []
        if depthwise(op):
            words[0] = words[0].replace("conv", "depthwise")
        elif op.groups > 1:
            words.append(f"{op.groups} groups")
        words += [f"dilated {side(op.dilation)}"] if op.dilation != 1 else []
        if isinstance(op, StandardizedConv):
            words[0] = re.sub("conv|depthwise", r"ws \g<0>", words[0])
        return ", ".join(words)
    if isinstance(op, Linear):
        return f"fc {op.out_features}"
    if isinstance(op, ChannelConv):
        return f"conv over channels, {op.kernel_size}"
    if isinstance(op, Part):
        shrinks = len(layer.output) == 3 and layer.output[1] and layer.input[1] // layer.output[1]
        return f"{op.title}, {layer.output[0]}" + (f", /{shrinks}" if shrinks > 1 else "")
    if type(op) in _TITLES:
        return _TITLES[type(op)]
    kernel, stride = getattr(op, "kernel_size", 0), getattr(op, "stride", 1)
    if not kernel:
        return kind_of(op).replace(" /", ", /")
    kind = re.sub(r" \d+x\d+.*", "", kind_of(op)).replace("pool", " pool")
    return f"{sides(kernel)} {kind}" + (f", /{side(stride)}" if stride != 1 else "")


def labels(layers: Sequence[Layer]) -> list[str]:
    """What lies on a shortcut, a line each; branches a line a branch, then how they join."""
    return list(_labels(layers))


def _labels(layers: Sequence[Layer]) -> Iterator[str]:
    for layer in layers:
        op = layer.op
        if isinstance(op, PaddedIdentity | OffsetIdentity):
            stride = f", /{side(op.stride)}" if op.stride != 1 else ""
            yield f"pad to {op.out_channels}{stride}"
        elif isinstance(op, Part):
            yield from _labels(op.layers)
        elif isinstance(op, Residual):
            yield from _labels(op.main)
        elif isinstance(op, Branches):
            yield from (" \u2192 ".join(_labels(path)) or "itself" for path in op.paths)
            yield join_text(op)
        elif op.line not in ("norm", "activation") and type(op).__name__ != "Identity":
            yield box_text(layer)


def join_text(op: Branches) -> str:
    """concat, 256."""
    if op.joiner:
        return kind_of(op.joiner.op)
    return f"{op.join}, {op.output[0]}"


_NARROW, _WIDE = frozenset("fijlrtI ,./-:;'|()[]"), frozenset("mwMW%@")


def text_width(text: str, size: float = 12.5) -> int:
    """Pixels that text takes in the widest of the drawing's fonts."""
    em = sum(
        0.37 if c in _NARROW else 0.96 if c in _WIDE else 0.72 if c.isupper() else 0.636
        for c in text
    )
    return math.ceil(em * size)
