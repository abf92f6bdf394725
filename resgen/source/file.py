"""Plan -> the standalone Python file a good engineer would have written by hand.

The classes are found, not foreseen: blocks of one structure become one class, and what
differs between them becomes its parameters. Parameters are named after what they are
(`in_width`, `mid_width`, `width`, `stride`), and whatever is the same in all of them is
written as a number, so that no file has a flag for what its network does not use.

This is the only rendering there is: `module` runs the same text.
"""

from __future__ import annotations

import ast
import json
import keyword
import re
import textwrap
from collections.abc import Iterable, Sequence
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from resgen.cost import cost
from resgen.plan import Block, Layer, Op, Plan
from resgen.plan.layers import Conv, inside
from resgen.source.called import with_calls
from resgen.source.classes import BlockClass
from resgen.source.naming import TITLES, named_blocks
from resgen.source.network import network_class
from resgen.source.shape import arguments, family, named, signature, skeleton
from resgen.source.writing import WIDTH, Call, call_of, define, text
from resgen.version import __version__
from resgen.words import overridden


class Origin(NamedTuple):
    """How a file came about, for its docstring.

    command: what writes it again. weights: the .safetensors file of its trained weights.
    """

    command: str = ""
    weights: str = ""


def emit_source(plan: Plan, *, features: bool = False, origin: Origin = Origin()) -> str:
    """The network as one Python file that needs only torch.

    `__all__` names exactly one class, which needs no argument and, where a single layer puts
    out the classes, takes another number of them. With `features`, the class has
    `forward_features`, which returns the output of the stem and of each stage.
    """
    parts = _parts_used(plan)
    taken = {"Tensor", "F", *_part_texts()}
    header = _header(plan, origin)
    plan, definitions = with_calls(plan, {*taken, *TITLES.values()})
    taken |= {cls.name for cls in definitions}
    classes = [BlockClass(title, blocks) for title, blocks in named_blocks(plan, taken).items()]
    names = {block: cls for cls in classes for block in cls.blocks}
    projections, shortcut_calls = _projection_functions(plan, classes)
    name = class_name(plan, taken | {cls.name for cls in classes} | set(projections))
    body: list[str] = []
    for part in parts:
        body += ["", "", part]
    for definition in definitions:
        body += ["", "", *definition.lines()]
    for lines in projections.values():
        body += ["", "", *lines]
    for cls in classes:
        body += ["", "", *cls.lines()]
    body += ["", "", *network_class(plan, name, names, shortcut_calls, features=features)]
    top = [header, "", *_imports(body), "", f'__all__ = ["{name}"]']
    return "\n".join(top + body) + "\n"


def class_name(plan: Plan, taken: set[str]) -> str:
    """resnet50 -> ResNet50."""
    words = re.findall(r"[A-Za-z]+|[0-9]+", plan.name)
    text_ = ""
    for word in words:
        both_digits = text_[-1:].isdigit() and word.isdigit()
        text_ += f"_{word}" if both_digits else _proper(word.lower())
    if not text_[0].isalpha():
        text_ = f"Net{text_}"
    if keyword.iskeyword(text_) or text_ in taken:
        text_ += "Net"
    return text_


_FAMILIES = {"resnet": "ResNet", "resnext": "ResNeXt", "regnet": "RegNet", "senet": "SENet"}
_BEFORE = {"": "", "pre": "Pre", "se": "SE", "eca": "ECA"}


def _proper(word: str) -> str:
    """seresnetaa -> SEResNetAA."""
    found = re.fullmatch(rf"({'|'.join(_BEFORE)})({'|'.join(_FAMILIES)})(.*)", word)
    if not found:
        return word.upper() if word == "wrn" else word.capitalize()
    before, family_, after = found.groups()
    after = after.upper() if len(after) < 3 else after.capitalize()
    return _BEFORE[before] + _FAMILIES[family_] + after


def _header(plan: Plan, origin: Origin) -> str:
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
        f"{books.params:,} params, {books.macs:,} MACs ({books.flops:,} FLOPs) an image.",
    ]
    folded = f"; {said['folded']} folded" if "folded" in said else ""
    changed = f" with {overridden(plan.overrides)}" if plan.overrides else ""
    sentence = (
        f"Stem {said['stem']}; stages of {said['depths']} {said['block']} blocks, "
        f"{said['widths']} wide; shortcuts: {said['shortcut']} ({books.residual_adds:,} "
        f"additions); order: {said['order']}{folded}. Written by resgen {__version__} from the "
        f"spec {plan.name}{changed}. The text is yours, to use under any licence."
    )
    lines += textwrap.wrap(sentence, WIDTH)
    if origin.weights:
        load = f"model.load_state_dict(safetensors.torch.load_file({json.dumps(origin.weights)}))"
        lines += ["", "Its trained weights:", "", f"    {_quoted(load)}"]
    if origin.command:
        lines += ["", "Written again by", "", f"    {_quoted(origin.command)}"]
    return "\n".join([*lines, '"""'])


def _quoted(line: str) -> str:
    """A line as it may stand in a docstring: what would end it, or is no sign, escaped."""
    escaped = "".join(
        c if c.isprintable() else c.encode("unicode_escape").decode()
        for c in line.replace("\\", "\\\\")
    )
    return escaped.replace('"', '\\"') if '"""' in escaped or escaped.endswith('"') else escaped


def _imports(body: Sequence[str]) -> list[str]:
    text_ = "\n".join(body)
    lines = []
    if re.search(r"\btorch\.(?!nn)", text_):
        lines.append("import torch")
    if re.search(r"\bF\.", text_):
        lines.append("import torch.nn.functional as F")
    return [*lines, "from torch import Tensor, nn"]


def _all_ops(plan: Plan) -> Iterable[Op]:
    blocks = [run.block for stage in plan.stages for run in stage.runs]
    for layer in (*plan.stem, *(x for block in blocks for x in block.layers), *plan.head):
        yield from _with_inner(layer.op)


def _with_inner(op: Op) -> Iterable[Op]:
    yield op
    yield from (value for value in op._asdict().values() if hasattr(value, "torch"))  # type: ignore[misc]
    for layer in inside(op):
        yield from _with_inner(layer.op)


@cache
def _part_texts() -> dict[str, str]:
    """Class name -> its text in the files of such classes, read without importing them."""
    found: dict[str, str] = {}
    for name in ("parts", "norm_parts", "attentions"):
        source = (Path(__file__).parent / f"{name}.py").read_text(encoding="utf-8")
        lines = source.splitlines()
        found |= {
            node.name: "\n".join(lines[node.lineno - 1 : node.end_lineno])
            for node in ast.parse(source).body
            if isinstance(node, ast.ClassDef)
        }
    return found


def _parts_used(plan: Plan) -> list[str]:
    texts = _part_texts()
    wanted = {op.torch for op in _all_ops(plan)} & texts.keys()
    for name in list(wanted):
        wanted |= {other for other in texts if re.search(rf"\b{other}\(", texts[name])}
    return [part for name, part in texts.items() if name in wanted]


def _projection_functions(
    plan: Plan, classes: Sequence[BlockClass]
) -> tuple[dict[str, list[str]], dict[Block, Any]]:
    """Functions that build the shortcuts handed in to blocks, and each block's call."""
    groups: dict[Any, list[Block]] = {}
    for cls in classes:
        for block in cls.blocks:
            if cls.handed_in and block.shortcut.layers:
                groups.setdefault(skeleton(block.shortcut.layers), []).append(block)
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
            tuple(call_of(layer.op, named(kin.columns, i)) for i, layer in enumerate(layers)),
        )
        functions[name] = [
            *define(name, signature(kin.parameters), "nn.Sequential", indent=0),
            f'    """The {base} of a block: {_layer_list(layers)}."""',
            "    return " + text(value, 4, len("return ")),
        ]
        for block in blocks:
            calls[block] = arguments(name, kin.arguments(block.shortcut.layers))
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
