"""Rows -> the steps that make their layers: the one reader of paths.

A step is a name and a function of the shape that reaches it and of the block's numbers. Rows
are read once for all blocks of the same settings; every block then gives its own numbers.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from resgen.plan import layers as L
from resgen.plan.attentions import ATTENTIONS
from resgen.plan.branches import branches
from resgen.plan.layers import Mismatch, Op, Shape
from resgen.plan.makers import MAKERS, act
from resgen.plan.numbers import Make, Numbers, Step, number, run, value_of
from resgen.plan.orders import fill_of, filled, fused
from resgen.plan.sliding import may_pad_ahead, same_padding
from resgen.plan.space import Space, chosen, numbered
from resgen.plan.units import Joins, Unit
from resgen.spec.definitions import Definition, Library
from resgen.spec.grammar import Row, Rows
from resgen.spec.rows import ROWS
from resgen.spec.settings import LayerSettings
from resgen.spec.values import Path_, Value

Given = Callable[[Shape, Numbers], Mapping[str, int | float | str]]

# Whose outputs nobody else reads and nothing keeps for the way back, so that an activation
# behind may overwrite them; and who hands on the very tensor it got.
_FRESH = frozenset(
    [
        "conv",
        "norm",
        "linear",
        "max-pool",
        "scale",
        *ATTENTIONS,
        "blur",
        "global-pool",
    ]
)
_SAME = frozenset(["dropout", "flatten", "pad", "avg-pool"])


class Reader:
    """Reads the paths of one record of settings."""

    def __init__(
        self, settings: LayerSettings, library: Library, joins: Joins | None = None
    ) -> None:
        self.settings, self.library, self.joins = settings, library, joins
        self._definitions: dict[tuple[str, str], list[Step]] = {}

    def steps(
        self, rows: Rows, space: Space, base: Path_ = (), *, fresh: bool = False
    ) -> list[Step]:
        """The steps of a path, each residual unit as one; `fresh`: its input may be overwritten."""
        steps: list[Step] = []
        units = _units(fused(rows, self.settings.norm.kind))
        for at, (unit, add) in enumerate(units[:-1], start=1):
            made, fresh = self.unit(unit, add, space, base, fresh)
            # The next unit's identity reads what this one puts out.
            fresh = fresh and at == len(units) - 1
            steps.append(("", made.residual))
        steps += self._rest(units[-1][0], space, base, fresh)
        return numbered(steps, space.acts)

    def block(self, rows: Rows, space: Space, base: Path_) -> tuple[Unit | None, list[Step]]:
        """A block's path: the unit that its last `add` ends, units before being layers of it.

        And the steps behind the addition; all steps are that where a path has no `add`.
        """
        units = _units(fused(rows, self.settings.norm.kind))
        before: list[Step] = []
        fresh = False
        for unit, add in units[:-2]:
            made, _ = self.unit(unit, add, space, base, fresh)
            before.append(("", made.residual))
        last: Unit | None = None
        if len(units) > 1:
            last, fresh = self.unit(*units[-2], space, base, fresh)
            start = len(before)
            last = last._replace(main=(*before, *last.main), start=start, split=start + last.split)
        return last, numbered(self._rest(units[-1][0], space, base, fresh), space.acts)

    def _rest(self, rows: Rows, space: Space, base: Path_, fresh: bool) -> list[Step]:
        """The steps of the rows behind the last `add`."""
        steps: list[Step] = []
        for row in rows:
            if row.word == "split":
                raise Mismatch("a split without an add behind it", (*base, *row.path))
            own, fresh = self._row(row, space, base, fresh)
            steps += own
        return steps

    def unit(
        self, rows: Rows, add: Row, space: Space, base: Path_, fresh: bool
    ) -> tuple[Unit, bool]:
        """The unit of the rows ahead of an `add`, and whether what it puts out is fresh."""
        if all(row.word == "split" for row in rows):
            raise Mismatch("an add with no layer before it adds x to itself", (*base, *add.path))
        if self.joins is None:
            raise Mismatch("an add outside of the stages joins nothing", (*base, *add.path))
        main: list[Step] = []
        split: int | None = None
        all_leave = False
        for row in rows:
            if row.word == "split":
                if split is not None:
                    raise Mismatch("a second split ahead of one add", (*base, *row.path))
                split, all_leave, fresh = len(main), row.value == "all", False
                continue
            own, fresh = self._row(row, space, base, fresh)
            main += own
        made = self.joins.unit(space, numbered(main, space.acts), split or 0, all_leave)
        return made, fresh or self.joins.always

    def _row(self, row: Row, space: Space, base: Path_, fresh: bool) -> tuple[list[Step], bool]:
        place = (*base, *row.path)
        if row.word == "act":
            return [self._act(row, space, place, fresh)], False
        if row.word == "norm" and row.value is None and self.settings.norm.kind == "none":
            return [], fresh
        if row.word == "branches":

            def read(rows: Rows, inner: Space) -> list[Step]:
                return self.steps(rows, inner, base)

            return [("", branches(row, space, place, read))], True
        if row.word == "spliced":
            return self._spliced(row, space, fresh), True
        if row.word not in ROWS:
            return [self._use(row, space, place)], False
        steps: list[Step] = []
        if may_pad_ahead(row, self.settings):
            steps.append((space.ahead(row, "pad"), same_padding(row, place)))
        steps.append((space.of(row, place), MAKERS[row.word](row, self.settings, place)))
        return steps, row.word in _FRESH or (row.word in _SAME and fresh)

    def _act(self, row: Row, space: Space, place: Path_, fresh: bool) -> Step:
        name = space.of(row, place)
        # One module for all: where one place may not overwrite its input, the first may not.
        places = space.acts.setdefault(name, []) if not row.get("name") else []
        made = act(chosen(row, self.settings, place), places, (*place, "act"))
        places.append(fresh)
        if not fresh:
            places[0] = False
        in_place, copied = made(inplace=True), made(inplace=False)
        if not fresh or len(places) > 1:
            return (name, in_place if fresh else copied)

        def make(shape: Shape, numbers: Numbers) -> Op | None:
            return (in_place if places[0] else copied)(shape, numbers)

        return (name, make)

    def _spliced(self, row: Row, space: Space, fresh: bool) -> list[Step]:
        """Rows with parameters of their own, in this module; see `spliced`."""
        ((only,),) = row.paths
        named = only._replace(options=(*only.options, *row.options))
        values = parameters(dict(row.given), row.path)
        steps, _ = self._row(named, space, row.path, fresh)
        return [(name, with_given(make, values)) for name, make in steps]

    # --- definitions -----------------------------------------------------------------

    def _use(self, row: Row, space: Space, place: Path_) -> Step:
        """A definition in its place: its one row, or a module of its own."""
        if row.word == "inline":
            definition = Definition("attention", (), row.paths[0], ("attention",))
        else:
            definition = self.library[row.word]
        given = given_to(definition, row.given, (*place, row.word))
        times, said = row.get("times", 1), row.get("name")
        only = definition.rows[0] if len(definition.rows) == 1 else None
        if only and only.word in MAKERS and times == 1 and not row.get("filled"):
            named = only._replace(options=(*only.options, ("name", said))) if said else only
            ((name, make),) = self._row(named, space, definition.place, False)[0][-1:]
            return (name, with_given(make, given))
        steps = self.definition(definition, str(row.get("filled") or ""))
        name = space.of(row, place)

        def make_part(shape: Shape, numbers: Numbers) -> Op | None:
            layers = run(steps, shape, numbers._replace(parameters=given(shape, numbers)))
            return L.Part(definition.name, layers, layers[-1].output) if layers else None

        if times == 1:
            return (name, make_part)
        count = number(times, (*place, "times"), least=0)

        def make_row(shape: Shape, numbers: Numbers) -> Op | None:
            parts = [(f"{name}.{i}", make_part) for i in range(count(shape, numbers))]
            layers = run(parts, shape, numbers)
            if not layers:
                return None
            return L.Residual(layers, L.PLAIN, L.JOINED, 0, layers[-1].output)

        return ("", make_row)

    def definition(self, definition: Definition, filling: str = "") -> list[Step]:
        """A definition's steps, read once."""
        key = (definition.name, filling)
        if key not in self._definitions:
            rows = definition.rows
            if filling:
                rows = filled(rows, fill_of(self.settings.order), last=filling == "last")
            steps = self.steps(rows, Space(self.settings), definition.place)
            self._definitions[key] = steps
        return self._definitions[key]


def _units(rows: Rows) -> list[tuple[Rows, Row]]:
    """Rows up to each `add` with that add, and those behind the last one."""
    found: list[tuple[Rows, Row]] = []
    start = 0
    for index, row in enumerate(rows):
        if row.word == "add":
            found.append((rows[start:index], row))
            start = index + 1
    return [*found, (rows[start:], Row(""))]


def parameters(values: Mapping[str, Value], place: Path_) -> Given:
    """A definition's parameters as functions of who uses it."""
    if all(isinstance(value, int | float) for value in values.values()):
        constant: dict[str, int | float | str] = dict(values)  # type: ignore[arg-type]
        return lambda shape, numbers: constant
    made = {key: value_of(value, (*place, key)) for key, value in values.items()}
    return lambda shape, numbers: {key: of(shape, numbers) for key, of in made.items()}


def given_to(definition: Definition, given: tuple[tuple[str, Value], ...], place: Path_) -> Given:
    """What a use gives to a definition, which has its own values for the others."""
    return parameters({**dict(definition.parameters), **dict(given)}, place)


def with_given(make: Make, given: Given) -> Make:
    """A step that is made with parameters of its own."""

    def made(shape: Shape, numbers: Numbers) -> Op | None:
        return make(shape, numbers._replace(parameters=given(shape, numbers)))

    return made


def spliced(rows: Rows, values: Mapping[str, Value], name: str = "", **said: Value) -> Row:
    """One row with values for what its terms name, and with options, to stand among others."""
    options = ((("name", name),) if name else ()) + tuple(said.items())
    return Row("spliced", None, options, (), (rows,), tuple(values.items()))
