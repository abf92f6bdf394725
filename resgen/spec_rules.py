"""The rules between keys: what a Spec must satisfy beyond each key's own range."""

from __future__ import annotations

import math
from collections import Counter
from fractions import Fraction
from typing import Any

from resgen.spec_parts import RegNet, broken

# Two spellings of one fact: a stage that gives the one is not asked for the other.
RIVALS = (("bottleneck_ratio", "mid_width"), ("groups", "group_width"))


def check_stage(spec: Any, index: int) -> None:
    """The rules between the keys of one stage; raises the first broken one."""
    level: list[str | int] = ["stages", index]
    stage, values = spec.stages[index], spec.settings(index)

    def written(key: str) -> list[str | int]:
        return [*level, key] if getattr(stage, key) is not None else [key]

    for key in ("block", "shortcut"):
        if values[key] is None:
            raise broken(f"{key} is missing: give it at the top or in this stage", *level)
    for layer in (spec, stage):
        for one, other in RIVALS:
            if getattr(layer, one) is not None and getattr(layer, other) is not None:
                at_ = [other] if layer is spec else [*level, other]
                raise broken(f"{one} and {other} say the same thing; keep one", *at_)
    if values["block"] == "basic" and values["stride_at"] == "1x1":
        raise broken("a basic block has no 1x1 convolution to stride at", *written("stride_at"))
    if values["zero_init"] == "last" and not _has_last_norm(values):
        raise broken(
            "zero_init: last needs a norm at the end of the main path; "
            f"order {values['order']} with norm {values['norm'].kind} has none",
            *written("zero_init"),
        )
    try:
        mid, groups = inner_widths(values, stage.width)
    except ValueError as error:
        raise broken(str(error), *level, "width") from None
    first = mid // values["reduce_first"]
    for what, count in (("width", stage.width), ("inner width", mid), ("first width", first)):
        if values["block"] == "bottleneck" and what != "inner width":
            continue
        if count % groups:
            raise broken(
                f"the {what} {count} must be divisible by the {groups} groups", *level, "width"
            )


def _has_last_norm(values: dict[str, Any]) -> bool:
    return values["norm"].kind != "none" and values["order"] in (
        "original",
        "bn-after-add",
        "relu-before-add",
        "linear",
        "relu-preact",
    )


def inner_widths(values: dict[str, Any], width: int) -> tuple[int, int]:
    """(inner width, groups) of a block; raises ValueError where they do not come out whole."""
    mid = values["mid_width"]
    if mid is None:
        ratio = values["bottleneck_ratio"] or (4 if values["block"] == "bottleneck" else 1)
        exact = width / Fraction(repr(ratio))
        if exact.denominator != 1 or exact < 1:
            raise ValueError(f"must be divisible by bottleneck_ratio {ratio:g} (got {width})")
        mid = int(exact)
    if mid % values["reduce_first"]:
        raise ValueError(
            f"the inner width {mid} must be divisible by reduce_first {values['reduce_first']}"
        )
    if values["group_width"] is None:
        return mid, values["groups"] or 1
    if mid % values["group_width"]:
        raise ValueError(
            f"the inner width {mid} must be divisible by group_width {values['group_width']}"
        )
    return mid, mid // values["group_width"]


def regnet_stages(regnet: RegNet, ratio: float) -> list[dict[str, Any]]:
    """w_j = w0 wm^round(log(w0 + wa j / w0) / log wm), to multiples of 8, equal ones a stage.

    Then each width is made divisible by its groups; see `rounding`.
    """
    widths = []
    for j in range(regnet.depth):
        power = round(math.log((regnet.w0 + regnet.wa * j) / regnet.w0) / math.log(regnet.wm))
        widths.append(round(regnet.w0 * regnet.wm**power / 8) * 8)
    stages = []
    for width, depth in sorted(Counter(widths).items()):
        inner = int(width / ratio)
        group = min(regnet.group_width, inner)
        inner = _to_multiple(inner, group, regnet.rounding)
        stages.append(
            {
                "depth": depth,
                "width": int(inner * ratio),
                "stride": regnet.stride,
                "group_width": group,
                "bottleneck_ratio": ratio,
            }
        )
    return stages


def _to_multiple(width: int, group: int, rounding: str) -> int:
    if rounding == "nearest":
        return round(width / group) * group
    rounded = max(group, int(width + group / 2) // group * group)
    return rounded + group if rounded < 0.9 * width else rounded
