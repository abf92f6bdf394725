"""The Spec: what the user wrote, validated. If one exists, its keys and values are sound.

Every key is an independent word with one meaning. A key that describes a block stands
at the top for all stages and may be overridden in one stage. The models below are the
only list of keys there is: the JSON Schema, the documentation and the error messages
are made from them.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PrivateAttr,
    model_validator,
)
from pydantic_core import PydanticCustomError

from resgen.errors import UserError
from resgen.reading import Document, at, dotted

MAX_WIDTH = 65_536
MAX_DEPTH = 10_000
MAX_SIZE = 16_384


class Keys(BaseModel):
    """Keys and nothing else: unknown ones are errors, values are taken as written."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


def broken(rule: str, *path: str | int) -> PydanticCustomError:
    """A broken rule between keys, with the path of the value to change."""
    return PydanticCustomError("rule", "{rule}", {"rule": rule, "at": list(path)})


def _word_as_kind(value: Any) -> Any:
    return {"kind": value} if isinstance(value, str) else value


def _size_as_pair(value: Any) -> Any:
    if isinstance(value, int) and not isinstance(value, bool):
        return (value, value)
    return value


Word = BeforeValidator(_word_as_kind)
Width = Annotated[int, Field(ge=1, le=MAX_WIDTH)]
Side = Annotated[int, Field(ge=1, le=MAX_SIZE)]


class Input(Keys):
    """The images the network takes."""

    channels: Width = Field(3, description="Channels of an image.", examples=[3])
    size: Annotated[
        tuple[Side, Side], Field(strict=False), BeforeValidator(_size_as_pair)
    ] = Field(description="Height and width in pixels; one number for both.", examples=[224])


class Stem(Keys):
    """What comes before the first stage."""

    kind: Literal["conv3x3", "conv3x3-s2", "conv7x7", "conv7x7-pool", "deep", "deep-tiered"] = Field(
        description="The convolutions: one 3x3, one 3x3 of stride 2, one 7x7 of stride 2 (bare or "
        "with the 3x3/2 max pool of He et al. 2015), three 3x3 of half, half and full width (deep, "
        "ResNet-C), or of 3/8, half and full width (deep-tiered). The deep stems are pooled too.",
        examples=["conv7x7-pool"],
    )
    width: Width = Field(64, description="Channels the stem puts out.", examples=[64])
    pool: Literal["none", "max", "max-zero-padded", "conv"] | None = Field(
        None,
        description="What halves the stem's output: nothing, a 3x3/2 max pool, one padded with "
        "zeros (BiT), or a 3x3/2 convolution with norm and activation (ResNet-RS). "
        "By default what the stem's kind says.",
        examples=["conv"],
    )
    first_activation: Literal["stem", "block"] = Field(
        "stem",
        description="Where pre-activation orders put the first norm and activation: at the end of "
        "the stem, before the paths split (He et al. 2016), or inside the first block (timm).",
        examples=["block"],
    )


class ShortcutMode(Keys):
    """How a block's input reaches its output; a word alone is its kind."""

    kind: Literal[
        "none",
        "identity",
        "identity-same",
        "projection",
        "projection-all",
        "scaled",
        "gated",
        "gated-shortcut",
        "dropout",
    ] = Field(
        description="`none`: plain. `identity`: parameter-free everywhere, padded with zeros and "
        "subsampled where the shape changes (option A). `identity-same`: identity where the shape "
        "is kept, none elsewhere. `projection`: 1x1 convolution where the shape changes "
        "(option B). `projection-all`: everywhere (option C). `scaled`, `gated`, "
        "`gated-shortcut`, `dropout`: the shortcut functions of He et al. 2016, table 1, "
        "over the padded identity.",
        examples=["projection"],
    )
    scale: float = Field(
        0.5, description="`scaled`: the factor on the shortcut.", examples=[0.5]
    )
    residual_scale: float = Field(
        0.5, description="`scaled`: the factor on the main path.", examples=[0.5]
    )
    gate_bias: float = Field(
        0.0, description="`gated`, `gated-shortcut`: the gate's initial bias.", examples=[-6]
    )
    rate: float = Field(
        0.5, ge=0, lt=1, description="`dropout`: the share of elements dropped.", examples=[0.5]
    )

    @model_validator(mode="after")
    def _own_keys_only(self) -> ShortcutMode:
        for key, kinds in _SHORTCUT_KEYS.items():
            if key in self.model_fields_set and self.kind not in kinds:
                raise broken(
                    f"{key} belongs to {' and '.join(kinds)} shortcuts, not to {self.kind}", key
                )
        return self


_SHORTCUT_KEYS = {
    "scale": ("scaled",),
    "residual_scale": ("scaled",),
    "gate_bias": ("gated", "gated-shortcut"),
    "rate": ("dropout",),
}


class Attention(Keys):
    """Attention over channels; a word alone is its kind."""

    kind: Literal["none", "se"] = Field(
        description="`se`: squeeze-and-excitation (Hu et al. 2017).", examples=["se"]
    )
    ratio: float = Field(
        0.0625,
        gt=0,
        le=16,
        description="`se`: the squeezed width over the width it is taken of.",
        examples=[0.25],
    )
    ratio_of: Literal["width", "input"] = Field(
        "width",
        description="`se`: the width the ratio is taken of: the channels attended to, "
        "or the block's input (RegNet).",
        examples=["input"],
    )
    divisor: int = Field(
        8,
        ge=1,
        le=1024,
        description="`se`: the squeezed width is rounded to a multiple of this, and is at least it.",
        examples=[1],
    )
    position: Literal["end", "3x3"] = Field(
        "end",
        description="After the block's last norm, or after the 3x3 convolution (RegNet).",
        examples=["3x3"],
    )


class Norm(Keys):
    """Normalization; a word alone is its kind."""

    kind: Literal["batch", "group", "none"] = Field(
        description="Batch norm, group norm, or none (convolutions then have biases).",
        examples=["batch"],
    )
    groups: int | None = Field(
        None, ge=1, description="`group`: groups a layer; 32 by default.", examples=[32]
    )
    group_width: int | None = Field(
        None, ge=1, description="`group`: channels a group, in place of `groups`.", examples=[16]
    )

    @model_validator(mode="after")
    def _one_rule(self) -> Norm:
        given = [key for key in ("groups", "group_width") if getattr(self, key) is not None]
        if given and self.kind != "group":
            raise broken(f"{given[0]} belongs to group norm, not to {self.kind}", given[0])
        if len(given) == 2:
            raise broken("groups and group_width say the same thing; keep one", "group_width")
        return self


class DropPath(Keys):
    """Stochastic depth (Huang et al. 2016)."""

    rate: float = Field(ge=0, lt=1, description="Rate of the last block.", examples=[0.2])
    rule: Literal["linear", "constant"] = Field(
        "linear",
        description="`linear`: from 0 in the first block to the rate in the last.",
        examples=["linear"],
    )


def _number_as_rate(value: Any) -> Any:
    return {"rate": value} if isinstance(value, int | float) else value


class Head(Keys):
    """What comes after the last stage."""

    width: Width | None = Field(
        None,
        description="Channels of a 1x1 convolution, norm and activation before the pool.",
        examples=[1024],
    )
    dropout: float = Field(
        0.0, ge=0, lt=1, description="Dropout rate before the linear layer.", examples=[0.25]
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
    order: Literal[
        "original",
        "bn-after-add",
        "relu-before-add",
        "linear",
        "relu-preact",
        "preact",
        "preact-shared",
    ] | None = Field(
        None,
        description="Where norm and activation stand (He et al. 2016, figure 4). `linear`: no "
        "activation at the block's end. `preact-shared`: every shortcut starts after the "
        "pre-activation. `original` by default.",
        examples=["preact"],
    )
    projection: Literal["conv", "avgpool-conv", "conv3x3"] | None = Field(
        None,
        description="A projection's layers: a strided 1x1 convolution; a 2x2 average pool, then a "
        "1x1 convolution (ResNet-D); a 3x3 convolution where it strides, else 1x1 (SENet-154). "
        "`conv` by default.",
        examples=["avgpool-conv"],
    )
    stride_at: Literal["3x3", "1x1"] | None = Field(
        None,
        description="Which convolution of a bottleneck strides: the 3x3 (v1.5) or the first 1x1 "
        "(v1). `3x3` by default.",
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
    reduce_first: int | None = Field(
        None,
        ge=1,
        le=64,
        description="The first convolution puts out the inner width over this (SENet-154: 2). "
        "1 by default.",
        examples=[2],
    )
    groups: int | None = Field(
        None,
        ge=1,
        le=MAX_WIDTH,
        description="Groups of the 3x3 convolutions. 1 by default.",
        examples=[32],
    )
    group_width: Width | None = Field(
        None, description="Inner channels a group, in place of `groups`.", examples=[16]
    )
    attention: Annotated[Attention, Word] | None = Field(
        None, description="Attention over channels. `none` by default.", examples=["se"]
    )
    norm: Annotated[Norm, Word] | None = Field(
        None, description="Normalization. `batch` by default.", examples=["group"]
    )
    activation: Literal["relu", "silu", "gelu", "leaky-relu", "elu", "hardswish"] | None = Field(
        None, description="The activation. `relu` by default.", examples=["silu"]
    )
    convolution: Literal["plain", "standardized"] | None = Field(
        None,
        description="`standardized`: weights are normalized per output channel (Qiao et al. 2019). "
        "`plain` by default.",
        examples=["standardized"],
    )
    zero_init: Literal["none", "last"] | None = Field(
        None,
        description="`last`: the scale of a block's last norm starts at zero, so that the block "
        "starts as its shortcut (Goyal et al. 2017). `none` by default.",
        examples=["last"],
    )
    antialias: Literal["none", "blur", "avgpool"] | None = Field(
        None,
        description="What strides in place of a strided convolution: a binomial blur (Zhang 2019) "
        "or an average pool. `none` by default.",
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


DEFAULTS: dict[str, Any] = {
    "block": None,
    "shortcut": None,
    "order": "original",
    "projection": "conv",
    "stride_at": "3x3",
    "bottleneck_ratio": None,
    "mid_width": None,
    "reduce_first": 1,
    "groups": None,
    "group_width": None,
    "attention": Attention(kind="none"),
    "norm": Norm(kind="batch"),
    "activation": "relu",
    "convolution": "plain",
    "zero_init": "none",
    "antialias": "none",
}
BLOCK_KEYS: tuple[str, ...] = tuple(BlockKeys.model_fields)
assert set(BLOCK_KEYS) == set(DEFAULTS)

# Two spellings of one fact: a stage that gives the one is not asked for the other.
RIVALS = (("bottleneck_ratio", "mid_width"), ("groups", "group_width"))


class Spec(BlockKeys):
    """A residual network."""

    name: str = Field(
        pattern=r"^[A-Za-z0-9][A-Za-z0-9 ._+-]{0,63}$",
        description="The network's name: letters, digits, spaces and `._+-`, at most 64.",
        examples=["resnet50"],
    )
    depth: int | None = Field(
        None,
        ge=1,
        description="Weighted layers of the main path, where the name states them; checked.",
        examples=[50],
    )
    input: Input = Field(description="The images the network takes.")
    stem: Stem = Field(description="What comes before the first stage.")
    stages: Annotated[tuple[StageKeys, ...], Field(strict=False, min_length=1, max_length=64)] = (
        Field(description="The stages, first to last.")
    )
    drop_path: Annotated[DropPath, BeforeValidator(_number_as_rate)] | None = Field(
        None,
        description="Stochastic depth: the rate at which whole blocks are skipped in training.",
        examples=[0.2],
    )
    output_stride: int | None = Field(
        None,
        ge=1,
        description="The most the stages may shrink the input by; later strides become dilations.",
        examples=[16],
    )
    head: Head = Field(Head(), description="What comes after the last stage.")
    classes: int = Field(
        ge=0,
        le=10_000_000,
        description="Outputs of the linear layer; 0 for a backbone without one.",
        examples=[1000],
    )

    _document: Document | None = PrivateAttr(None)

    @model_validator(mode="after")
    def _sound_stages(self) -> Spec:
        for index in range(len(self.stages)):
            check_stage(self, index)
        return self

    def settings(self, index: int) -> dict[str, Any]:
        """Every block key as it holds in one stage: the stage's, else the top's, else the default."""
        stage = self.stages[index]
        values = dict(DEFAULTS)
        for level in (self, stage):
            given = {
                key: value for key in BLOCK_KEYS if (value := getattr(level, key)) is not None
            }
            for pair in RIVALS:
                if given.keys() & set(pair):
                    values.update(dict.fromkeys(pair))
            values.update(given)
        return values

    def mistake(self, rule: str, *path: str | int) -> UserError:
        """A rule that the Spec breaks once it is resolved, with the place of the value."""
        document = self._document
        place = at(path, document.keys, document.values) if document else None
        return UserError(f"{place or self.name}: {dotted(path)}: {rule}")


def check_stage(spec: Spec, index: int) -> None:
    """The rules between the keys of one stage; raises the first broken one."""
    level: list[str | int] = ["stages", index]
    stage, values = spec.stages[index], spec.settings(index)

    def written(key: str) -> list[str | int]:
        return [*level, key] if getattr(stage, key) is not None else [key]

    for key in ("block", "shortcut"):
        if values[key] is None:
            raise broken(f"{key} is missing: give it at the top or in this stage", *level)
    for layer in (spec, stage):
        for one, other in RIVALS:
            if getattr(layer, one) is not None and getattr(layer, other) is not None:
                at_ = [other] if layer is spec else [*level, other]
                raise broken(f"{one} and {other} say the same thing; keep one", *at_)
    if values["block"] == "basic" and values["stride_at"] == "1x1":
        raise broken("a basic block has no 1x1 convolution to stride at", *written("stride_at"))
    if values["zero_init"] == "last" and not _has_last_norm(values):
        raise broken(
            "zero_init: last needs a norm at the end of the main path; "
            f"order {values['order']} with norm {values['norm'].kind} has none",
            *written("zero_init"),
        )
    try:
        mid, groups = inner_widths(values, stage.width)
    except ValueError as error:
        raise broken(str(error), *level, "width") from None
    first = mid // values["reduce_first"]
    for what, count in (("width", stage.width), ("inner width", mid), ("first width", first)):
        if values["block"] == "bottleneck" and what != "inner width":
            continue
        if count % groups:
            raise broken(
                f"the {what} {count} must be divisible by the {groups} groups", *level, "width"
            )


def _has_last_norm(values: dict[str, Any]) -> bool:
    return values["norm"].kind != "none" and values["order"] in (
        "original",
        "bn-after-add",
        "relu-before-add",
        "linear",
        "relu-preact",
    )


def inner_widths(values: dict[str, Any], width: int) -> tuple[int, int]:
    """(inner width, groups) of a block; raises ValueError where they do not come out whole."""
    mid = values["mid_width"]
    if mid is None:
        ratio = values["bottleneck_ratio"] or (4 if values["block"] == "bottleneck" else 1)
        exact = width / Fraction(repr(ratio))
        if exact.denominator != 1 or exact < 1:
            raise ValueError(f"width must be divisible by bottleneck_ratio {ratio} (got {width})")
        mid = int(exact)
    if mid % values["reduce_first"]:
        raise ValueError(
            f"the inner width {mid} must be divisible by reduce_first {values['reduce_first']}"
        )
    if values["group_width"] is None:
        return mid, values["groups"] or 1
    if mid % values["group_width"]:
        raise ValueError(
            f"the inner width {mid} must be divisible by group_width {values['group_width']}"
        )
    return mid, mid // values["group_width"]
