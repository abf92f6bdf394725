"""Paths by name: what a spec defines, what resgen ships, and what holds between them.

The shipped words for layers (`bottleneck`, `deep`, `avgpool-conv`, `se`, ...) are written in
the grammar that a spec's own definitions are written in, and read by the same reader.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic_core import core_schema

from resgen.spec.builtin import TAKEN
from resgen.spec.grammar import Row, Rows, read_parameters, read_rows, terms, walk
from resgen.spec.mistakes import near, nearest, show
from resgen.spec.parts import broken
from resgen.spec.rows import ACTS, MEANT, RESERVED, ROWS
from resgen.spec.terms import NAME, NAMES, Term
from resgen.spec.values import Path_, Value


class Definition(NamedTuple):
    """A path by name; `place`: where its rows stand in the spec."""

    name: str
    parameters: tuple[tuple[str, Value], ...]
    rows: Rows
    place: Path_ = ()


MARK = "resgen"
"""The key of the JSON Schema that stands for a value read here."""


class _Written:
    """A value that is read by a function of its own and dumped as it was written."""

    __slots__ = ()
    written: object

    @classmethod
    def read(cls, value: object) -> object:
        """A plain value as this."""
        raise NotImplementedError

    @classmethod
    def __get_pydantic_core_schema__(
        cls, source: object, handler: GetCoreSchemaHandler
    ) -> core_schema.CoreSchema:
        return core_schema.no_info_plain_validator_function(
            cls.read,
            serialization=core_schema.plain_serializer_function_ser_schema(
                lambda value: value.written if isinstance(value, cls) else value
            ),
        )

    @classmethod
    def __get_pydantic_json_schema__(
        cls, core: core_schema.CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, object]:
        return {MARK: cls.__name__}  # which resgen.spec.schema knows


@dataclass(frozen=True, slots=True)
class Use(_Written):
    """What stands where layers are asked for: a definition with its parameters, or a path.

    written: as it was written.
    """

    name: str
    parameters: tuple[tuple[str, Value], ...] = ()
    rows: Rows | None = None
    written: object = field(default=None, compare=False, repr=False)

    @classmethod
    def read(cls, value: object) -> Use:
        """A word, a mapping with its `kind` and parameters, or a list of rows."""
        if isinstance(value, Use):
            return value
        if isinstance(value, str):
            return cls(value, (), None, value)
        if isinstance(value, list | tuple):
            return cls("", (), read_rows(value), value)
        if not isinstance(value, dict):
            raise broken(f"must be a word, {{kind: a word, ...}} or a path (got {show(value)})")
        kind = value.get("kind")
        if not isinstance(kind, str):
            raise broken("this mapping needs a kind: the name of a definition")
        rest = {key: given for key, given in value.items() if key != "kind"}
        return cls(kind, read_parameters(rest, ()), None, value)


@dataclass(frozen=True, slots=True)
class Entry(_Written):
    """One entry of `define`: parameters with their defaults, and rows."""

    parameters: tuple[tuple[str, Value], ...]
    rows: Rows
    written: object = field(default=None, compare=False, repr=False)

    @classmethod
    def read(cls, value: object) -> Entry:
        """A list of rows, or {with: parameters, path: rows}."""
        if isinstance(value, Entry):
            return value
        if not isinstance(value, dict):
            return cls((), read_rows(value), value)
        for key in value:
            if key not in ("with", "path"):
                raise broken(f"unknown key{nearest(str(key), ('with', 'path'))}", key)
        given = value.get("with", {})
        if not isinstance(given, dict):
            rule = f"must be a mapping of parameters and their defaults (got {show(given)})"
            raise broken(rule, "with")
        for key in given:
            _check_name(str(key), "a parameter", ("with", key))
            if key in NAMES:
                raise broken(f"{key} has a meaning already: {NAMES[key]}", "with", key)
        parameters = read_parameters(given, ("with",))
        return cls(parameters, read_rows(value.get("path"), ("path",)), value)


def _check_name(name: str, what: str, path: Path_) -> None:
    if not NAME.fullmatch(name) or len(name) > 40:
        raise broken(
            f"{what} is named in small letters, digits and hyphens (got {show(name)})", *path
        )
    if name in ROWS or name in RESERVED:
        raise broken(f"{name} is a word of the grammar, and cannot name {what}", *path)


class Library(dict[str, Definition]):
    """What a spec defines, by name.

    read: what readers have made of it, by what they were asked for; made once, kept here.
    """

    def __init__(self) -> None:
        super().__init__()
        self.read: dict[object, object] = {}
        self._asked_of: dict[int, tuple[frozenset[str], Rows]] = {}

    def names_of(self, rows: Rows) -> frozenset[str]:
        """What rows ask for, through branches and definitions.

        Names of terms; `stride` and `groups` where the stage's are taken; `norm` and `act`
        where a path says its own; `add`; `conv`.
        """
        key = id(rows)
        if key not in self._asked_of:
            self._asked_of[key] = (frozenset(self._asked(rows)), rows)
        return self._asked_of[key][0]

    def _asked(self, rows: Rows) -> Iterator[str]:
        for row in walk(rows):
            own = self.get(row.word) if row.word not in ROWS else None
            for _, term in terms(row):
                yield from term.names
            if own:
                yield from self.names_of(own.rows)
                if any(value == "stage" for _, value in row.given):
                    yield "stride"
            elif row.word in ("norm", "act", "add", "conv"):
                yield row.word
            if row.value == "stage" or row.get("stride") == "stage":
                yield "stride"
            if isinstance(stride := row.get("stride"), tuple) and "stage" in stride:
                yield "stride"
            if isinstance(stride, Term):
                yield "stride"
            if row.get("groups") == "stage":
                yield "groups"


WORDS = Library()
"""The library of every spec that defines nothing of its own."""


def own_library(define: Mapping[str, Entry]) -> Library:
    """A spec's definitions, checked: names, parameters, and that none uses itself."""
    if not define:
        return WORDS
    library = Library()
    for name, entry in define.items():
        place: Path_ = ("define", name)
        _check_name(name, "a definition", place)
        if name in TAKEN:
            raise broken(f"{name} is a word that resgen ships; give yours another name", *place)
        library[name] = Definition(name, entry.parameters, entry.rows, place)
    for definition in library.values():
        known = {key for key, _ in definition.parameters}
        check_rows(definition.rows, definition.place, library, known)
        used = {name for row in walk(definition.rows) for _, t in terms(row) for name in t.names}
        used |= {
            str(row.value)
            for row in walk(definition.rows)
            if row.word == "act" and isinstance(row.value, Term)
        }
        for key in sorted(known - used):
            raise broken(f"no row of {definition.name} uses it", *definition.place, "with", key)
    _check_rounds(library)
    return library


def _check_rounds(library: Library) -> None:
    """Refuses a definition that comes to itself."""
    done: set[str] = set()

    def visit(name: str, way: tuple[str, ...]) -> None:
        if name in way:
            circle = " -> ".join((*way[way.index(name) :], name))
            raise broken(f"a definition cannot use itself: {circle}", "define", name)
        if name in done:
            return
        for row in walk(library[name].rows):
            if row.word in library:
                visit(row.word, (*way, name))
        done.add(name)

    for name in library:
        visit(name, ())


def check_rows(rows: Rows, base: Path_, library: Library, parameters: set[str]) -> None:
    """Refuses words, parameters and names of terms that nothing stands for."""
    _check_rows(rows, base, library, parameters, inside=False)


def _check_rows(
    rows: Rows, base: Path_, library: Library, parameters: set[str], *, inside: bool
) -> None:
    for row in rows:
        at = (*base, *row.path)
        if row.word not in ROWS:
            _check_use(row.word, row.given, at, library)
        for path, term in terms(row):
            for name in term.names:
                if name == "branch" and not inside:
                    raise broken(
                        "branch is what enters a branch, and this row is in none; "
                        "here is what the row before puts out",
                        *base, *path,
                    )  # fmt: skip
                if name not in NAMES and name not in parameters:
                    raise broken(_no_name(row, path, name, parameters), *base, *path)
        for path_ in row.paths:
            _check_rows(path_, base, library, parameters, inside=True)


def _no_name(row: Row, path: Path_, name: str, parameters: set[str]) -> str:
    """What is said of a name in a term that nothing stands for."""
    if row.word == "act":
        known = [*ACTS, *sorted(parameters)]
        return f"must be one of {', '.join(known)} (got {name!r}){_guess(name, known)}"
    names = [*NAMES, *sorted(parameters)]
    words = [word for word in ("stage", "depthwise", "same") if path[-1] in _WORDS_OF[word]]
    guess = _guess(name, [*names, *words])
    return f"{name} is no name here{guess or nearest(name, [*names, *words])}"


def _guess(name: str, known: Sequence[str]) -> str:
    found = near(name, known)
    return f"; did you mean {found[0]}?" if found else ""


_WORDS_OF = {
    "stage": ("stride", "dilation", "groups", "avg-pool"),
    "depthwise": ("groups",),
    "same": ("padding",),
}


def _check_use(
    word: str, given: tuple[tuple[str, Value], ...], at: Path_, library: Library
) -> None:
    if word not in library:
        meant = f"; did you mean {MEANT[word]}?" if word in MEANT else None
        known = [*library, *ROWS]
        raise broken(f"{word} is no row and no definition{meant or nearest(word, known)}", *at)
    known = [key for key, _ in library[word].parameters]
    for key, _ in given:
        if key not in known:
            what = nearest(key, known) if known else "; it has none"
            raise broken(f"{key} is no parameter of {word}{what}", *at, word, key)


def check_use(use: Use, at: Path_, library: Library, shipped: tuple[str, ...]) -> None:
    """Refuses a word for layers that nothing stands for, and rows that are none."""
    kind = (*at, "kind") if isinstance(use.written, dict) else at
    if use.rows is not None:
        check_rows(use.rows, at, library, set())
    elif use.name in library:
        known = [key for key, _ in library[use.name].parameters]
        for key, _ in use.parameters:
            if key not in known:
                what = nearest(key, known) if known else "; it has none"
                raise broken(f"{key} is no parameter of {use.name}{what}", *at, key)
    elif use.name not in shipped:
        known = [*shipped, *library]
        guess = nearest(use.name, known)
        guess = "" if guess.startswith("; known") else guess
        raise broken(f"must be one of {', '.join(known)} (got {show(use.name)}){guess}", *kind)
    elif use.parameters:
        key = use.parameters[0][0]
        raise broken(f"{use.name} has no parameter {key}; its keys stand beside it", *at, key)
