"""The parts of a Spec: input, stem, shortcut, stochastic depth, head."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Discriminator,
    Field,
    SerializerFunctionWrapHandler,
    Tag,
    model_serializer,
    model_validator,
)
from pydantic_core import PydanticCustomError

from resgen.spec.checked import Checked
from resgen.words import joined

MAX_WIDTH = 65_536
MAX_DEPTH = 10_000
MAX_SIZE = 16_384


class Keys(Checked):
    """Keys of a spec, some of them for some kinds only."""

    # The kinds a key belongs to, where it does not belong to all.
    owners: ClassVar[dict[str, tuple[str, ...]]] = {}

    @model_serializer(mode="wrap")
    def _own_keys(self, handler: SerializerFunctionWrapHandler) -> dict[str, object]:
        """Only keys that mean something here, so that what is dumped can be read again."""
        data: dict[str, object] = handler(self)
        kind = data.get("kind")
        return {key: v for key, v in data.items() if kind in self.owners.get(key, (kind,))}


def broken(rule: str, *path: str | int) -> PydanticCustomError:
    """A broken rule between keys, with the path of the value to change."""
    rule = _encodable(rule)
    at = [_encodable(part) if isinstance(part, str) else part for part in path]
    return PydanticCustomError("rule", "{rule}", {"rule": rule, "at": at})


def idle_key(why: str, *path: str | int) -> PydanticCustomError:
    """The mistake of a key that means nothing where it stands; one that is inherited goes."""
    at = list(path)
    return PydanticCustomError("rule", "{rule}", {"rule": _encodable(why), "at": at, "idle": True})


def _encodable(text: str) -> str:
    """The text with half characters, of which there is no UTF-8, written as their escapes."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def refuse_foreign(model: Keys, what: str) -> None:
    """Refuses keys that mean nothing for the kind given, so that none is silently ignored."""
    given: str = model.kind  # type: ignore[attr-defined]
    for key, kinds in model.owners.items():
        if key in model.model_fields_set and given not in kinds:
            raise broken(f"{key} belongs to {joined(kinds)} {what}, not to {given}", key)


def _word_as_kind(value: object) -> object:
    return {"kind": value} if isinstance(value, str) else value


def _size_as_pair(value: object) -> object:
    if isinstance(value, int) and not isinstance(value, bool):
        return (value, value)
    return value


def tagged(*words: str) -> Discriminator:
    """Tells keys of a kind that is shipped from a definition's name or a path."""

    def tag(value: object) -> str:
        kind = value.get("kind", words[0]) if isinstance(value, dict) else value
        return KEYS if isinstance(kind, Keys) or kind in words or kind is None else PATH

    return Discriminator(tag)


# What pydantic adds to the place of a mistake in a union; no key has such a name.
KEYS, PATH = "<keys>", "<path>"

Word = BeforeValidator(_word_as_kind)
Width = Annotated[int, Field(ge=1, le=MAX_WIDTH)]
Side = Annotated[int, Field(ge=1, le=MAX_SIZE)]
_Step = Annotated[int, Field(ge=1, le=64)]
Stride = Annotated[
    Annotated[_Step, Tag(KEYS)]
    | Annotated[
        tuple[_Step, _Step],
        Field(strict=False),
        AfterValidator(lambda pair: pair[0] if pair[0] == pair[1] else pair),
        Tag(PATH),
    ],
    Discriminator(lambda value: PATH if isinstance(value, list | tuple) else KEYS),
]
"""One number for both sides, or a pair that differs."""
Size = Annotated[tuple[Side, Side], Field(strict=False), BeforeValidator(_size_as_pair)]


class Input(Keys):
    """The images the network takes."""

    channels: Width = Field(3, description="Channels of an image.", examples=[3])
    size: Size = Field(
        description="Height and width in pixels; one number for both.", examples=[224]
    )


STEM_WORDS = ("conv3x3", "conv3x3-s2", "conv7x7", "conv7x7-pool", "deep", "deep-tiered")


class Stem(Keys):
    """What comes before the first stage."""

    kind: Literal[STEM_WORDS] = Field(  # type: ignore[valid-type]
        description="The convolutions: one 3x3; one 3x3 of stride 2; one 7x7 of stride 2, bare "
        "or with the 3x3/2 max pool of He et al. 2015; three 3x3 of half, half and full width "
        "(deep, ResNet-C: an even width) or of 3/8, half and full width (deep-tiered: a width "
        "divisible by 8), with the pool too.",
        examples=["conv7x7-pool"],
    )
    width: Width = Field(64, description="Channels the stem puts out.", examples=[64])
    pool: Literal["none", "max", "max-zero-padded", "max-ceil", "conv"] | None = Field(
        None,
        description="What halves the stem's output: nothing, a 3x3/2 max pool, one padded with "
        "zeros (BiT), one that reaches over the edge (Caffe's ResNets, SENet), or a 3x3/2 "
        "convolution with norm and activation (ResNet-RS). "
        "By default what the stem's kind says.",
        examples=["conv"],
    )
    first_activation: Literal["stem", "block", "both"] = Field(
        "stem",
        description="Where pre-activation orders put the first norm and activation: at the end of "
        "the stem, before the paths split (He et al. 2016), inside the first block (timm), or in "
        "both (Gluon).",
        examples=["block"],
    )

    @property
    def halves(self) -> str:
        """What halves the stem's output: the pool that is said, or that of its kind."""
        pooled = self.kind in ("conv7x7-pool", "deep", "deep-tiered")
        return self.pool or ("max" if pooled else "none")


class ShortcutMode(Keys):
    """How a block's input reaches its output; a word alone is its kind."""

    owners: ClassVar[dict[str, tuple[str, ...]]] = {
        "scale": ("scaled",),
        "residual_scale": ("scaled",),
        "gate_bias": ("gated", "gated-shortcut"),
        "rate": ("dropout",),
        "padding": ("identity", "scaled", "gated", "gated-shortcut", "dropout"),
    }

    kind: Literal[
        "none",
        "identity",
        "identity-same",
        "identity-pooled",
        "projection",
        "projection-all",
        "scaled",
        "gated",
        "gated-shortcut",
        "dropout",
    ] = Field(
        description="`none`: plain. `identity`: parameter-free everywhere, padded with zeros and "
        "subsampled where the shape changes (option A). `identity-same`: identity where the shape "
        "is kept, none elsewhere. `identity-pooled`: as `identity`, averaged and not subsampled "
        "(PyramidNet). `projection`: 1x1 convolution where the shape changes "
        "(option B). `projection-all`: everywhere (option C). `scaled`, `gated`, "
        "`gated-shortcut`, `dropout`: the shortcut functions of He et al. 2016, table 1, "
        "over the padded identity.",
        examples=["projection"],
    )
    scale: float = Field(0.5, description="`scaled`: the factor on the shortcut.", examples=[0.5])
    residual_scale: float = Field(
        0.5, description="`scaled`: the factor on the main path.", examples=[0.5]
    )
    gate_bias: float = Field(
        0.0, description="`gated`, `gated-shortcut`: the gate's initial bias.", examples=[-6]
    )
    rate: float = Field(
        0.5, ge=0, lt=1, description="`dropout`: the share of elements dropped.", examples=[0.5]
    )
    padding: Literal["behind", "both-sides"] = Field(
        "behind",
        description="Where a padded identity's new channels of zeros are: all behind the input's "
        "(He et al. 2015), or half of them ahead (Idelbayev's CIFAR networks).",
        examples=["both-sides"],
    )

    @model_validator(mode="after")
    def _own_keys_only(self) -> ShortcutMode:
        refuse_foreign(self, "shortcuts")
        return self


class DropPath(Keys):
    """Stochastic depth (Huang et al. 2016)."""

    rate: float = Field(ge=0, lt=1, description="Rate of the last block.", examples=[0.2])
    rule: Literal["linear", "constant"] = Field(
        "linear",
        description="`linear`: from 0 in the first block to the rate in the last.",
        examples=["linear"],
    )


def number_as_rate(value: object) -> object:
    """A number alone is the rate."""
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
    final_activation: Literal["order", "none"] = Field(
        "order",
        description="The norm and activation behind the last block: those that the order leaves "
        "for the end, as pre-activation orders do, or none.",
        examples=["none"],
    )
