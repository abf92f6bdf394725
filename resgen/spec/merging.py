"""What an heir takes of its base: mappings key by key, and no key that loses its meaning there."""

from __future__ import annotations

from typing import Any, get_args

from pydantic import ValidationError

from resgen.spec.attention import Attention
from resgen.spec.mistakes import Document, Path_, Place, Typed
from resgen.spec.model import Spec
from resgen.spec.norms import Activation, Norm
from resgen.spec.parts import Keys, ShortcutMode, Stem
from resgen.spec.settings import RIVALS

# Two ways to say one thing: an heir that says the one does not inherit the other.
_RIVALS = (("stages", "regnet"), *RIVALS)


def merged(
    base: dict[str, Any], own: dict[str, Any], path: Path_, taken: set[Path_], gone: set[Path_]
) -> dict[str, Any]:
    """Mappings merged key by key, everything else replaced whole.

    Under another `kind` the base's keys that belong to kinds of its own stay behind. Adds to
    `taken` the paths whose values are the heir's, to `gone` those the base lost.
    """
    result = dict(base)
    dropped = [one for pair in _RIVALS for one, other in (pair, pair[::-1]) if other in own]
    for key, value in own.items():
        here = (*path, key)
        # A definition, and a use of one, says a whole path: it replaces the one it is named after.
        whole = path[:1] == ("define",) or key in ("block", "projection")
        if _is_keys(value) and _is_keys(result.get(key)) and not whole:
            inner, kind = result[key], value.get("kind")
            if kind is not None and kind != inner.get("kind"):
                defined = {**base.get("define", {}), **own.get("define", {})}
                foreign = [k for k in inner if not _belongs(k, kind, KINDS.get(key), defined)]
                gone |= {(*here, name) for name in foreign}
                inner = {name: inner[name] for name in inner if name not in foreign}
            result[key] = merged(inner, value, here, taken, gone)
        else:
            result[key] = value
            taken.add(here)
            gone.add(here)
    for key in dropped:
        if key in base and key not in own:
            del result[key]
            gone.add((*path, key))
    return result


KINDS: dict[str, type[Keys]] = {
    "stem": Stem, "shortcut": ShortcutMode, "attention": Attention, "norm": Norm,
    "activation": Activation,
}  # fmt: skip
"""The keys whose mappings have a `kind`, and which keys belong to which."""


def _is_keys(value: object) -> bool:
    """Whether a value is a mapping of keys, and not a design space's choice of values."""
    return isinstance(value, dict) and value.keys().isdisjoint(("any", "from", "to"))


def _belongs(key: str, kind: object, model: type[Keys] | None, defined: dict[str, Any]) -> bool:
    """Whether a key may stand beside a kind: a word's, or a definition's parameter."""
    if key == "kind" or model is None or not isinstance(kind, str):
        return True
    if kind in get_args(model.model_fields["kind"].annotation):
        return kind in model.owners.get(key, (kind,))
    definition = defined.get(kind)
    return isinstance(definition, dict) and key in (definition.get("with") or {})


def as_mappings(base: Document, own: dict[str, Any]) -> Document:
    """A base with the words and numbers written out that stand for mappings which an heir has."""
    data, keys, values = dict(base.data), dict(base.keys), dict(base.values)
    for key, name in (dict.fromkeys(KINDS, "kind") | {"drop_path": "rate"}).items():
        value = data.get(key)
        if _is_keys(own.get(key)) and isinstance(value, str | int | float):
            data[key] = {name: value}
            for places in (keys, values):
                if (key,) in places:
                    places[key, name] = places[key,]
    return Document(base.file, data, keys, values)


def inside(places: dict[Path_, Place], roots: set[Path_]) -> dict[Path_, Place]:
    """The places of the roots and of what is in them."""
    return {p: at for p, at in places.items() if any(p[:n] in roots for n in range(len(p) + 1))}


def outside(places: dict[Path_, Place], roots: set[Path_]) -> dict[Path_, Place]:
    """The places of all else."""
    within = inside(places, roots)
    return {path: at for path, at in places.items() if path not in within}


def sound(
    data: dict[str, Any], document: Document | None
) -> tuple[Spec | ValidationError, dict[str, Any], set[Path_]]:
    """The Spec of a document's values, less what the heir inherits and gives no meaning to.

    A base's `projection` means nothing once an heir says `shortcut: identity`, who wrote no such
    key; one that it did write itself is a mistake. With no document nobody wrote any of them, as in
    a scaled network. Returns the Spec, or what is wrong, the values that are left, and the paths of
    what is gone.
    """
    gone: set[Path_] = set()
    while True:
        try:
            return Spec.model_validate(data), data, gone
        except ValidationError as error:
            found = (each.get("ctx", {}) for each in error.errors(include_url=False))
            idle = [tuple(each["at"]) for each in found if each.get("idle")]
            lost = next((p for p in idle if document is None or _inherited(p, document)), None)
            if lost is None:
                return error, data, gone
            data = _less(data, lost)
            gone.add(lost)


def _inherited(path: Path_, document: Document) -> bool:
    """Whether the value there is not of the outermost layer: what was typed, else the file."""
    place = document.values.get(path)
    if document.overrides:
        return place is None or not isinstance(place.file, Typed)
    return place is not None and place.file != document.file


def _less(value: Any, path: Path_) -> Any:
    """Plain values without the one at a path."""
    if isinstance(value, list):
        return [_less(each, path[1:]) if at == path[0] else each for at, each in enumerate(value)]
    rest = {path[0]: _less(value[path[0]], path[1:])} if path[1:] else {}
    return {**{key: each for key, each in value.items() if key != path[0]}, **rest}
