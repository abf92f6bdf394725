"""The body of a `forward`: layers in a row, branches and residual units line by line."""

from __future__ import annotations

from collections.abc import Sequence

from resgen.plan import Layer
from resgen.plan.layers import Branches, Residual
from resgen.source.writing import WIDTH

_ROOM = WIDTH - 8


class Forward:
    """Lines of a forward pass; `call` writes layers and returns the value they end in."""

    def __init__(self, target: str = "y") -> None:
        self.lines: list[str] = []
        self.target = target
        self._names = 0

    def call(self, layers: Sequence[Layer], value: str, target: str = "") -> str:
        """The layers called in order: a line ends where an activation does, or where it is full."""
        target = target or self.target
        pending: list[Layer] = []
        for layer in layers:
            if isinstance(layer.op, Branches | Residual):
                if pending:
                    value = self.let(target, self._nested(pending, value, target))
                    pending = []
                value = self._path(layer.op, self._named(value, target), target)
                continue
            pending.append(layer)
            if layer.op.line == "activation":
                if layer is layers[-1]:
                    break
                value = self.let(target, self._nested(pending, value, target))
                pending = []
        return self._nested(pending, value, target)

    def let(self, name: str, value: str) -> str:
        """name = value; the name."""
        if value != name:
            self.lines.append(f"{name} = {value}")
        return name

    def _named(self, value: str, target: str) -> str:
        return value if value.isidentifier() else self.let(target, value)

    def _nested(self, layers: Sequence[Layer], value: str, target: str) -> str:
        """self.relu(self.bn1(self.conv1(x))), in several lines where one is too long."""
        for head in heads(layers):
            longer = f"self.{head}({value})"
            if len(target) + 3 + len(longer) > _ROOM and not value.isidentifier():
                longer = f"self.{head}({self.let(target, value)})"
            value = longer
        return value

    def _fresh(self) -> str:
        self._names += 1
        return f"y{self._names}"

    def _path(self, op: Branches | Residual, value: str, target: str) -> str:
        return self._residual(op, value) if isinstance(op, Residual) else self._branches(op, value)

    def _residual(self, unit: Residual, value: str) -> str:
        if unit.shortcut.kind == "none":
            return self.call(unit.main, value)
        target = self._fresh() if value != "x" else "y"
        source = value
        if unit.leaves_after:
            source = self.let(
                self._fresh(), self.call(unit.main[: unit.leaves_after], value, target)
            )
        y = self.call(unit.main[unit.leaves_after :], source, target)
        shortcut = nest(unit.shortcut.layers, source)
        if unit.merge.gate:
            y, shortcut = self.let(target, y), self.let(self._fresh(), shortcut)
            gate = self.let(self._fresh(), nest([unit.merge.gate], shortcut))
            return f"{gate} * {y} + (1.0 - {gate}) * {shortcut}"
        if len(y) + len(shortcut) + 8 > _ROOM:
            y = self.let(target, y)
        return f"{y} + {shortcut}"

    def _branches(self, op: Branches, value: str) -> str:
        if op.listed and op.carry == "none" and op.join in ("sum", "concat"):
            return self._many(op, value)
        names = [self._fresh() if path or op.takes else "" for path in op.paths]
        if op.takes:
            equal = len(set(op.takes)) == 1
            how = f"chunk({len(names)}, 1)" if equal else f"split(self.{shares_name(op)}, 1)"
            self.lines.append(f"{', '.join(names)} = {value}.{how}")
        ends: list[str] = []
        for index, (path, name) in enumerate(zip(op.paths, names, strict=True)):
            enters = name if op.takes else value
            if index and op.carry == "chain":
                enters = ends[-1]
            elif index and op.carry == "sum" and path:
                enters = self.let(name or self._fresh(), f"{enters} + {ends[-1]}")
            if op.listed:
                made = f"self.{op.listed}[{index}]({enters})" if path else enters
            else:
                made = self.call(path, enters, name)
            ends.append(self.let(name, made) if path else made)
        return self._joined(op, ends)

    def _joined(self, op: Branches, ends: list[str]) -> str:
        if op.joiner:
            return f"self.{op.joiner.name}({', '.join(ends)})"
        if op.join == "concat":
            return f"torch.cat(({', '.join(ends)}{',' if len(ends) == 1 else ''}), 1)"
        return (" * " if op.join == "product" else " + ").join(ends)

    def _many(self, op: Branches, value: str) -> str:
        """One path so many times, from a list of modules."""
        if op.takes:
            part, parts = self._fresh(), self._fresh()
            slices = f"{value}.chunk({len(op.paths)}, 1)"
            self.let(parts, f"zip(self.{op.listed}, {slices}, strict=True)")
            listed = f"[branch({part}) for branch, {part} in {parts}]"
            if op.join == "concat":
                return f"torch.cat({listed}, 1)"
            first, *_ = names = self.let(self._fresh(), listed), self._fresh()
            total = self.let(names[1], f"{first}[0]")
            self.lines += [f"for {part} in {first}[1:]:", f"    {total} = {total} + {part}"]
            return total
        if op.join == "concat":
            return f"torch.cat([branch({value}) for branch in self.{op.listed}], 1)"
        total = self.let(self._fresh(), f"self.{op.listed}[0]({value})")
        self.lines.append(f"for branch in self.{op.listed}[1:]:")
        self.lines.append(f"    {total} = {total} + branch({value})")
        return total


def shares_name(op: Branches) -> str:
    """The attribute that holds the channels each branch takes: named after its first layer."""
    first = next((layer.name for path in op.paths for layer in path if layer.name), "")
    return f"{first.partition('.')[0]}_shares" if first else "shares"


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
