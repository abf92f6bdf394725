"""A path or a shipped name -> a Spec, with what it extends merged in."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from resgen.errors import UserError
from resgen.files import kind
from resgen.spec import shipped
from resgen.spec.block import BLOCK_KEYS
from resgen.spec.collecting import of_keys
from resgen.spec.definitions import Use
from resgen.spec.language import LANGUAGE, modern, refuse_newer
from resgen.spec.merging import as_mappings, inside, merged, outside, sound
from resgen.spec.mistakes import Document, Path_, Place, dotted
from resgen.spec.model import Spec
from resgen.spec.overrides import overridden
from resgen.spec.parts import Keys
from resgen.spec.reading import parse_document, read_document, read_text, validate
from resgen.spec.settings import DEFAULTS, RIVALS
from resgen.words import joined

# A checkpoint, a .safetensors file of ours and a run folder name their network: they stand for
# its spec.
CHECKPOINTS = (".pt", ".pth", ".safetensors")
RUN_SPEC = "spec.yaml"


def load_spec(
    source: Spec | str | os.PathLike[str] | Mapping[str, Any], overrides: Sequence[str] = ()
) -> Spec:
    """The Spec of a YAML file, a run folder, a checkpoint, a shipped name, or of its keys.

    overrides: keys that hold in place of the spec's, as `classes=10` or `stages[2].depth=12`.
    Raises UserError, with file, line and column, for anything that is not a valid spec, and
    TypeError for what is none of these.

    Examples:
        >>> load_spec("resnet50").classes
        1000
        >>> load_spec("resnet50", ["classes=10", "stages[2].depth=12"]).stages[2].depth
        12
    """
    if isinstance(overrides, str):
        raise TypeError(f"overrides are a list of assignments: [{overrides!r}]")
    if isinstance(source, Spec):
        if not overrides:
            return source
        return _spec(overridden(_written(source), overrides, merged))
    return _spec(document_of(source, overrides))


def document_of(
    source: str | os.PathLike[str] | Mapping[str, Any], overrides: Sequence[str] = ()
) -> Document:
    """The keys of a path, a shipped name or a mapping, its base's under them, overrides over both.

    Raises UserError where there are none, TypeError for what is none of these.
    """
    if isinstance(source, str | os.PathLike):
        return load_document(shipped.find("spec", os.fspath(source)), overrides)
    if not isinstance(source, Mapping):
        raise TypeError(
            f"a spec is given as a path, a shipped name or its keys, not as {type(source).__name__}"
        )
    document = _with_base(Document("spec", dict(source), {}, {}), Path())
    return overridden(document, overrides, merged) if overrides else document


def spec_of(keys: Mapping[str, Any], file: Path) -> Spec:
    """The Spec of the keys that a checkpoint holds. Raises UserError like `load_spec`."""
    return _spec(_kept(keys, file))


def _spec(document: Document) -> Spec:
    spec, data, gone = sound(document.data, document)
    if gone:
        keys, values = outside(document.keys, gone), outside(document.values, gone)
        document = document._replace(data=data, keys=keys, values=values)
    if isinstance(spec, ValidationError):
        spec = validate(Spec, document)  # says what is wrong
    spec._document = document
    return spec


def _written(spec: Spec) -> Document:
    """What a Spec was read from, or where it was changed since, its keys."""
    keys = spec.model_dump(mode="json", exclude_unset=True)
    document = spec._document
    if document and validate(Spec, document).model_dump(mode="json", exclude_unset=True) == keys:
        return document
    return Document("spec", keys, {}, {}, spec.overrides)


def load_document(path: Path, overrides: Sequence[str] = ()) -> Document:
    """The keys of a file or a run folder's, its base's under them and overrides over both."""
    path = spec_file(path)
    if path.suffix in CHECKPOINTS:
        from resgen.tensors import formats

        document = _kept(formats.network(path), path)
    else:
        document = _with_base(read_document(path), path.parent)
    return overridden(document, overrides, merged) if overrides else document


def _kept(keys: Mapping[str, Any], file: Path) -> Document:
    """What a checkpoint holds, whose base is in it already."""
    return modern(Document(str(file), dict(keys), {}, {}))


def spec_file(path: Path) -> Path:
    """The spec of a run folder; any other path as it is.

    Raises UserError for a folder of something else.
    """
    if kind(path) != "folder":
        return path
    if (path / RUN_SPEC).is_file():
        return path / RUN_SPEC
    held = [each.relative_to(path).as_posix() for each in runs_in(path)]
    runs = f", with runs in it ({joined(held)}): name one of them" if held else ""
    way_out = runs or "; give a spec file or a run folder"
    raise UserError(f"{path}: a folder without {RUN_SPEC}{way_out}")


def runs_in(path: Path) -> list[Path]:
    """A run folder itself, or those side by side in a folder; none of what is neither.

    They lie there by network, by seed, or by network and in it by seed.
    """
    if kind(path) != "folder" or (path / RUN_SPEC).is_file():
        return [path] if (path / RUN_SPEC).is_file() else []
    found = [file.parent for depth in ("*", "*/*") for file in path.glob(f"{depth}/{RUN_SPEC}")]
    return sorted(found, key=_in_order)


def _in_order(path: Path) -> list[tuple[str, int]]:
    """`seed-2` before `seed-10`."""
    parts = re.findall(r"(\D*)(\d*)", str(path))
    return [(word, int(number or 0)) for word, number in parts]


def _with_base(document: Document, folder: Path) -> Document:
    """The document with the keys of the spec it extends, found in the folder or by name."""
    refuse_newer(document)
    base_name = document.data.get("extends")
    if not isinstance(base_name, str):
        return modern(document)
    place = document.values.get(("extends",), document.file)
    beside = folder / base_name
    try:
        found = beside if kind(beside) == "file" else shipped.find("spec", base_name)
        text = read_text(found)
    except UserError as error:
        others = of_keys(Spec, document)
        raise UserError(f"{place}: extends: {error}", *others) from None
    base = parse_document(text, str(found))
    if "extends" in base.data:
        raise UserError(
            f"{place}: extends: {base_name} extends {base.data['extends']} itself; "
            "only one level is read, so extend that one or write the keys out"
        )
    base = modern(base)
    document = modern(document, base.data)
    own: set[Path_] = set()
    gone: set[Path_] = {(key,) for key in _NOT_INHERITED}
    inherited = {key: value for key, value in base.data.items() if key not in _NOT_INHERITED}
    base = as_mappings(base._replace(data=inherited), document.data)
    data = merged(base.data, document.data, (), own, gone)
    keys = {**outside(base.keys, gone), **inside(document.keys, own)}
    values = {**outside(base.values, gone), **inside(document.values, own)}
    for places, heirs in ((keys, document.keys), (values, document.values)):
        places |= {path: heirs[path] for path in heirs.keys() & places.keys()}  # merged mappings
    if not document.values:  # keys given in Python, which have no lines, and not the base's
        values |= dict.fromkeys({(), *own}, Place(document.file, 0, 0))
    if () in document.values:
        values[()] = document.values[()]
    return Document(document.file, data, keys, values)


# What is said of the base itself, or of its file; an heir has its own or none.
_NOT_INHERITED = ("language", "name", "depth", "reference")


def origins(spec: Spec) -> list[tuple[str, Any, str]]:
    """(key path, value, where it came from) of every value of a resolved spec."""
    document = spec._document
    found: list[tuple[str, Any, str]] = []

    def visit(value: Any, path: Path_) -> None:
        if isinstance(value, dict) and value:
            for key, inner in value.items():
                visit(inner, (*path, key))
        elif isinstance(value, list) and value and all(isinstance(v, dict) for v in value):
            for index, inner in enumerate(value):
                visit(inner, (*path, index))
        else:
            found.append((dotted(path), value, _origin(path, document)))

    visit(resolved_data(spec), ())
    return found


def _origin(path: Path_, document: Document | None) -> str:
    """The place of the value that was written, or of the nearest that stands for it."""
    if document is None:
        return "given in Python"
    if path in document.values and not _keys_at(path, document):
        return _said(path, document.values[path], document)
    # A word alone is a mapping's kind, a number alone its rate or both sides of a size.
    word = path[:-1] if path[-1] in ("kind", "rate") else None
    if word in document.values and not _keys_at(word, document):
        return document.values[word].in_file
    if path[0] == "stages":
        if path[-1] == "depth" and (*path[:-1], "blocks") in document.values:
            return f"the blocks in {document.values[*path[:-1], 'blocks'].in_file}"
        if ("regnet",) in document.keys:
            regnet = f"the regnet in {_said(('regnet',), document.keys['regnet',], document)}"
            if path[-1] != "bottleneck_ratio":
                return regnet
            said = document.values.get(("bottleneck_ratio",))
            return said.in_file if said else f"default under {regnet}"
    return "default"


def _said(path: Path_, place: Place, document: Document) -> str:
    """The place of a value, and what was typed over parts of it."""
    parts = inside(document.values, {path}).values()
    typed = [each.in_file for each in parts if not each.line]
    return " and ".join(dict.fromkeys([place.in_file, *typed]))


def _keys_at(path: Path_, document: Document) -> bool:
    """Whether a mapping with keys was written there, whose values have places of their own."""
    value: Any = document.data
    for part in path:
        value = value[part]
    return isinstance(value, dict) and bool(value)


def resolved_data(spec: Spec) -> dict[str, Any]:
    """The full spec as plain values: `extends` merged, RegNet written out, defaults filled in.

    It is a valid spec of the same network, and says nothing of where it came from.
    """
    data = spec.model_dump(
        mode="json", exclude_none=True, exclude={"extends", "regnet", "reference"}
    )
    if not data["define"]:
        del data["define"]
    if spec.regnet:  # whose stages say it each
        data.pop("bottleneck_ratio", None)
    defaults = {key: _plain(value) for key, value in DEFAULTS.items() if value is not None}
    for pair in RIVALS:
        if any(level.get(key) is not None for key in pair for level in (data, *data["stages"])):
            defaults = {key: value for key, value in defaults.items() if key not in pair}
    data = {**defaults, **data, "language": LANGUAGE}
    return {key: data[key] for key in (*_FIRST, *BLOCK_KEYS, *_LAST) if key in data}


def _plain(value: object) -> object:
    """A default as it would be written."""
    if isinstance(value, Keys):
        return value.model_dump(mode="json", exclude_none=True)
    return value.written if isinstance(value, Use) else value


_FIRST = ("language", "name", "depth", "input", "define", "stem")
_LAST = ("stages", "drop_path", "output_stride", "head", "classes")
assert {*_FIRST, *BLOCK_KEYS, *_LAST, "extends", "regnet", "reference"} == set(Spec.model_fields)
