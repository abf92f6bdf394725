"""Python text: calls broken over lines as the usual formatters break them."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import Any, NamedTuple

from resgen.plan import Op
from resgen.plan.layers import DropPath

WIDTH = 88  # columns: what ruff and black format to by default


class Call(NamedTuple):
    """A call to write: its name, its arguments in place, its named arguments."""

    name: str
    args: tuple[Any, ...] = ()
    named: tuple[tuple[str, Any], ...] = ()


class Raw(str):
    """Text to write as it is."""

    __slots__ = ()


def text(value: Any, indent: int = 0, room: int = 0) -> str:
    """A value as source, broken over lines where it does not fit.

    indent: columns the line starts at; room: columns already taken or needed behind it.
    """
    if not isinstance(value, Call):
        return str(value) if isinstance(value, Raw) else repr(value)
    line = flat(value)
    if indent + room + len(line) <= WIDTH:
        return line
    items = [("", arg) for arg in value.args] + [(f"{name}=", arg) for name, arg in value.named]
    inner = " " * (indent + 4)
    joined = ", ".join(prefix + flat(arg) for prefix, arg in items)
    single = len(items) == 1 and isinstance(items[0][1], Raw)
    if len(inner) + len(joined) <= WIDTH and not _splits(items):
        return f"{value.name}(\n{inner}{joined}\n{' ' * indent})"
    lines = [
        f"{inner}{prefix}{text(arg, indent + 4, len(prefix) + 1)}" + ("" if single else ",")
        for prefix, arg in items
    ]
    return f"{value.name}(\n" + "\n".join(lines) + f"\n{' ' * indent})"


def _splits(items: Sequence[tuple[str, Any]]) -> bool:
    """Layers in a row stand one to a line, as do starred repeats."""
    return len(items) > 1 and all(isinstance(arg, Call | Star) for _, arg in items)


class Star(NamedTuple):
    """*(call for index in range(...)): a block repeated."""

    call: Call
    loop: str


def flat(value: Any) -> str:
    """A value in one line."""
    if isinstance(value, Call):
        parts = [flat(arg) for arg in value.args]
        parts += [f"{name}={flat(arg)}" for name, arg in value.named]
        return f"{value.name}({', '.join(parts)})"
    if isinstance(value, Star):
        return f"*({flat(value.call)} {value.loop})"
    return str(value) if isinstance(value, Raw) else repr(value)


def call_of(op: Op, names: dict[str, Any] | None = None) -> Call:
    """A layer as its torch call; `names` maps argument names to parameters in their place."""
    values = {**op._asdict(), **(names or {})}
    if isinstance(op, DropPath):
        return Call(op.torch, (values["rate"],))
    fields = list(values)
    defaults: dict[str, Any] = getattr(op, "_field_defaults", {})
    first = fields[: op.positional]
    while first and values[first[-1]] == defaults.get(first[-1], ...):
        first.pop()
    positional = [rendered(values[field]) for field in first]
    named = [
        (field, rendered(values[field]))
        for field in fields[op.positional :]
        if field not in defaults or values[field] != defaults[field]
    ]
    return Call(op.torch, tuple(positional), tuple(named))


def rendered(value: Any) -> Any:
    """A layer among arguments as its call; anything else as it is."""
    return call_of(value) if hasattr(value, "_asdict") and hasattr(value, "torch") else value


def docstring(sentence: str, indent: int) -> list[str]:
    """A docstring of one sentence, in one line where it fits."""
    pad = " " * indent
    if len(sentence) + indent + 6 <= WIDTH:
        return [f'{pad}"""{sentence}"""']
    wrapped = textwrap.wrap(sentence, WIDTH - indent - 3)
    if len(wrapped) == 1:  # its end alone does not fit, and never stands alone
        wrapped = textwrap.wrap(sentence, WIDTH - indent - 6)
    return [f'{pad}"""{wrapped[0]}', *(pad + line for line in wrapped[1:]), f'{pad}"""']


def module(
    name: str, equation: str, signature: Sequence[str], body: Sequence[str], forward: Sequence[str]
) -> list[str]:
    """A module's class: what it computes, its layers assigned, its forward."""
    return [
        f"class {name}(nn.Module):",
        *docstring(equation, 4),
        "",
        *define("__init__", ["self", *signature], "None"),
        "        super().__init__()",
        *(f"        {line}" for line in body),
        "",
        "    def forward(self, x: Tensor) -> Tensor:",
        *(f"        {line}" for line in forward),
    ]


def define(name: str, signature: Sequence[str], result: str, indent: int = 4) -> list[str]:
    """The head of a function."""
    pad = " " * indent
    line = f"{pad}def {name}({', '.join(signature)}) -> {result}:"
    if len(line) <= WIDTH:
        return [line]
    inner = f"{pad}    {', '.join(signature)}"
    if len(inner) <= WIDTH:
        return [f"{pad}def {name}(", inner, f"{pad}) -> {result}:"]
    return [
        f"{pad}def {name}(",
        *(f"{pad}    {part}," for part in signature),
        f"{pad}) -> {result}:",
    ]
