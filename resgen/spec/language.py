"""The version of the language that specs are written in, and its old words."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from typing import Any

from resgen.errors import UserError, one_line
from resgen.spec.mistakes import Document, Path_, at, dotted

LANGUAGE = 1
"""Counted up where a spec could mean something else than before; CHANGELOG.md says what."""

OLD: dict[str, str] = {}
"""Old words by what they are called now, as one would write them.

    "old": "new"               a key, or a row, wherever it stands
    "key: old": "key: new"     a word that is the value of a key, or its kind
"""


class OldWord(FutureWarning):
    """A word of the language has another name now; it is understood."""


def refuse_newer(document: Document) -> None:
    """Raises UserError for a spec in a language that is not known here."""
    asked = document.data.get("language")
    if type(asked) is int and asked > LANGUAGE:
        place = at(("language",), document.keys, document.values) or document.file
        raise UserError(
            f"{place}: language: the spec is written in language {asked}, and this resgen speaks "
            f"{LANGUAGE}; use a newer resgen"
        )


def modern(document: Document, *beside: Mapping[str, Any]) -> Document:
    """The document in today's words, with a warning for each old one, at its first place.

    Names of its own definitions and parameters, and of those `beside`, are no words. Raises
    UserError for a newer language, and where a word stands beside its old one.
    """
    refuse_newer(document)
    if not OLD:
        return document
    names = {name for data in (document.data, *beside) for name in _names(data.get("define"))}
    words = {old: new for old, new in OLD.items() if old not in names}
    renamed: dict[Path_, str] = {}
    told: set[str] = set()

    def place(path: Path_) -> object:
        return at(path, document.keys, document.values) or document.file

    def tell(old: str, where: object, what: str) -> None:
        if old not in told:
            told.add(old)
            now = f"{where}: {what} is called {words[old].rpartition(': ')[2]} now"
            warnings.warn(one_line(now), OldWord, stacklevel=2)

    def renewed(value: Any, path: Path_) -> Any:
        if isinstance(value, dict):
            named = path == ("define",) or (path[:1] == ("define",) and path[2:] == ("with",))
            found: dict[Any, Any] = {}
            for key, inner in value.items():
                new = key if named or key not in words else words[key]
                here = (*path, key)
                if new != key:
                    where = document.keys.get(here) or place(here)
                    if new in value:
                        raise UserError(
                            f"{where}: {dotted(here)} is called {new} now, which stands beside it; "
                            "keep one"
                        )
                    tell(key, where, dotted(here))
                    renamed[here] = new
                found[new] = renewed(inner, here)
            return found
        if isinstance(value, list):
            return [renewed(inner, (*path, index)) for index, inner in enumerate(value)]
        if not isinstance(value, str) or not path:
            return value
        # A row is a word alone, in a list; a kind is the word of the key around it.
        key = path[-2] if path[-1] == "kind" and len(path) > 1 else path[-1]
        old = value if isinstance(key, int) else f"{renamed.get(path[:-1], key)}: {value}"
        if old not in words:
            return value
        tell(old, place(path), f"{dotted(path)}: {value}")
        return words[old].rpartition(": ")[2]

    data = renewed(document.data, ())

    def moved(path: Path_) -> Path_:
        return tuple(renamed.get(path[: end + 1], part) for end, part in enumerate(path))

    return document._replace(
        data=data,
        keys={moved(path): place for path, place in document.keys.items()},
        values={moved(path): place for path, place in document.values.items()},
    )


def _names(define: Any) -> Iterator[str]:
    """What a spec's own definitions and their parameters are called."""
    for name, entry in define.items() if isinstance(define, dict) else ():
        yield name
        given = entry.get("with") if isinstance(entry, dict) else None
        yield from given if isinstance(given, dict) else ()
