"""Spec -> Plan: every layer gets its name and its exact shapes. Pure, no torch."""

from __future__ import annotations

import dataclasses
import math
from typing import NamedTuple

from resgen.errors import UserError
from resgen.plan import ends
from resgen.plan import layers as L
from resgen.plan.blocks import Structure, structure_of
from resgen.plan.layers import Layer, Mismatch, Shape
from resgen.plan.layers.base import both
from resgen.plan.model import Block, Plan, Run, Stage
from resgen.plan.numbers import Numbers, Stride
from resgen.plan.orders import fill_of
from resgen.spec import Spec
from resgen.spec.definitions import Use
from resgen.spec.readers import rows_of
from resgen.spec.settings import inner_widths


def resolve(spec: Spec) -> Plan:
    """The Plan of a Spec.

    Raises UserError where the image shrinks below 1x1 (naming the stage), the two paths
    of a block do not meet, or the depth stated is not the depth built.
    """
    image: Shape = (spec.input.channels, *spec.input.size)
    stem = _stem_layers(spec, image)
    stages = _stages(spec, image, stem)
    plan = Plan(
        spec.name,
        image,
        spec.classes,
        stem,
        stages,
        _head_layers(spec, stem, stages),
        _about(spec),
        spec.overrides,
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
        return ends.stem(spec, image)
    except Mismatch as error:
        raise spec.mistake(str(error), *(error.place or ("stem",))) from None


def _head_layers(
    spec: Spec, stem: tuple[Layer, ...], stages: tuple[Stage, ...]
) -> tuple[Layer, ...]:
    try:
        made = ends.head(spec, stem, stages)
    except Mismatch as error:
        raise spec.mistake(str(error), *(error.place or ("head",))) from None
    if not made:
        raise spec.mistake("a head of no layers; give it at least flatten", "head")
    return made


def _image(shape: Shape) -> str:
    return f"{shape[1]}x{shape[2]}"


def _stages(spec: Spec, image: Shape, stem: tuple[Layer, ...]) -> tuple[Stage, ...]:
    """The stages one after another; past `output_stride`, strides become dilations."""
    shape = stem[-1].output if stem else image
    preact = not isinstance(spec.stem, Use) and spec.stem.first_activation == "stem"
    in_stem = preact and bool(fill_of(spec.outside.order).before)
    drop_path = _drop_path(spec)
    shrunk, dilation = round(image[1] / shape[1]) if len(shape) == 3 else 1, 1
    if not isinstance(spec.stem, Use):
        shrunk = math.prod(int(getattr(layer.op, "stride", 1)) for layer in stem)
    if spec.output_stride and shrunk > spec.output_stride:
        raise spec.mistake(
            f"the stem alone shrinks the image {shrunk} times; give at least that",
            "output_stride",
        )
    stages: list[Stage] = []
    for index, stage in enumerate(spec.stages):
        stride, first_dilation = stage.stride, dilation
        if spec.output_stride:
            assert isinstance(stride, int)  # a rule of the Spec's
            if shrunk * stride > spec.output_stride:
                stride, dilation = 1, dilation * stride
            shrunk *= stride
        if any(n < s for n, s in zip(shape[1:], both(stride), strict=False)):
            by = "x".join(map(str, stride)) if isinstance(stride, tuple) else stride
            raise spec.mistake(
                f"stage {index + 1} would shrink the image below 1x1: it strides by {by} over "
                f"{_image(shape)}; give the network a larger input or a smaller stride",
                "stages",
                index,
            )
        strides = _Strides(stride, dilation, first_dilation)
        try:
            structures = tuple(
                structure_of(settings, spec.library, drop_path)
                for settings in spec.stage_settings[index]
            )
            made = _Maker(spec, index, structures, strides)
            runs = made.runs(shape, preactivated=in_stem and index == 0)
        except Mismatch as error:
            raise _mistake(spec, index, error) from None
        stages.append(Stage(f"layer{index + 1}", runs, before=stage.before is not None))
        shape = stages[-1].output
    if spec.output_stride and dilation == 1:
        raise spec.mistake(
            f"the network shrinks its image {shrunk} times, and so nothing is dilated; give less",
            "output_stride",
        )
    return tuple(stages)


def _mistake(spec: Spec, index: int, error: Mismatch) -> UserError:
    """What does not go together in a stage, at the value that says so."""
    place = error.place
    if not place:
        return spec.mistake(str(error), "stages", index)
    # A path that a stage writes itself has its rows there and not at the top.
    if getattr(spec.stages[index], str(place[0]), None) is not None:
        place = ("stages", index, *place)
    return spec.mistake(f"{error} (in stage {index + 1})", *place)


def _drop_path(spec: Spec) -> L.DropPath | None:
    if not spec.drop_path or not spec.drop_path.rate:
        return None
    blocks = sum(stage.depth for stage in spec.stages)
    steps = max(blocks - 1, 1) if spec.drop_path.rule == "linear" else 0
    return L.DropPath(spec.drop_path.rate, steps)


class _Strides(NamedTuple):
    """The stride of a stage's first block; the dilation of its blocks, and of what strides."""

    stride: Stride
    dilation: int
    first_dilation: int


class _Maker:
    """Makes the blocks of one stage."""

    def __init__(
        self, spec: Spec, index: int, structures: tuple[Structure, ...], strides: _Strides
    ) -> None:
        self.spec, self.index, self.structures, self.strides = spec, index, structures, strides
        self.stage = spec.stages[index]

    def runs(self, shape: Shape, *, preactivated: bool) -> tuple[Run, ...]:
        """The blocks of the stage, equal neighbours as one run."""
        stage, strides = self.stage, self.strides
        runs: list[Run] = []
        if stage.before:
            made = self._before(stage.before, shape)
            shape = made.output
            runs.append(Run(made, 1, 0))
            if "stride" in self.asked(stage.before):
                strides = strides._replace(stride=1, first_dilation=strides.dilation)
        self._check_stride()
        # Without `blocks`, the second block stands for all that follow it.
        entries, depth, last = stage.blocks, stage.depth, len(self.structures) - 1
        written_out = depth if entries else min(depth, 2)
        start, classes, width = len(runs), self.spec.classes, stage.width
        structure: Structure | None = None
        inner = (0, 0, 0, 0)
        for number in range(written_out):
            wide = entries[number].width or stage.width if entries else width
            chosen = self.structures[min(number, last)]
            if chosen is not structure or wide != width:
                structure, width = chosen, wide
                first, mid, groups = inner_widths(structure.settings, width)
                inner = (width, mid, first, groups)
            if number:
                strides = _Strides(1, strides.dilation, strides.dilation)
            said = structure.settings.dilation
            own = _Strides(strides.stride, said, said) if said else strides
            numbers = Numbers(shape[0], *inner, *own, 0, classes, _NONE, [0])
            made = structure.block(shape, numbers, preactivated=preactivated and not number)
            shape = made.output
            if shape[0] != width:
                raise Mismatch(
                    f"its blocks put out {shape[0]} channels, and it is {width} wide; "
                    "end the path in width: out, or say that width"
                )
            if len(runs) > start and runs[-1].block == made:
                runs[-1] = runs[-1]._replace(count=runs[-1].count + 1)
            else:
                runs.append(Run(made, 1, start + number))
        if written_out < stage.depth:
            runs[-1] = runs[-1]._replace(count=runs[-1].count + stage.depth - written_out)
        return tuple(runs)

    def _before(self, use: Use, shape: Shape) -> Block:
        """What stands before the blocks, as a block of its own."""
        settings = self.structures[0].settings
        plain = dataclasses.replace(
            settings, block=use, order="none", zero_init="none", antialias="none"
        )
        numbers = Numbers(shape[0], self.stage.width, 0, 0, 1, *self.strides,
                          0, self.spec.classes, _NONE, [0])  # fmt: skip
        place = ("stages", self.index, "before")
        structure = structure_of(plain, self.spec.library, None, place, "transition")
        return structure.block(shape, numbers)

    def asked(self, use: Use) -> frozenset[str]:
        """What a path asks for, by name."""
        rows = rows_of(use, self.spec.library)
        return self.spec.library.names_of(rows) if rows is not None else _WHOLE

    def _check_stride(self) -> None:
        """Refuses a stage whose stride nothing takes."""
        stage, first = self.stage, self.structures[0].settings.block
        taken = [self.asked(use) for use in (stage.before, first if stage.depth else None) if use]
        if stage.stride != 1 and not any("stride" in asked for asked in taken):
            raise Mismatch(
                f"its stride {stage.stride} is taken by no row: say stride: stage in the "
                "first block's path, or in `before`",
                ("stages", self.index, "stride"),
            )


_NONE: dict[str, int | float | str] = {}
_WHOLE = frozenset(["stride"])


def _about(spec: Spec) -> tuple[tuple[str, str], ...]:
    """What the spec said, in words, where all stages agree or stage by stage where not."""
    stages = [settings[0] for settings in spec.stage_settings]

    def said(words: list[str]) -> str:
        return words[0] if len(set(words)) == 1 else ", ".join(words)

    return (
        ("block", said([settings.block.name or "own" for settings in stages])),
        ("shortcut", said([settings.shortcut.kind for settings in stages])),
        ("order", said([settings.order for settings in stages])),
        ("stem", _stem_words(spec)),
        ("depths", ", ".join(str(stage.depth) for stage in spec.stages)),
        ("widths", ", ".join(str(stage.width) for stage in spec.stages)),
    )


def _stem_words(spec: Spec) -> str:
    if isinstance(spec.stem, Use):
        return spec.stem.name or "own"
    return f"{spec.stem.kind} {spec.stem.width}"
