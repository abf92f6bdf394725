"""The keys that describe a block, at the top for all stages or in one; and those of a stage."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, Tag, model_validator

from resgen.spec.attention import Attention
from resgen.spec.builtin import ATTENTION_WORDS
from resgen.spec.definitions import Use
from resgen.spec.mistakes import show
from resgen.spec.norms import Activation, Norm
from resgen.spec.parts import (
    KEYS,
    MAX_DEPTH,
    MAX_WIDTH,
    PATH,
    Keys,
    ShortcutMode,
    Stride,
    Width,
    Word,
    broken,
    tagged,
)
from resgen.spec.rows import CONVOLUTION_KINDS


class BlockKeys(Keys):
    """Keys that describe a block: at the top for all stages, in a stage for that stage."""

    block: Use | None = Field(
        None,
        description="`basic`: two 3x3 convolutions; `bottleneck`: 1x1, 3x3, 1x1; a definition, "
        "with parameters as `{kind: mbconv, kernel: 5}`; or a path. Required, at the top or in "
        "every stage.",
        examples=["bottleneck"],
    )
    shortcut: Annotated[ShortcutMode, Word] | None = Field(
        None,
        description="How a block's input reaches its output. Required, at the top or in every "
        "stage.",
        examples=["projection"],
    )
    order: (
        Literal[
            "original",
            "bn-after-add",
            "relu-before-add",
            "relu-around-add",
            "linear",
            "relu-preact",
            "preact",
            "preact-raw",
            "preact-shared",
            "none",
        ]
        | None
    ) = Field(
        None,
        description="Where norm and activation stand (He et al. 2016, figure 4). "
        "`relu-around-add`: an activation before the addition and one behind it. `linear`: none "
        "at the block's end. "
        "A projection starts after the pre-activation (`preact`), at the raw input "
        "(`preact-raw`); in `preact-shared` the identity, too, starts after it. An order fills in "
        "paths that say no norm and activation; `none` leaves them.",
        examples=["preact"],
    )
    projection: Use | None = Field(
        None,
        description="A projection's layers: a strided 1x1 convolution (`conv`); an average pool, "
        "then a 1x1 convolution (`avgpool-conv`, ResNet-D); a 3x3 convolution where it strides, "
        "else 1x1 (`conv3x3`, SENet-154); a definition or a path.",
        examples=["avgpool-conv"],
    )
    stride_at: Literal["3x3", "1x1"] | None = Field(
        None,
        description="Which convolution of a bottleneck strides: the 3x3 (v1.5) or the first 1x1 "
        "(v1).",
        examples=["1x1"],
    )
    bottleneck_ratio: float | None = Field(
        None,
        gt=0,
        description="A block's width over its inner width: 4 by default for a bottleneck, "
        "1 for a basic block, and 1 for any block under `regnet`.",
        examples=[4],
    )
    mid_width: Width | None = Field(
        None, description="A block's inner width, in place of the ratio.", examples=[112]
    )
    first_width: Width | None = Field(
        None,
        description="Channels the first convolution puts out, where they are not the inner "
        "width (SENet-154, pruned networks).",
        examples=[47],
    )
    groups: int | None = Field(
        None,
        ge=1,
        le=MAX_WIDTH,
        description="Groups of the 3x3 convolutions.",
        examples=[32],
    )
    group_width: Width | None = Field(
        None, description="Inner channels a group, in place of `groups`.", examples=[16]
    )
    dilation: int | None = Field(
        None,
        ge=1,
        le=1024,
        description="Dilation of the 3x3 convolutions, that of the stride among them (detectron2's "
        "`RES5_DILATION`, DRN).",
        examples=[2],
    )
    attention: (
        Annotated[
            Annotated[Attention, Tag(KEYS)] | Annotated[Use, Tag(PATH)],
            tagged(*ATTENTION_WORDS),
            Word,
        ]
        | None
    ) = Field(
        None,
        description="Attention: `se`, `eca`, `cbam`, `gc`, a definition or a path.",
        examples=["se"],
    )
    norm: Annotated[Norm, Word] | None = Field(
        None, description="Normalization.", examples=["group"]
    )
    activation: Annotated[Activation, Word] | None = Field(
        None, description="The activation.", examples=["silu"]
    )
    convolution: Literal[CONVOLUTION_KINDS] | None = Field(  # type: ignore[valid-type]
        None,
        description="`standardized`: weights are normalized per output channel (Qiao et al. 2019); "
        "`scaled`: by their fan-in too, with a learned gain (Brock et al. 2021).",
        examples=["standardized"],
    )
    padding: Literal["symmetric", "same"] | None = Field(
        None,
        description="The border of zeros around convolutions and pools that say none: half the "
        "kernel on both sides (`symmetric`), or as little as gives size / stride, rounded up, the "
        "odd pixel below and at the right (`same`: TensorFlow, Keras, flax).",
        examples=["same"],
    )
    bias: bool | None = Field(
        None,
        description="Whether convolutions have biases beside a norm; without a norm they have.",
        examples=[True],
    )
    zero_init: Literal["none", "last"] | None = Field(
        None,
        description="`last`: the scale of a block's last norm starts at zero, so that the block "
        "starts as its shortcut (Goyal et al. 2017).",
        examples=["last"],
    )
    antialias: Literal["none", "blur", "avgpool"] | None = Field(
        None,
        description="What strides in place of a strided convolution: a binomial blur (Zhang 2019) "
        "or an average pool.",
        examples=["blur"],
    )


class BlockEntry(BlockKeys):
    """One block of a stage that writes its blocks out."""

    width: Width | None = Field(
        None, description="Channels this block puts out, where not the stage's.", examples=[72]
    )


class StageKeys(BlockKeys):
    """One stage: blocks in a row."""

    depth: int = Field(
        ge=0,
        le=MAX_DEPTH,
        description="Number of blocks; 0 where there is only `before`.",
        examples=[3],
    )
    width: Width = Field(
        description="Channels a block puts out, which is what its shortcut sees; "
        "`{start: 16, end: 44}` grows in equal steps from block to block, `start` being the width "
        "before the first; `round: 4` takes the nearest multiples (PyramidNet).",
        examples=[256],
    )
    stride: Stride = Field(
        1,
        description="Stride of the stage's first block; `[2, 1]`: down and to the right, as in "
        "networks for text and sound.",
        examples=[2],
    )
    before: Use | None = Field(
        None,
        description="Layers ahead of the stage's blocks, where `stride: stage` takes its stride.",
        examples=[["norm", {"conv": 2, "width": "out", "stride": "stage", "padding": 0}]],
    )
    first: BlockKeys | None = Field(
        None,
        description="Keys that hold in the stage's first block only.",
        examples=[{"shortcut": "projection"}],
    )
    blocks: (
        Annotated[tuple[BlockEntry, ...], Field(strict=False, min_length=1, max_length=MAX_DEPTH)]
        | None
    ) = Field(
        None,
        description="One mapping for each block, first to last, of what holds in that block only; "
        "says the stage's depth, too.",
        examples=[[{"mid_width": 22}, {"mid_width": 35}]],
    )

    @model_validator(mode="before")
    @classmethod
    def _counted(cls, data: object) -> object:
        """The depth is the number of `blocks` where those are written out."""
        if isinstance(data, dict) and isinstance(data.get("width"), dict):
            data = _grown(data)
        if isinstance(data, dict) and isinstance(blocks := data.get("blocks"), list) and blocks:
            if data.get("depth", len(blocks)) != len(blocks):
                raise broken(
                    f"depth {data['depth']} and a list of {len(blocks)} blocks disagree; "
                    "keep one of the two",
                    "blocks",
                )
            last = blocks[-1].get("width") if isinstance(blocks[-1], dict) else None
            own = all(isinstance(block, dict) and block.get("width") for block in blocks)
            if own and data.get("width", last) != last:
                raise broken(
                    f"every block says its own width, the last one {show(last)}; leave it out",
                    "width",
                )
            return {"depth": len(blocks), **({"width": last} if last else {}), **data}
        return data

    @model_validator(mode="after")
    def _some_layers(self) -> StageKeys:
        if not self.depth and self.before is None:
            raise broken("a stage of 0 blocks needs layers `before`", "depth")
        return self


def _grown(data: dict[str, object]) -> dict[str, object]:
    """`width: {start: 16, end: 44}` as one width for each block, to the nearest, halves up."""
    rule, depth = data["width"], data.get("depth")
    assert isinstance(rule, dict)
    ends = [rule.get("start"), rule.get("end")]
    numbers = [n for n in ends if isinstance(n, int) and not isinstance(n, bool)]
    multiple = rule.get("round", 1)
    whole = isinstance(multiple, int) and not isinstance(multiple, bool) and 0 < multiple < 1025
    if set(rule) - {"round"} != {"start", "end"} or len(numbers) < 2 or min(numbers) < 1:
        raise broken("a width that grows is {start: 16, end: 44}, both whole numbers", "width")
    if not whole:
        raise broken("round is a whole number from 1 to 1,024: the nearest multiple", "width")
    if max(numbers) > MAX_WIDTH:
        raise broken(f"a width is at most {MAX_WIDTH:,}", "width")
    if not isinstance(depth, int) or not 1 <= depth <= MAX_DEPTH or "blocks" in data:
        raise broken("a width that grows needs the stage's depth, and no blocks", "width")
    start, end = numbers
    steps = [
        (2 * (depth * start + (end - start) * j) + multiple * depth) // (2 * multiple * depth)
        for j in range(1, depth + 1)
    ]
    return {**data, "width": end, "blocks": [{"width": step * multiple} for step in steps]}


BLOCK_KEYS: tuple[str, ...] = tuple(BlockKeys.model_fields)
