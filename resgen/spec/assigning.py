"""`path.to.key=value` as it is typed -> plain values in which it holds: `--set` and `--with`."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NamedTuple, TypeVar

from pydantic import BaseModel

from resgen.errors import UserError
from resgen.spec.mistakes import Document, Path_, Place, Typed, dotted, nearest, noun, show
from resgen.spec.reading import parse_document, validate

Model = TypeVar("Model", bound=BaseModel)
Keys = dict[Any, Any]
"""A mapping, or the entries of a list by their index."""
Merge = Callable[[Keys, Keys, Path_, set[Path_], set[Path_]], Keys]
"""(what is there, what comes over it, where, ...) -> both as one.

Adds the paths whose values are new to the first set, those whose values are lost to the second.
"""
Meant = Callable[[Any, Path_, str | int], Any]
"""(value, where it stands, what of it is asked for) -> the mapping or list it is short for."""

_PART = re.compile("[A-Za-z0-9_-]+")
_PATH = re.compile(rf"{_PART.pattern}(?:\.{_PART.pattern}|\[-?[0-9]{{1,9}}\])*")
_INDEX = re.compile("-?[0-9]{1,9}")


class Assignment(NamedTuple):
    """A value and where it goes; `said` is what was typed, and the place of all of it."""

    said: Typed
    path: Path_
    value: Any

    def places(self) -> dict[Path_, Place]:
        """A place for all on the path and in the value."""
        ends = range(1, len(self.path))
        paths = [*(self.path[:end] for end in ends), *_paths(self.value, self.path)]
        return dict.fromkeys(paths, Place(self.said, 0, 0))

    def leaves(self) -> set[Path_]:
        """The paths of the plain values."""
        paths = set(_paths(self.value, self.path))
        return paths - {path[:-1] for path in paths if len(path) > len(self.path)}


def _paths(value: Any, path: Path_) -> Iterator[Path_]:
    yield path
    if isinstance(value, dict | list):
        for key, inner in value.items() if isinstance(value, dict) else enumerate(value):
            yield from _paths(inner, (*path, key))


def read_assignment(option: str, text: str, what: str) -> Assignment:
    """What follows an option. Raises UserError unless it is a path, `=` and one value in YAML."""
    said = Typed(f"{option} {text}")
    path, separator, value = text.partition("=")
    if not separator or not _PATH.fullmatch(path.strip()):
        raise UserError(f"{said}: write it as path.to.key=value")
    parts = [int(p) if _INDEX.fullmatch(p) else p for p in _PART.findall(path.strip())]
    name = str(parts[-1]) if re.fullmatch("[A-Za-z][A-Za-z0-9_-]*", str(parts[-1])) else "value"
    found = parse_document(f"{name}: {value or 'null'}", said, what=what).data
    if found.keys() != {name}:
        raise UserError(f"{said}: give one value; for another key, another {option}")
    return Assignment(said, tuple(parts), found[name])


class Assigned:
    """A document with an assignment made in it.

    assignment: with the entries of lists counted from the front. gone: the paths whose values
    are no longer there. Raises UserError for a path that leads nowhere.
    """

    def __init__(
        self, document: Document, assignment: Assignment, *, merge: Merge, meant: Meant
    ) -> None:
        self._merge, self._meant, self._given = merge, meant, assignment
        self._keys, self._values = dict(document.keys), dict(document.values)
        self._taken: set[Path_] = set()
        self.gone: set[Path_] = set()
        self.assignment = assignment
        data = self._into(document.data, assignment.path, (), ())
        new = {p: at for p, at in self.assignment.places().items() if inside(p, self._taken)}
        kept = [
            {path: at for path, at in places.items() if not inside(path, self.gone)}
            for places in (self._keys, self._values)
        ]
        self.document = document._replace(data=data, keys=kept[0] | new, values=kept[1] | new)

    def _into(self, value: Any, parts: Path_, path: Path_, beside: Iterable[Any]) -> Any:
        """The value at a path, with the assignment made at `parts` of it."""
        part, rest = parts[0], parts[1:]
        meant = self._meant(value, path, part)
        if meant is not value:
            self._move(meant, path)
        entries = self._entries(meant, part, path, beside)
        if isinstance(part, int):
            part %= len(entries)
        here = (*path, part)
        if not rest:
            self.assignment = self._given._replace(path=here)
            new = self._merge(entries, {part: self._given.value}, path, self._taken, self.gone)
        else:
            inner = self._into(entries.get(part), rest, here, entries)
            others = {key: each for key, each in entries.items() if key != part}
            gone: set[Path_] = set()
            new = self._merge(others, {part: inner}, path, set(), gone)
            self.gone |= gone - {here}
            if part not in entries:
                self._taken.add(here)
        if isinstance(meant, list):
            return [new[index] for index in range(len(meant))]
        return {key: new[key] for key in dict.fromkeys((*entries, part)) if key in new}

    def _entries(self, value: Any, part: str | int, path: Path_, beside: Iterable[Any]) -> Keys:
        """What `part` is looked for in. Raises UserError where it cannot be there."""
        around = dotted(path)
        if isinstance(value, dict) and isinstance(part, str):
            return value
        if isinstance(value, list) and isinstance(part, int):
            if -len(value) <= part < len(value):
                return dict(enumerate(value))
            count = f"{len(value)} entries" if len(value) > 1 else "one entry"
            there = f"{around} has {count}, the first {around}[0]" if value else "it is empty"
            raise self.wrong(f"there is no {dotted((*path, part))}; {there}")
        if value is None and isinstance(part, str):
            return {}
        if value is None:
            keys = [key for key in beside if isinstance(key, str)]
            raise self.wrong(f"there is no {around}{nearest(str(path[-1]), keys)}")
        if isinstance(value, dict):
            raise self.wrong(
                f"{around or 'it'} has keys and no entries: {', '.join(map(str, value))}"
            )
        if isinstance(value, list):
            raise self.wrong(f"{around} is a list: say which entry, as {around}[0].{part}")
        raise self.wrong(f"{around} is {show(value)}, and nothing is in it")

    def wrong(self, sentence: str) -> UserError:
        """The sentence, with what was typed."""
        return UserError(f"{self._given.said}: {sentence}")

    def _move(self, meant: Any, path: Path_) -> None:
        """What was written short has its place in all that it stands for."""
        for places in (self._keys, self._values):
            parts = meant if isinstance(meant, dict) else range(len(meant))
            moved = {
                (*path, part, *old[len(path) :]): at
                for old, at in places.items()
                if inside(old, {path})
                for part in parts
            }
            for old in [old for old in places if inside(old, {path}) and old != path]:
                del places[old]
            places |= moved


def inside(path: Path_, roots: set[Path_]) -> bool:
    """Whether a path is one of the roots, or leads through one."""
    return any(path[:end] in roots for end in range(len(path) + 1))


def set_values(model: Model, assignments: Sequence[str]) -> Model:
    """The model with `path.to.key=value` assignments made, through the same schema."""
    what = noun(type(model))
    document = Document("--set", model.model_dump(mode="json", exclude_unset=True), {}, {})
    for text in assignments:
        given = read_assignment("--set", text, what)
        document = Assigned(document, given, merge=_over, meant=_as_keys).document
    return validate(type(model), document)


def _over(base: Keys, own: Keys, path: Path_, taken: set[Path_], gone: set[Path_]) -> Keys:
    """What is given replaces what is there."""
    for here in ((*path, key) for key in own):
        taken.add(here)
        gone.add(here)
    return {**base, **own}


def _as_keys(value: Any, path: Path_, part: str | int) -> Any:
    """A plain value makes way for keys."""
    return {} if isinstance(part, str) and not isinstance(value, dict | list) else value
