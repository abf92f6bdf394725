"""Pieces that differ only in their numbers -> one piece with ranges: 64, 80 and 112 are 64-112."""

from __future__ import annotations

import re
from dataclasses import fields, is_dataclass
from typing import Any, TypeVar

from resgen.report.letters import text_width

_P = TypeVar("_P")
_DASH = "\u2013"
# A number by itself, or a range of them: neither the 3s of 3x3 nor the 2 of /2, which say what kind
# of layer it is.
_PLAIN, _INSIDE = r"(\d+(?:\.\d+)?)", rf"[\w/.{_DASH}]"
_NUMBER = re.compile(rf"(?<!{_INSIDE}){_PLAIN}(?:{_DASH}{_PLAIN})?(?!{_INSIDE})")


def together(one: _P, other: _P) -> _P | None:
    """One piece in place of two in a row, counts added; None where more than numbers differ."""
    found = _merged(one, other)
    if found is None:
        return None
    count = getattr(one, "count", 1) + getattr(other, "count", 1)
    return type(one)(**{**_values(found), "count": count})


def _values(piece: Any) -> dict[str, Any]:
    return {field.name: getattr(piece, field.name) for field in fields(piece)}


def _merged(one: Any, other: Any, name: str = "") -> Any:
    """The value that stands for both; None where there is none."""
    if type(one) is not type(other):
        return None
    if is_dataclass(one) and not isinstance(one, type):
        pairs = {
            field.name: _merged(getattr(one, field.name), getattr(other, field.name), field.name)
            for field in fields(one)
            if field.name != "count" or hasattr(one, "piece")
        }
        if any(value is None for value in pairs.values()):
            return None
        if "half" in pairs and "text" in pairs:
            pairs["half"] = max(pairs["half"], text_width(pairs["text"]) // 2 + 8)
        return type(one)(**{**_values(one), **pairs})
    if isinstance(one, tuple):
        values = [_merged(a, b) for a, b in zip(one, other, strict=False)]
        return tuple(values) if len(one) == len(other) and None not in values else None
    if isinstance(one, str):
        return _text(one, other)
    return max(one, other) if name == "half" or one == other else None


def _text(one: str, other: str) -> str | None:
    """3x3 conv, 64 and 3x3 conv, 80 -> 3x3 conv, 64-80."""
    if _NUMBER.sub("#", one) != _NUMBER.sub("#", other):
        return None
    pairs = zip(_NUMBER.finditer(one), _NUMBER.finditer(other), strict=True)
    ranges = iter([_range(a, b) for a, b in pairs])
    return _NUMBER.sub(lambda _: next(ranges), one)


def _range(*found: re.Match[str]) -> str:
    ends = [end for each in found for end in each.groups() if end]
    low, high = min(ends, key=float), max(ends, key=float)
    return low if float(low) == float(high) else f"{low}{_DASH}{high}"
