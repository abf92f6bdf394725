"""The full spec as YAML, each value with the line it came from: `resgen summarize --resolved`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from resgen.errors import one_line
from resgen.spec import shipped
from resgen.spec.loading import origins, resolved_data
from resgen.spec.mistakes import Path_, dotted
from resgen.spec.model import Spec
from resgen.spec.writing import flow_text


def resolved_text(spec: Spec) -> str:
    """Every key with its value, `extends`, RegNet and defaults written out.

    The text is a valid spec of the same network; a comment behind each value says where
    it was written, or that it is a default.
    """
    where = {path: _short(origin) for path, _, origin in origins(spec)}
    return annotated(resolved_data(spec), lambda path: where.get(dotted(path), ""))


def annotated(data: dict[str, Any], comment: Callable[[Path_], str]) -> str:
    """Plain values as YAML, a key a line, behind each what `comment` says of its path."""
    lines = [(text, comment(path)) for text, path in _lines(data, (), "")]
    width = min(max(len(text) for text, _ in lines), _MOST)
    return "\n".join(f"{text.ljust(width)}  # {said}" if said else text for text, said in lines)


_MOST = 60
"""The column behind which comments stand, but for those of longer lines: of whole paths."""


def _short(origin: str) -> str:
    """Shipped files by their place among the shipped ones."""
    return one_line(origin.replace(f"{shipped.root()}/", ""))


def _lines(value: Any, path: Path_, indent: str) -> Iterator[tuple[str, Path_]]:
    """(line, path of the value it ends in) for a mapping."""
    for key, inner in value.items():
        here = (*path, key)
        if isinstance(inner, dict) and inner:
            yield f"{indent}{key}:", here
            yield from _lines(inner, here, indent + "  ")
        elif isinstance(inner, list) and inner and all(isinstance(item, dict) for item in inner):
            yield f"{indent}{key}:", here
            for index, item in enumerate(inner):
                item_lines = list(_lines(item, (*here, index), indent + "    "))
                if not item_lines:
                    yield f"{indent}  - {{}}", (*here, index)
                for number, (text, at) in enumerate(item_lines):
                    yield (f"{indent}  - {text.lstrip()}" if number == 0 else text), at
        else:
            yield f"{indent}{key}: {flow_text(inner)}", here
