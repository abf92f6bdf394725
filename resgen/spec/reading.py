"""YAML text -> plain values with a place for each -> a validated model.

The reader takes YAML 1.2's plain types only: `1e-4` is a number, `no` is a word,
tags and merge keys do not exist, a repeated key is an error, and aliases that
multiply are refused before anything is expanded. Every value keeps the file, line
and column it was written at, so that each error can say where.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from resgen.errors import UserError
from resgen.spec.mistakes import Document, Path_, Place, describe, dotted, noun

Model = TypeVar("Model", bound=BaseModel)

MAX_BYTES = 1_000_000
MAX_VALUES = 20_000


class _Loader(yaml.SafeLoader):
    """Composes nodes with YAML 1.2's core types; constructs nothing."""

    yaml_implicit_resolvers = {}  # noqa: RUF012 - yaml reads it from the class


for _tag, _pattern, _first in (
    ("null", r"^(?:~|null|Null|NULL|)$", "~nN\0"),
    ("bool", r"^(?:true|True|TRUE|false|False|FALSE)$", "tTfF"),
    ("int", r"^[-+]?[0-9]+$|^0o[0-7]+$|^0x[0-9a-fA-F]+$", "-+0123456789"),
    (
        "float",
        r"^[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?$|^[-+]?\.inf$|^\.nan$",
        "-+0123456789.",
    ),
):
    for _char in _first:
        _Loader.yaml_implicit_resolvers.setdefault("" if _char == "\0" else _char, []).append(
            (f"tag:yaml.org,2002:{_tag}", re.compile(_pattern))
        )


class Dumper(yaml.SafeDumper):
    """Writes what this reader reads back: a word that would be a number to it is quoted."""


for _first, _resolvers in _Loader.yaml_implicit_resolvers.items():
    for _tag, _regexp in _resolvers:
        Dumper.add_implicit_resolver(_tag, _regexp, [_first] if _first else None)


def read_document(path: Path, *, what: str = "spec") -> Document:
    """One YAML file as plain values.

    Raises UserError for a file that cannot be read, is no mapping, or uses what
    YAML allows and a spec does not (tags, repeated keys, multiplying aliases).
    """
    return parse_document(_read_text(path, what), str(path), what=what)


def parse_document(text: str, file: str, *, what: str = "spec") -> Document:
    """One YAML text as plain values; see `read_document`."""
    loader = _Loader(text)
    try:
        node = loader.get_single_node()
        if node is None:
            raise UserError(f"{file}: the {what} is empty; it must be a mapping of keys")
        if not isinstance(node, MappingNode):
            found = "a list" if isinstance(node, SequenceNode) else "a single value"
            raise UserError(
                f"{_place(node, file)}: a {what} must be a mapping of keys, not {found}"
            )
        _refuse_multiplying(node, file)
        document = Document(file, {}, {}, {})
        document.data.update(_mapping(node, (), document))
        document.values[()] = Place(file, 1, 1)
        return document
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        at = f"{file}:{mark.line + 1}:{mark.column + 1}" if mark else file
        raise UserError(f"{at}: not valid YAML: {error.problem or error.context}") from None
    except yaml.YAMLError as error:
        raise UserError(f"{file}: not valid YAML: {str(error).splitlines()[0]}") from None
    except RecursionError:
        raise UserError(f"{file}: nested too deeply to be a {what}") from None
    finally:
        loader.dispose()


def _read_text(path: Path, what: str) -> str:
    if path.is_dir():
        raise UserError(f"{path}: is a directory; name the {what} file in it")
    try:
        if path.stat().st_size > MAX_BYTES:
            raise UserError(f"{path}: over {MAX_BYTES:,} bytes; this is no {what}")
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise UserError(f"{path}: no such file") from None
    except UnicodeDecodeError:
        raise UserError(f"{path}: not a text file in UTF-8") from None
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror}") from None


def _place(node: Node, file: str) -> Place:
    return Place(file, node.start_mark.line + 1, node.start_mark.column + 1)


def _refuse_multiplying(root: Node, file: str) -> None:
    """The expanded size of each node, each visited once however often it is aliased."""
    sizes: dict[int, int] = {}
    open_nodes: set[int] = set()

    def size(node: Node) -> int:
        if id(node) in open_nodes:
            raise UserError(f"{_place(node, file)}: an alias contains itself")
        if id(node) not in sizes:
            open_nodes.add(id(node))
            children: list[Node] = []
            if isinstance(node, MappingNode):
                children = [child for pair in node.value for child in pair]
            elif isinstance(node, SequenceNode):
                children = list(node.value)
            sizes[id(node)] = 1 + sum(size(child) for child in children)
            open_nodes.discard(id(node))
        return sizes[id(node)]

    if (total := size(root)) > MAX_VALUES:
        raise UserError(
            f"{_place(root, file)}: {total:,} values once its aliases are expanded; "
            f"at most {MAX_VALUES:,} are read"
        )


def _mapping(node: MappingNode, path: Path_, document: Document) -> dict[str, Any]:
    _refuse_tag(node, "map", document.file)
    result: dict[str, Any] = {}
    for key_node, value_node in node.value:
        place = _place(key_node, document.file)
        if not isinstance(key_node, ScalarNode):
            raise UserError(f"{place}: a key must be a word")
        key = key_node.value
        if key in result:
            first = document.keys[(*path, key)]
            raise UserError(
                f"{place}: {dotted((*path, key))}: repeated key, first given in line {first.line}"
            )
        document.keys[(*path, key)] = place
        result[key] = _value(value_node, (*path, key), document)
    return result


def _value(node: Node, path: Path_, document: Document) -> Any:
    document.values[path] = _place(node, document.file)
    if isinstance(node, MappingNode):
        return _mapping(node, path, document)
    if isinstance(node, SequenceNode):
        _refuse_tag(node, "seq", document.file)
        return [_value(child, (*path, i), document) for i, child in enumerate(node.value)]
    assert isinstance(node, ScalarNode)
    text, tag = node.value, node.tag.removeprefix("tag:yaml.org,2002:")
    if tag == "null":
        return None
    if tag == "bool":
        return text.lower() == "true"
    if tag == "int":
        if len(text) > 400:
            raise UserError(
                f"{document.values[path]}: {dotted(path)}: a number of {len(text)} digits"
            )
        return int(text, 0) if text[:2] in ("0o", "0x") else int(text)
    if tag == "float":
        return float(text.replace(".inf", "inf").replace(".nan", "nan"))
    _refuse_tag(node, "str", document.file)
    return text


def _refuse_tag(node: Node, plain: str, file: str) -> None:
    if node.tag != f"tag:yaml.org,2002:{plain}":
        tag = node.tag.replace("tag:yaml.org,2002:", "!!")
        raise UserError(f"{_place(node, file)}: the tag {tag} is not allowed; write plain values")


def validate(model: type[Model], document: Document) -> Model:
    """The document as a model; raises UserError with the place of the first mistake."""
    try:
        return model.model_validate(document.data)
    except ValidationError as error:
        raise UserError(describe(error, model, document)) from None


def read_model(model: type[Model], path: Path) -> Model:
    """A YAML file as a validated model; raises UserError for anything else."""
    return validate(model, read_document(path, what=noun(model)))


def set_values(model: Model, assignments: Sequence[str]) -> Model:
    """The model with `path.to.key=value` assignments made, through the same schema."""
    data = model.model_dump(mode="json", exclude_unset=True)
    document = Document("--set", data, {}, {})
    for assignment in assignments:
        path_text, separator, text = assignment.partition("=")
        if not separator or not path_text:
            raise UserError(f"--set {assignment}: write it as path.to.key=value")
        value = parse_document(f"value: {text or 'null'}", f"--set {assignment}").data["value"]
        _assign(data, path_text, value, assignment)
    try:
        return type(model).model_validate(data)
    except ValidationError as error:
        raise UserError(describe(error, type(model), document)) from None


def _assign(data: dict[str, Any], path_text: str, value: Any, assignment: str) -> None:
    parts = [int(p) if p.isdigit() else p for p in re.findall(r"[^.\[\]]+", path_text)]
    target: Any = data
    try:
        for here, following in itertools.pairwise(parts):
            if isinstance(target, dict) and not isinstance(target.get(here), dict | list):
                if isinstance(following, int):
                    raise KeyError(here)
                target[here] = {}
            target = target[here]
        if isinstance(target, list):
            target[parts[-1]]
        target[parts[-1]] = value
    except (KeyError, IndexError, TypeError):
        raise UserError(f"--set {assignment}: there is no {path_text} to set") from None
