"""The class of a whole network: a line or two a stage, whatever its depth."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import Any

from resgen.plan import Block, Layer, Plan, Run
from resgen.plan.layers import Branches, Conv, Linear, Residual
from resgen.source.classes import BlockClass
from resgen.source.forward import Forward, heads
from resgen.source.shape import assignments, lists, modules, unique
from resgen.source.writing import WIDTH, Call, Raw, Star, define, flat, text


def network_class(
    plan: Plan,
    name: str,
    names: dict[Block, BlockClass],
    shortcuts: dict[Block, Any],
    *,
    features: bool,
) -> list[str]:
    """The class of the whole network: stem, stages and head, built and called in order."""
    lines = [
        f"class {name}(nn.Module):",
        f'    """{_shape_note(plan)}"""',
        "",
        *define("__init__", ["self", *_classes(plan)], "None"),
        "        super().__init__()",
    ]
    lines += [f"        {line}" for line in _assigned(plan.stem)]
    position = 0
    for stage in plan.stages:
        calls: list[Any] = []
        for index, run in enumerate(stage.runs):
            calls += _run_calls(run, position, names, shortcuts)
            position += run.count if index or not stage.before else 0
        prefix = f"self.{stage.name} = "
        lines.append("        " + prefix + _stage_text(calls, prefix))
    lines += [f"        {line}" for line in _assigned(plan.head, _classifier(plan))]
    lines += _initialization()
    pools = (i for i, layer in enumerate(plan.head) if layer.name == "avgpool")
    pooled = next(pools, 0)
    trunk = _lines(plan.stem)
    if features:
        lines += _features(plan, trunk, pooled)
        forward = ["x = self.forward_features(x)[-1]"]
    else:
        forward = trunk
        forward += _wrapped_calls([stage.name for stage in plan.stages])
        if pooled:
            forward += _lines(plan.head[:pooled])
    *most, last = _lines(plan.head[pooled:], wrapped=False)
    forward += [*most, f"return {last.removeprefix('x = ')}"]
    lines += ["", "    def forward(self, x: Tensor) -> Tensor:"]
    lines += [f"        {line}" for line in forward]
    return lines


def _assigned(layers: tuple[Layer, ...], columns: Columns | None = None) -> list[str]:
    return unique(assignments(tuple(modules(layers)), columns or {}, lists(layers)))


Columns = dict[tuple[int, str], str]
"""(index of a layer, its field) -> the parameter of the class that it takes."""


def _classifier(plan: Plan) -> Columns:
    """The outputs of the head's last layer with weights, where they are the network's own.

    Nothing where that layer is in a branch or a definition, or a later one counts channels.
    """
    if tuple(modules(plan.head)) != plan.head:
        return {}
    for index in reversed(range(len(plan.head))):
        op = plan.head[index].op
        if isinstance(op, Linear | Conv):
            field = "out_features" if isinstance(op, Linear) else "out_channels"
            whole = getattr(op, field) == plan.classes and getattr(op, "groups", 1) == 1
            return {(index, field): "num_classes"} if whole else {}
        if op.params() or op.line == "parts" or "channels" in op._asdict():
            return {}
    return {}


def _classes(plan: Plan) -> list[str]:
    """The parameter of the network's class: `num_classes: int = 1000`."""
    return [f"num_classes: int = {plan.classes}"] if _classifier(plan) else []


def _lines(layers: tuple[Layer, ...], *, wrapped: bool = True) -> list[str]:
    """x = ..., in as many lines as the layers take."""
    if not any(isinstance(layer.op, Branches | Residual) for layer in layers):
        names = heads(layers)
        long = 8 + len("return " + _nested(names)) > WIDTH
        return _wrapped_calls(names) if wrapped or long else [f"x = {_nested(names)}"]
    forward = Forward("x")
    forward.lines.append(f"x = {forward.call(layers, 'x')}")
    return forward.lines


def _features(plan: Plan, trunk: list[str], pooled: int) -> list[str]:
    shapes = [plan.stages[0].runs[0].block.input, *(stage.output for stage in plan.stages)]
    last = plan.head[:pooled]
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
        *(f"        {line}" for line in trunk),
        "        features = [x]",
        *(f"        features.append(self.{stage.name}(features[-1]))" for stage in plan.stages),
    ]
    if last:
        forward = Forward("x")
        value = forward.call(last, "features[-1]")
        plain = not any(isinstance(layer.op, Branches | Residual) for layer in last)
        if plain:
            forward.lines, value = [], _nested(heads(last), "features[-1]")
        lines += [f"        {line}" for line in forward.lines]
        lines.append(f"        features[-1] = {value}")
    return [*lines, "        return features"]


def _nested(names: Sequence[str], value: str = "x") -> str:
    """self.relu(self.bn1(self.conv1(x)))."""
    for name in names:
        value = f"self.{name}({value})"
    return value


def _wrapped_calls(names: Sequence[str]) -> list[str]:
    """x = self.relu(self.bn1(self.conv1(x))), over several lines where long."""
    lines: list[str] = []
    rest = list(names)
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
    drop = next((x.op for x in modules(run.block.main) if getattr(x.op, "steps", 0)), None)
    top = _top_rate(drop)
    if run.count == 1:
        rate = Raw(repr(round(top * position / drop.steps, 12))) if drop else None  # type: ignore[attr-defined]
        return [cls.call(run.block, shortcut, rate)]
    rate = Raw(f"{top!r} * i / {drop.steps}") if drop else None  # type: ignore[attr-defined]
    call = cls.call(run.block, shortcut, rate)
    if drop:
        return [Star(call, f"for i in range({position}, {position + run.count})")]
    return [Star(call, f"for _ in range({run.count})")]


def _top_rate(op: object) -> float:
    """The rate of the last block, of a DropPath or of a definition that has one inside."""
    rate = getattr(op, "rate", None)
    return float(getattr(op, "drop_path", 0.0) if rate is None else rate)


def _stage_text(calls: list[Any], prefix: str) -> str:
    value = Call("nn.Sequential", tuple(calls))
    line = flat(value)
    if 8 + len(prefix) + len(line) <= WIDTH:
        return line
    lines = []
    for call in calls:
        if isinstance(call, Star):
            line = flat(call)
            if 12 + len(line) + 1 > WIDTH:
                line = f"*(\n{' ' * 16}{text(call.call, 16)}\n{' ' * 16}{call.loop}\n{' ' * 12})"
            lines.append(f"{' ' * 12}{line},")
        else:
            lines.append(f"{' ' * 12}{text(call, 12, 1)},")
    if len(calls) == 1:
        only = flat(calls[0])
        if 12 + len(only) <= WIDTH:
            return f"nn.Sequential(\n{' ' * 12}{only}\n{' ' * 8})"
    return "nn.Sequential(\n" + "\n".join(lines) + f"\n{' ' * 8})"


def _initialization() -> list[str]:
    """He initialization of the convolutions; the rest is torch's own."""
    return [
        "        for module in self.modules():",
        "            if isinstance(module, nn.Conv2d):",
        '                nn.init.kaiming_normal_(module.weight, mode="fan_out")',
    ]


def _shape_note(plan: Plan) -> str:
    image = "x".join(map(str, plan.input))
    out = ", ".join(map(str, plan.head[-1].output))
    if _classifier(plan):
        out = ", ".join(["num_classes", *map(str, plan.head[-1].output[1:])])
    return f"(n, {image.replace('x', ', ')}) -> (n, {out})."
