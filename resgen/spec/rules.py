"""The rules between keys: what a Spec must satisfy beyond each key's own range."""

from __future__ import annotations

from collections.abc import Sequence

from resgen.spec.block import BlockKeys, StageKeys
from resgen.spec.builtin import ATTENTION_WORDS, BLOCK_WORDS, PROJECTION_WORDS
from resgen.spec.checks import check_use
from resgen.spec.definitions import Library, Use
from resgen.spec.norms import NO_SCALE
from resgen.spec.parts import broken, idle_key
from resgen.spec.places import no_place
from resgen.spec.readers import fills
from resgen.spec.settings import (
    BLOCK_FIELDS,
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
        return made

    found: list[tuple[BlockSettings, ...]] = []
    for index, stage in enumerate(stages):
        path: Path_ = ("stages", index)
        if stage.before:
            check_use(stage.before, (*path, "before"), library, ())
        if whole and not (stage.blocks or stage.first or BLOCK_FIELDS & stage.model_fields_set):
            _check_widths(whole[0], ((), path), stage.width)
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
        raise idle_key(missing, *written("attention"), "position")
    if settings.block.name == "basic" and settings.stride_at == "1x1":
        raise idle_key("a basic block has no 1x1 convolution to stride at", *written("stride_at"))
    if settings.zero_init == "last" and fills(settings, library) and not _has_last_norm(settings):
        raise idle_key(
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
