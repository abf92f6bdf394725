"""Where values were written, and the words of sentences about them: places, guesses, values."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple, get_origin

from pydantic import BaseModel

from resgen.spec.synonyms import meant_word, squashed

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
    """The nearest known word, if any is near; one that differs in case and hyphens alone first."""
    words = list(known)
    same = [each for each in words if squashed(each) == squashed(word)]
    return same[:1] or difflib.get_close_matches(word, words, n=1, cutoff=0.6)


def guess(word: str, known: Sequence[str]) -> str:
    """ "; did you mean X?" for the known word that others call so, else the nearest, if any is."""
    match = meant_word(word, known) or next(iter(near(word, known)), "")
    return f"; did you mean {match}?" if match else ""


def nearest(word: str, known: Sequence[str]) -> str:
    """ "; did you mean X?" for the nearest known key or name, else the list of them."""
    match = near(word, known)
    if match:
        return f"; did you mean {match[0]}?"
    return f"; known here: {', '.join(known)}" if known else ""


def noun(model: type[BaseModel]) -> str:
    """What a model is called in a sentence: spec, recipe."""
    return model.__name__.lower()


def known_keys(model: type[BaseModel], path: Path_) -> list[str]:
    """The keys a model knows at a path, as they are written."""
    fields = (field for each in models_at(model, path) for field in each.model_fields.items())
    return [field.alias or key for key, field in fields]


def models_at(model: type[BaseModel], path: Path_) -> list[type[BaseModel]]:
    """The models that may stand at a path, by walking a model's annotations."""
    models = [model]
    named = False
    for part in path:
        if named:  # a name of the user's own: networks.plain20
            named = False
        elif not isinstance(part, int):
            found = [
                each.model_fields[part].annotation for each in models if part in each.model_fields
            ]
            models = [inner for annotation in found for inner in _models_in(annotation)]
            named = any(get_origin(annotation) is dict for annotation in found)
    return models


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
