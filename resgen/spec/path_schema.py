"""The grammar of paths as JSON Schema, for editors, and as docs/paths.md, for readers.

Both are made from the table of rows; see resgen.spec.schema for the spec itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from resgen.spec.builtin import ATTENTION_WORDS, BLOCK_WORDS, PROJECTION_WORDS
from resgen.spec.definitions import MARK
from resgen.spec.grammar import MOST_BRANCHES
from resgen.spec.parts import STEM_WORDS
from resgen.spec.rows import (
    BRANCH_SAYS,
    CARRIES,
    JOINS,
    PARAMETER,
    ROWS,
    SELECT,
    TAKES,
    USE,
)
from resgen.spec.terms import NAMES
from resgen.spec.values import TIMES, WIDTH, Kind

_NAME = {"type": "string", "pattern": "^[a-z][a-z0-9_]*$", "description": "The layer's name."}
_PATH: dict[str, Any] = {"$ref": "#/$defs/Path"}
_WORDS = {
    "block": BLOCK_WORDS,
    "projection": PROJECTION_WORDS,
    "attention": ATTENTION_WORDS,
    "stem": STEM_WORDS,
}
_SHIPPED = sorted({word for words in _WORDS.values() for word in words})


def marked(key: str, value: dict[str, Any]) -> None:
    """Fills in what pydantic leaves to us: words for layers, entries of `define`."""
    given = value.pop("oneOf", None) or value.get("anyOf") or [value]
    options = [each for option in given for each in option.get("oneOf", [option])]
    if key == "define":
        value["additionalProperties"] = {"$ref": "#/$defs/Definition"}
        value.pop("default", None)
    elif any(MARK in option for option in options):
        value.pop(MARK, None)
        others = [option for option in options if "$ref" in option]
        words = [{"enum": list(_WORDS[key])}] if key in _WORDS else []
        value["anyOf"] = [*words, *others, {"$ref": "#/$defs/Layers"}]
    elif len(options) > 1:
        value["anyOf"] = options


def definitions() -> dict[str, Any]:
    """The schemas of paths, rows and definitions, by name."""
    rows = [_row(word) for word in ROWS if word != "branches"]
    alone = [word for word, row in ROWS.items() if row.alone]
    use = {
        "type": "object",
        "description": "A definition's name with its parameters.",
        "properties": {"name": _NAME, **{key: kind.schema for key, kind in USE.items()}},
        "propertyNames": {"not": {"enum": list(ROWS)}},
        "minProperties": 1,
        "additionalProperties": {
            "anyOf": [{"type": "null"}, {"$ref": "#/$defs/Parameters"}],
        },
    }
    return {
        "Path": {
            "description": "Rows in order.",
            "type": "array",
            "items": {"$ref": "#/$defs/Row"},
        },
        "Row": {
            "anyOf": [
                {"enum": alone},
                *rows,
                *_branches(),
                use,
                {"type": "string", "pattern": "^[a-z][a-z0-9_-]*$"},
            ]
        },
        "Parameters": {
            "type": "object",
            "additionalProperties": {"anyOf": [{"type": "number"}, PARAMETER.schema]},
        },
        "Definition": {
            "anyOf": [
                _PATH,
                {
                    "type": "object",
                    "properties": {"with": {"$ref": "#/$defs/Parameters"}, "path": _PATH},
                    "required": ["path"],
                    "additionalProperties": False,
                },
            ]
        },
        "Layers": {
            "description": "A definition, with parameters as {kind: mine, ratio: 4}, or a path.",
            "anyOf": [
                {"type": "string"},
                {
                    "type": "object",
                    "properties": {"kind": {"type": "string", "not": {"enum": _SHIPPED}}},
                    "required": ["kind"],
                },
                _PATH,
            ],
        },
    }


def _row(word: str) -> dict[str, Any]:
    row = ROWS[word]
    takes: Mapping[str, object] = row.takes.schema if row.takes else {"type": "null"}
    if row.alone and row.takes:
        takes = {"anyOf": [takes, {"type": "null"}]}
    return {
        "type": "object",
        "description": row.says,
        "properties": {
            word: takes,
            **{key: kind.schema for key, kind in row.options.items()},
            "name": _NAME,
        },
        "required": [word],
        "additionalProperties": False,
    }


def _branches() -> list[dict[str, Any]]:
    select = {
        "type": "object",
        "properties": {
            "select": {
                "type": "object",
                "properties": {key: kind.schema for key, kind in SELECT.items()},
                "additionalProperties": False,
            }
        },
        "required": ["select"],
        "additionalProperties": False,
    }
    shares = {"type": "array", "items": {"anyOf": [WIDTH.schema, {"enum": ["rest"]}]}}
    options = {
        "join": {"anyOf": [{"enum": [*JOINS, "select"]}, select]},
        "take": {"anyOf": [{"enum": list(TAKES)}, shares]},
        "carry": {"enum": list(CARRIES)},
    }
    several = {"type": "array", "items": _PATH, "minItems": 1, "maxItems": MOST_BRANCHES}
    says = ROWS["branches"].says
    return [
        {
            "type": "object",
            "description": says,
            "properties": {"branches": paths, **options, **more},
            "required": ["branches", *more],
            "additionalProperties": False,
        }
        for paths, more in ((several, {}), (_PATH, {"times": TIMES.schema}))
    ]


def documentation() -> str:
    """docs/paths.md: every row with its options, joins, names of terms, what stays out."""
    parts = [_TOP, "## Rows\n", "| row | takes | options | meaning |\n|---|---|---|---|"]
    for word, row in ROWS.items():
        if word != "branches":
            options = ", ".join(f"`{key}`" for key in row.options)
            takes = _takes(row.takes) + (", or nothing" if row.alone and row.takes else "")
            parts.append(f"| `{word}` | {takes} | {options} | {row.says} |")
    parts += ["", _USES, "## Options\n", "| option | values |\n|---|---|"]
    seen: dict[str, str] = {}
    for row in ROWS.values():
        for key, kind in row.options.items():
            seen.setdefault(key, kind.says)
    seen |= {"name": "a name for the layer, as in published weights"}
    parts += [f"| `{key}` | {says} |" for key, says in sorted(seen.items())]
    parts += ["", "## Branches\n", ROWS["branches"].says + "\n"]
    parts += ["| option | value | meaning |\n|---|---|---|"]
    parts += [f"| `{key}` | `{value}` | {says} |" for key, value, says in BRANCH_SAYS]
    parts += ["", "## Names in terms\n", _TERMS, "| name | stands for |\n|---|---|"]
    parts += [f"| `{name}` | {says} |" for name, says in NAMES.items()]
    parts += ["", _REST]
    return "\n".join(parts)


def _takes(kind: Kind | None) -> str:
    return kind.says if kind else ""


_TOP = """# Paths

<!-- Written by `python -m resgen.spec.pages --write` from the tables in resgen/spec/. -->

Everything that is made of layers is a path: rows in order. A path stands at `stem`, `head`,
`block`, `projection`, `attention`, a stage's `before`, and under `define` by a name. A row is
a word, or a mapping with one row word and that row's options:

```yaml
define:
  inverted: [{conv: 1, width: 6 * in}, norm, act, {conv: 3, groups: depthwise, stride: stage},
             norm, act, {conv: 1, width: out}, norm, add]
```
"""

_USES = """A definition's name is a row, too: `squeeze`, `{squeeze: {ratio: 4}}`,
`{unit: {}, times: 3}`. It is a module of its own, with a class of its own in the emitted
file; a definition of one plain row stands for that row.
"""

_TERMS = """A width, and any other whole number, is a number or a term: a product of numbers and
names over another, such as `6 * in`, `out / 4`, `104 * out / 256`. What is no whole number is
refused, unless the row says `round`: a number (the nearest multiple, halves up, at least one),
`up`, `down`, or `even` (the nearest, halves to even).
"""

_REST = """## Shortcuts

`add` is where a shortcut joins, as often as a path has residual units; what joins is said by
the `shortcut` setting. It left where the unit began: at the path's start, or behind the `add`
before. A projection leaves at `split` instead, where there is one; `{split: all}` moves the
identity there, too. The plain twin of a network is what remains when no `add` joins anything.

Where a path says no `norm` and no `act`, and no `add`, the `order` setting fills them in, in
its branches and in the definitions it uses: `[{conv: 1, width: mid}, {conv: 3, stride: stage,
groups: stage}, {conv: 1, width: out}]` is the bottleneck, in every order. `order: none` leaves
a path as it is.

## What stays out

- A source that is not the path's input: position tables, Fourier encodings.
- The image moved into the batch: windows, unfold.
- Weights computed from the data: lambda layers, dynamic convolution.
- One parameter used in several places; layers that run under a condition.
- Several streams side by side across rows (cells of two inputs, high-resolution networks):
  branches join where they end.
"""
