"""Keys that mean nothing where they stand: `meaning`'s table, asked for all that was written."""

from __future__ import annotations

from collections.abc import Iterator

from resgen.spec.block import BLOCK_KEYS, BlockKeys
from resgen.spec.definitions import Use
from resgen.spec.meaning import INSIDE, MEANS, Meaning
from resgen.spec.parts import Head, Keys, Stem, idle_key
from resgen.spec.readers import FINAL, Network, Path_, Reader, Readers, stem_asks
from resgen.spec.settings import BLOCK_FIELDS, DEFAULTS, RIVAL

_OF_STEM = {
    "norm": "the norm",
    "activation": "act",
    "convolution": "the weight",
    "bias": "the bias",
    "antialias": "the pool",
    "padding": "a padding",
}
"""What a stem asks for where it reads a key of the top."""


def idle(spec: Network) -> Iterator[tuple[str, Path_]]:
    """(why, place) of every key that means nothing where it stands."""
    readers = Readers(spec)
    yield from _of_level(spec, readers, (), spec.top)
    if spec.regnet is None:  # whose stages nobody wrote
        for index, stage in enumerate(spec.stages):
            place: Path_ = ("stages", index)
            if BLOCK_FIELDS & stage.model_fields_set:
                yield from _of_level(spec, readers, place, stage)
            if stage.first:
                yield from _of_level(spec, readers, (*place, "first"), stage.first)
            for number, block in enumerate(stage.blocks or ()):
                yield from _of_level(spec, readers, (*place, "blocks", number), block)
    order, stem = spec.outside.order, spec.stem
    if isinstance(stem, Stem) and stem.first_activation != "stem" and "preact" not in order:
        why = f"order {order} has no activation ahead of a block that could be placed"
        yield why, ("stem", "first_activation")
    last = spec.stage_settings[-1][-1].order
    if isinstance(spec.head, Head) and spec.head.final_activation == "none" and last not in FINAL:
        why = f"order {last} leaves no norm and activation for the end"
        yield why, ("head", "final_activation")
    if spec.drop_path:
        if not spec.drop_path.rate:
            if spec.drop_path.rule != "linear":
                yield "a rate of 0 drops nothing, by whatever rule", ("drop_path", "rule")
        elif not any(reader.joins for reader in readers):
            yield "a block is dropped to its shortcut, and no block here has one", ("drop_path",)


def _of_level(
    spec: Network, readers: Readers, place: Path_, level: BlockKeys
) -> list[tuple[str, Path_]]:
    """The keys of one level that mean nothing, in the order of the table."""
    found: list[tuple[str, Path_]] = []
    for key in level.model_fields_set:
        if key not in BLOCK_FIELDS or (value := getattr(level, key)) is None:
            continue
        if not place and (value == DEFAULTS.get(key) or _read_outside(spec, key)):
            continue
        at: Path_ = (*place, key)
        why = _why(spec, readers, place, key, MEANS[key])
        name, word, inside = INSIDE.get(key, ("", "", None))
        if not why and inside and getattr(value, name, None) == word:
            at, why = (*at, name), _why(spec, readers, place, key, inside)
        if why:
            found.append((why, at))
    return sorted(found, key=lambda each: BLOCK_KEYS.index(str(each[1][len(place)])))


def _read_outside(spec: Network, key: str) -> bool:
    """Whether the stem reads a key of the top, or `regnet` does."""
    if key == "bottleneck_ratio":
        return spec.regnet is not None
    if key not in _OF_STEM or (key == "bias" and spec.outside.norm.kind == "none"):
        return False
    asks = stem_asks(spec)
    return _OF_STEM[key] in asks or (key == "norm" and "the bias" in asks)


def _why(spec: Network, readers: Readers, place: Path_, key: str, meaning: Meaning) -> str | None:
    """Why a key of the level at that place means nothing; None where some block reads it."""
    rival = RIVAL.get(key, key)
    first: tuple[Reader, object, object] | None = None
    others: list[bool] = []  # of blocks that say their own: whether they say the same
    for reader in readers:
        depth = reader.depth(place)
        if depth is None:
            continue
        said = [(getattr(level, key), getattr(level, rival)) for _, level in reader.levels]
        value = said[depth][0]
        if any(each != (None, None) for each in said[depth + 1 :]):
            others.append(getattr(reader.settings, key) == value)
            continue
        outer = (each for each, _ in said[:depth][::-1] if each is not None)
        without = next(outer, DEFAULTS.get(key))
        if value == without or meaning.means(reader, value, without):
            return None
        if first is None or (reader.built and not first[0].built):
            first = (reader, value, without)
    if first and first[0].built:
        return meaning.why(first[0], _word(first[1]), _word(first[2]))
    if others and all(others):
        return None
    if others and spec.regnet:
        return "regnet says bottleneck_ratio and group_width for every stage"
    return "every block here says its own" if others else "this stage has no block"


def _word(value: object) -> str:
    """A value as a word in a sentence."""
    if isinstance(value, Use):
        return value.name or "a path"
    if isinstance(value, Keys):
        return str(getattr(value, "kind", ""))
    return "none" if value is None else str(value)


def check_meaning(spec: Network) -> None:
    """Refuses the first key that means nothing where it stands."""
    alike = _alike(spec)
    for why, place in (
        spec.library.kept(spec.stage_settings[0][0], alike, lambda: tuple(idle(spec)))
        if alike
        else idle(spec)
    ):
        raise idle_key(why if ";" in why else f"{why}; leave it out", *place)


def _alike(spec: Network) -> tuple[object, ...]:
    """What the answer depends on besides the settings, where all blocks have the same.

    A search asks it once for all networks that differ in widths and depths. Nothing where stages
    have keys of their own.
    """
    stem, head, drop_path = spec.stem, spec.head, spec.drop_path
    if isinstance(stem, Use) or isinstance(head, Use) or spec.regnet:
        return ()
    width, stages = stem.width, []
    for stage in spec.stages:
        if (
            stage.blocks
            or stage.first
            or stage.before
            or not BLOCK_FIELDS.isdisjoint(stage.model_fields_set)
        ):
            return ()
        stages.append((stage.stride, stage.width == width, min(stage.depth, 2)))
        width = stage.width
    dropped = (bool(drop_path.rate), drop_path.rule) if drop_path else ()
    ends = (stem.kind, stem.pool, stem.first_activation, not head.width, head.final_activation)
    return ("idle", *stages, *ends, dropped, spec.output_stride)
