"""`--with stages[2].depth=12`: the outermost layer over a spec and what it extends.

An override is merged as an heir's keys are, at the place that its path names.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from resgen.errors import UserError
from resgen.spec.assigning import Assigned, Assignment, Keys, Merge, inside, read_assignment
from resgen.spec.block import StageKeys
from resgen.spec.definitions import Use
from resgen.spec.language import modern
from resgen.spec.mistakes import Document, Path_, Typed, nearest
from resgen.spec.model import Spec

OPTION = "--with"

# What says how a network was made and checked; it is no longer that one.
_LOST = ("depth", "reference")

# Lists whose entries are mappings of keys, not rows; numbers that stand for two.
_OF_KEYS = ("stages", "blocks")
_TWICE = ("size", "stride")


def _has_kind(annotation: Any) -> bool:
    if annotation is Use or "kind" in getattr(annotation, "model_fields", ()):
        return True
    return any(map(_has_kind, getattr(annotation, "__args__", ())))


_OF_A_KIND = {
    key
    for model in (Spec, StageKeys)
    for key, field in model.model_fields.items()
    if _has_kind(field.annotation)
}
"""Keys whose word is a mapping's kind."""


def overridden(document: Document, texts: Sequence[str], merge: Merge) -> Document:
    """The document with overrides in it, `merge` being how an heir's keys go over its base's.

    Raises UserError for a path that leads nowhere, and for one override that undoes another.
    """
    data = {key: value for key, value in document.data.items() if key not in _LOST}
    found = document._replace(data=data)
    said: dict[Path_, Typed] = {}
    given = [_modern(read_assignment(OPTION, text, "spec"), document.data) for text in texts]
    for each in sorted(map(_of_a_kind, given), key=_order):
        placed = _placed(each, found.data)
        made = Assigned(found, placed, merge=partial(_merged, merge), meant=_meant)
        for path, other in said.items():
            if inside(path, made.gone):
                raise made.wrong(f"undoes {other}; keep one of the two")
        said |= dict.fromkeys(made.assignment.leaves(), each.said)
        found = made.document
    return found._replace(overrides=(*document.overrides, *texts))


def _modern(given: Assignment, data: Mapping[str, Any]) -> Assignment:
    """The assignment in today's words."""
    nested: Any = given.value
    for part in reversed(given.path):
        nested = {part: nested}
    nested = modern(Document(given.said, nested, {}, given.places()), data).data
    path: Path_ = ()
    for _ in given.path:
        ((part, nested),) = nested.items()
        path = (*path, part)
    return given._replace(path=path, value=nested)


def _of_a_kind(given: Assignment) -> Assignment:
    """`shortcut.kind=identity` as the mapping it is part of, whose other keys may go with it."""
    *around, last = given.path
    if last != "kind" or not around or isinstance(around[-1], int) or around[0] == "define":
        return given
    return given._replace(path=tuple(around), value={"kind": given.value})


def _order(given: Assignment) -> tuple[int, bool]:
    """What is around goes before what is in it, a kind before its keys."""
    kind_alone = isinstance(given.value, dict) and given.value.keys() == {"kind"}
    return len(given.path), not kind_alone


def _placed(given: Assignment, data: Mapping[str, Any]) -> Assignment:
    """The assignment where it can be made. Raises UserError where what is asked for has no place.

    The rows of a definition are counted whether it has parameters or not.
    """
    first, *rest = given.path
    if first == "extends":
        raise UserError(
            f"{given.said}: what a network extends stands in its spec; write one that extends "
            "another"
        )
    if first == "stages" and rest and data.get("stages") is None and data.get("regnet"):
        raise UserError(
            f"{given.said}: there are no stages, but a regnet that they follow from; change its "
            "keys, or give all stages"
        )
    define = data.get("define")
    if first == "define" and len(rest) > 1:
        names = define if isinstance(define, dict) else {}
        if rest[0] not in names:
            hint = nearest(str(rest[0]), list(map(str, names)))
            raise UserError(f"{given.said}: there is no define.{rest[0]}{hint}")
        if isinstance(rest[1], int) and isinstance(names[rest[0]], dict):
            return given._replace(path=(first, rest[0], "path", *rest[1:]))
    return given


def _meant(value: Any, path: Path_, part: str | int) -> Any:
    """The mapping or list that a value is short for."""
    last = path[-1] if path else ""
    if isinstance(part, int):
        number = isinstance(value, int) and not isinstance(value, bool)
        return [value, value] if number and last in _TWICE else value
    if isinstance(value, str) and isinstance(last, int):
        return {value: None}  # a row
    if isinstance(value, str) and last in _OF_A_KIND:
        return {"kind": value}
    if isinstance(value, int | float) and last == "drop_path":
        return {"rate": value}
    if isinstance(value, list) and path[:1] == ("define",) and len(path) == 2:
        return {"path": value}
    return value


def _merged(
    merge: Merge, base: Keys, own: Keys, path: Path_, taken: set[Path_], gone: set[Path_]
) -> Keys:
    """As an heir's, but that rows are replaced whole."""
    if path and path[-1] not in _OF_KEYS and any(isinstance(key, int) for key in own):
        base = {**base, **dict.fromkeys(own)}
    return merge(base, own, path, taken, gone)
