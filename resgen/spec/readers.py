"""Who reads the keys of a spec: its blocks one by one, its stem, its head."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from resgen.spec.block import BlockKeys, StageKeys
from resgen.spec.builtin import shipped
from resgen.spec.definitions import Library, Use
from resgen.spec.grammar import Row, Rows, walk
from resgen.spec.parts import DropPath, Head, Stem
from resgen.spec.regnet import RegNet
from resgen.spec.rows import ROWS
from resgen.spec.settings import BlockSettings, LayerSettings

Path_ = tuple[str | int, ...]
Levels = tuple[tuple[Path_, BlockKeys], ...]


class Network(NamedTuple):
    """What is asked of a Spec here; `top`: the Spec itself, as the outermost level of keys."""

    top: BlockKeys
    stem: Stem | Use
    stages: tuple[StageKeys, ...]
    head: Head | Use
    regnet: RegNet | None
    drop_path: DropPath | None
    output_stride: int | None
    library: Library
    outside: LayerSettings
    stage_settings: tuple[tuple[BlockSettings, ...], ...]


class Facts(NamedTuple):
    """What a block's path asks for, whatever its stage.

    asked: see `Library.names_of`. fillable: it says no norm, activation or add; fills: and `order`
    places them. blurs: a row of its own takes the stage's stride. middle: its last 3x3 has a row
    behind it. plain: it has one unit, whose shapes are the block's.
    """

    asked: frozenset[str]
    fillable: bool
    fills: bool
    blurs: bool
    middle: bool
    plain: bool


class Reader(NamedTuple):
    """One block, as far as settings see it; `built` is false for a stage of no blocks.

    levels: where its keys may be written, outermost first. turns: it strides, or dilates in
    place of that; widens: the width is another behind it, None where that is not known here.
    also: what else its settings are for.
    """

    settings: BlockSettings
    facts: Facts
    library: Library
    levels: Levels
    built: bool = True
    turns: bool = False
    strides: bool = False
    widens: bool | None = False
    also: frozenset[str] = frozenset()

    def depth(self, place: Path_) -> int | None:
        """Which of its levels stands at a place."""
        return next((at for at, (path, _) in enumerate(self.levels) if path == place), None)

    @property
    def changes(self) -> bool | None:
        """Whether the shape is another behind it."""
        return True if self.strides else self.widens

    @property
    def adds(self) -> bool:
        """Whether a shortcut has a place to join."""
        return self.built and (self.facts.fills or "add" in self.facts.asked)

    @property
    def own(self) -> bool:
        """Whether its path may hold units whose shapes are not the block's."""
        return self.built and not self.facts.plain

    @property
    def projects(self) -> bool:
        """Whether its shortcut is a projection."""
        kind = self.settings.shortcut.kind
        may = self.changes is not False or self.own
        return self.adds and (kind == "projection-all" or (kind == "projection" and may))

    @property
    def joins(self) -> bool:
        """Whether anything joins the main path."""
        kind = self.settings.shortcut.kind
        left_out = kind == "identity-same" and self.changes is True and not self.own
        return self.adds and kind != "none" and not left_out

    @property
    def asked(self) -> frozenset[str]:
        """What the rows ask for that these settings are for."""
        found = self.also
        if self.built:
            found |= self.facts.asked
            if self.facts.fills:
                found |= _FILLED
        if self.projects:
            found |= self.projected
        return found

    @property
    def projected(self) -> frozenset[str]:
        """What the rows of its projection ask for."""
        rows = rows_of(self.settings.projection, self.library)
        return _WORD if rows is None else self.library.names_of(rows)


_FILLED = frozenset(("the norm", "act"))
FINAL = ("linear", "relu-preact", "preact", "preact-raw", "preact-shared")
"""Orders that leave something for the head."""
_WORD = frozenset(("the norm", "the bias", "the weight"))
"""What a shipped convolution asks for, with the norm behind it."""


def rows_of(use: Use, library: Library) -> Rows | None:
    """The rows of a path or of a spec's own definition; None for a shipped word."""
    if use.rows is not None:
        return use.rows
    return library[use.name].rows if use.name in library else None


def fills(settings: BlockSettings, library: Library) -> bool:
    """Whether `order` places the norms and activations of a block: its path says none."""
    return facts_of(settings, library).fills


def facts_of(settings: BlockSettings, library: Library) -> Facts:
    """What the block of these settings asks for, read once."""
    return library.kept(settings, "facts", lambda: _facts(settings, library))


def _facts(settings: BlockSettings, library: Library) -> Facts:
    own = rows_of(settings.block, library)
    v1 = settings.block.name == "bottleneck" and settings.stride_at == "1x1"
    rows = shipped("bottleneck v1" if v1 else settings.block.name) if own is None else own
    asked = library.names_of(rows)
    fillable = own is None or not asked & {"norm", "act", "add"}
    fills = fillable and (own is None or settings.order != "none")
    last = max((index for index, row in enumerate(rows) if row.value == 3), default=len(rows))
    return Facts(
        asked,
        fillable,
        fills,
        any(row.get("stride") == "stage" for row in rows),
        last < len(rows) - 1,
        fills or _one_unit(rows),
    )


def _one_unit(rows: Rows) -> bool:
    """Whether a path has one `add`, with nothing but norms and activations behind it."""
    words = [row.word for row in rows]
    behind = words[words.index("add") + 1 :] if words.count("add") == 1 else ["add"]
    return {*behind} <= {"norm", "act"} and all(row.word in ROWS for row in walk(rows))


_SHRINKS = {"conv3x3": 1, "conv3x3-s2": 2, "conv7x7": 2, "conv7x7-pool": 2}


def stem_asks(spec: Network) -> frozenset[str]:
    """What the stem asks of the top's settings."""
    stem = spec.stem
    if isinstance(stem, Use):
        rows = rows_of(stem, spec.library)
        return spec.library.names_of(rows) if rows else frozenset()
    pools = stem.halves in ("max", "conv")
    asks = _WORD | {"act", "the pool"} if pools else _WORD | {"act"}
    plain = spec.outside.antialias == "none" and stem.pool in ("max", "conv")
    bare = stem.kind == "conv3x3" and not plain and stem.pool != "max-ceil"
    return asks if bare else asks | {"a padding"}


def _head_asks(head: Head | Use, library: Library) -> frozenset[str]:
    """What the head asks of the last block's settings."""
    if isinstance(head, Use):
        rows = rows_of(head, library)
        return library.names_of(rows) if rows else frozenset()
    return _WORD | {"act", "the order"} if head.width else frozenset(("the order",))


def _puts_out(rows: Rows | None, enters: int | None, out: int) -> int | None:
    """The channels a straight path puts out; None where that takes more than its rows' words."""
    for row in rows or (Row("definition"),):
        width = row.get("width")
        if row.word == "conv" and width is not None:
            enters = width if isinstance(width, int) else out if str(width) == "out" else None
        elif row.word not in _KEEP:
            enters = None
    return enters


_KEEP = ("conv", "norm", "act", "max-pool", "avg-pool", "blur", "pad", "dropout", "scale")
"""Rows that keep the width, where they say none."""


class Readers:
    """The blocks of a spec, first to last, each made where one is asked for it."""

    def __init__(self, spec: Network) -> None:
        self._made: list[Reader] = []
        self._left = _readers(spec)

    def __iter__(self) -> Iterator[Reader]:
        yield from self._made
        for reader in self._left:
            self._made.append(reader)
            yield reader


def _readers(spec: Network) -> Iterator[Reader]:
    library = spec.library
    if isinstance(spec.stem, Stem):
        width: int | None = spec.stem.width
    else:
        width = _puts_out(rows_of(spec.stem, library), None, 0)
    shrunk, most = 0, spec.output_stride
    if most and isinstance(spec.stem, Stem):
        shrunk = _SHRINKS.get(spec.stem.kind, 2) * (1 + (spec.stem.halves != "none"))
    ends = _head_asks(spec.head, library)
    for index, stage in enumerate(spec.stages):
        path: Path_ = ("stages", index)
        found, stride = spec.stage_settings[index], stage.stride
        dilates = False
        if most and isinstance(stride, int):
            dilates = shrunk * stride > most
            shrunk *= 1 if dilates else stride
        also: frozenset[str] = frozenset()
        if stage.before:
            rows = rows_of(stage.before, library)
            also, width = library.names_of(rows or ()), _puts_out(rows, width, stage.width)
            if stride != 1 and "the padding" in also:
                also |= {"a padding"}
            stride = 1 if "stride" in also else stride
        outer: Levels = (((), spec.top), (path, stage))
        entries = stage.blocks or ()
        count = len(entries) or min(stage.depth, 2)
        for number in range(max(count, 1)):
            levels = outer
            settings = found[min(number, len(found) - 1)]
            out = stage.width
            if entries:
                levels = (*levels, ((*path, "blocks", number), entries[number]))
                out = entries[number].width or out
            if stage.first and not number:
                levels = (*levels, ((*path, "first"), stage.first))
            turns = not number and stride != 1
            # The head goes by what holds behind `first`, where there is no such block, too.
            alone = count == 1 and bool(stage.first) and not entries
            last = index == len(spec.stages) - 1 and number >= count - 1 and not alone
            asks = (frozenset() if number else also) | (ends if last else frozenset())
            if "the order" in asks and settings.order in FINAL:
                asks |= _FILLED
            strides = turns and not dilates
            widens = None if width is None else width != out
            facts = facts_of(settings, library)
            yield Reader(settings, facts, library, levels, count > 0, turns, strides, widens, asks)
            width = out if count else width
            if alone and index == len(spec.stages) - 1:
                asks = ends | (_FILLED if found[-1].order in FINAL else frozenset())
                facts = facts_of(found[-1], library)
                yield Reader(found[-1], facts, library, outer, False, also=asks)
