"""Layers -> what a drawing shows of them: which get a box, and its text."""

from __future__ import annotations

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
    EvoNormB0,
    EvoNormS0,
    FilterResponseNorm,
    FrozenBatchNorm,
    GatedSqueezeExcitation,
    GlobalAvgPool,
    InstanceBatchNorm,
    InstanceNorm,
    LearnedScale,
    Linear,
    OffsetIdentity,
    PaddedIdentity,
    Part,
    Residual,
    ResponseNorm,
    Scale,
    Shift,
    SpaceToDepth,
    SqueezeExcitation,
    StandardizedConv,
    Upsample,
)
from resgen.report.kinds import depthwise, holds, kind_of, side, sides

_HIDDEN = ("norm", "activation", "free")
_SHOWN = (ChannelShuffle, Shift, SpaceToDepth, Upsample)  # of the free ones: they move values
_SILENT = ("Flatten", "Identity")  # of the free ones: never shown
_NORMS = (
    EvoNormB0, EvoNormS0, FilterResponseNorm, FrozenBatchNorm, InstanceBatchNorm, InstanceNorm,
)  # fmt: skip
_TITLES: dict[type, str] = {
    GlobalAvgPool: "avg pool",
    SqueezeExcitation: "squeeze, excite",
    GatedSqueezeExcitation: "squeeze, excite",
    EfficientChannelAttention: "channel attention",
    ChannelAttention: "channel attention",
    ResponseNorm: "response norm",
}
_BRIEF = {
    "batch norm": "BN", "frozen batch norm": "frozen BN", "group norm": "GN", "layer norm": "LN",
    "instance norm": "IN", "instance batch norm": "IBN", "filter response norm": "FRN",
    "evonorm b0": "EvoNorm B0", "evonorm s0": "EvoNorm S0", "learned scale": "scale",
}  # fmt: skip


def shown(layers: Sequence[Layer], *, norms: bool = False, free: bool = False) -> list[Layer]:
    """The layers that are drawn; a definition of one box is that box, repeats stand in a row.

    norms: with norms and activations; free: with dropout, padding and the like.
    """
    found: list[Layer] = []
    for layer in layers:
        op = layer.op
        if isinstance(op, Part):
            inner = shown(op.layers, norms=norms, free=free)
            alone = len(shown(op.layers)) < 2 and not any(holds(part.op) for part in inner)
            found += inner if alone else [layer]
        elif isinstance(op, Residual) and repeats(op):
            found += shown(op.main, norms=norms, free=free)
        elif op.line == "free" and not isinstance(op, _SHOWN):
            found += [layer] if free and type(op).__name__ not in _SILENT else []
        elif norms or holds(op) or isinstance(op, _SHOWN) or op.line not in _HIDDEN:
            found.append(layer)
    return found


def shown_branch(
    path: Sequence[Layer], join: str, *, norms: bool = False, free: bool = False
) -> list[Layer]:
    """The layers drawn of a branch: norms and activations where nothing else is, a gate's last."""
    found = shown(path, norms=norms, free=free)
    found = found or [layer for layer in path if layer.op.line != "free"]
    ends = join == "product" and path and path[-1].op.line == "activation"
    return [*found, path[-1]] if ends and path[-1] not in found else found


def in_strip(layer: Layer) -> bool:
    """Whether a layer is drawn as a low box: norms, activations, factors."""
    op = layer.op
    return op.line in ("norm", "activation") or isinstance(op, (Scale, LearnedScale, *_NORMS))


def strip_text(layer: Layer, *, brief: bool) -> str:
    """BN, ReLU; in full batch norm."""
    op, words = layer.op, kind_of(layer.op)
    if op.line == "activation":
        name = type(op).__name__
        return name if "LU" in name else words
    if isinstance(op, Scale):
        return f"\u00d7 {op.factor:.3g}"
    return _BRIEF.get(words, words) if brief else words


def gate(layer: Layer) -> tuple[list[Layer], str] | None:
    """(what a gate computes, how it meets what it gates) of a layer that is one."""
    if layer.op.line != "parts" or holds(layer.op):
        return None
    *inner, last = layer.op.parts(layer.input)
    joins = {"Multiply": "product", "Sum": "sum"}.get(type(last.op).__name__)
    return (inner, joins) if joins and inner else None


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
