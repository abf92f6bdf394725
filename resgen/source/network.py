"""The class of a whole network: a line or two a stage, whatever its depth."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import Any

from resgen.plan import Block, Plan, Run
from resgen.plan.layers import DropPath
from resgen.source.classes import BlockClass, assignments, heads, unique
from resgen.source.writing import WIDTH, Call, Raw, Star, flat, text


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
        "    def __init__(self) -> None:",
        "        super().__init__()",
    ]
    lines += [f"        {line}" for line in unique(assignments(plan.stem, {}))]
    position = 0
    for stage in plan.stages:
        calls: list[Any] = []
        for run in stage.runs:
            calls += _run_calls(run, position, names, shortcuts)
            position += run.count
        prefix = f"self.{stage.name} = "
        lines.append("        " + prefix + _stage_text(calls, prefix))
    lines += [f"        {line}" for line in unique(assignments(plan.head, {}))]
    lines += _initialization()
    pooled = next(i for i, layer in enumerate(plan.head) if layer.name == "avgpool")
    trunk = [*heads(plan.stem)]
    if features:
        lines += _features(plan, trunk, pooled)
        forward = ["x = self.forward_features(x)[-1]"]
    else:
        forward = _wrapped_calls(trunk)
        forward += _wrapped_calls([stage.name for stage in plan.stages])
        if pooled:
            forward += _wrapped_calls(heads(plan.head[:pooled]))
    tail = heads(plan.head[pooled:])
    forward.append("return " + _nested(tail))
    lines += ["", "    def forward(self, x: Tensor) -> Tensor:"]
    lines += [f"        {line}" for line in forward]
    return lines


def _features(plan: Plan, trunk: list[str], pooled: int) -> list[str]:
    shapes = [plan.stages[0].runs[0].block.input, *(stage.output for stage in plan.stages)]
    last = _nested(heads(plan.head[:pooled]), "features[-1]") if pooled else ""
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
    out = plan.head[-1].output[0]
    return f"(n, {image.replace('x', ', ')}) -> (n, {out})."
