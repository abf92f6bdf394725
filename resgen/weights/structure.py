"""Names and shapes of tensors -> the keys of a spec, read from the tensors alone.

Networks of basic and bottleneck blocks, under our names. What tensors cannot say is given a usual
value, and said to be assumed.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from math import prod
from typing import NamedTuple

from resgen.plan.layers import Shape
from resgen.spec.settings import divided
from resgen.weights.attentions import attentions
from resgen.weights.blocks import Facts, Shapes, Unexplained, facts
from resgen.weights.ends import Stem, head_of, stem_of
from resgen.weights.norms import norms_of

_BLOCK = re.compile(r"^layer(\d{1,9})\.(\d{1,9})\.(.+)$")

Keys = dict[str, object]


class Read(NamedTuple):
    """The keys of a spec, less its name, and those of them that tensors do not say.

    assumed: dotted key, as `stages.stride`, to what else has the same tensors ("": any value).
    """

    keys: Keys
    assumed: dict[str, str]


def network(tensors: Shapes) -> Read:
    """The network of a mapping of names to shapes. Raises Unexplained for the first that is none.

    The keys are a spec's; whether they explain every tensor is for the caller to see.
    """
    _check_sides(tensors)
    outside, inside = _sorted(tensors)
    norms = norms_of(tensors)
    stem = stem_of(outside, norms.name)
    stages = _facts(inside, stem.width)
    blocks = [block for stage in stages for block in stage]
    final = any(key.startswith("final_") for key in outside)
    order = norms.order([_around(block) for block in blocks], final=final)
    head = head_of(outside, ahead=order.ahead)
    shortcuts, seen = _shortcuts(stages)
    settings = _widths(blocks)
    for setting, attention, shortcut in zip(settings, attentions(blocks), shortcuts, strict=True):
        setting |= {"shortcut": shortcut, "attention": attention}
    projections = {block.projection for block in blocks}
    entry = any(key.startswith(f"{norms.name}1.") for key in inside[0][0])
    keys: Keys = {
        "input": {},
        "stem": _activated(stem, entry=entry) if order.ahead else stem.keys,
        "order": order.word,
        **norms.keys,
        "stages": _stages(stages, shortcuts, strides=stem.shrinks == 2),
        **head.keys,
        "classes": head.classes,
    }
    if found := projections - {"", "conv"}:
        keys["projection"] = "conv3x3" if "conv3x3" in found else found.pop()
    keys["input"] = {"channels": stem.channels, "size": _size(stem, keys["stages"], head.size)}
    _spread(keys, settings, [len(stage) for stage in stages])
    never = {key: more for key, more in _NEVER.items() if key not in norms.keys}
    assumed = {**never, **stem.assumed, **norms.assumed, **order.assumed, **head.assumed}
    if norms.keys["norm"] == "none":
        assumed["block"] = "factors between its layers, as networks without norms have"
    if head.size:
        assumed["input.size"] = "another, where the stages stride otherwise"
    if not seen:
        assumed["shortcut"] = "none and every identity have the same tensors"
    if any(block.kind == "bottleneck" for block in blocks):
        assumed["stride_at"] = ""
    if projections == {""}:
        assumed["projection"] = ""
    if any(setting["attention"] != "none" for setting in settings):
        assumed["attention"] = "its place, activation and gate"
    return Read(keys, assumed)


def _around(block: Facts) -> tuple[Shapes, list[int], list[int]]:
    """A block's tensors, and the channels that each of its convolutions takes and puts out."""
    widths = [block.enters, block.first, block.mid, block.width]
    if block.kind == "basic":
        del widths[2]
    return block.tensors, widths[:-1], widths[1:]


def _activated(stem: Stem, *, entry: bool) -> object:
    """A stem ahead of pre-activated blocks; entry: whether the first has the first norm."""
    if isinstance(stem.keys, list) or not entry:
        return stem.keys
    return {**stem.keys, "first_activation": "both" if stem.normed else "block"}


_NEVER = {
    "input.size": "",
    "stages.stride": "",
    "activation": "",
    "antialias": "",
    "convolution": "standardized has the same tensors",
    "dilation": "",
    "padding": "",
    "zero_init": "",
    "drop_path": "",
    "output_stride": "",
    "head.dropout": "",
}
"""What no tensor says, ever."""


_SIDES = (
    (re.compile(r"(?:^|\.)(?:bn|norm)\d?\.(?:\w+\.)*\w+$|\.bias$"), 1, "such a vector"),
    (re.compile(r"\.se\.conv\.weight$"), 3, "a convolution along the channels"),
    (re.compile(r"(?:^|\.)(?:head_)?conv\d?\.(?:\d\.)?weight$"), 4, "a convolution"),
    (re.compile(r"\.se\.(?:\d\.)?(?:fc\d|conv_attn|conv)\.weight$"), 4, "a convolution"),
    (
        re.compile(r"^fc\.weight$|^attnpool\.(?:.*\.)?(?:weight|positional_embedding)$"),
        2,
        "a matrix",
    ),
)
"""The tensors whose sides are looked at, by the ends of their names."""


def _check_sides(tensors: Shapes) -> None:
    """Raises Unexplained for the first tensor that has no values, or not the sides of its kind."""
    for name, shape in tensors.items():
        if 0 in shape:
            raise Unexplained(name, "has no values")
        for ends, sides, what in _SIDES:
            if ends.search(name):
                # The convolutions of a stem and the norms between them have one name.
                between = sides == 4 and len(shape) == 1 and name.startswith("conv1.")
                if len(shape) != sides and not between:
                    raise Unexplained(name, f"has {len(shape)} sides, and {what} has {sides}")
                break


def _sorted(tensors: Shapes) -> tuple[dict[str, Shape], list[list[dict[str, Shape]]]]:
    """The tensors outside of the stages, and those of each block of each stage."""
    outside: dict[str, Shape] = {}
    found: dict[int, dict[int, dict[str, Shape]]] = {}
    for name, shape in tensors.items():
        if match := _BLOCK.match(name):
            stage, block, rest = int(match[1]), int(match[2]), match[3]
            found.setdefault(stage, {}).setdefault(block, {})[rest] = shape
        else:
            outside[name] = shape
    if not found:
        first = next(iter(tensors))
        raise Unexplained(first, "is in no network of stages: none of its names is layer1.0...")
    for count, stage in enumerate(sorted(found), 1):
        if stage != count:
            raise Unexplained(f"layer{count}.0", f"is missing, though layer{stage} is there")
        for number, block in enumerate(sorted(found[stage])):
            if block != number:
                raise Unexplained(
                    f"layer{stage}.{number}", f"is missing, though layer{stage}.{block} is there"
                )
    return outside, [[found[s][b] for b in sorted(found[s])] for s in sorted(found)]


def _facts(inside: Sequence[Sequence[Shapes]], enters: int) -> list[list[Facts]]:
    """What each block is, the width of the one before entering it."""
    stages = []
    for i, stage in enumerate(inside, 1):
        blocks = []
        for j, tensors in enumerate(stage):
            blocks.append(facts(f"layer{i}.{j}", tensors, enters))
            enters = blocks[-1].width
        stages.append(blocks)
    return stages


def _widths(blocks: Sequence[Facts]) -> list[Keys]:
    """Inner widths by one ratio where one does, groups by one number or one width."""
    made: list[Keys] = [{"block": block.kind} for block in blocks]
    ratios = {block.width / block.mid for block in blocks}
    ratio = ratios.pop()
    same = not ratios and all(divided(block.width, ratio) == block.mid for block in blocks)
    for keys, block in zip(made, blocks, strict=True):
        usual = 4 if block.kind == "bottleneck" else 1
        if not same:
            keys["mid_width"] = block.mid
        elif ratio != usual:
            keys["bottleneck_ratio"] = int(ratio) if ratio.is_integer() else ratio
        if block.first != block.mid:
            keys["first_width"] = block.first
    counts, grouped = {block.groups for block in blocks}, [b.mid // b.groups for b in blocks]
    whole = all(block.mid % block.groups == 0 for block in blocks)
    by_width = len(counts) > 1 and len(set(grouped)) == 1 and whole
    for keys, block, width in zip(made, blocks, grouped, strict=True):
        if by_width:
            keys["group_width"] = width
        elif counts != {1}:
            keys["groups"] = block.groups
    return made


def _shortcuts(stages: Sequence[Sequence[Facts]]) -> tuple[list[str], bool]:
    """The shortcut of each block, and whether tensors show it."""
    blocks = [block for stage in stages for block in stage]
    for start, word in (("gate.", "gated"), ("shortcut.", "gated-shortcut")):
        if all(any(key.startswith(start) for key in block.tensors) for block in blocks):
            return [word] * len(blocks), True
    kept = [block for stage in stages for block in stage[1:] if block.enters == block.width]
    if not any(block.projection for block in blocks):
        narrows = any(block.enters > block.width for block in blocks)
        return ["identity-same" if narrows else "identity"] * len(blocks), False
    if kept and all(block.projection for block in blocks):
        return ["projection-all"] * len(blocks), True
    found = []
    for stage in stages:
        for j, block in enumerate(stage):
            changes = block.enters != block.width
            word = "projection"
            if block.projection and j and not changes:
                word = "projection-all"
            elif not block.projection and changes:
                word = "identity"
            found.append(word)
    return found, True


def _stages(
    stages: Sequence[Sequence[Facts]], shortcuts: Sequence[str], *, strides: bool
) -> list[Keys]:
    """Depths, widths and strides; a projection over a kept width says that the stage strides.

    strides: whether the first stage does, as it is assumed.
    """
    made: list[Keys] = []
    words = iter(shortcuts)
    kernels = any(block.strided for stage in stages for block in stage)
    for i, stage in enumerate(stages):
        word, *_ = [next(words) for _ in stage]
        first, widths = stage[0], [block.width for block in stage]
        stride = 2 if i or strides else 1
        if kernels:
            stride = 2 if first.strided else 1
        elif word == "projection" and first.enters == first.width:
            stride = 2 if first.projection else 1
        keys: Keys = {"depth": len(stage), "width": widths[-1], "stride": stride}
        if len(set(widths)) > 1:
            keys["blocks"] = [{"width": width} for width in widths]
        made.append(keys)
    return made


def _size(stem: Stem, stages: object, reaches: int) -> int:
    """The size such stems are usually given, no less than the strides take.

    reaches: pixels a side that reach the head, where tensors say that.
    """
    assert isinstance(stages, list)
    shrunk: int = stem.shrinks * prod(int(stage["stride"]) for stage in stages)
    if reaches:
        return reaches * shrunk
    return max(32 if stem.small else 224, shrunk)


def _spread(keys: Keys, settings: Sequence[Keys], depths: Sequence[int]) -> None:
    """Each setting at the top where all blocks agree, else in stages, else in their blocks."""
    stages = keys["stages"]
    assert isinstance(stages, list)
    for name in dict.fromkeys(name for setting in settings for name in setting):
        values = [setting.get(name) for setting in settings]
        if not _different(values):
            keys |= {name: values[0]} if values[0] is not None else {}
            continue
        start = 0
        for stage, depth in zip(stages, depths, strict=True):
            part = values[start : start + depth]
            start += depth
            if not _different(part):
                stage |= {name: part[0]} if part[0] is not None else {}
                continue
            blocks = stage.setdefault("blocks", [{} for _ in part])
            for block, value in zip(blocks, part, strict=True):
                block |= {name: value} if value is not None else {}


def _different(values: Sequence[object]) -> bool:
    return any(value != values[0] for value in values)
