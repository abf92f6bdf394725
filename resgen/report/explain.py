"""A name -> what a network has there: a layer, a definition, a block or a stage, with its sums."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Sequence

from resgen.cost import cost_of_layers
from resgen.errors import UserError
from resgen.plan import Block, Layer, Plan, elements
from resgen.plan import layers as L
from resgen.report.boxes import carried
from resgen.report.formulas import formulas
from resgen.report.kinds import alike, holds, kind_of
from resgen.words import hung, joined, short, size, wrapped


def explain(plan: Plan, name: str) -> list[str]:
    """The lines about one layer or definition, block (`layer1.0`) or stage (`layer1`).

    Raises UserError, with the nearest name, where the network has no such part.
    """
    named = [(path, layer) for path, layer in plan.named_layers() if layer.name]
    said, name = name, re.sub(r"(?<=\.)(\d+)-\d+", r"\1", name)  # layer1.1-2 is a row of a table
    found = [layer for path, layer in named if path == name]
    found = [layer for layer in found if type(layer.op) is type(found[0].op)]
    if found:  # a path calls its one activation several times; they share a name
        lines = _layer(name, found[0])
        if len(found) > 1:
            lines += hung("calls", f"{len(found)} a forward pass, of which this is the first", 11)
        return lines
    blocks = {f"{path}": block for path, block in plan.named_blocks()}
    if name in blocks:
        return _block(name, blocks[name])
    for stage in plan.stages:
        if stage.name == name:
            many = "block" if stage.depth == 1 else "blocks"
            lines = [f"{name}   {stage.depth} {many}, puts out {size(stage.output)}"]
            for run in stage.runs:
                lines += ["", *_block(f"{name}.{run.first}", run.block)]
                if run.count > 1:
                    lines += hung("repeated", f"{run.count} times, each the same", 11)
            return lines
    for word, layers in (("stem", plan.stem), ("head", plan.head)):
        if name == word and layers:
            head = f"{name}   {size(layers[0].input)} -> {size(layers[-1].output)}"
            return [head, *_Words().path("layers", layers), *_sums(layers)]
    names = [*dict.fromkeys(path for path, _ in named), *blocks]
    near = difflib.get_close_matches(name, names, n=1)
    hint = f"; did you mean {near[0]}?" if near else f"; the first is {names[0]}"
    raise UserError(f"--explain {said}: {plan.name} has no layer of this name{hint}")


def _layer(name: str, layer: Layer) -> list[str]:
    op = layer.op
    head = f"{name}   {kind_of(op)}   {size(layer.input)} -> {size(layer.output)}"
    if isinstance(op, L.Part):
        return [*wrapped(head), *_Words().path("layers", op.layers), *_sums(op.layers)]
    lines = [*wrapped(head), *hung("", (type(op).__doc__ or "").splitlines()[0], 11)]
    for label, text in formulas(layer):
        lines += hung(label, text, 11)
    for part in op.parts(layer.input):
        title = part.name or kind_of(part.op)
        if part.name or cost_of_layers((part,)) != cost_of_layers(()):
            lines += ["", *_layer(f"{name}.{title}" if part.name else f"{name} {title}", part)]
    return lines


def _block(name: str, block: Block) -> list[str]:
    """The equation of a block, its layers and the addition; a transition has none."""
    moves = block.kind == "transition"
    kind = block.kind if moves else f"{block.kind} block"
    lines = [*wrapped(f"{name}   {kind}   {size(block.input)} -> {size(block.output)}")]
    words = _Words()
    lines += words.path("layers" if moves else "main", block.main)
    if block.shortcut.kind != "none":
        layers, notes = words.of(block.shortcut_layers)
        added = cost_of_layers(block.shortcut_layers)
        lines += hung(
            "shortcut",
            f"{block.shortcut.kind}: {', '.join(layers) or _source(block)}; "
            f"{added.params:,} params, {added.macs:,} MACs",
            11,
        )
        lines += notes
        factors = " * ".join(map(str, block.joined))
        lines += hung("addition", f"{factors} = {block.residual_adds:,} elements, 0 MACs", 11)
    elif not moves and not any(True for _ in block.units):
        lines += hung("shortcut", "none: a plain block", 11)
    if block.after:
        lines += words.path("after", block.after)
    return [*lines, *_sums(block.layers)]


def _source(block: Block) -> str:
    """What an identity hands on: the block's input, or what units ahead of it make of that."""
    ahead = [layer for layer in block.main[: block.leaves_after] if holds(layer.op)]
    return "what the unit before puts out" if ahead else "the input itself"


def _sums(layers: tuple[Layer, ...]) -> list[str]:
    """MACs layer by layer and in all, and the params."""
    books = cost_of_layers(layers)
    each = [
        (name, count, cost_of_layers((layer,)).macs)
        for name, count, layer in alike(L.leaves(layers))
    ]
    names = " + ".join(name for name, _, macs in each if macs)
    sums = " + ".join(f"{count} * {m:,}" if count > 1 else f"{m:,}" for _, count, m in each if m)
    lines = hung("MACs", f"{names} = {sums}" if names else "0", 11)
    if names:
        lines += hung("", f"= {books.macs:,} ({short(books.macs)})", 11)
    return [*lines, *hung("params", f"{books.params:,}", 11)]


class _Words:
    """Paths in words; branches and units are numbered where a block has several."""

    def __init__(self) -> None:
        self.counts: dict[str, int] = {}

    def path(self, label: str, layers: Sequence[Layer]) -> list[str]:
        """Layers by their names, then what their branches and units are."""
        names, notes = self.of(layers)
        return [*hung(label, " -> ".join(names) or "nothing", 11), *notes]

    def of(self, layers: Iterable[Layer]) -> tuple[list[str], list[str]]:
        """The names of layers, and the lines about branches and units among them."""
        names: list[str] = []
        notes: list[str] = []
        for name, _, layer in alike(layers):
            op = layer.op
            if isinstance(op, L.Branches):
                names.append(self._name("branches"))
                notes += self._branches(names[-1], op)
            elif isinstance(op, L.Residual) and op.shortcut.kind != "none":
                names.append(self._name("unit"))
                notes += self._unit(names[-1], op)
            elif isinstance(op, L.Residual):
                inner, lines = self.of(op.main)
                names, notes = names + inner, notes + lines
            else:
                names.append(name)
        return names, notes

    def _name(self, word: str) -> str:
        self.counts[word] = self.counts.get(word, 0) + 1
        return f"{word} {self.counts[word]}" if self.counts[word] > 1 else word

    def _unit(self, name: str, op: L.Residual) -> list[str]:
        names, notes = self.of(op.main)
        others, more = self.of(op.added)
        added = f"{op.shortcut.kind}" + (f" ({', '.join(others)})" if others else "")
        lines = hung(name, f"({' -> '.join(names) or 'the input itself'}) + {added}", 11)
        factors = " * ".join(map(str, op.output))
        lines += hung("", f"addition: {factors} = {elements(op.output):,} elements", 11)
        return [*lines, *notes, *more]

    def _branches(self, name: str, op: L.Branches) -> list[str]:
        lines = hung(name, "; ".join((*_shares(op), _join(op))), 11)
        if op.listed:
            paths: tuple[Layer, ...] = tuple(layer for path in op.paths for layer in path)
            for said, count, layer in alike(paths):
                names, notes = [said], list[str]()
                if isinstance(layer.op, L.Part):
                    names, notes = self.of(layer.op.layers)
                    names[0] = f"{said}: {names[0]}"
                times = f"{count} times " if count > 1 else ""
                lines += [*hung("", times + " -> ".join(names), 13), *notes]
            return lines
        empty = "its slice" if op.takes else "the input itself"
        handed = "what the one before puts out" if op.carry == "chain" else empty
        for number, path in enumerate(op.paths, start=1):
            names, notes = self.of(path)
            lines += [
                *hung(f"  {number}", " -> ".join(names) or (empty if number == 1 else handed), 13),
                *notes,
            ]
        return lines


def _shares(op: L.Branches) -> list[str]:
    """What each branch takes in, where that is not simply all."""
    said = []
    if op.takes and len(op.paths) > 1:
        alone = len(set(op.takes)) == 1
        takes = str(op.takes[0]) if alone else joined(map(str, op.takes))
        said.append(f"{len(op.paths)} slices of {takes} channels")
    if op.carry == "chain":
        said.append("each takes what the one before puts out")
    if adds := sorted(carried(op)):
        each = "each but the first adds"
        if adds != list(range(1, len(op.paths))):
            numbers = joined(str(number + 1) for number in adds)
            each = f"branch {numbers} adds" if len(adds) == 1 else f"branches {numbers} add"
        said.append(f"{each} what the one before puts out")
    return said


def _join(op: L.Branches) -> str:
    """How branches join, and what that costs."""
    if op.joiner:
        return f"joined by {op.joiner.name}"
    if len(op.paths) == 1:
        return "one path alone"
    factors = " * ".join(map(str, (len(op.paths) - 1, *op.output)))
    count = (len(op.paths) - 1) * elements(op.output)
    if op.join == "concat":
        channels = [str(output[0]) for output in op.outputs]
        same = len(set(channels)) == 1 and len(channels) > 1
        parts = f"{len(channels)} * {channels[0]}" if same else " + ".join(channels)
        return f"concat: {parts} = {op.output[0]} channels"
    return f"{op.join}: {factors} = {count:,} {'products' if op.join == 'product' else 'additions'}"
