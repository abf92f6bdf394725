"""Reading paths: plain values -> rows, each with its place.

What rows there are and what they take is `rows`' table; nothing of any one row is known here
but of `branches`, whose value is paths. Names that are no row stand for definitions, which
are known only once the whole spec is read (see `definitions`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from resgen.spec.mistakes import nearest, show
from resgen.spec.parts import broken
from resgen.spec.rows import (
    BRANCH_OPTIONS,
    CARRIES,
    JOINS,
    PARAMETER,
    RESERVED,
    ROWS,
    SELECT,
    TAKES,
    USE,
)
from resgen.spec.synonyms import meant_key, meant_row
from resgen.spec.terms import NAME, Term
from resgen.spec.values import TIMES, WIDTH, Kind, Path_, Value, either, number, word

MOST_ROWS, MOST_DEEP, MOST_BRANCHES = 512, 16, 256
"""Rows of one path; paths within paths; branches side by side."""


class Row(NamedTuple):
    """One row as read: its word, value and options; `path`: where it stands in its list.

    paths: of `branches`. given: the parameters of a definition.
    """

    word: str
    value: Value = None
    options: tuple[tuple[str, Value], ...] = ()
    path: Path_ = ()
    paths: tuple[Rows, ...] = ()
    given: tuple[tuple[str, Value], ...] = ()

    def get(self, option: str, default: Value = None) -> Value:
        """An option, or what holds where it is not said."""
        for key, value in self.options:
            if key == option:
                return value
        return default


Rows = tuple[Row, ...]


def read_rows(value: object, path: Path_ = (), depth: int = 0) -> Rows:
    """A list of rows; raises a broken rule at the first that is none."""
    if not isinstance(value, list | tuple):
        hint = "; a path is a list of rows, in brackets" if isinstance(value, str | dict) else ""
        raise broken(f"must be a list of rows (got {show(value)}){hint}", *path)
    if depth > MOST_DEEP:
        raise broken(f"paths within paths: at most {MOST_DEEP} deep", *path)
    if len(value) > MOST_ROWS:
        raise broken(f"a path has at most {MOST_ROWS} rows (got {len(value):,})", *path)
    return tuple(_row(row, (*path, i), depth, value) for i, row in enumerate(value))


def _row(value: object, path: Path_, depth: int, beside: object = ()) -> Row:
    if isinstance(value, str):
        return _word_alone(value, path)
    if isinstance(value, list):
        raise broken(
            "a list within a path; rows that belong together are a definition "
            "(an *alias of a list nests too: make it a definition), or {branches: [...]}",
            *path,
        )
    if not isinstance(value, dict) or not value:
        raise broken(f"must be a row: a word or a mapping with one (got {show(value)})", *path)
    for key in value:
        if not isinstance(key, str) or ":" in key:
            raise broken(f"{key}: a space belongs behind the colon", *path)
    words = [key for key in value if key in ROWS]
    if not words:
        words = [key for key in value if key not in RESERVED]
        if not words:
            key = next(iter(value))
            if row := meant_row(key):
                raise broken(f"{key} is no row; did you mean {row}?", *path)
            raise broken(f"{key} belongs to the row before: {{conv: 3, {key}: ...}}", *path)
    if len(words) > 1:
        empty = next((key for key in words if value[key] is None), None)
        if empty and empty in ROWS and empty != words[0]:
            raise broken(
                f"{empty} is a row of its own: write {{{words[0]}: ...}}, {empty}", *path, empty
            )
        if words[0] in ROWS and words[1] not in ROWS:
            raise broken(_unknown_option(words[0], words[1]), *path, words[1])
        stray = words[1]
        raise broken(
            f"one row has one word, and here are {words[0]} and {stray}; "
            "write two rows, each in braces",
            *path,
            stray,
        )
    name = words[0]
    if name == "branches":
        return _branches(value, path, depth)
    return _plain(name, value, path) if name in ROWS else _use(name, value, path)


def _word_alone(value: str, path: Path_) -> Row:
    row = ROWS.get(value)
    if row and not row.alone:
        raise broken(f"{value} takes a value: {{{value}: ...}}", *path)
    if ":" in value:
        word_, _, rest = value.partition(":")
        raise broken(f"{value!r}: a space belongs behind the colon: {{{word_}: {rest}}}", *path)
    return Row(value, None, (), path)


def _plain(name: str, value: dict[str, object], path: Path_) -> Row:
    row = ROWS[name]
    given = value[name]
    argument: Value = None
    if given is None and not row.alone:
        raise broken(f"{name} takes a value, and has none", *path, name)
    if given is not None:
        if row.takes is None:
            raise broken(f"{name} takes no value (got {show(given)})", *path, name)
        argument = row.takes.read(given, (*path, name))
    return Row(name, argument, _options(name, value, row.options, path), path)


def _options(
    name: str, value: dict[str, object], known: Mapping[str, Kind], path: Path_
) -> tuple[tuple[str, Value], ...]:
    options: list[tuple[str, Value]] = []
    for key, given in value.items():
        if key == name:
            continue
        if key == "name":
            options.append((key, _name(given, (*path, key))))
        elif key in known:
            if given is None:
                raise broken(f"{key} takes a value, and has none", *path, key)
            options.append((key, known[key].read(given, (*path, key))))
        else:
            raise broken(_unknown_option(name, key), *path, key)
    return tuple(options)


def _unknown_option(name: str, key: str) -> str:
    if key.isdigit():
        return f"a pair is written in brackets: {{{name}: [{key}, {key}]}}"
    known = [*ROWS[name].options, "name"] if name in ROWS else [*USE, "name"]
    if name == "branches":
        known = [*BRANCH_OPTIONS]
    if other := meant_key(key, known):
        return f"unknown option of {name}{other.hint}"
    if (row := meant_row(key)) and name in ROWS:
        return f"{key} is no option of {name} but a row of its own: {row}"
    return f"unknown option of {name}{nearest(key, known)}"


def _name(value: object, path: Path_) -> str:
    if not isinstance(value, str) or not NAME.fullmatch(value) or "-" in value:
        raise broken(f"a name of a layer is like fc1 or head_conv (got {show(value)})", *path)
    return value


def _use(name: str, value: dict[str, object], path: Path_) -> Row:
    """A definition's name, with its parameters."""
    given = value[name]
    if given is None:
        given = {}
    if not isinstance(given, dict):
        meant = f"; did you mean {row}?" if (row := meant_row(name)) else ""
        raise broken(
            f"{name} is no row that takes {show(given)}{meant or '; a definition takes '}"
            + ("" if meant else "its parameters: {" + name + ": {ratio: 4}}"),
            *path,
            name,
        )
    options = _options(name, value, USE, path)
    return Row(name, None, options, path, (), read_parameters(given, (*path, name)))


def read_parameters(given: Mapping[str, object], path: Path_) -> tuple[tuple[str, Value], ...]:
    """Parameters as given: numbers, terms, words."""
    return tuple((key, _parameter(value, (*path, key))) for key, value in given.items())


def _parameter(value: object, path: Path_) -> Value:
    if isinstance(value, float):
        return number().read(value, path)
    return PARAMETER.read(value, path)


def _branches(value: dict[str, object], path: Path_, depth: int) -> Row:
    given, times = value["branches"], value.get("times")
    here = (*path, "branches")
    if not isinstance(given, list) or not given:
        raise broken(f"branches takes a list of paths (got {show(given)})", *here)
    if times is None:
        for number_, each in enumerate(given):
            if not isinstance(each, list):
                raise broken(
                    f"each branch is a list of rows (got {show(each)}); one path so many times "
                    "says `times`",
                    *here,
                    number_,
                )
        paths: tuple[Rows, ...] = tuple(
            read_rows(each, (*here, i), depth + 1) for i, each in enumerate(given)
        )
    else:
        paths = (read_rows(given, here, depth + 1),)
    if len(paths) > MOST_BRANCHES:
        raise broken(f"at most {MOST_BRANCHES} branches (got {len(paths):,})", *here)
    options: list[tuple[str, Value]] = []
    for key, what in value.items():
        at = (*path, key)
        if key == "branches":
            continue
        if key == "join":
            options.append((key, _join(what, at)))
        elif key == "take":
            options.append((key, _take(what, at, len(paths))))
        elif key == "carry":
            options.append((key, word(*CARRIES).read(what, at)))
        elif key == "times":
            options.append((key, TIMES.read(what, at)))
        else:
            raise broken(_unknown_option("branches", key), *at)
    said = dict(options)
    if said.get("carry") == "chain" and said.get("take", "all") != "all":
        raise broken(
            "with carry: chain only the first branch takes from the input, and each later one what "
            "the one before puts out; leave take out",
            *path,
            "take",
        )
    return Row("branches", None, tuple(options), path, paths)


def _join(value: object, path: Path_) -> Value:
    if isinstance(value, dict) and list(value) == ["select"]:
        inner = value["select"]
        if not isinstance(inner, dict):
            raise broken(f"select takes a mapping: {{ratio: 0.5}} (got {show(inner)})", *path)
        for key in inner:
            if key not in SELECT:
                raise broken(
                    f"unknown option of select; known here: {', '.join(SELECT)}",
                    *path, "select", key,
                )  # fmt: skip
        return (
            "select",
            *((k, SELECT[k].read(v, (*path, "select", k))) for k, v in inner.items()),
        )
    return word(*JOINS, "select").read(value, path)


def _take(value: object, path: Path_, branches: int) -> Value:
    if not isinstance(value, list):
        return word(*TAKES).read(value, path)
    if len(value) != branches:
        raise broken(f"{len(value)} shares for {branches} branches", *path)
    if value.count("rest") > 1:
        raise broken("rest can be said once", *path)
    shares = either(WIDTH, "rest")
    return tuple(shares.read(each, (*path, i)) for i, each in enumerate(value))


def walk(rows: Rows) -> Iterator[Row]:
    """Every row, those of branches included."""
    for row in rows:
        yield row
        for path in row.paths:
            yield from walk(path)


def terms(row: Row) -> Iterator[tuple[Path_, Term]]:
    """Every term of a row itself, with its place."""

    def inside(value: object, path: Path_) -> Iterator[tuple[Path_, Term]]:
        if isinstance(value, Term):
            yield path, value
        elif isinstance(value, tuple) and not isinstance(value, Row):
            for i, each in enumerate(value):
                yield from inside(each, (*path, i))

    yield from inside(row.value, (*row.path, row.word))
    for key, value in row.given:
        yield from inside(value, (*row.path, row.word, key))
    for key, value in row.options:
        yield from inside(value, (*row.path, key))
