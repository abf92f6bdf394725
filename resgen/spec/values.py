"""What may stand as the argument or an option of a row: readers of plain values."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import NamedTuple

from resgen.spec.mistakes import guess, show
from resgen.spec.parts import MAX_SIZE, MAX_WIDTH, broken
from resgen.spec.terms import Term, read_term

Path_ = tuple[str | int, ...]
Value = int | float | str | bool | Term | tuple["Value", ...] | None
"""A value of a row as read: a number, a word, a Term, several of them."""

Reader = Callable[[object, Path_], Value]
"""A plain value -> a Value; raises a broken rule with the path given."""


class Kind(NamedTuple):
    """What values a place takes: how they are read, in words, and as JSON Schema."""

    read: Reader
    says: str
    schema: Mapping[str, object]


_TERM_SCHEMA = {"type": "string", "pattern": "^[a-z0-9][a-z0-9 ._*/-]*$"}


def count(least: int = 1, most: int = MAX_WIDTH, *, words: tuple[str, ...] = ()) -> Kind:
    """A whole number within bounds, a term, or one of some words."""

    def read(value: object, path: Path_) -> Value:
        if isinstance(value, str):
            if value in words:
                return value
            try:
                return read_term(value)
            except Exception as error:
                raise broken(str(error), *path) from None
        if isinstance(value, bool) or not isinstance(value, int):
            or_word = f", {' or '.join(words)}" if words else ""
            raise broken(f"must be a whole number or a term{or_word} (got {show(value)})", *path)
        return _within(value, least, most, path)

    also = f" or `{'` `'.join(words)}`" if words else ""
    return Kind(
        read,
        f"a number from {least} to {most:,}, a term{also}",
        {"anyOf": [{"type": "integer", "minimum": least, "maximum": most}, _TERM_SCHEMA]},
    )


def _within(value: int, least: int, most: int, path: Path_) -> int:
    if not least <= value <= most:
        if least == most:
            raise broken(f"must be {least} (got {show(value)})", *path)
        raise broken(f"must be from {least} to {most:,} (got {show(value)})", *path)
    return value


def pair(single: Kind) -> Kind:
    """One value for both sides, or [height, width]."""

    def read(value: object, path: Path_) -> Value:
        if not isinstance(value, list | tuple):
            return single.read(value, path)
        if len(value) != 2:
            raise broken(f"must be one number or [height, width] (got {show(value)})", *path)
        both = tuple(single.read(v, (*path, i)) for i, v in enumerate(value))
        return both[0] if both[0] == both[1] else both

    two = {"type": "array", "items": single.schema, "minItems": 2, "maxItems": 2}
    return Kind(read, f"{single.says}, or [height, width]", {"anyOf": [single.schema, two]})


def number(least: float = -math.inf, below: float = math.inf, *, named: bool = True) -> Kind:
    """A finite number within bounds; where `named`, or a parameter's name."""

    def read(value: object, path: Path_) -> Value:
        if named and isinstance(value, str):
            return count().read(value, path)
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise broken(f"must be a number (got {show(value)})", *path)
        if not math.isfinite(value) or not least <= value < below:
            bounds = f"from {least:g} to under {below:g}" if below < math.inf else "finite"
            raise broken(f"must be {bounds} (got {show(value)})", *path)
        return float(value)

    says = "a number" if below == math.inf else f"a number from {least:g} to under {below:g}"
    schema: dict[str, object] = {"type": "number"}
    return Kind(read, says, {"anyOf": [schema, _TERM_SCHEMA]} if named else schema)


def word(*known: str, free: bool = False) -> Kind:
    """One of some words; where `free`, a parameter's name too."""

    def read(value: object, path: Path_) -> Value:
        if isinstance(value, str) and value in known:
            return value
        if free and isinstance(value, str):
            return read_term(value) if value.replace("-", "").replace("_", "").isalnum() else value
        if value is False and "off" not in known:
            raise broken(
                f"must be one of {', '.join(known)} (got false; YAML reads off and no so)", *path
            )
        meant = guess(value, known) if isinstance(value, str) else ""
        raise broken(f"must be one of {', '.join(known)} (got {show(value)}){meant}", *path)

    return Kind(read, f"`{'` `'.join(known)}`", {"enum": list(known)})


def _switch(value: object, path: Path_) -> Value:
    if not isinstance(value, bool):
        raise broken(f"must be true or false (got {show(value)})", *path)
    return value


SWITCH = Kind(_switch, "true or false", {"type": "boolean"})
WIDTH = count()
SIZE = pair(count(1, 1023))
STRIDE = pair(count(1, 64, words=("stage",)))
TIMES = count(1, 1024)
RATE = number(0, 1)


def either(first: Kind, *words: str) -> Kind:
    """A value of a kind, or one of some words."""

    def read(value: object, path: Path_) -> Value:
        return value if isinstance(value, str) and value in words else first.read(value, path)

    says = f"{first.says} or `{'` `'.join(words)}`"
    return Kind(read, says, {"anyOf": [first.schema, {"enum": list(words)}]})


PADDING = either(pair(count(0, MAX_SIZE)), "same")


ROUNDINGS = ("nearest", "up", "down", "up-from-90-percent")
_MULTIPLE = either(count(1, 1024), "up", "down", "even")


def _round(value: object, path: Path_) -> Value:
    """A multiple to the nearest, a way to a whole number, or both."""
    if not isinstance(value, list | tuple):
        return _MULTIPLE.read(value, path)
    if len(value) != 2:
        raise broken(f"must be a multiple and a way, as [8, down] (got {show(value)})", *path)
    return count(1, 1024).read(value[0], (*path, 0)), word(*ROUNDINGS).read(value[1], (*path, 1))


ROUND = Kind(
    _round,
    f"{_MULTIPLE.says}, or [a number, {' | '.join(ROUNDINGS)}]",
    {
        "anyOf": [
            _MULTIPLE.schema,
            {
                "type": "array",
                "prefixItems": [count(1, 1024).schema, {"enum": list(ROUNDINGS)}],
                "minItems": 2,
                "maxItems": 2,
            },
        ]
    },
)
