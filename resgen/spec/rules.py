"""The rules between keys: what a Spec must satisfy beyond each key's own range."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence

from resgen.spec.block import BlockKeys, StageKeys
from resgen.spec.builtin import ATTENTION_WORDS, BLOCK_WORDS, PROJECTION_WORDS
from resgen.spec.checks import check_use
from resgen.spec.definitions import Library, Use
from resgen.spec.grammar import Rows
from resgen.spec.norms import NO_SCALE
from resgen.spec.parts import MAX_WIDTH, RegNet, broken
from resgen.spec.places import no_place
from resgen.spec.settings import (
    BLOCK_FIELDS,
    DEFAULTS,
    RIVALS,
    BlockSettings,
    given_keys,
    inner_widths,
    one_of,
)

Path_ = tuple[str | int, ...]


def stage_settings(
    top: BlockKeys, stages: Sequence[StageKeys], library: Library
) -> tuple[tuple[BlockSettings, ...], ...]:
    """The settings of each stage's blocks: one for all, or one for each that is written out.

    Where a stage has a `first` block, that and all others. Levels that say the same share one
    record. Raises the first broken rule, with the path of the value to change.
    """
    asked = _Asked(library)
    whole: list[BlockSettings] = []  # of blocks whose stages say nothing more than the top

    def settings(levels: Sequence[BlockKeys], paths: Sequence[Path_], width: int) -> BlockSettings:
        values = given_keys(levels)
        _check_spelling(values, levels, paths)
        made = one_of(BlockSettings, values)
        _check_words(made, levels, paths, library)
        if not any(BLOCK_FIELDS & level.model_fields_set for level in levels[1:]):
            whole.append(made)
        # Where the width was said: in the block, or in its stage.
        wide = [p for at, p in zip(levels, paths, strict=True) if getattr(at, "width", None)]
        _check_widths(made, ((), wide[-1]), width)
        asked.note(made, levels, paths)
        return made

    found: list[tuple[BlockSettings, ...]] = []
    for index, stage in enumerate(stages):
        path: Path_ = ("stages", index)
        if stage.before:
            check_use(stage.before, (*path, "before"), library, ())
        if whole and not (stage.blocks or stage.first or BLOCK_FIELDS & stage.model_fields_set):
            _check_widths(whole[0], ((), path), stage.width)
            asked.note(whole[0], (top, stage), ((), path))
            found.append((whole[0],))
            continue
        inside: list[tuple[tuple[BlockKeys, ...], tuple[Path_, ...], int]] = [
            ((block,), ((*path, "blocks", number),), block.width or stage.width)
            for number, block in enumerate(stage.blocks or ())
        ]
        inside = inside or [((), (), stage.width)]
        if stage.first:
            one, at, width = inside[0]
            opens = ((*one, stage.first), (*at, (*path, "first")), width)
            inside = [opens, *(inside[1:] if stage.blocks else inside)]
        found.append(
            tuple(
                settings((top, stage, *levels), ((), path, *paths), width)
                for levels, paths, width in inside
            )
        )
    asked.check(stages)
    return tuple(found)


class _Asked:
    """Which keys of a block have a place in it; one that has none in any block is a mistake."""

    def __init__(self, library: Library) -> None:
        self.library = library
        self.noted: list[tuple[BlockSettings, Sequence[BlockKeys], Sequence[Path_]]] = []
        self.own = False
        self.taken: dict[Path_, bool] = {}

    def note(
        self, settings: BlockSettings, levels: Sequence[BlockKeys], paths: Sequence[Path_]
    ) -> None:
        """Notes a block, and the levels that say how it is made."""
        self.noted.append((settings, levels, paths))
        self.own = self.own or settings.block.name not in BLOCK_WORDS

    def _give(
        self, takes: frozenset[str], levels: Sequence[BlockKeys], paths: Sequence[Path_]
    ) -> None:
        """The keys that each level gives, and whether this block takes them."""
        for level, path in zip(levels, paths, strict=True):
            for key in level.model_fields_set & _PLACED:
                if getattr(level, key) not in (None, DEFAULTS.get(key)):
                    where = (*path, key)
                    self.taken[where] = self.taken.get(where, False) or key in takes

    def _takes(self, settings: BlockSettings) -> frozenset[str]:
        rows = rows_of(settings.block, self.library)
        if rows is None:
            return _PLACED | {"add"}
        asked = self.library.names_of(rows)
        takes = {"add"} if "add" in asked or settings.shortcut.kind == "none" else set()
        if "mid" in asked:
            takes |= {"mid_width", "bottleneck_ratio"}
        if "first" in asked:
            takes |= {"first_width", "mid_width", "bottleneck_ratio"}
        if "groups" in asked:
            takes |= {"groups", "group_width", "mid_width", "bottleneck_ratio"}
        if "norm" in asked:
            takes.add("zero_init")
        if settings.order == "none":
            takes.add("order")
        elif fills(settings, self.library):
            takes |= {"order", "attention", "antialias", "zero_init", "add"}
        return frozenset(takes)

    def check(self, stages: Sequence[StageKeys]) -> None:
        """Refuses what no block has a place for."""
        if not self.own:
            return
        adds = False
        for settings, levels, paths in self.noted:
            takes = self._takes(settings)
            adds = adds or "add" in takes
            self._give(takes, levels, paths)
        for path, taken in self.taken.items():
            if not taken:
                why = _PLACES.get(str(path[-1]), "no path here is without norms of its own")
                raise broken(f"no block here has a place for it: {why}", *path)
        if not adds and any(stage.depth for stage in stages):
            raise broken(
                "no block here has an `add`, where a shortcut would join; "
                "write add into its path, or shortcut: none",
                "shortcut",
            )


_PLACED = frozenset(
    (
        "mid_width", "bottleneck_ratio", "first_width", "groups", "group_width", "order",
        "attention", "antialias", "zero_init", "stride_at",
    )
)  # fmt: skip
_PLACES = {
    **dict.fromkeys(("mid_width", "bottleneck_ratio"), "no width names mid"),
    "first_width": "no width names first",
    **dict.fromkeys(("groups", "group_width"), "no convolution says groups: stage"),
    "stride_at": "only a bottleneck has two places to stride at",
}


def rows_of(use: Use, library: Library) -> Rows | None:
    """The rows of a path or of a spec's own definition; None for a shipped word."""
    if use.rows is not None:
        return use.rows
    return library[use.name].rows if use.name in library else None


def fills(settings: BlockSettings, library: Library) -> bool:
    """Whether `order` places the norms and activations of a block: its path says none."""
    rows = rows_of(settings.block, library)
    if rows is None:
        return True
    return settings.order != "none" and not library.names_of(rows) & {"norm", "act", "add"}


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


def _check_words(
    settings: BlockSettings,
    levels: Sequence[BlockKeys],
    paths: Sequence[Path_],
    library: Library,
) -> None:
    """The rules between the keys that hold in one place, whatever its width."""

    def written(key: str) -> Path_:
        """Where the key that holds was written."""
        given = [path for level, path in zip(levels, paths, strict=True) if getattr(level, key)]
        return (*given[-1], key)

    if settings.block.name not in BLOCK_WORDS:
        check_use(settings.block, written("block"), library, BLOCK_WORDS)
    if settings.projection.name not in PROJECTION_WORDS:
        check_use(settings.projection, written("projection"), library, PROJECTION_WORDS)
    if isinstance(settings.attention, Use):
        check_use(settings.attention, written("attention"), library, ATTENTION_WORDS)
    elif missing := no_place(settings, settings.attention.position):
        raise broken(missing, *written("attention"), "position")
    if settings.block.name == "basic" and settings.stride_at == "1x1":
        raise broken("a basic block has no 1x1 convolution to stride at", *written("stride_at"))
    if settings.zero_init == "last" and fills(settings, library) and not _has_last_norm(settings):
        raise broken(
            "zero_init: last needs a norm at the end of the main path; "
            f"order {settings.order} with norm {settings.norm.kind} has none",
            *written("zero_init"),
        )
    if settings.block.name in BLOCK_WORDS and settings.order == "none":
        raise broken(
            f"{settings.block.name} has no norm and activation of its own; order places them",
            *written("order"),
        )


def check_strides(stages: Sequence[StageKeys], settings: Sequence[Sequence[BlockSettings]]) -> None:
    """What an `output_stride` cannot turn into dilations."""
    for index, (stage, blocks) in enumerate(zip(stages, settings, strict=True)):
        if isinstance(stage.stride, tuple):
            raise broken(
                "a stride of its own down and to the right does not go with output_stride",
                "stages", index, "stride",
            )  # fmt: skip
        if any(block.dilation for block in blocks):
            raise broken(
                f"output_stride says the dilations; give stage {index + 1} none", "output_stride"
            )


def _check_widths(settings: BlockSettings, paths: Sequence[Path_], width: int) -> None:
    """The rules that ask whether widths come out whole."""
    try:
        inner = inner_widths(settings, width)
    except ValueError as error:
        raise broken(str(error), *paths[1], "width") from None
    if inner.groups == 1 or settings.block.name not in BLOCK_WORDS:
        return
    counts = {"width": width, "inner width": inner.mid, "first width": inner.first}
    if settings.block.name == "bottleneck":  # whose last convolution has no groups
        del counts["width"]
    for what, count in counts.items():
        if count % inner.groups:
            raise broken(
                f"the {what} {count} must be divisible by the {inner.groups} groups",
                *paths[1],
                "width",
            )


def _has_last_norm(settings: BlockSettings) -> bool:
    return settings.norm.kind not in NO_SCALE and settings.order in (
        "original",
        "bn-after-add",
        "relu-before-add",
        "relu-around-add",
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
