"""YAML text -> plain values with a place for each -> a validated model.

The reader takes YAML 1.2's plain types only: `1e-4` is a number, `no` is a word,
tags and merge keys do not exist, a repeated key is an error, and aliases that
multiply are refused before anything is expanded. Every value keeps the file, line
and column it was written at, so that each error can say where.
"""

from __future__ import annotations

import difflib
import itertools
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import yaml
from pydantic import BaseModel, ValidationError
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from resgen.errors import UserError

Path_ = tuple[str | int, ...]
Model = TypeVar("Model", bound=BaseModel)

MAX_BYTES = 1_000_000
MAX_VALUES = 20_000


class Place(NamedTuple):
    """Where a value was written."""

    file: str
    line: int
    column: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"


class Document(NamedTuple):
    """The plain values of one file, and the place of each key and value by path."""

    file: str
    data: dict[str, Any]
    keys: dict[Path_, Place]
    values: dict[Path_, Place]


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


def nearest(word: str, known: Sequence[str]) -> str:
    """ "; did you mean X?" for the nearest known word, else the list of them."""
    match = difflib.get_close_matches(word, known, n=1, cutoff=0.6)
    if match:
        return f"; did you mean {match[0]}?"
    return f"; known here: {', '.join(known)}" if known else ""


def validate(model: type[Model], document: Document) -> Model:
    """The document as a model; raises UserError with the place of the first mistake."""
    try:
        return model.model_validate(document.data)
    except ValidationError as error:
        raise UserError(describe(error, model, document)) from None


def read_model(model: type[Model], path: Path) -> Model:
    """A YAML file as a validated model; raises UserError for anything else."""
    return validate(model, read_document(path, what=_noun(model)))


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


def _noun(model: type[BaseModel]) -> str:
    return model.__name__.lower()


def describe(error: ValidationError, model: type[BaseModel], document: Document) -> str:
    """The first mistake of a validation as one sentence with its place."""
    problems = error.errors(include_url=False)
    # A misspelt key is also a missing one; the spelling is what the user has to mend.
    problem = min(problems, key=lambda p: p["type"] != "extra_forbidden")
    path = tuple(p for p in problem["loc"] if not (isinstance(p, str) and _is_branch(p)))
    path += tuple(problem.get("ctx", {}).get("at", ()))
    place = at(path, document.keys, document.values)
    if problem["type"] == "extra_forbidden":
        place = document.keys.get(path, place)
    where = f"{place}: " if place and place.column else f"{document.file}: "
    # A word that stands for a mapping (`shortcut: none`) has no key of its own.
    written = path[:-1] if path[-1:] == ("kind",) and path not in document.keys else path
    name = f"{dotted(written)}: " if written else ""
    return f"{where}{name}{_sentence(problem, model, path)}"


def _is_branch(part: str) -> bool:
    """pydantic puts the name of a union's branch into the location; the user wrote none."""
    return part.endswith(("]", "Spec")) or part in _BRANCHES


_BRANCHES = frozenset({"int", "float", "str", "bool", "tuple", "list", "literal", "none"})


def _sentence(problem: Any, model: type[BaseModel], path: Path_) -> str:
    kind, ctx, value = problem["type"], problem.get("ctx", {}), problem["input"]
    if kind == "extra_forbidden":
        return "unknown key" + nearest(str(path[-1]), known_keys(model, path[:-1]))
    if kind == "missing":
        return f"this key is missing; a {_noun(model)} needs it"
    if kind == "literal_error":
        words = re.findall(r"'([^']+)'", ctx["expected"])
        options = ", ".join(words)
        guess = difflib.get_close_matches(value, words, n=1) if isinstance(value, str) else []
        hint = f"; did you mean {guess[0]}?" if guess else ""
        return f"must be one of {options} (got {show(value)}){hint}"
    if kind == "string_pattern_mismatch":
        return f"may hold letters, digits, spaces and ._+- only, at most 64 (got {show(value)})"
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
