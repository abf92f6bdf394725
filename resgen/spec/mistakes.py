"""What is wrong with an input, where, and the way out: one sentence for each mistake."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from pydantic import BaseModel, ValidationError

Path_ = tuple[str | int, ...]


class Typed(str):
    """What was typed on the command line; it stands for a file, and has no lines."""


class Place(NamedTuple):
    """Where a value was written."""

    file: str
    line: int
    column: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}" if self.line else self.file

    @property
    def in_file(self) -> str:
        """The place as one looks it up: a file with its line."""
        return f"{self.file}:{self.line}" if self.line else self.file


class Document(NamedTuple):
    """The plain values of one file, and the place of each key and value by path.

    overrides: what was typed on the command line and is in them.
    """

    file: str
    data: dict[str, Any]
    keys: dict[Path_, Place]
    values: dict[Path_, Place]
    overrides: tuple[str, ...] = ()


def dotted(path: Sequence[str | int]) -> str:
    """("stages", 1, "width") -> "stages[1].width"."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else str(part)
    return text


def at(path: Path_, keys: Mapping[Path_, Place], values: Mapping[Path_, Place]) -> Place | None:
    """The place of a value, or of the nearest thing around it that was written."""
    for end in range(len(path), -1, -1):
        place = keys.get(path[:end]) if end == len(path) else None
        place = values.get(path[:end]) or place
        if place:
            return place
    return None


def near(word: str, known: Iterable[str]) -> list[str]:
    """The nearest known word, if any is near."""
    return difflib.get_close_matches(word, list(known), n=1, cutoff=0.6)


def guess(word: str, known: Iterable[str]) -> str:
    """ "; did you mean X?" for the nearest known word, if any is near."""
    match = near(word, known)
    return f"; did you mean {match[0]}?" if match else ""


def nearest(word: str, known: Sequence[str]) -> str:
    """ "; did you mean X?" for the nearest known word, else the list of them."""
    return guess(word, known) or (f"; known here: {', '.join(known)}" if known else "")


def noun(model: type[BaseModel]) -> str:
    """What a model is called in a sentence: spec, recipe."""
    return model.__name__.lower()


def describe(error: ValidationError, model: type[BaseModel], document: Document) -> str:
    """The first mistake of a validation as one sentence with its place."""
    problems = error.errors(include_url=False)
    # A misspelt key is also a missing one; the spelling is what the user has to mend.
    problem = min(problems, key=lambda p: p["type"] != "extra_forbidden")
    path = (*_written(problem["loc"]), *problem.get("ctx", {}).get("at", ()))
    place = at(path, document.keys, document.values)
    if problem["type"] == "extra_forbidden":
        place = document.keys.get(path, place)
    where = f"{place or document.file}: "
    # A word that stands for a mapping (`shortcut: none`) has no key of its own.
    written = path[:-1] if path[-1:] == ("kind",) and path not in document.keys else path
    name = f"{dotted(written)}: " if written else ""
    return f"{where}{name}{_sentence(problem, model, path)}"


def _written(loc: Path_) -> Path_:
    """A place as it was written: less what pydantic adds where one of several models is meant."""
    return tuple(part for part in loc if part not in ("<keys>", "<path>"))


def _sentence(problem: Any, model: type[BaseModel], path: Path_) -> str:
    kind, ctx, value = problem["type"], problem.get("ctx", {}), problem["input"]
    if kind == "extra_forbidden":
        return "unknown key" + nearest(str(path[-1]), known_keys(model, path[:-1]))
    if kind == "missing":
        return f"this key is missing; a {noun(model)} needs it"
    if kind == "literal_error":
        words = re.findall(r"'([^']+)'", ctx["expected"])
        options = ", ".join(words)
        hint = guess(value, words) if isinstance(value, str) else ""
        return f"must be one of {options} (got {show(value)}){hint}"
    if kind == "string_pattern_mismatch":
        return f"may hold letters, digits, spaces and ._+- only, at most 64 (got {show(value)})"
    if kind == "multiple_of":
        return f"must be a multiple of {ctx['multiple_of']} (got {show(value)})"
    if kind in _TYPES:
        return f"must be {_TYPES[kind]} (got {show(value)})"
    for bound, words_ in _BOUNDS.items():
        if kind == bound:
            limit = next(iter(v for k, v in ctx.items() if k in ("gt", "ge", "lt", "le")))
            return f"must be {words_} {limit:,} (got {show(value)})"
    if kind in ("too_short", "too_long"):
        bound = "at least" if kind == "too_short" else "at most"
        limit = ctx.get("min_length", ctx.get("max_length"))
        return f"must have {bound} {limit} entries (got {ctx.get('actual_length')})"
    text = str(problem["msg"]).removeprefix("Value error, ")
    return text if kind in ("value_error", "rule") else f"{text} (got {show(value)})"


_TYPES = {
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "int_parsing": "a whole number",
    "float_type": "a number",
    "finite_number": "a finite number",
    "string_type": "a word",
    "string_unicode": "a word",
    "invalid_key": "a word",
    "bool_type": "true or false",
    "tuple_type": "a list",
    "list_type": "a list",
    "model_type": "a mapping of keys",
    "model_attributes_type": "a mapping of keys",
    "dict_type": "a mapping of keys",
}
_BOUNDS = {
    "greater_than": "greater than",
    "greater_than_equal": "at least",
    "less_than": "less than",
    "less_than_equal": "at most",
}


def known_keys(model: type[BaseModel], path: Path_) -> list[str]:
    """The keys a model knows at a path, by walking its annotations."""
    models = [model]
    for part in path:
        if isinstance(part, int):
            continue
        models = [
            found
            for each in models
            if part in each.model_fields
            for found in _models_in(each.model_fields[part].annotation)
        ]
    return [key for each in models for key in each.model_fields]


def _models_in(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [m for arg in getattr(annotation, "__args__", ()) for m in _models_in(arg)]


def show(value: Any) -> str:
    """A value as the user would write it, shortened."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if value is None:
        return "nothing"
    if isinstance(value, int):
        text = f"{value:,}" if abs(value) < 10**15 else "a number of over 15 digits"
    elif isinstance(value, Mapping):
        text = "a mapping"
    elif isinstance(value, list | tuple):
        text = f"a list of {len(value)}" if len(value) > 4 else str(list(value))
    else:
        text = repr(value) if isinstance(value, str) else str(value)
    return text if len(text) <= 60 else text[:57] + "..."
