"""The Spec: what the user wrote, validated. If one exists, its keys and values are sound.

Every key is an independent word with one meaning. A key that describes a block stands
at the top for all stages and may be overridden in one stage. The models below are the
only list of keys there is: the JSON Schema, the documentation and the error messages
are made from them.
"""

from __future__ import annotations

from functools import cached_property
from typing import Annotated

from pydantic import (
    BeforeValidator,
    Field,
    PrivateAttr,
    SerializerFunctionWrapHandler,
    Tag,
    ValidationError,
    model_serializer,
    model_validator,
)

from resgen.errors import UserError
from resgen.spec.block import BlockKeys, StageKeys
from resgen.spec.checks import check_use, own_library
from resgen.spec.definitions import Entry, Library, Use
from resgen.spec.idle import check_meaning
from resgen.spec.language import LANGUAGE
from resgen.spec.mistakes import Document, at, dotted
from resgen.spec.parts import (
    KEYS,
    PATH,
    STEM_WORDS,
    DropPath,
    Head,
    Input,
    Stem,
    Word,
    broken,
    number_as_rate,
    tagged,
)
from resgen.spec.readers import Network
from resgen.spec.regnet import RegNet, regnet_stages
from resgen.spec.rules import check_strides, stage_settings
from resgen.spec.sentences import as_written
from resgen.spec.settings import BlockSettings, LayerSettings, outside


def _one_as_list(value: object) -> object:
    return [value] if isinstance(value, str) else value


class Spec(BlockKeys):
    """A residual network.

    Examples:
        >>> from resgen import load_spec
        >>> spec = load_spec("resnet50", ["classes=10"])
        >>> spec
        <Spec resnet50: bottleneck blocks 3-4-6-3, 10 classes>
        >>> spec.stages[3].width
        2048
    """

    language: int = Field(
        LANGUAGE,
        ge=1,
        le=LANGUAGE,
        description="The version of the language the spec is written in, which this table is of. "
        "A newer one is refused by a resgen that does not speak it.",
        examples=[LANGUAGE],
    )
    extends: str | None = Field(
        None,
        description="A spec (path or shipped name) whose keys hold where this one is silent. "
        "One level; mappings are merged, lists replaced whole.",
        examples=["imagenet/resnet50"],
    )
    name: str = Field(
        pattern=r"^[A-Za-z0-9][A-Za-z0-9 ._+-]{0,63}$",
        description="The network's name: letters, digits, spaces and `._+-`, at most 64.",
        examples=["resnet50"],
    )
    depth: int | None = Field(
        None,
        ge=1,
        description="Weighted layers of the main path, the linear layer among them even where it "
        "is left out; checked against the stages, nothing is made from it.",
        examples=[50],
    )
    input: Input = Field(
        description="The images the network takes.", examples=[{"channels": 3, "size": 224}]
    )
    define: dict[str, Entry] = Field(
        {},
        description="Paths by name: a list of rows, or {with: parameters and their defaults, "
        "path: rows}.",
        examples=[{"separable": [{"conv": 3, "groups": "depthwise"}, {"conv": 1, "width": "out"}]}],
    )
    stem: Annotated[
        Annotated[Stem, Tag(KEYS)] | Annotated[Use, Tag(PATH)], tagged(*STEM_WORDS), Word
    ] = Field(
        description="What comes before the first stage: a word with its width, or a path.",
        examples=[{"kind": "conv7x7-pool", "width": 64}],
    )
    stages: Annotated[tuple[StageKeys, ...], Field(strict=False, min_length=1, max_length=64)] = (
        Field(
            description="The stages, first to last. Required, unless `regnet` stands for them.",
            examples=[[{"depth": 3, "width": 16}, {"depth": 3, "width": 32, "stride": 2}]],
        )
    )
    regnet: RegNet | None = Field(
        None,
        description="Stages from a quantized line, in place of `stages`.",
        examples=[{"depth": 22, "w0": 24, "wa": 24.48, "wm": 2.54, "group_width": 16}],
    )
    drop_path: Annotated[DropPath, BeforeValidator(number_as_rate)] | None = Field(
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
    head: Annotated[Annotated[Head, Tag(KEYS)] | Annotated[Use, Tag(PATH)], tagged("")] = Field(
        Head(),
        description="What comes after the last stage: a few keys, or a path.",
        examples=[{"dropout": 0.25}],
    )
    classes: int = Field(
        ge=0,
        le=10_000_000,
        description="Outputs of the linear layer; 0 for a backbone without one.",
        examples=[1000],
    )

    reference: Annotated[tuple[str, ...], Field(strict=False), BeforeValidator(_one_as_list)] = (
        Field(
            (),
            description="What the network was checked against: `source:name`, one or several.",
            examples=["torchvision:resnet50"],
        )
    )

    _document: Document | None = PrivateAttr(None)

    @model_validator(mode="before")
    @classmethod
    def _expanded(cls, data: object) -> object:
        """Writes out the stages a `regnet` key stands for."""
        if not isinstance(data, dict) or data.get("regnet") is None:
            return data
        if data.get("stages") is not None:
            raise broken("regnet stands in place of stages; keep one of the two", "regnet")
        try:
            regnet = RegNet.model_validate(data["regnet"])
        except ValidationError:
            # Checked again, and reported, as the field it is.
            return {**data, "stages": [{"depth": 1, "width": 8}]}
        return {**data, "stages": regnet_stages(regnet, data.get("bottleneck_ratio"))}

    @model_serializer(mode="wrap")
    def _own_keys(self, handler: SerializerFunctionWrapHandler) -> dict[str, object]:
        """`regnet` stands for its stages in what is dumped, as in what was written."""
        data: dict[str, object] = handler(self)
        if self.regnet is not None and "regnet" in data:
            data.pop("stages", None)
        return data

    @model_validator(mode="after")
    def _sound_stages(self) -> Spec:
        assert self.stage_settings  # made, and so checked
        if self.output_stride:
            check_strides(self.stages, self.stage_settings)
        for key, words in (("stem", STEM_WORDS), ("head", ())):
            if isinstance(use := getattr(self, key), Use):
                check_use(use, (key,), self.library, words)
        check_meaning(self._network)
        return self

    def __repr__(self) -> str:
        blocks = dict.fromkeys(each.block.name for stage in self.stage_settings for each in stage)
        depths = "-".join(str(stage.depth) for stage in self.stages)
        return f"<Spec {self.name}: {', '.join(blocks)} blocks {depths}, {self.classes} classes>"

    __str__ = __repr__

    @property
    def overrides(self) -> tuple[str, ...]:
        """What was typed over the spec's file, and is in it."""
        return self._document.overrides if self._document else ()

    @property
    def _network(self) -> Network:
        return Network(
            self,
            self.stem,
            self.stages,
            self.head,
            self.regnet,
            self.drop_path,
            self.output_stride,
            self.library,
            self.outside,
            self.stage_settings,
        )

    @cached_property
    def library(self) -> Library:
        """The definitions, checked."""
        return own_library(self.define)

    @cached_property
    def outside(self) -> LayerSettings:
        """What holds outside the stages: the top's own keys, else the defaults."""
        return outside((self,))

    @cached_property
    def stage_settings(self) -> tuple[tuple[BlockSettings, ...], ...]:
        """Of each stage, what its blocks are made by: one record for all, or one for each."""
        return stage_settings(self, self.stages, self.library)

    def settings(self, index: int, block: int = 0) -> BlockSettings:
        """Every block key as it holds in one block of one stage."""
        settings = self.stage_settings[index]
        return settings[min(block, len(settings) - 1)]

    def mistake(self, rule: str, *path: str | int) -> UserError:
        """A rule that the Spec breaks once it is resolved, with the place of the value."""
        document, whose = self._document, ""
        if document:
            path, whose = as_written(path, document.data)
        place = at(path, document.keys, document.values) if document else None
        name = f"{dotted(path)}: " if path else ""
        return UserError(f"{place or self.name}: {name}{'' if 'stage' in rule else whose}{rule}")
