"""Spec -> Plan: every layer gets its name and its exact shapes. Pure, no torch."""

from __future__ import annotations

import math
from typing import NamedTuple

from resgen.plan import layers as L
from resgen.plan.blocks import Numbers, Structure
from resgen.plan.layers import Layer, Mismatch, Shape, chain
from resgen.plan.model import Plan, Run, Stage
from resgen.plan.tables import (
    ANTIALIAS,
    ORDERS,
    Steps,
    activation_name,
    convolution,
    norm_and_activation,
)
from resgen.spec import Spec
from resgen.spec.block import StageKeys
from resgen.spec.parts import Stem
from resgen.spec.settings import LayerSettings, inner_widths


def resolve(spec: Spec) -> Plan:
    """The Plan of a Spec.

    Raises UserError where the image shrinks below 1x1 (naming the stage), the two paths
    of a block do not meet, or the depth stated is not the depth built.
    """
    image: Shape = (spec.input.channels, *spec.input.size)
    stem = _stem_layers(spec, image)
    stages = _stages(spec, stem)
    shape = stages[-1].output
    plan = Plan(
        spec.name,
        image,
        spec.classes,
        stem,
        stages,
        _head_layers(spec, shape),
        _about(spec),
    )
    if spec.depth is not None:
        # A backbone keeps the depth in its name, though its linear layer is left out.
        built = plan.weighted_layers + (0 if spec.classes else 1)
        if spec.depth != built:
            rule = f"the main path has {built} weighted layers, not {spec.depth}"
            raise spec.mistake(rule, "depth")
    return plan


def _stem_layers(spec: Spec, image: Shape) -> tuple[Layer, ...]:
    try:
        stem = chain(image, *_stem(spec.stem, spec.outside, image[0]))
    except Mismatch as error:
        raise spec.mistake(str(error), "stem") from None
    for layer in stem:
        if min(layer.input[1:]) < _stride(layer):
            raise spec.mistake(
                f"the stem would shrink the image below 1x1: {layer.name} strides by "
                f"{_stride(layer)} over {_image(layer.input)}; give the network a larger input or "
                "another stem",
                "stem",
            )
    return stem


def _stride(layer: Layer) -> int:
    return int(getattr(layer.op, "stride", 1))


def _image(shape: Shape) -> str:
    return f"{shape[1]}x{shape[2]}"


def _stages(spec: Spec, stem: tuple[Layer, ...]) -> tuple[Stage, ...]:
    """The stages one after another; past `output_stride`, strides become dilations."""
    shape = stem[-1].output
    in_stem = bool(ORDERS[spec.outside.order].before) and spec.stem.first_activation == "stem"
    structures = _structures(spec)
    shrunk, dilation = math.prod(_stride(layer) for layer in stem), 1
    if spec.output_stride and shrunk > spec.output_stride:
        raise spec.mistake(
            f"the stem alone shrinks the image {shrunk} times; give at least that",
            "output_stride",
        )
    stages: list[Stage] = []
    for index, stage in enumerate(spec.stages):
        stride, first_dilation = stage.stride, dilation
        if spec.output_stride and shrunk * stride > spec.output_stride:
            stride, dilation = 1, dilation * stage.stride
        shrunk *= stride
        if min(shape[1:]) < stride:
            raise spec.mistake(
                f"stage {index + 1} would shrink the image below 1x1: it strides by {stride} over "
                f"{_image(shape)}; give the network a larger input or a smaller stride",
                "stages",
                index,
            )
        numbers = _Strides(stride, dilation, first_dilation)
        try:
            runs = _runs(stage, structures[index], shape, numbers, in_stem and index == 0)
        except Mismatch as error:
            raise spec.mistake(str(error), "stages", index) from None
        stages.append(Stage(f"layer{index + 1}", runs))
        shape = stages[-1].output
    return tuple(stages)


def _structures(spec: Spec) -> list[tuple[Structure, ...]]:
    """What each stage's blocks are made by; equal settings are read once."""
    drop_path = _drop_path(spec)
    known: dict[int, Structure] = {}
    for stage in spec.stage_settings:
        for settings in stage:
            if id(settings) not in known:
                known[id(settings)] = Structure(settings, drop_path)
    return [tuple(known[id(settings)] for settings in stage) for stage in spec.stage_settings]


def _drop_path(spec: Spec) -> L.DropPath | None:
    if not spec.drop_path or not spec.drop_path.rate:
        return None
    blocks = sum(stage.depth for stage in spec.stages)
    steps = max(blocks - 1, 1) if spec.drop_path.rule == "linear" else 0
    return L.DropPath(spec.drop_path.rate, steps)


class _Strides(NamedTuple):
    """The stride of a stage's first block; the dilation of its blocks, and of what strides."""

    stride: int
    dilation: int
    first_dilation: int


def _runs(
    stage: StageKeys,
    structures: tuple[Structure, ...],
    shape: Shape,
    strides: _Strides,
    preactivated: bool,
) -> tuple[Run, ...]:
    """The blocks of one stage, equal neighbours as one run."""
    # Without `blocks`, the second block stands for all that follow it.
    written_out = stage.depth if stage.blocks else min(stage.depth, 2)
    width, structure = stage.width, structures[0]
    inner = inner_widths(structure.settings, width)
    made = structure.block(
        shape, Numbers(shape[0], inner, width, *strides), preactivated=preactivated
    )
    runs = [Run(made, 1, 0)]
    for number in range(1, written_out):
        if len(structures) > 1:
            structure = structures[number]
            inner = inner_widths(structure.settings, width)
        numbers = Numbers(width, inner, width, 1, strides.dilation, strides.dilation)
        made = structure.block(made.output, numbers)
        if runs[-1].block == made:
            runs[-1] = runs[-1]._replace(count=runs[-1].count + 1)
        else:
            runs.append(Run(made, 1, number))
    if written_out < stage.depth:
        runs[-1] = runs[-1]._replace(count=runs[-1].count + stage.depth - written_out)
    return tuple(runs)


class _StemRow(NamedTuple):
    """(kernel, stride, share of the width in eighths) of each convolution, and the pool."""

    convs: tuple[tuple[int, int, int], ...]
    pool: str


STEMS: dict[str, _StemRow] = {
    "conv3x3": _StemRow(((3, 1, 8),), "none"),
    "conv3x3-s2": _StemRow(((3, 2, 8),), "none"),
    "conv7x7": _StemRow(((7, 2, 8),), "none"),
    "conv7x7-pool": _StemRow(((7, 2, 8),), "max"),
    "deep": _StemRow(((3, 2, 4), (3, 1, 4), (3, 1, 8)), "max"),
    "deep-tiered": _StemRow(((3, 2, 3), (3, 1, 4), (3, 1, 8)), "max"),
}


def _stem(stem: Stem, settings: LayerSettings, channels: int) -> Steps:
    row, width = STEMS[stem.kind], stem.width
    act = activation_name(settings)
    preact = bool(ORDERS[settings.order].before) and stem.first_activation == "block"
    steps: Steps = []
    into = channels
    least = math.lcm(*(8 // math.gcd(eighths, 8) for _, _, eighths in row.convs))
    if width % least:
        raise Mismatch(f"a {stem.kind} stem needs a width divisible by {least} (got {width})")
    for number, (kernel, stride, eighths) in enumerate(row.convs, start=1):
        out = width * eighths // 8
        last = number == len(row.convs)
        steps.append(("conv1", convolution(settings, into, out, kernel, stride)))
        if not last:
            steps += norm_and_activation("na", settings, out, ("conv1", "conv1"), inplace=True)
        into = out
    if len(row.convs) > 1:
        steps = [(f"conv1.{i}", op) for i, (_, op) in enumerate(steps)]
    if not preact:
        steps += norm_and_activation("na", settings, width, ("bn1", act), inplace=True)
    return steps + _stem_pool(stem.pool or row.pool, settings, width)


def _stem_pool(pool: str, settings: LayerSettings, width: int) -> Steps:
    antialias = settings.antialias
    if pool == "none":
        return []
    if pool == "conv":
        steps: Steps = [
            ("", convolution(settings, width, width, 3, 1 if antialias != "none" else 2))
        ]
        if antialias != "none":
            steps.append(("", ANTIALIAS[antialias](width, 2)))
        steps += norm_and_activation("na", settings, width, ("", ""), inplace=True)
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


def _head_layers(spec: Spec, shape: Shape) -> tuple[Layer, ...]:
    try:
        return chain(shape, *_head(spec, shape))
    except Mismatch as error:
        raise spec.mistake(str(error), "head") from None


def _head(spec: Spec, shape: Shape) -> Steps:
    settings, width = spec.settings(-1, -1), shape[0]
    act = activation_name(settings)
    final = ORDERS[settings.order].final
    if settings.order == "linear" and spec.head.width:
        final = ""  # the head's convolution takes the linear output as it is
    steps = norm_and_activation(final, settings, width, ("final_bn", f"final_{act}"), inplace=True)
    if spec.head.width:
        steps.append(("head_conv", convolution(settings, width, spec.head.width, 1)))
        width = spec.head.width
        steps += norm_and_activation(
            "na", settings, width, ("head_bn", f"head_{act}"), inplace=True
        )
    steps += [("avgpool", L.GlobalAvgPool(1)), ("flatten", L.Flatten())]
    if spec.head.dropout:
        steps.append(("dropout", L.Dropout(spec.head.dropout)))
    if spec.classes:
        steps.append(("fc", L.Linear(width, spec.classes)))
    return steps


def _about(spec: Spec) -> tuple[tuple[str, str], ...]:
    """What the spec said, in words, where all stages agree or stage by stage where not."""
    stages = [settings[0] for settings in spec.stage_settings]

    def said(words: list[str]) -> str:
        return words[0] if len(set(words)) == 1 else ", ".join(words)

    return (
        ("block", said([settings.block for settings in stages])),
        ("shortcut", said([settings.shortcut.kind for settings in stages])),
        ("order", said([settings.order for settings in stages])),
        ("stem", f"{spec.stem.kind} {spec.stem.width}"),
        ("depths", ", ".join(str(stage.depth) for stage in spec.stages)),
        ("widths", ", ".join(str(stage.width) for stage in spec.stages)),
    )
