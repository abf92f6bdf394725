"""The keys that describe a block, at the top for all stages or in one; and those of a stage."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from resgen.spec.parts import (
    MAX_DEPTH,
    MAX_WIDTH,
    Attention,
    Keys,
    Norm,
    ShortcutMode,
    Width,
    Word,
    broken,
)


class BlockKeys(Keys):
    """Keys that describe a block: at the top for all stages, in a stage for that stage."""

    block: Literal["basic", "bottleneck"] | None = Field(
        None,
        description="`basic`: two 3x3 convolutions; `bottleneck`: 1x1, 3x3, 1x1. Required, "
        "at the top or in every stage.",
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
            "linear",
            "relu-preact",
            "preact",
            "preact-shared",
        ]
        | None
    ) = Field(
        None,
        description="Where norm and activation stand (He et al. 2016, figure 4). `linear`: no "
        "activation at the block's end. `preact-shared`: every shortcut starts after the "
        "pre-activation.",
        examples=["preact"],
    )
    projection: Literal["conv", "avgpool-conv", "conv3x3"] | None = Field(
        None,
        description="A projection's layers: a strided 1x1 convolution; a 2x2 average pool, then a "
        "1x1 convolution (ResNet-D); a 3x3 convolution where it strides, else 1x1 (SENet-154).",
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
        "1 for a basic block.",
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
    attention: Annotated[Attention, Word] | None = Field(
        None, description="Attention over channels.", examples=["se"]
    )
    norm: Annotated[Norm, Word] | None = Field(
        None, description="Normalization.", examples=["group"]
    )
    activation: Literal["relu", "silu", "gelu", "leaky-relu", "elu", "hardswish"] | None = Field(
        None, description="The activation.", examples=["silu"]
    )
    convolution: Literal["plain", "standardized"] | None = Field(
        None,
        description="`standardized`: weights are normalized per output channel (Qiao et al. 2019).",
        examples=["standardized"],
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


class StageKeys(BlockKeys):
    """One stage: blocks of one width in a row."""

    depth: int = Field(ge=1, le=MAX_DEPTH, description="Number of blocks.", examples=[3])
    width: Width = Field(
        description="Channels a block puts out, which is what its shortcut sees.", examples=[256]
    )
    stride: int = Field(
        1, ge=1, le=64, description="Stride of the stage's first block.", examples=[2]
    )
    blocks: (
        Annotated[tuple[BlockKeys, ...], Field(strict=False, min_length=1, max_length=MAX_DEPTH)]
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
        if isinstance(data, dict) and isinstance(blocks := data.get("blocks"), list) and blocks:
            if data.get("depth", len(blocks)) != len(blocks):
                raise broken(
                    f"depth {data['depth']} and a list of {len(blocks)} blocks disagree; "
                    "keep one of the two",
                    "blocks",
                )
            return {"depth": len(blocks), **data}
        return data


BLOCK_KEYS: tuple[str, ...] = tuple(BlockKeys.model_fields)
