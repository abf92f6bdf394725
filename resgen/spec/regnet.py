"""`regnet`: stages from a quantized line, and the stages it stands for."""

from __future__ import annotations

import math
from collections import Counter
from typing import Literal

from pydantic import Field

from resgen.spec.parts import MAX_WIDTH, Keys, Width, broken


class RegNet(Keys):
    """Stages from a line: block j is w0 + wa j wide, quantized (Radosavovic et al. 2020)."""

    depth: int = Field(ge=1, le=1000, description="Number of blocks.", examples=[22])
    w0: int = Field(
        ge=8, le=MAX_WIDTH, multiple_of=8, description="Width of the first block.", examples=[24]
    )
    wa: float = Field(ge=0, le=10_000, description="Slope of the widths.", examples=[24.48])
    wm: float = Field(
        gt=1, le=100, description="Ratio of one stage's width to the one before.", examples=[2.54]
    )
    group_width: Width = Field(description="Channels a group of the 3x3.", examples=[16])
    rounding: Literal["nearest", "up-from-90-percent"] = Field(
        "nearest",
        description="How widths become multiples of the group width: the nearest one (pycls, "
        "timm; where `bottleneck_ratio` is 1/2, 1/3, ..., of what that divides, too), or the "
        "nearest unless that loses over a tenth, then the next (torchvision).",
        examples=["nearest"],
    )
    stride: int = Field(2, ge=1, le=64, description="Stride of every stage.", examples=[2])


def regnet_stages(regnet: RegNet, written: object) -> list[dict[str, float]]:
    """w_j = w0 wm^round(log((w0 + wa j) / w0) / log wm), to multiples of 8, equal ones a stage.

    Then each width is made divisible by its groups; see `compatible`. `written` is the
    bottleneck_ratio, 1 where none is; what is no ratio is reported as the key it is, and counts
    as 1 here.
    """
    ratio = written if isinstance(written, int | float) and 0 < written < math.inf else 1
    widths = []
    for j in range(regnet.depth):
        power = round(math.log((regnet.w0 + regnet.wa * j) / regnet.w0) / math.log(regnet.wm))
        widths.append(round(regnet.w0 * regnet.wm**power / 8) * 8)
    stages = []
    for width, depth in sorted(Counter(widths).items()):
        if not ratio <= width <= MAX_WIDTH * ratio:
            raise broken(
                f"a stage of {width} channels would have {width / ratio:.4g} inside; "
                f"between 1 and {MAX_WIDTH:,} can be built",
                "bottleneck_ratio",
            )
        width, group = compatible(width, ratio, regnet.group_width, regnet.rounding)
        stages.append(
            {
                "depth": depth,
                "width": width,
                "stride": regnet.stride,
                "group_width": group,
                "bottleneck_ratio": ratio,
            }
        )
    return stages


def compatible(width: int, ratio: float, group: int, rounding: str) -> tuple[int, int]:
    """v = max(m, round(v / m) m) inside, of v = width / ratio; and v ratio outside.

    Returns (width, group width): the group is at most v, and m is the group, or its least common
    multiple with 1 / ratio where a block is wider inside, so that v ratio is whole
    (adjust_block_compatibility in pycls/models/blocks.py, Radosavovic et al. 2020; halves go to
    even). `up-from-90-percent` takes the multiple of the group nearest to v, halves up, or the
    next one where that is under 0.9 v (_make_divisible in torchvision).
    """
    inner = int(width / ratio)
    group = min(group, inner)
    if rounding == "nearest":
        wider = 1 / ratio
        multiple = math.lcm(group, int(wider)) if wider > 1 and wider.is_integer() else group
        inner = max(multiple, round(inner / multiple) * multiple)
    else:
        rounded = max(group, int(inner + group / 2) // group * group)
        inner = rounded + group if rounded < 0.9 * inner else rounded
    return int(inner * ratio), group
