"""The rules between keys: what a Spec must satisfy beyond each key's own range."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence

from resgen.spec.block import BlockKeys, StageKeys
from resgen.spec.parts import MAX_WIDTH, RegNet, broken
from resgen.spec.settings import RIVALS, BlockSettings, given_keys, inner_widths

Path_ = tuple[str | int, ...]


def stage_settings(
    top: BlockKeys, stages: Sequence[StageKeys]
) -> tuple[tuple[BlockSettings, ...], ...]:
    """The settings of each stage's blocks: one for all, or one for each that is written out.

    Levels that say the same share one record. Raises the first broken rule, with the path of
    the value to change.
    """
    known: dict[tuple[tuple[str, object], ...], BlockSettings] = {}

    def settings(levels: Sequence[BlockKeys], paths: Sequence[Path_], width: int) -> BlockSettings:
        values = given_keys(levels)
        _check_spelling(values, levels, paths)
        made = known.setdefault(tuple(values.items()), BlockSettings(**values))  # type: ignore[arg-type]
        _check(made, levels, paths, width)
        return made

    found: list[tuple[BlockSettings, ...]] = []
    for index, stage in enumerate(stages):
        path: Path_ = ("stages", index)
        if stage.blocks is None:
            found.append((settings((top, stage), ((), path), stage.width),))
        else:
            paths = [(*path, "blocks", number) for number in range(len(stage.blocks))]
            found.append(
                tuple(
                    settings((top, stage, block), ((), path, at), stage.width)
                    for at, block in zip(paths, stage.blocks, strict=True)
                )
            )
    return tuple(found)


def _check_spelling(
    values: dict[str, object], levels: Sequence[BlockKeys], paths: Sequence[Path_]
) -> None:
    """What must be there, and what must not be there twice."""
    for key in ("block", "shortcut"):
        if key not in values:
            raise broken(f"{key} is missing: give it at the top or in this stage", *paths[1])
    for level, path in zip(levels, paths, strict=True):
        for one, other in RIVALS:
            if getattr(level, one) is not None and getattr(level, other) is not None:
                raise broken(f"{one} and {other} say the same thing; keep one", *path, other)


def _check(
    settings: BlockSettings, levels: Sequence[BlockKeys], paths: Sequence[Path_], width: int
) -> None:
    """The rules between the keys that hold in one place."""

    def written(key: str) -> Path_:
        """Where the key that holds was written."""
        given = [path for level, path in zip(levels, paths, strict=True) if getattr(level, key)]
        return (*given[-1], key)

    if settings.block == "basic" and settings.stride_at == "1x1":
        raise broken("a basic block has no 1x1 convolution to stride at", *written("stride_at"))
    if settings.zero_init == "last" and not _has_last_norm(settings):
        raise broken(
            "zero_init: last needs a norm at the end of the main path; "
            f"order {settings.order} with norm {settings.norm.kind} has none",
            *written("zero_init"),
        )
    try:
        inner = inner_widths(settings, width)
    except ValueError as error:
        raise broken(str(error), *paths[1], "width") from None
    if inner.groups == 1:
        return
    counts = {"width": width, "inner width": inner.mid, "first width": inner.first}
    if settings.block == "bottleneck":  # whose last convolution has no groups
        del counts["width"]
    for what, count in counts.items():
        if count % inner.groups:
            raise broken(
                f"the {what} {count} must be divisible by the {inner.groups} groups",
                *paths[1],
                "width",
            )


def _has_last_norm(settings: BlockSettings) -> bool:
    return settings.norm.kind != "none" and settings.order in (
        "original",
        "bn-after-add",
        "relu-before-add",
        "linear",
        "relu-preact",
    )


def regnet_stages(regnet: RegNet, written: object) -> list[dict[str, float]]:
    """w_j = w0 wm^round(log((w0 + wa j) / w0) / log wm), to multiples of 8, equal ones a stage.

    Then each width is made divisible by its groups; see `rounding`. `written` is the
    bottleneck_ratio; what is none is reported as the key it is, and counts as 1 here.
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
