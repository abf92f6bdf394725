"""The settings of a block -> the layers of one Block.

What settings say is read once into steps; each block then gives the steps its own numbers.
"""

from __future__ import annotations

from resgen.plan import layers as L
from resgen.plan.attended import attention, position
from resgen.plan.layers import JOINED, PLAIN, Mismatch, Op, Shape
from resgen.plan.model import Block
from resgen.plan.numbers import Make, Numbers, Step, run
from resgen.plan.orders import Extras, fill_of, filled, filled_block, fused, letters
from resgen.plan.paths import Given, Reader, given_to, with_given
from resgen.plan.space import Space
from resgen.plan.tables import Order
from resgen.plan.units import Joins, Unit
from resgen.spec.builtin import shipped
from resgen.spec.definitions import Library, Use
from resgen.spec.grammar import Rows, walk
from resgen.spec.readers import fills, rows_of
from resgen.spec.settings import BlockSettings
from resgen.spec.values import Path_


class Structure:
    """The steps of every block made by the same settings."""

    def __init__(
        self,
        settings: BlockSettings,
        library: Library,
        drop_path: L.DropPath | None,
        place: Path_ = ("block",),
        kind: str = "",
    ) -> None:
        self.settings, self.library, self.place = settings, library, place
        self.opening: dict[object, Block] = {}
        self.inner: dict[object, Block] = {}
        self.order = fill_of(settings.order)
        own = rows_of(settings.block, library)
        self.fills = fills(settings, library)
        before = self.order.before if self.fills else ""
        name = settings.block.name or "block"
        self.kind = kind or ("preact_" if before else "") + name
        ends: list[Step] = []
        if settings.shortcut.kind == "scaled":
            ends.append(_always("residual_scale", L.Scale(settings.shortcut.residual_scale)))
        if drop_path:
            ends.append(_always("drop_path", drop_path))
        reader = Reader(settings, library)
        attended: list[Step] = []
        if position(settings) == "shortcut":
            attended = reader.steps(attention(settings), Space(settings))
        self.joins = Joins(settings.shortcut, self._projections(reader), ends, attended)
        self.reader = Reader(settings, library, self.joins)
        self.parameters = _parameters(settings.block, library)
        self.base = self._base()
        rows = own if own is not None else _shipped_block(settings)
        self.entry = self._entry(rows)
        self.main, self.after = self._steps(rows, strided=False)
        # Only what blurs or pools in place of a stride is not the same layers at every stride.
        pools = settings.antialias != "none" and self.fills
        self.strided = self._steps(rows, strided=True)[0] if pools else self.main
        self.zero_init = self._last_norm() if settings.zero_init == "last" else ""
        if settings.zero_init == "last" and not self.zero_init:
            raise Mismatch("no norm of the path itself could start at zero", ("zero_init",))

    def _base(self) -> tuple[str | int, ...]:
        use = self.settings.block
        return self.library[use.name].place if use.name in self.library else self.place

    def _steps(self, rows: Rows, *, strided: bool) -> tuple[tuple[Step, ...] | Unit, list[Step]]:
        """The steps up to the last addition, and those behind it."""
        if self.fills:
            rows = filled_block(rows, self.order, self._extras(strided=strided))
        unit, after = self.reader.block(rows, Space(self.settings), self.base)
        return unit or tuple(after), after if unit else []

    def _entry(self, rows: Rows) -> int:
        """Steps of the norm and activation that open a block, which a stem may have instead."""
        opens = self.order.before if self.fills and rows and rows[0].word == "conv" else ""
        kind = self.settings.norm.kind
        return len(fused(letters(opens.replace("n", "") if kind == "none" else opens), kind))

    def _extras(self, *, strided: bool) -> Extras:
        settings = self.settings
        antialias: Rows = ()
        if strided and settings.antialias != "none":
            antialias = shipped(settings.antialias)
        return Extras(antialias, attention(settings), position(settings))

    def _projections(self, reader: Reader) -> tuple[tuple[Make, ...], tuple[Make, ...]]:
        """A projection's layers where nothing strides, and where something does."""
        use, found = self.settings.projection, []
        own = rows_of(use, self.library)
        for word in (use.name, f"{use.name} strided"):
            rows = own
            if rows is None:  # a word, which has no norm where the order has one before
                last = "" if self.order.before.startswith("n") else "n"
                rows = filled(shipped(_projection(word)), Order(last=last))
            base = self.library[use.name].place if use.name in self.library else ()
            steps = reader.steps(rows, Space(self.settings), base)
            makes = tuple(make for _, make in steps)
            if any(row.word in ("branches", "add") for row in walk(rows)):
                makes = (_part("projection", steps),)
            given = _parameters(use, self.library)
            found.append(tuple(with_given(make, given) for make in makes) if given else makes)
        return found[0], found[1]

    def _last_norm(self) -> str:
        """The norm whose scale may start at zero: the last on the main path."""
        steps = self.main.main if isinstance(self.main, Unit) else self.main
        return next((n for n, _ in reversed(steps) if n.startswith(("bn", "norm"))), "")

    def block(self, shape: Shape, numbers: Numbers, *, preactivated: bool = False) -> Block:
        """One block for the shape it takes in.

        The first ones made are kept for all networks that have them, as a search does; those that
        open a stage apart, being of more kinds. Raises Mismatch where numbers do not divide or
        the two paths do not meet.
        """
        if preactivated:
            return self._block(shape, numbers, preactivated=True)
        opens = numbers.stride != 1 or shape[0] != numbers.out
        kept = self.opening if opens else self.inner
        key = (shape, numbers[:_MADE_OF])
        block = kept.get(key)
        if block is None:
            block = self._block(shape, numbers)
            if len(kept) < _MOST_MADE:
                kept[key] = block
        return block

    def _block(self, shape: Shape, numbers: Numbers, *, preactivated: bool = False) -> Block:
        if self.parameters:
            numbers = numbers._replace(parameters=self.parameters(shape, numbers))
        made = self.strided if numbers.stride != 1 else self.main
        if not isinstance(made, Unit):
            main = run(made, shape, numbers)
            output = main[-1].output if main else shape
            return Block(self.kind, shape, output, main, PLAIN, JOINED, ())
        skips = self.entry if preactivated else 0
        main, shortcut, merge, leaves = made.layers(shape, numbers, skips=skips)
        output = main[-1].output if main else shape
        after = run(self.after, output, numbers)
        end = after[-1].output if after else output
        zero = self.zero_init if shortcut.kind != "none" else ""
        if zero and not any("weight" in at.op.params() for at in main if at.name == zero):
            raise Mismatch(f"{zero} has no scale that could start at zero", ("zero_init",))
        return Block(self.kind, shape, end, main, shortcut, merge, after, leaves, zero)


_MOST_MADE = 256
"""Blocks that one structure keeps, of those that open a stage and of the others."""

_MADE_OF = Numbers._fields.index("branch")
"""The numbers of a block that differ between blocks come before this one."""


def structure_of(
    settings: BlockSettings,
    library: Library,
    drop_path: L.DropPath | None,
    place: Path_ = ("block",),
    kind: str = "",
) -> Structure:
    """The structure of these settings, read once for all specs with the same definitions."""
    key = (drop_path, place, kind)
    return library.kept(settings, key, lambda: Structure(settings, library, drop_path, place, kind))


def _part(title: str, steps: list[Step]) -> Make:
    def make(shape: Shape, numbers: Numbers) -> Op:
        layers = run(steps, shape, numbers)
        return L.Part(title, layers, layers[-1].output)

    return make


def _parameters(use: Use, library: Library) -> Given | None:
    definition = library.get(use.name)
    if definition is None or not definition.parameters:
        return None
    return given_to(definition, use.parameters, ())


def _shipped_block(settings: BlockSettings) -> Rows:
    v1 = settings.block.name == "bottleneck" and settings.stride_at == "1x1"
    return shipped("bottleneck v1" if v1 else settings.block.name)


def _projection(word: str) -> str:
    """The shipped rows of a projection's word: most are the same wherever they stand."""
    return {"conv3x3": "conv", "conv3x3 strided": "conv3x3 strided"}.get(
        word, word.removesuffix(" strided")
    )


def _always(name: str, op: Op) -> Step:
    return (name, lambda shape, numbers: op)
