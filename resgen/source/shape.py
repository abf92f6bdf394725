"""What places of one structure have in common, and the parameters of what differs."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from resgen.plan import Layer, Shape
from resgen.plan.layers import Branches, Residual
from resgen.source.forward import shares_name
from resgen.source.writing import Call, Raw, Star, call_of, flat, rendered, text


class _Shares(NamedTuple):
    """The channels that each of several unequal branches takes; an attribute, not a module."""

    shares: tuple[int, ...]
    torch: str = "tuple"


def modules(layers: Iterable[Layer]) -> Iterator[Layer]:
    """What a class assigns: the layers of its namespace, and the shares of unequal branches."""
    for layer in layers:
        op = layer.op
        if isinstance(op, Branches):
            if len(set(op.takes)) > 1:
                shares = _Shares(op.takes)
                yield layer._replace(name=shares_name(op), op=shares)  # type: ignore[arg-type]
            for path in op.paths:
                yield from modules(path)
            if op.joiner:
                yield op.joiner
        elif isinstance(op, Residual):
            yield from modules((*op.main, *op.added))
        else:
            yield layer


def lists(layers: Iterable[Layer]) -> frozenset[str]:
    """The names of lists of modules among layers."""
    found: set[str] = set()
    for layer in layers:
        if isinstance(layer.op, Branches):
            found |= {layer.op.listed}
            for path in layer.op.paths:
                found |= lists(path)
        elif isinstance(layer.op, Residual):
            found |= lists(layer.op.main)
    return frozenset(found - {""})


def skeleton(layers: Iterable[Layer]) -> tuple[Any, ...]:
    """What layers have in common when only their numbers differ."""
    return tuple(_kind(layer) for layer in layers)


def _kind(layer: Layer) -> tuple[Any, ...]:
    name, op = layer.name, layer.op
    if isinstance(op, Branches):
        paths = tuple(map(skeleton, op.paths))
        equal = len(set(op.takes)) == 1
        joiner = op.joiner.name if op.joiner else ""
        return (Branches, op.carry, op.join, bool(op.takes), equal, joiner, op.listed, paths)
    if isinstance(op, Residual):
        unit = (op.shortcut.kind, skeleton(op.shortcut.layers), bool(op.merge.gate))
        return (Residual, op.leaves_after, *unit, skeleton(op.main))
    return (name, type(op), op.torch)


class Family(NamedTuple):
    """Layers of one skeleton in several places, and the numbers that differ between them.

    columns: for each (layer index, field) whose values differ, the parameter it takes.
    parameters: parameter name -> its values, place by place.
    """

    members: tuple[tuple[Layer, ...], ...]
    columns: dict[tuple[int, str], str]
    parameters: dict[str, tuple[Any, ...]]

    def arguments(self, member: tuple[Layer, ...]) -> dict[str, Any]:
        """The parameters' values in one place."""
        index = self.members.index(member)
        return {name: values[index] for name, values in self.parameters.items()}


_ROLES = {
    "out_channels": "mid_width",
    "in_channels": "mid_width",
    "num_features": "mid_width",
    "num_channels": "mid_width",
    "num_parameters": "mid_width",
    "channels": "mid_width",
    "squeeze": "squeeze_width",
    "num_groups": "norm_groups",
    "rate": "drop_path",
}
_ORDER = ("in_width", "mid_width", "width")


def family(members: Sequence[tuple[Layer, ...]], ends: Sequence[tuple[Shape, Shape]]) -> Family:
    """Finds which numbers differ between the members and names them.

    ends: the shape each member takes in and puts out, whose channels are called
    `in_width` and `width`. Numbers that are equal in every member share one parameter.
    """
    rows = tuple(dict.fromkeys(members))
    shapes = zip(members, ends, strict=True)
    by_member = dict(shapes)
    known = {
        tuple(by_member[row][0][0] for row in rows): "in_width",
        tuple(by_member[row][1][0] for row in rows): "width",
    }
    columns: dict[tuple[int, str], str] = {}
    parameters: dict[str, tuple[Any, ...]] = {}
    for index in range(len(rows[0])):
        op = rows[0][index].op
        steps = int(getattr(op, "steps", 0))
        for field in op._asdict():
            if field == "torch" and isinstance(op, _Shares):
                continue
            values = tuple(getattr(row[index].op, field) for row in rows)
            per_block = steps > 0 and field in ("rate", "drop_path")
            if field == "steps" or (len(set(values)) == 1 and not per_block):
                continue
            key = (*values, "rate") if per_block else values
            if any(hasattr(value, "params") and value.params() for value in values):
                key = (*values, index)  # a module that learns is nobody else's
            if key not in known:
                role, number = _ROLES.get(field, field), 2
                name = role
                while name in known.values():
                    name, number = f"{role}{number}", number + 1
                known[key] = name
            columns[index, field] = known[key]
            parameters[known[key]] = values
    ordered = sorted(
        parameters, key=lambda name: (_ORDER.index(name) if name in _ORDER else 9, name)
    )
    return Family(rows, columns, {name: parameters[name] for name in ordered})


def signature(parameters: dict[str, tuple[Any, ...]], extra: Sequence[str] = ()) -> list[str]:
    """`in_width: int, width: int, *, stride: int = 1`."""
    widths = [f"{name}: int" for name in parameters if name in _ORDER]
    others = [
        f"{name}: {_type(values)}" + (" = 1" if 1 in values and name == "stride" else "")
        for name, values in parameters.items()
        if name not in _ORDER
    ]
    others = sorted(others, key=lambda part: "=" in part) + list(extra)
    return widths + (["*", *others] if others else [])


def _type(values: Sequence[Any]) -> str:
    """What a parameter may be: `int`, `nn.Module`, `int | tuple[int, int]`."""
    if hasattr(values[0], "torch"):
        return "nn.Module"
    kinds = {type(value) for value in values}
    return "int | tuple[int, int]" if kinds == {int, tuple} else type(values[0]).__name__


def arguments(call: str, values: dict[str, Any], extra: Sequence[tuple[str, Any]] = ()) -> Call:
    """The call that gives those parameters their values: Bottleneck(64, 64, 256, stride=2)."""
    widths = tuple(value for name, value in values.items() if name in _ORDER)
    named = tuple(
        (name, rendered(value))
        for name, value in values.items()
        if name not in _ORDER and not (name == "stride" and value == 1)
    )
    return Call(call, widths, named + tuple(extra))


def assignments(
    layers: Sequence[Layer],
    columns: dict[tuple[int, str], str],
    listed: Collection[str] = (),
) -> list[str]:
    """`self.conv1 = nn.Conv2d(...)`; numbered names of one stem become one nn.Sequential.

    listed: those that become an nn.ModuleList.
    """
    lines: list[str] = []
    seen: set[str] = set()
    for index, layer in enumerate(layers):
        head, _, rest = layer.name.partition(".")
        if head in seen:
            continue
        seen.add(head)
        if rest:
            calls = tuple(
                call_of(other.op, named(columns, i))
                for i, other in enumerate(layers)
                if other.name.partition(".")[0] == head
            )
            value = _sequence(calls, "nn.ModuleList" if head in listed else "nn.Sequential")
        elif isinstance(layer.op, _Shares):
            value = named(columns, index).get("shares", Raw(repr(layer.op.shares)))
        else:
            value = call_of(layer.op, named(columns, index))
        prefix = f"self.{head} = "
        lines.append(prefix + text(value, 8, len(prefix)))
    return lines


def _sequence(calls: tuple[Call, ...], name: str) -> Call:
    """Modules in a row; so many of the same as a comprehension."""
    if len(calls) < 2 or any(call != calls[0] for call in calls[1:]):
        is_list = name == "nn.ModuleList"
        return Call(name, (Raw(f"[{', '.join(map(flat, calls))}]"),) if is_list else calls)
    each = f"for _ in range({len(calls)})"
    if name == "nn.ModuleList":
        return Call(name, (Raw(f"{flat(calls[0])} {each}"),))
    return Call(name, (Star(calls[0], each),))


def named(columns: dict[tuple[int, str], str], index: int) -> dict[str, Any]:
    """The arguments of one layer that are parameters of its class."""
    return {field: Raw(name) for (i, field), name in columns.items() if i == index}


def unique(lines: list[str]) -> list[str]:
    """Each line once: one activation module serves every place that names it."""
    return list(dict.fromkeys(lines))
