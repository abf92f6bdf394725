"""One class for each structure of block: what differs between blocks becomes a parameter."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from resgen.plan import Block, Layer, Shape
from resgen.plan.layers import Conv, DropPath
from resgen.source.writing import Call, Raw, call_of, define, docstring, text


def skeleton(layers: Iterable[Layer]) -> tuple[Any, ...]:
    """What layers have in common when only their numbers differ."""
    return tuple((layer.name, type(layer.op)) for layer in layers)


def structure(block: Block) -> tuple[Any, ...]:
    """What blocks of one class have in common: all but their numbers and their shortcut."""
    # A shortcut's name is its class's attribute; where there is none, any name serves.
    attribute = block.shortcut.layers[0].name.partition(".")[0] if block.shortcut.layers else ""
    return (
        block.kind,
        skeleton(block.main),
        skeleton(block.after),
        block.leaves_after,
        block.shortcut.kind == "none",
        block.merge.gate is not None,
        attribute if block.merge.gate or attribute != "downsample" else "",
        block.zero_init,
    )


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
        for field in op._asdict():
            values = tuple(getattr(row[index].op, field) for row in rows)
            per_block = isinstance(op, DropPath) and op.steps > 0
            if field == "steps" or (len(set(values)) == 1 and not per_block):
                continue
            key = (*values, "rate") if per_block else values
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
        f"{name}: {type(values[0]).__name__}" + (" = 1" if 1 in values and name == "stride" else "")
        for name, values in parameters.items()
        if name not in _ORDER
    ]
    others = sorted(others, key=lambda part: "=" in part) + list(extra)
    return widths + (["*", *others] if others else [])


def arguments(call: str, values: dict[str, Any], extra: Sequence[tuple[str, Any]] = ()) -> Call:
    """The call that gives those parameters their values: Bottleneck(64, 64, 256, stride=2)."""
    widths = tuple(value for name, value in values.items() if name in _ORDER)
    named = tuple(
        (name, value)
        for name, value in values.items()
        if name not in _ORDER and not (name == "stride" and value == 1)
    )
    return Call(call, widths, named + tuple(extra))


def assignments(layers: Sequence[Layer], columns: dict[tuple[int, str], str]) -> list[str]:
    """`self.conv1 = nn.Conv2d(...)`; numbered names of one stem become one nn.Sequential."""
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
            value: Call = Call("nn.Sequential", calls)
        else:
            value = call_of(layer.op, named(columns, index))
        prefix = f"self.{head} = "
        lines.append(prefix + text(value, 8, len(prefix)))
    return lines


def named(columns: dict[tuple[int, str], str], index: int) -> dict[str, Any]:
    """The arguments of one layer that are parameters of its class."""
    return {field: Raw(name) for (i, field), name in columns.items() if i == index}


class BlockClass:
    """The class of every block of one structure."""

    def __init__(self, name: str, blocks: Sequence[Block]) -> None:
        self.name = name
        self.blocks = tuple(dict.fromkeys(blocks))
        first = self.blocks[0]
        self.first = first
        ends = [(block.input, block.output) for block in self.blocks]
        self.own = family([self._own(block) for block in self.blocks], ends)
        shortcuts = {skeleton(block.shortcut.layers) for block in self.blocks}
        # One structure of shortcut is written inside; several are handed in.
        self.handed_in = len(shortcuts) > 1
        self.attribute = next(
            (b.shortcut.layers[0].name.partition(".")[0] for b in self.blocks if b.shortcut.layers),
            "",
        )
        if not self.handed_in and first.shortcut.layers:
            self.own = family([self._own(b) + b.shortcut.layers for b in self.blocks], ends)

    @staticmethod
    def _own(block: Block) -> tuple[Layer, ...]:
        gate = (block.merge.gate,) if block.merge.gate else ()
        return block.main + block.after + gate

    def call(self, block: Block, shortcut: Any, drop_path: Any) -> Call:
        """The constructor call of one block."""
        member = self._own(block)
        if not self.handed_in:
            member += block.shortcut.layers
        values = self.own.arguments(member)
        if drop_path is not None and "drop_path" in values:
            values["drop_path"] = drop_path
        extra = [(self.attribute, shortcut)] if shortcut is not None and self.handed_in else []
        return arguments(self.name, values, extra)

    def lines(self) -> list[str]:
        """The class."""
        extra = [f"{self.attribute}: nn.Module | None = None"] if self.handed_in else []
        head = ["self", *signature(self.own.parameters, extra)]
        body = unique(assignments(self.own.members[0], self.own.columns))
        if self.handed_in:
            body.append(f"self.{self.attribute} = {self.attribute} or nn.Identity()")
        if self.first.zero_init:
            body.append(f"nn.init.zeros_(self.{self.first.zero_init}.weight)")
        return [
            f"class {self.name}(nn.Module):",
            *docstring(self._equation(), 4),
            "",
            *define("__init__", head, "None"),
            "        super().__init__()",
            *(f"        {line}" for line in body),
            "",
            "    def forward(self, x: Tensor) -> Tensor:",
            *(f"        {line}" for line in self._forward()),
        ]

    def _equation(self) -> str:
        """y = relu(F(x) + shortcut(x)); F: 1x1, 3x3, 1x1 convolutions."""
        block = self.first
        kernels = ", ".join(
            f"{layer.op.kernel_size}x{layer.op.kernel_size}"
            for layer in block.main
            if isinstance(layer.op, Conv)
        )
        source = "preact(x)" if block.leaves_after else "x"
        shortcut = f"shortcut({source})" if self.attribute else source
        total = f"F({source})"
        if block.merge.gate:
            total = f"g {total} + (1 - g) {shortcut}"
        elif block.shortcut.kind != "none":
            total += f" + {shortcut}"
        for head in heads(block.after):
            total = f"{head}({total})"
        return f"y = {total}; F: {kernels} convolutions."

    def _forward(self) -> list[str]:
        block = self.first
        lines: list[str] = []
        split = block.leaves_after
        source = "x"
        if split:
            lines.append(f"preact = {nest(block.main[:split], 'x')}")
            source = "preact"
        value = source
        segments = list(_segments(block.main[split:]))
        for index, segment in enumerate(segments):
            line = nest(segment, value)
            if index == len(segments) - 1 and block.shortcut.kind == "none":
                return [*lines, f"return {nest(block.after, line)}"]
            lines.append(f"y = {line}")
            value = "y"
        shortcut = source
        if self.attribute:
            shortcut = f"self.{self.attribute}({source})"
        joined = f"y + {shortcut}"
        if block.merge.gate:
            lines.append(f"shortcut = {shortcut}")
            lines.append("gate = self.gate(shortcut)")
            joined = "gate * y + (1.0 - gate) * shortcut"
        return [*lines, f"return {nest(block.after, joined)}"]


def unique(lines: list[str]) -> list[str]:
    """Each line once: one activation module serves every place that names it."""
    return list(dict.fromkeys(lines))


def _segments(layers: Sequence[Layer]) -> Iterable[list[Layer]]:
    """The main path line by line: a line ends where an activation does."""
    line: list[Layer] = []
    for layer in layers:
        line.append(layer)
        if layer.op.line == "activation":
            yield line
            line = []
    if line:
        yield line


def nest(layers: Sequence[Layer], value: str) -> str:
    """self.relu(self.bn1(self.conv1(x)))."""
    for head in heads(layers):
        value = f"self.{head}({value})"
    return value


def heads(layers: Sequence[Layer]) -> list[str]:
    """Module names in order, a numbered group once."""
    heads: list[str] = []
    for layer in layers:
        head, _, rest = layer.name.partition(".")
        if not (rest and heads and heads[-1] == head):
            heads.append(head)
    return heads
