"""Plan -> the standalone Python file a good engineer would have written by hand.

The classes are found, not foreseen: blocks of one structure become one class, and what
differs between them becomes its parameters. Parameters are named after what they are
(`in_width`, `mid_width`, `width`, `stride`), and whatever is the same in all of them is
written as a number, so that no file has a flag for what its network does not use.

This is the only rendering there is: `resgen.module` runs the same text.
"""

from __future__ import annotations

import ast
import keyword
import re
import textwrap
from collections.abc import Iterable, Sequence
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from resgen.cost import cost
from resgen.layers import Conv, DropPath, Layer, Op, Shape
from resgen.plan import Block, Plan, Run

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
    flat = _flat(value)
    if indent + room + len(flat) <= WIDTH:
        return flat
    items = [("", arg) for arg in value.args] + [(f"{name}=", arg) for name, arg in value.named]
    inner = " " * (indent + 4)
    joined = ", ".join(prefix + _flat(arg) for prefix, arg in items)
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


def _flat(value: Any) -> str:
    if isinstance(value, Call):
        parts = [_flat(arg) for arg in value.args]
        parts += [f"{name}={_flat(arg)}" for name, arg in value.named]
        return f"{value.name}({', '.join(parts)})"
    if isinstance(value, Star):
        return f"*({_flat(value.call)} {value.loop})"
    return str(value) if isinstance(value, Raw) else repr(value)


def call_of(op: Op, names: dict[str, Any] | None = None) -> Call:
    """A layer as its torch call; `names` maps argument names to parameters in their place."""
    values = {**op._asdict(), **(names or {})}  # type: ignore[attr-defined]
    if isinstance(op, DropPath):
        return Call(op.torch, (values["rate"],))
    fields = list(values)
    defaults = op._field_defaults
    positional = [_rendered(values[field]) for field in fields[: op.positional]]
    named = [
        (field, _rendered(values[field]))
        for field in fields[op.positional :]
        if field not in defaults or values[field] != defaults[field]
    ]
    return Call(op.torch, tuple(positional), tuple(named))


def _rendered(value: Any) -> Any:
    return call_of(value) if hasattr(value, "_asdict") and hasattr(value, "torch") else value


# --- one class for each structure of block ------------------------------------------


def _skeleton(layers: Iterable[Layer]) -> tuple[Any, ...]:
    """What layers have in common when only their numbers differ."""
    return tuple((layer.name, type(layer.op)) for layer in layers)


def _structure(block: Block) -> tuple[Any, ...]:
    return (
        block.kind,
        _skeleton(block.main),
        _skeleton(block.after),
        block.leaves_after,
        block.shortcut.kind == "none",
        block.merge.gate is not None,
        [layer.name.partition(".")[0] for layer in block.shortcut.layers][:1] == ["shortcut"],
    ).__repr__(), block.kind  # type: ignore[return-value]


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


def family(members: Iterable[tuple[Layer, ...]], ends: Iterable[tuple[Shape, Shape]]) -> Family:
    """Finds which numbers differ between the members and names them.

    ends: the shape each member takes in and puts out, whose channels are called
    `in_width` and `width`. Numbers that are equal in every member share one parameter.
    """
    rows = tuple(dict.fromkeys(members))
    shapes = list(dict.fromkeys(zip(members, ends, strict=True)))
    by_member = {member: shape for member, shape in shapes}
    known = {
        tuple(by_member[row][0][0] for row in rows): "in_width",
        tuple(by_member[row][1][0] for row in rows): "width",
    }
    columns: dict[tuple[int, str], str] = {}
    parameters: dict[str, tuple[Any, ...]] = {}
    for index in range(len(rows[0])):
        for field in rows[0][index].op._fields:
            values = tuple(getattr(row[index].op, field) for row in rows)
            per_block = isinstance(rows[0][index].op, DropPath) and rows[0][index].op.steps
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


def _signature(parameters: dict[str, tuple[Any, ...]], extra: Sequence[str] = ()) -> list[str]:
    """`in_width: int, width: int, *, stride: int = 1`."""
    widths = [f"{name}: int" for name in parameters if name in _ORDER]
    others = [
        f"{name}: {type(values[0]).__name__}" + (" = 1" if 1 in values and name == "stride" else "")
        for name, values in parameters.items()
        if name not in _ORDER
    ]
    others = sorted(others, key=lambda part: "=" in part) + list(extra)
    return widths + (["*", *others] if others else [])


def _arguments(call: str, values: dict[str, Any], extra: Sequence[tuple[str, Any]] = ()) -> Call:
    widths = tuple(value for name, value in values.items() if name in _ORDER)
    named = tuple(
        (name, value)
        for name, value in values.items()
        if name not in _ORDER and not (name == "stride" and value == 1)
    )
    return Call(call, widths, named + tuple(extra))


def _assignments(layers: Sequence[Layer], columns: dict[tuple[int, str], str]) -> list[str]:
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
                call_of(other.op, _named(columns, i))
                for i, other in enumerate(layers)
                if other.name.partition(".")[0] == head
            )
            value: Call = Call("nn.Sequential", calls)
        else:
            value = call_of(layer.op, _named(columns, index))
        prefix = f"self.{head} = "
        lines.append(prefix + text(value, 8, len(prefix)))
    return lines


def _named(columns: dict[tuple[int, str], str], index: int) -> dict[str, Any]:
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
        shortcuts = {_skeleton(block.shortcut.layers) for block in self.blocks}
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
        return _arguments(self.name, values, extra)

    def lines(self) -> list[str]:
        """The class."""
        extra = [f"{self.attribute}: nn.Module | None = None"] if self.handed_in else []
        signature = ["self", *_signature(self.own.parameters, extra)]
        body = _unique(_assignments(self.own.members[0], self.own.columns))
        if self.handed_in:
            body.append(f"self.{self.attribute} = {self.attribute} or nn.Identity()")
        return [
            f"class {self.name}(nn.Module):",
            *_docstring(_equation(self.first), 4),
            "",
            *_def("__init__", signature, "None"),
            "        super().__init__()",
            *(f"        {line}" for line in body),
            "",
            "    def forward(self, x: Tensor) -> Tensor:",
            *(f"        {line}" for line in self._forward()),
        ]

    def _forward(self) -> list[str]:
        block = self.first
        lines: list[str] = []
        split = block.leaves_after
        source = "x"
        if split:
            lines.append(f"preact = {_nest(block.main[:split], 'x')}")
            source = "preact"
        value = source
        segments = list(_segments(block.main[split:]))
        for index, segment in enumerate(segments):
            nested = _nest(segment, value)
            if index == len(segments) - 1 and block.shortcut.kind == "none":
                return [*lines, f"return {_nest(block.after, nested)}"]
            lines.append(f"y = {nested}")
            value = "y"
        shortcut = source
        if self.attribute:
            shortcut = f"self.{self.attribute}({source})"
        joined = f"y + {shortcut}"
        if block.merge.gate:
            lines.append(f"shortcut = {shortcut}")
            lines.append("gate = self.gate(shortcut)")
            joined = "gate * y + (1.0 - gate) * shortcut"
        return [*lines, f"return {_nest(block.after, joined)}"]


def _unique(lines: list[str]) -> list[str]:
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


def _nest(layers: Sequence[Layer], value: str) -> str:
    """self.relu(self.bn1(self.conv1(x)))."""
    for head in _heads(layers):
        value = f"self.{head}({value})"
    return value


def _heads(layers: Sequence[Layer]) -> list[str]:
    """Module names in order, a numbered group once."""
    heads: list[str] = []
    for layer in layers:
        head, _, rest = layer.name.partition(".")
        if not (rest and heads and heads[-1] == head):
            heads.append(head)
    return heads


def _equation(block: Block) -> str:
    """y = relu(F(x) + shortcut(x)); F: 1x1, 3x3, 1x1 convolutions."""
    kernels = ", ".join(
        f"{layer.op.kernel_size}x{layer.op.kernel_size}"
        for layer in block.main
        if isinstance(layer.op, Conv)
    )
    source = "preact(x)" if block.leaves_after else "x"
    total = f"F({source})"
    if block.merge.gate:
        total = f"g F({source}) + (1 - g) shortcut({source})"
    elif block.shortcut.kind != "none":
        total += f" + shortcut({source})" if source != "x" or block.shortcut.layers else " + x"
    for head in _heads(block.after):
        total = f"{head}({total})"
    return f"y = {total}; F: {kernels} convolutions."


# --- the file ------------------------------------------------------------------------


def emit_source(plan: Plan, *, features: bool = False) -> str:
    """The network as one Python file that needs only torch.

    `__all__` names exactly one class, which takes no argument. With `features`, the class
    has `forward_features`, which returns the output of the stem and of each stage.
    """
    classes, names = _block_classes(plan)
    projections, shortcut_calls = _projection_functions(plan, classes)
    name = class_name(plan, {cls.name for cls in classes} | set(projections))
    body = [
        _header(plan),
        "",
        *_imports(plan, classes),
        "",
        f'__all__ = ["{name}"]',
    ]
    for part in _parts_used(plan):
        body += ["", "", part]
    for lines in projections.values():
        body += ["", "", *lines]
    for cls in classes:
        body += ["", "", *cls.lines()]
    body += ["", "", *_network(plan, name, names, shortcut_calls, features=features)]
    return "\n".join(body) + "\n"


def class_name(plan: Plan, taken: set[str]) -> str:
    """resnet50 -> ResNet50."""
    words = re.findall(r"[A-Za-z]+|[0-9]+", plan.name)
    text_ = "".join(_PROPER.get(word.lower(), word.capitalize()) for word in words)
    text_ = re.sub(r"(?<=[0-9])(?=[0-9])", "", text_)
    if not text_[0].isalpha():
        text_ = f"Net{text_}"
    reserved = {"Tensor", "F", *_part_texts()}
    if keyword.iskeyword(text_) or text_ in reserved | taken:
        text_ += "Net"
    return text_


_PROPER = {
    "resnet": "ResNet",
    "preresnet": "PreResNet",
    "resnext": "ResNeXt",
    "regnet": "RegNet",
    "seresnet": "SEResNet",
    "wrn": "WRN",
}


def _header(plan: Plan) -> str:
    books = cost(plan)
    size = "x".join(map(str, plan.input))
    head = (
        f"{plan.name}: {size} -> {plan.classes} classes."
        if plan.classes
        else f"{plan.name}: {size} -> {plan.head[-1].output[0]} features."
    )
    said = dict(plan.about)
    lines = [
        f'"""{head}',
        "",
        f"{books.params:,} params, {books.macs:,} MACs ({books.flops:,} FLOPs) an image,",
        f"{books.residual_adds:,} residual additions.",
        "",
    ]
    sentence = (
        f"Stem {said['stem']}; stages of {said['depths']} {said['block']} blocks, "
        f"{said['widths']} wide; shortcuts: {said['shortcut']}; order: {said['order']}."
    )
    lines += textwrap.wrap(sentence, WIDTH)
    lines += [f"Written by resgen from the spec {plan.name}.", '"""']
    return "\n".join(lines)


def _imports(plan: Plan, classes: Sequence[BlockClass]) -> list[str]:
    parts = "\n".join(_parts_used(plan))
    lines = []
    if "torch." in parts.replace("torch.nn", ""):
        lines.append("import torch")
    if re.search(r"\bF\.", parts):
        lines.append("import torch.nn.functional as F")
    return [*lines, "from torch import Tensor, nn"]


def _all_ops(plan: Plan) -> Iterable[Op]:
    blocks = [run.block for stage in plan.stages for run in stage.runs]
    for layer in (*plan.stem, *(x for block in blocks for x in block.layers), *plan.head):
        yield layer.op


@cache
def _part_texts() -> dict[str, str]:
    """Class name -> its text in resgen/parts.py, read without importing it."""
    source = (Path(__file__).parent / "parts.py").read_text(encoding="utf-8")
    lines = source.splitlines()
    return {
        node.name: "\n".join(lines[node.lineno - 1 : node.end_lineno])
        for node in ast.parse(source).body
        if isinstance(node, ast.ClassDef)
    }


def _parts_used(plan: Plan) -> list[str]:
    texts = _part_texts()
    wanted = {op.torch for op in _all_ops(plan)} & texts.keys()
    for name in list(wanted):
        wanted |= {other for other in texts if re.search(rf"\b{other}\(", texts[name])}
    return [part for name, part in texts.items() if name in wanted]


def _block_classes(plan: Plan) -> tuple[list[BlockClass], dict[Block, BlockClass]]:
    groups: dict[Any, list[Block]] = {}
    for stage in plan.stages:
        for run in stage.runs:
            groups.setdefault(_structure(run.block), []).append(run.block)
    classes: list[BlockClass] = []
    names: dict[Block, BlockClass] = {}
    used: set[str] = set()
    for blocks in groups.values():
        cls = BlockClass(_class_title(blocks[0], used), blocks)
        used.add(cls.name)
        classes.append(cls)
        names.update(dict.fromkeys(cls.blocks, cls))
    return classes, names


_TITLES = {
    "basic": "BasicBlock",
    "bottleneck": "Bottleneck",
    "preact_basic": "PreActBasicBlock",
    "preact_bottleneck": "PreActBottleneck",
}


def _class_title(block: Block, used: set[str]) -> str:
    title = _TITLES[block.kind]
    if title not in used:
        return title
    for word in ("Plain" if block.shortcut.kind == "none" else "Entry", "Inner"):
        if f"{word}{title}" not in used:
            return f"{word}{title}"
    number = 2
    while f"{title}{number}" in used:
        number += 1
    return f"{title}{number}"


def _projection_functions(
    plan: Plan, classes: Sequence[BlockClass]
) -> tuple[dict[str, list[str]], dict[Block, Any]]:
    """Functions that build the shortcuts handed in to blocks, and each block's call."""
    groups: dict[Any, list[Block]] = {}
    for cls in classes:
        for block in cls.blocks:
            if cls.handed_in and block.shortcut.layers:
                groups.setdefault(_skeleton(block.shortcut.layers), []).append(block)
    functions: dict[str, list[str]] = {}
    calls: dict[Block, Any] = {}
    for blocks in groups.values():
        layers = blocks[0].shortcut.layers
        if len(layers) == 1 and "." not in layers[0].name:
            calls.update({b: call_of(b.shortcut.layers[0].op) for b in blocks})
            continue
        kin = family(
            [block.shortcut.layers for block in blocks],
            [(block.input, block.output) for block in blocks],
        )
        base = "projection" if blocks[0].shortcut.kind == "projection" else "shortcut"
        name = base if base not in functions else f"{base}{len(functions) + 1}"
        value = Call(
            "nn.Sequential",
            tuple(call_of(layer.op, _named(kin.columns, i)) for i, layer in enumerate(layers)),
        )
        functions[name] = [
            *_def(name, _signature(kin.parameters), "nn.Sequential", indent=0),
            f'    """The {base} of a block: {_layer_list(layers)}."""',
            "    return " + text(value, 4, len("return ")),
        ]
        for block in blocks:
            calls[block] = _arguments(name, kin.arguments(block.shortcut.layers))
    return functions, calls


def _layer_list(layers: Sequence[Layer]) -> str:
    words = {"Conv2d": "convolution", "BatchNorm2d": "norm", "GroupNorm": "norm"}
    out = []
    for layer in layers:
        call = layer.op.torch.removeprefix("nn.")
        if isinstance(layer.op, Conv):
            out.append(f"{layer.op.kernel_size}x{layer.op.kernel_size} convolution")
        elif call == "AvgPool2d":
            out.append("average pool")
        elif call != "Identity":
            out.append(words.get(call, call))
    return ", ".join(out)


def _network(
    plan: Plan,
    name: str,
    names: dict[Block, BlockClass],
    shortcuts: dict[Block, Any],
    *,
    features: bool,
) -> list[str]:
    lines = [
        f"class {name}(nn.Module):",
        f'    """{_shape_note(plan)}"""',
        "",
        "    def __init__(self) -> None:",
        "        super().__init__()",
    ]
    lines += [f"        {line}" for line in _unique(_assignments(plan.stem, {}))]
    position = 0
    for stage in plan.stages:
        calls: list[Any] = []
        for run in stage.runs:
            calls += _run_calls(run, position, names, shortcuts)
            position += run.count
        prefix = f"self.{stage.name} = "
        lines.append("        " + prefix + _stage_text(calls, prefix))
    lines += [f"        {line}" for line in _unique(_assignments(plan.head, {}))]
    lines += _initialization(plan)
    pooled = next(i for i, layer in enumerate(plan.head) if layer.name == "avgpool")
    trunk = [*_heads(plan.stem)]
    if features:
        lines += _features(plan, trunk, pooled)
        forward = ["x = self.forward_features(x)[-1]"]
    else:
        forward = _wrapped_calls(trunk)
        forward += [f"x = self.{stage.name}(x)" for stage in plan.stages]
        if pooled:
            forward += _wrapped_calls(_heads(plan.head[:pooled]))
    tail = _heads(plan.head[pooled:])
    forward.append("return " + _nested(tail))
    lines += ["", "    def forward(self, x: Tensor) -> Tensor:"]
    lines += [f"        {line}" for line in forward]
    return lines


def _features(plan: Plan, trunk: list[str], pooled: int) -> list[str]:
    shapes = [plan.stages[0].runs[0].block.input, *(stage.output for stage in plan.stages)]
    last = _nested(_heads(plan.head[:pooled]), "features[-1]") if pooled else ""
    lines = [
        "",
        "    def forward_features(self, x: Tensor) -> list[Tensor]:",
        '        """The outputs of the stem and of each stage:',
        "",
        *textwrap.wrap(
            ", ".join("x".join(map(str, shape)) for shape in shapes) + '."""',
            WIDTH,
            initial_indent=" " * 8,
            subsequent_indent=" " * 8,
        ),
        *(f"        {line}" for line in _wrapped_calls(trunk)),
        "        features = [x]",
        f"        for stage in ({', '.join(f'self.{stage.name}' for stage in plan.stages)}"
        + (",):" if len(plan.stages) == 1 else "):"),
        "            features.append(stage(features[-1]))",
    ]
    if last:
        lines.append(f"        features[-1] = {last}")
    return [*lines, "        return features"]


def _nested(heads: Sequence[str], value: str = "x") -> str:
    for head in heads:
        value = f"self.{head}({value})"
    return value


def _wrapped_calls(heads: Sequence[str]) -> list[str]:
    """x = self.relu(self.bn1(self.conv1(x))), over several lines where long."""
    lines: list[str] = []
    rest = list(heads)
    while rest:
        take = len(rest)
        while take > 1 and 8 + len(f"x = {_nested(rest[:take])}") > WIDTH:
            take -= 1
        lines.append(f"x = {_nested(rest[:take])}")
        rest = rest[take:]
    return lines


def _run_calls(
    run: Run, position: int, names: dict[Block, BlockClass], shortcuts: dict[Block, Any]
) -> list[Any]:
    cls = names[run.block]
    shortcut = shortcuts.get(run.block)
    drop = next((x.op for x in run.block.main if isinstance(x.op, DropPath) and x.op.steps), None)
    if run.count == 1:
        rate = Raw(repr(round(drop.rate * position / drop.steps, 12))) if drop else None
        return [cls.call(run.block, shortcut, rate)]
    rate = Raw(f"{drop.rate!r} * i / {drop.steps}") if drop else None
    call = cls.call(run.block, shortcut, rate)
    if drop:
        return [Star(call, f"for i in range({position}, {position + run.count})")]
    return [Star(call, f"for _ in range({run.count})")]


def _stage_text(calls: list[Any], prefix: str) -> str:
    value = Call("nn.Sequential", tuple(calls))
    flat = _flat(value)
    if 8 + len(prefix) + len(flat) <= WIDTH:
        return flat
    lines = []
    for call in calls:
        if isinstance(call, Star):
            flat = _flat(call)
            if 12 + len(flat) + 1 > WIDTH:
                flat = f"*(\n{' ' * 16}{text(call.call, 16)}\n{' ' * 16}{call.loop}\n{' ' * 12})"
            lines.append(f"{' ' * 12}{flat},")
        else:
            lines.append(f"{' ' * 12}{text(call, 12, 1)},")
    if len(calls) == 1:
        only = _flat(calls[0])
        if 12 + len(only) <= WIDTH:
            return f"nn.Sequential(\n{' ' * 12}{only}\n{' ' * 8})"
    return "nn.Sequential(\n" + "\n".join(lines) + f"\n{' ' * 8})"


def _initialization(plan: Plan) -> list[str]:
    """He initialization of the convolutions; the rest is torch's own."""
    return [
        "        for module in self.modules():",
        "            if isinstance(module, nn.Conv2d):",
        '                nn.init.kaiming_normal_(module.weight, mode="fan_out")',
    ]


def _shape_note(plan: Plan) -> str:
    image = "x".join(map(str, plan.input))
    out = plan.head[-1].output[0]
    return f"(n, {image.replace('x', ', ')}) -> (n, {out})."


def _docstring(sentence: str, indent: int) -> list[str]:
    pad = " " * indent
    if len(sentence) + indent + 6 <= WIDTH:
        return [f'{pad}"""{sentence}"""']
    wrapped = textwrap.wrap(sentence, WIDTH - indent - 3)
    return [f'{pad}"""{wrapped[0]}', *(pad + line for line in wrapped[1:]), f'{pad}"""']


def _def(name: str, signature: Sequence[str], result: str, indent: int = 4) -> list[str]:
    pad = " " * indent
    flat = f"{pad}def {name}({', '.join(signature)}) -> {result}:"
    if len(flat) <= WIDTH:
        return [flat]
    inner = f"{pad}    {', '.join(signature)}"
    if len(inner) <= WIDTH and "*" not in signature:
        return [f"{pad}def {name}(", inner, f"{pad}) -> {result}:"]
    return [
        f"{pad}def {name}(",
        *(f"{pad}    {part}," for part in signature),
        f"{pad}) -> {result}:",
    ]
