"""The full spec as YAML, each value with the line it came from: `resgen summarize --resolved`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import yaml

from resgen.spec import shipped
from resgen.spec.loading import origins, resolved_data
from resgen.spec.mistakes import Path_, dotted
from resgen.spec.model import Spec
from resgen.spec.reading import Dumper


def resolved_text(spec: Spec) -> str:
    """Every key with its value, `extends`, RegNet and defaults written out.

    The text is a valid spec of the same network; a comment behind each value says where
    it was written, or that it is a default.
    """
    where = {path: _short(origin) for path, _, origin in origins(spec)}
    lines = list(_lines(resolved_data(spec), (), ""))
    width = max(len(text) for text, _ in lines)
    return "\n".join(
        f"{text.ljust(width)}  # {where[dotted(path)]}" if dotted(path) in where else text
        for text, path in lines
    )


def _short(origin: str) -> str:
    """Shipped files by their place among the shipped ones."""
    return origin.replace(f"{shipped.root()}/", "")


def _lines(value: Any, path: Path_, indent: str) -> Iterator[tuple[str, Path_]]:
    """(line, path of the value it ends in) for a mapping."""
    for key, inner in value.items():
        here = (*path, key)
        if isinstance(inner, dict) and inner:
            yield f"{indent}{key}:", here
            yield from _lines(inner, here, indent + "  ")
        elif isinstance(inner, list) and any(isinstance(item, dict) for item in inner):
            yield f"{indent}{key}:", here
            for index, item in enumerate(inner):
                item_lines = list(_lines(item, (*here, index), indent + "    "))
                if not item_lines:
                    yield f"{indent}  - {{}}", (*here, index)
                for number, (text, at) in enumerate(item_lines):
                    yield (f"{indent}  - {text.lstrip()}" if number == 0 else text), at
        else:
            yield f"{indent}{key}: {_plain(inner)}", here


def _plain(value: Any) -> str:
    text = yaml.dump(value, Dumper=Dumper, default_flow_style=True, width=10**6)
    return text.removesuffix("\n").removesuffix("\n...")
