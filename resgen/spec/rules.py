"""The rules between keys: what a Spec must satisfy beyond each key's own range."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from fractions import Fraction
from typing import Any, NamedTuple

from resgen.spec.parts import RegNet, broken

# Two spellings of one fact: a stage that gives the one is not asked for the other.
RIVALS = (
    ("bottleneck_ratio", "mid_width"),
    ("groups", "group_width"),
)


def check_stage(spec: Any, index: int) -> None:
    """The rules between the keys of one stage; raises the first broken one."""
    stage = spec.stages[index]
    path: list[str | int] = ["stages", index]
    if stage.blocks is None:
        _check(spec.levels(index), ([], path), spec.settings(index), stage.width)
        return
    for number in range(len(stage.blocks)):
        paths: tuple[list[str | int], ...] = ([], path, [*path, "blocks", number])
        _check(spec.levels(index, number), paths, spec.settings(index, number), stage.width)


def _check(
    levels: Sequence[Any], paths: Sequence[list[str | int]], values: dict[str, Any], width: int
) -> None:
    """The rules between the keys that hold in one place; `levels` wrote them at `paths`."""

    def written(key: str) -> list[str | int]:
        """Where the key that holds was written."""
        given = [path for level, path in zip(levels, paths, strict=True) if getattr(level, key)]
        return [*given[-1], key]

    for key in ("block", "shortcut"):
        if values[key] is None:
            raise broken(f"{key} is missing: give it at the top or in this stage", *paths[1])
    for level, path in zip(levels, paths, strict=True):
        for one, other in RIVALS:
            if getattr(level, one) is not None and getattr(level, other) is not None:
                raise broken(f"{one} and {other} say the same thing; keep one", *path, other)
    if values["block"] == "basic" and values["stride_at"] == "1x1":
        raise broken("a basic block has no 1x1 convolution to stride at", *written("stride_at"))
    if values["zero_init"] == "last" and not _has_last_norm(values):
        raise broken(
            "zero_init: last needs a norm at the end of the main path; "
            f"order {values['order']} with norm {values['norm'].kind} has none",
            *written("zero_init"),
        )
    try:
        inner = inner_widths(values, width)
    except ValueError as error:
        raise broken(str(error), *paths[1], "width") from None
    counts = {"width": width, "inner width": inner.mid, "first width": inner.first}
    if values["block"] == "bottleneck":  # whose last convolution has no groups
        del counts["width"]
    for what, count in counts.items():
        if count % inner.groups:
            raise broken(
                f"the {what} {count} must be divisible by the {inner.groups} groups",
                *paths[1],
                "width",
            )


def _has_last_norm(values: dict[str, Any]) -> bool:
    return values["norm"].kind != "none" and values["order"] in (
        "original",
        "bn-after-add",
        "relu-before-add",
        "linear",
        "relu-preact",
    )


class Inner(NamedTuple):
    """The widths inside a block: what its first convolution puts out, the 3x3's, its groups."""

    first: int
    mid: int
    groups: int


def inner_widths(values: dict[str, Any], width: int) -> Inner:
    """mid = width / bottleneck_ratio, groups = mid / group_width.

    Raises ValueError where they do not come out whole.
    """
    mid = values["mid_width"]
    if mid is None:
        ratio = values["bottleneck_ratio"] or (4 if values["block"] == "bottleneck" else 1)
        mid = _whole(width / Fraction(repr(ratio)))
        if not mid:
            raise ValueError(f"must be divisible by bottleneck_ratio {ratio:g} (got {width})")
    first = values["first_width"] or mid
    if values["group_width"] is None:
        return Inner(first, mid, values["groups"] or 1)
    if mid % values["group_width"]:
        raise ValueError(
            f"the inner width {mid} must be divisible by group_width {values['group_width']}"
        )
    return Inner(first, mid, mid // values["group_width"])


def _whole(number: Fraction) -> int:
    return int(number) if number.denominator == 1 else 0


def regnet_stages(regnet: RegNet, ratio: float) -> list[dict[str, Any]]:
    """w_j = w0 wm^round(log((w0 + wa j) / w0) / log wm), to multiples of 8, equal ones a stage.

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
