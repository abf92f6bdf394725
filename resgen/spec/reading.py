"""YAML text -> plain values with a place for each -> a validated model.

The reader takes YAML 1.2's plain types only: `1e-4` is a number, `no` is a word,
tags and merge keys do not exist, a repeated key is an error, and aliases that
multiply are refused before anything is expanded. Every value keeps the file, line
and column it was written at, so that each error can say where.
"""

from __future__ import annotations

import re
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from resgen.errors import UserError
from resgen.files import kind
from resgen.spec.collecting import mistakes
from resgen.spec.mistakes import Document, Path_, Place, Typed, dotted, noun

Model = TypeVar("Model", bound=BaseModel)

MAX_BYTES = 500_000
MAX_VALUES = 20_000
MAX_DEPTH = 32
"""Of mappings and lists inside each other."""


class _Refused(yaml.MarkedYAMLError):
    """What YAML allows and we do not; the sentence is the problem's."""

    def __init__(self, problem: str, mark: yaml.Mark | None) -> None:
        super().__init__(problem=problem, problem_mark=mark)


class Loader(yaml.SafeLoader):
    """Composes nodes with YAML 1.2's core types; constructs nothing."""

    yaml_implicit_resolvers = {}  # noqa: RUF012 - yaml reads it from the class
    nodes = 0
    open_nodes = 0

    def scan_tag(self) -> yaml.TagToken:
        """Refuses a tag, and so every value that says it is what it does not look like."""
        start = self.get_mark()
        token = super().scan_tag()
        tag = self.buffer[start.pointer : self.pointer]
        raise _Refused(f"the tag {tag} is not allowed; write plain values", token.start_mark)

    def compose_node(self, parent: Node | None, index: Any) -> Node | None:
        """Refuses what is too much or too deep before it has taken its time."""
        mark = self.peek_event().start_mark  # type: ignore[no-untyped-call]
        self.nodes += 1
        self.open_nodes += 1
        if self.nodes > MAX_VALUES:
            raise _Refused(f"over {MAX_VALUES:,} values; no more are read", mark)
        if self.open_nodes > MAX_DEPTH:
            raise _Refused("nested too deeply", mark)
        node = super().compose_node(parent, index)
        self.open_nodes -= 1
        return node


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
        Loader.yaml_implicit_resolvers.setdefault("" if _char == "\0" else _char, []).append(
            (f"tag:yaml.org,2002:{_tag}", re.compile(_pattern))
        )


def read_document(path: Path, *, what: str = "spec") -> Document:
    """One YAML file as plain values.

    Raises UserError for a file that cannot be read, is no mapping, or uses what
    YAML allows and a spec does not (tags, repeated keys, multiplying aliases).
    """
    return parse_document(read_text(path, what), str(path), what=what)


class _FastLoader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    """libyaml's parser where PyYAML was built with it, with the same types."""

    yaml_implicit_resolvers = Loader.yaml_implicit_resolvers


_SIGNS = "!&"
"""Of tags and anchors."""


def _composed(text: str) -> Node | None:
    """The nodes of a text; of all that is not short and plain, `Loader` has the last word."""
    plain = not any(sign in text for sign in _SIGNS) and len(text) < MAX_VALUES
    # libyaml goes down a C stack: what could open thousands of lists is not for it.
    if plain and sum(map(text.count, "[{-?")) < 1000:
        with suppress(yaml.YAMLError, UnicodeError):  # said below, however PyYAML was built
            return _FastLoader(text).get_single_node()  # type: ignore[no-any-return]
    loader = Loader(text)
    try:
        return loader.get_single_node()
    finally:
        loader.dispose()


def parse_document(text: str, file: str, *, what: str = "spec") -> Document:
    """One YAML text as plain values; see `read_document`."""
    if len(text) > MAX_BYTES:
        raise UserError(f"{file}: over {MAX_BYTES:,} characters; this is no {what}")
    try:
        node = _composed(text)
    except _Refused as error:
        raise UserError(f"{_at(error.problem_mark, file)}: {error.problem}") from None
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        problem = error.problem or error.context
        raise UserError(f"{_at(mark, file)}: not valid YAML: {problem}") from None
    except yaml.reader.ReaderError as error:
        before = text[: error.position].splitlines() or [""]
        place = _spot(file, len(before), len(before[-1]) + 1)
        raise UserError(f"{place}: the character {text[error.position]!a} is not allowed") from None
    if node is None:
        raise UserError(f"{file}: the {what} is empty; it must be a mapping of keys")
    if not isinstance(node, MappingNode):
        found = "a list" if isinstance(node, SequenceNode) else "a single value"
        raise UserError(f"{_place(node, file)}: a {what} must be a mapping of keys, not {found}")
    if "&" in text:
        _refuse_multiplying(node, file)
    document = Document(file, {}, {}, {})
    document.data.update(_mapping(node, (), document))
    document.values[()] = Place(file, 1, 1)
    return document


def read_text(path: Path, what: str = "spec") -> str:
    """The text of a file; raises UserError for one that cannot be read."""
    if kind(path) == "folder":
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
    except ValueError:  # of a NUL
        raise UserError(f"{path}: no file can have such a name") from None


def _at(mark: yaml.Mark | None, file: str) -> Place:
    return _spot(file, mark.line + 1, mark.column + 1) if mark else _spot(file, 1, 1)


def _spot(file: str, line: int, column: int) -> Place:
    return Place(file, 0, 0) if isinstance(file, Typed) else Place(file, line, column)


def _place(node: Node, file: str) -> Place:
    return _at(node.start_mark, file)


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
    result: dict[str, Any] = {}
    for key_node, value_node in node.value:
        place = _place(key_node, document.file)
        if not isinstance(key_node, ScalarNode):
            raise UserError(f"{place}: a key must be a word")
        key = key_node.value
        if key in result:
            first = document.keys[(*path, key)]
            before = f", first given in line {first.line}" if first.line else ""
            raise UserError(f"{place}: {dotted((*path, key))}: repeated key{before}")
        document.keys[(*path, key)] = place
        result[key] = _value(value_node, (*path, key), document)
        if value_node.start_mark.index == value_node.end_mark.index:
            # Nothing is written there; parsers differ by a space on where.
            end = _at(key_node.end_mark, document.file)
            document.values[(*path, key)] = end._replace(column=end.column + 1)
    return result


def _value(node: Node, path: Path_, document: Document) -> Any:
    document.values[path] = _place(node, document.file)
    if len(path) >= MAX_DEPTH:
        raise UserError(f"{document.values[path]}: nested too deeply")
    if isinstance(node, MappingNode):
        return _mapping(node, path, document)
    if isinstance(node, SequenceNode):
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
    return text


def validate(model: type[Model], document: Document) -> Model:
    """The document as a model; raises UserError with a line and a place for each mistake."""
    try:
        return model.model_validate(document.data)
    except ValidationError as error:
        raise UserError(*mistakes(error, model, document)) from None


def read_model(model: type[Model], path: Path) -> Model:
    """A YAML file as a validated model; raises UserError for anything else."""
    return validate(model, read_document(path, what=noun(model)))
