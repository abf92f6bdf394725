"""Paths by name: what a spec defines, what resgen ships, and what holds between them.

The shipped words for layers (`bottleneck`, `deep`, `avgpool-conv`, `se`, ...) are written in
the grammar that a spec's own definitions are written in, and read by the same reader.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple, TypeVar

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic_core import core_schema

from resgen.spec.grammar import Row, Rows, read_parameters, read_rows, terms, walk
from resgen.spec.mistakes import nearest, show
from resgen.spec.parts import broken
from resgen.spec.rows import RESERVED, ROWS
from resgen.spec.terms import NAME, NAMES, Term
from resgen.spec.values import Path_, Value

_Made = TypeVar("_Made")
_MOST_MADE = 1024
"""Structures, stems and heads that one library keeps."""


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
            check_name(str(key), "a parameter", ("with", key))
            if key in NAMES:
                raise broken(f"{key} has a meaning already: {NAMES[key]}", "with", key)
        parameters = read_parameters(given, ("with",))
        return cls(parameters, read_rows(value.get("path"), ("path",)), value)


def check_name(name: str, what: str, path: Path_) -> None:
    """Refuses what cannot name a definition or a parameter."""
    if not NAME.fullmatch(name) or len(name) > 40:
        raise broken(
            f"{what} is named in small letters, digits and hyphens (got {show(name)})", *path
        )
    if name in ROWS or name in RESERVED:
        raise broken(f"{name} is a word of the grammar, and cannot name {what}", *path)


class Library(dict[str, Definition]):
    """What a spec defines, by name; and what readers have made of it, made once and kept."""

    def __init__(self) -> None:
        super().__init__()
        self._made: dict[object, tuple[object, Any]] = {}
        self._asked_of: dict[int, tuple[frozenset[str], Rows]] = {}

    def kept(self, settings: object, key: object, make: Callable[[], _Made]) -> _Made:
        """What is made once for all specs with these definitions and settings."""
        found = self._made.get((id(settings), key))
        if found is None or found[0] is not settings:
            if len(self._made) >= _MOST_MADE:
                self._made.clear()
            # With its settings, so that no others get their id while it is kept.
            self._made[id(settings), key] = found = (settings, make())
        made: _Made = found[1]
        return made

    def names_of(self, rows: Rows) -> frozenset[str]:
        """What rows ask for, through branches and definitions.

        Names of terms; `stride` and `groups` where the stage's are taken; `norm` and `act`
        where a path says its own; `add`; `conv`. And what the settings are for, said in two
        words: `the norm`, and `the bias` and `the weight` of convolutions.
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
            yield from _of_settings(row)
            if row.value == "stage" or row.get("stride") == "stage":
                yield "stride"
            if isinstance(stride := row.get("stride"), tuple) and "stage" in stride:
                yield "stride"
            if isinstance(stride, Term):
                yield "stride"
            if row.get("groups") == "stage":
                yield "groups"


def _of_settings(row: Row) -> Iterator[str]:
    """What one row takes of the settings besides names."""
    join = row.get("join")
    if row.word == "norm" and row.value is None:
        yield "the norm"
    elif row.word == "conv":
        yield from (f"the {option}" for option in ("bias", "weight") if row.get(option) is None)
    elif row.word in _ACTIVE:
        yield "act"
    elif join == "select" or (isinstance(join, tuple) and join[:1] == ("select",)):
        yield from ("the norm", "act")
    if row.word in ("conv", "max-pool", "avg-pool") and row.value not in (1, "stage"):
        if row.word == "conv" and row.get("dilation") in (None, "stage"):
            yield "the dilation"
        if row.get("padding") is None and (stride := row.get("stride", 1)) != 1:
            yield "the padding" if stride == "stage" else "a padding"


_ACTIVE = ("squeeze-excitation", "channel-attention", "global-context")
"""Layers with the setting's activation inside."""


WORDS = Library()
"""The library of every spec that defines nothing of its own."""
