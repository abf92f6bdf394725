"""Spec -> Plan: every layer gets its name and its exact shapes. Pure, no torch."""

from __future__ import annotations

from typing import Any

from resgen import layers as L
from resgen.blocks import (
    ANTIALIAS,
    ORDERS,
    Mismatch,
    Steps,
    block,
    convolution,
    norm_and_activation,
)
from resgen.layers import Layer, Shape, chain
from resgen.plan import Plan, Run, Stage
from resgen.spec import Spec, Stem

MAX_PARAMS = 10**12


def resolve(spec: Spec) -> Plan:
    """The Plan of a Spec.

    Raises UserError where the image shrinks below 1x1 (naming the stage), the two paths
    of a block do not meet, or the depth stated is not the depth built.
    """
    top = {**spec.settings(0), **_top(spec)}
    order = ORDERS[top["order"]]
    shape: Shape = (spec.input.channels, *spec.input.size)
    try:
        stem = chain(shape, *_stem(spec.stem, top, shape[0]))
    except Mismatch as error:
        raise spec.mistake(str(error), "stem") from None
    shape = _checked(spec, stem, shape, "stem")
    image = shape
    stages: list[Stage] = []
    in_stem = bool(order.before) and spec.stem.first_activation == "stem"
    total = sum(stage.depth for stage in spec.stages)
    shrunk, dilation = spec.input.size[0] // max(image[1], 1), 1
    if spec.output_stride and shrunk > spec.output_stride:
        raise spec.mistake(
            f"the stem alone shrinks the input {shrunk} times; output_stride must be at least that",
            "output_stride",
        )
    for index, stage in enumerate(spec.stages):
        values = spec.settings(index)
        stride, first_dilation = stage.stride, dilation
        if spec.output_stride and shrunk * stride > spec.output_stride:
            stride, dilation = 1, dilation * stage.stride
        shrunk *= stride
        drop = None
        if spec.drop_path and spec.drop_path.rate:
            steps = max(total - 1, 1) if spec.drop_path.rule == "linear" else 0
            drop = L.DropPath(spec.drop_path.rate, steps)
        try:
            entry = block(
                values,
                shape,
                stage.width,
                stride=stride,
                dilation=dilation,
                first_dilation=first_dilation,
                preactivated=in_stem and index == 0,
                drop_path=drop,
            )
            rest = None
            if stage.depth > 1:
                rest = block(
                    values,
                    entry.output,
                    stage.width,
                    dilation=dilation,
                    first_dilation=dilation,
                    drop_path=drop,
                )
        except Mismatch as error:
            raise spec.mistake(str(error), "stages", index) from None
        for layer in entry.main:
            if min(layer.output) < 1:
                raise spec.mistake(
                    f"stage {index + 1} shrinks the image below 1x1: {layer.name} turns "
                    f"{_image(layer.input)} into {_image(layer.output)}; give the network a larger "
                    "input or smaller strides",
                    "stages",
                    index,
                )
        stages.append(Stage(f"layer{index + 1}", _runs(entry, rest, stage.depth)))
        shape = entry.output
    plan = Plan(
        spec.name,
        (spec.input.channels, *spec.input.size),
        spec.classes,
        stem,
        tuple(stages),
        chain(shape, *_head(spec, spec.settings(-1), shape)),
        _about(spec),
    )
    if spec.depth is not None and spec.depth != plan.weighted_layers:
        raise spec.mistake(
            f"the main path has {plan.weighted_layers} weighted layers, not {spec.depth}", "depth"
        )
    return plan


def _top(spec: Spec) -> dict[str, Any]:
    """The block keys given at the top; the stem goes by these."""
    keys = ("order", "norm", "activation", "convolution", "antialias")
    return {key: value for key in keys if (value := getattr(spec, key)) is not None}


def _runs(entry: Any, rest: Any, depth: int) -> tuple[Run, ...]:
    if rest is None or rest == entry:
        return (Run(entry, depth, 0),)
    return (Run(entry, 1, 0), Run(rest, depth - 1, 1))


def _image(shape: Shape) -> str:
    return f"{max(shape[1], 0)}x{max(shape[2], 0)}"


def _checked(spec: Spec, layers: tuple[Layer, ...], shape: Shape, where: str) -> Shape:
    for layer in layers:
        if min(layer.output) < 1:
            raise spec.mistake(
                f"the {where} shrinks the image below 1x1: {layer.name} turns "
                f"{_image(layer.input)} into {_image(layer.output)}; give the network a larger "
                "input",
                where,
            )
        shape = layer.output
    return shape


class _StemRow:
    """(kernel, stride, share of the width in eighths) of each convolution, and the pool."""

    def __init__(self, convs: tuple[tuple[int, int, int], ...], pool: str) -> None:
        self.convs, self.pool = convs, pool


STEMS: dict[str, _StemRow] = {
    "conv3x3": _StemRow(((3, 1, 8),), "none"),
    "conv3x3-s2": _StemRow(((3, 2, 8),), "none"),
    "conv7x7": _StemRow(((7, 2, 8),), "none"),
    "conv7x7-pool": _StemRow(((7, 2, 8),), "max"),
    "deep": _StemRow(((3, 2, 4), (3, 1, 4), (3, 1, 8)), "max"),
    "deep-tiered": _StemRow(((3, 2, 3), (3, 1, 4), (3, 1, 8)), "max"),
}


def _stem(stem: Stem, values: dict[str, Any], channels: int) -> Steps:
    row, width = STEMS[stem.kind], stem.width
    act = "relu" if values["activation"] == "relu" else "act"
    preact = bool(ORDERS[values["order"]].before) and stem.first_activation == "block"
    steps: Steps = []
    into = channels
    for number, (kernel, stride, eighths) in enumerate(row.convs, start=1):
        if width * eighths % 8:
            raise Mismatch(f"a {stem.kind} stem needs a width divisible by 8 (got {width})")
        out = width * eighths // 8
        last = number == len(row.convs)
        steps.append(("conv1", convolution(values, into, out, kernel, stride)))
        if not last:
            steps += norm_and_activation("na", values, out, ("conv1", "conv1"), inplace=True)
        into = out
    if len(row.convs) > 1:
        steps = [(f"conv1.{i}", op) for i, (_, op) in enumerate(steps)]
    if not preact:
        steps += norm_and_activation("na", values, width, ("bn1", act), inplace=True)
    return steps + _stem_pool(stem.pool or row.pool, values, width)


def _stem_pool(pool: str, values: dict[str, Any], width: int) -> Steps:
    antialias = values["antialias"]
    if pool == "none":
        return []
    if pool == "conv":
        steps: Steps = [("", convolution(values, width, width, 3, 1 if antialias != "none" else 2))]
        if antialias != "none":
            steps.append(("", ANTIALIAS[antialias](width, 2)))
        steps += norm_and_activation("na", values, width, ("", ""), inplace=True)
    elif antialias == "avgpool":
        steps = [("", L.AvgPool(2, 2))]
    elif antialias == "blur":
        steps = [("", L.MaxPool(3, 1, 1)), ("", L.BlurPool(width, 2))]
    elif pool == "max-zero-padded":
        steps = [("", L.ZeroPad(1)), ("", L.MaxPool(3, 2))]
    else:
        steps = [("", L.MaxPool(3, 2, 1))]
    if len(steps) == 1:
        return [("maxpool", steps[0][1])]
    return [(f"maxpool.{i}", op) for i, (_, op) in enumerate(steps)]


def _head(spec: Spec, values: dict[str, Any], shape: Shape) -> Steps:
    width = shape[0]
    act = "relu" if values["activation"] == "relu" else "act"
    final = ORDERS[values["order"]].final
    if values["order"] == "linear" and spec.head.width:
        final = ""  # the head's convolution takes the linear output as it is
    steps = norm_and_activation(final, values, width, ("final_bn", f"final_{act}"), inplace=True)
    if spec.head.width:
        steps.append(("head_conv", convolution(values, width, spec.head.width, 1)))
        width = spec.head.width
        steps += norm_and_activation("na", values, width, ("head_bn", f"head_{act}"), inplace=True)
    steps += [("avgpool", L.GlobalAvgPool(1)), ("flatten", L.Flatten())]
    if spec.head.dropout:
        steps.append(("dropout", L.Dropout(spec.head.dropout)))
    if spec.classes:
        steps.append(("fc", L.Linear(width, spec.classes)))
    return steps


def _about(spec: Spec) -> tuple[tuple[str, str], ...]:
    """What the spec said, in words, where all stages agree or stage by stage where not."""
    settings = [spec.settings(index) for index in range(len(spec.stages))]

    def said(key: str) -> str:
        words = [getattr(values[key], "kind", values[key]) for values in settings]
        return str(words[0]) if len(set(words)) == 1 else ", ".join(map(str, words))

    return (
        ("block", said("block")),
        ("shortcut", said("shortcut")),
        ("order", said("order")),
        ("stem", f"{spec.stem.kind} {spec.stem.width}"),
        ("depths", ", ".join(str(stage.depth) for stage in spec.stages)),
        ("widths", ", ".join(str(stage.width) for stage in spec.stages)),
    )
