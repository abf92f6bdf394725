"""A path or a shipped name -> a Spec, with what it extends merged in."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from resgen import shipped
from resgen.errors import UserError
from resgen.reading import Document, Path_, dotted, read_document, validate
from resgen.spec import Spec
from resgen.spec_rules import RIVALS


def load_spec(source: str | Path) -> Spec:
    """The Spec of a YAML file or of a shipped name (`cifar/resnet56`, or `resnet56`).

    Raises UserError, with file, line and column, for anything that is not a valid spec.
    """
    document = load_document(shipped.find("spec", str(source)))
    spec = validate(Spec, document)
    spec._document = document
    return spec


def load_document(path: Path) -> Document:
    """The keys of a file, and under them those of the spec it extends."""
    document = read_document(path)
    base_name = document.data.get("extends")
    if not isinstance(base_name, str):
        return document
    place = document.values[("extends",)]
    beside = path.parent / base_name
    base_path = beside if beside.is_file() else shipped.find("spec", base_name)
    base = read_document(base_path)
    if "extends" in base.data:
        raise UserError(
            f"{place}: extends: {base_name} extends {base.data['extends']} itself; "
            "only one level is read, so extend that one or write the keys out"
        )
    merged = Document(document.file, {}, {**base.keys}, {**base.values})
    merged.data.update(_merged(base.data, document.data, (), merged, document))
    merged.values[()] = document.values[()]
    return merged


# What names the base network itself; an heir has its own or none.
_NOT_INHERITED = ("name", "depth", "reference")

# Two ways to say one thing: an heir that says the one does not inherit the other.
_RIVALS = (("stages", "regnet"), *RIVALS)


def _merged(
    base: dict[str, Any], own: dict[str, Any], path: Path_, into: Document, document: Document
) -> dict[str, Any]:
    """Mappings merged key by key, everything else replaced whole, the places with it."""
    result = dict(base)
    dropped = [key for pair in _RIVALS if own.keys() & set(pair) for key in pair]
    for key in (*dropped, *(_NOT_INHERITED if not path else ())):
        result.pop(key, None)
    for key, value in own.items():
        here = (*path, key)
        mergeable = isinstance(value, dict) and isinstance(result.get(key), dict)
        if mergeable and value.get("kind", result[key].get("kind")) == result[key].get("kind"):
            result[key] = _merged(result[key], value, here, into, document)
        else:
            result[key] = value
            for places in (into.keys, into.values):
                for old in [p for p in places if p[: len(here)] == here]:
                    del places[old]
            for mine, theirs in ((into.keys, document.keys), (into.values, document.values)):
                mine.update({p: v for p, v in theirs.items() if p[: len(here)] == here})
    return result


def origins(spec: Spec) -> list[tuple[str, Any, str]]:
    """(key path, value, where it came from) of every value of a resolved spec."""
    document = spec._document
    found: list[tuple[str, Any, str]] = []

    def visit(value: Any, path: Path_) -> None:
        if isinstance(value, dict) and value:
            for key, inner in value.items():
                visit(inner, (*path, key))
        elif isinstance(value, list) and any(isinstance(v, dict) for v in value):
            for index, inner in enumerate(value):
                visit(inner, (*path, index))
        else:
            found.append((dotted(path), value, _origin(path, document)))

    visit(resolved_data(spec), ())
    return found


def _origin(path: Path_, document: Document | None) -> str:
    for end in range(len(path), 0, -1):
        for places in (document.values, document.keys) if document else ():
            if path[:end] in places and isinstance(path[end - 1], str | int):
                whole = end == len(path) or not _mapping_at(path[:end], document)
                if whole:
                    place = places[path[:end]]
                    return f"{place.file}:{place.line}"
    if document and path[0] == "stages" and ("regnet",) in document.keys:
        place = document.keys[("regnet",)]
        return f"regnet, {place.file}:{place.line}"
    return "default"


def _mapping_at(path: Path_, document: Document | None) -> bool:
    value: Any = document.data if document else {}
    for part in path:
        value = value[part]
    return isinstance(value, dict | list)


def resolved_data(spec: Spec) -> dict[str, Any]:
    """The full spec as plain values: `extends` merged, RegNet written out, defaults filled in."""
    data = spec.model_dump(mode="json", exclude_none=True, exclude={"extends", "regnet"})
    from resgen.spec import DEFAULTS

    for key, value in DEFAULTS.items():
        if value is not None and key not in data:
            data[key] = value if isinstance(value, str | int) else value.model_dump(mode="json")
    return data
