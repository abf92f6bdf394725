"""The spec's models -> spec.schema.json, for editors."""

from __future__ import annotations

import json
from typing import Any

from resgen.spec import path_schema
from resgen.spec.attention import Attention
from resgen.spec.block import BlockEntry, BlockKeys, StageKeys
from resgen.spec.definitions import Use
from resgen.spec.model import Spec
from resgen.spec.norms import Activation, Norm
from resgen.spec.parts import (
    DropPath,
    Head,
    Input,
    Keys,
    ShortcutMode,
    Stem,
)
from resgen.spec.regnet import RegNet
from resgen.spec.settings import DEFAULTS, RIVALS
from resgen.spec.shipped import schema_file

SCHEMA_FILE = schema_file("spec")

# What a number counts, by key; where one key counts two things, by model and key.
UNITS = {
    "channels": "channels",
    "width": "channels",
    "mid_width": "channels",
    "first_width": "channels",
    "group_width": "channels",
    "w0": "channels",
    "wa": "channels a block",
    "size": "pixels",
    "stride": "pixels",
    "dilation": "pixels",
    "output_stride": "pixels",
    "kernel": "channels",
    "divisor": "channels",
    "StageKeys.depth": "blocks",
    "RegNet.depth": "blocks",
    "Spec.depth": "layers",
    "groups": "groups",
    "classes": "classes",
    "language": "version",
    "rate": "share",
    "dropout": "share",
    "drop_path": "share",
    "ratio": "ratio",
    "bottleneck_ratio": "ratio",
    "wm": "ratio",
    "scale": "factor",
    "residual_scale": "factor",
    "gate_bias": "logit",
    "slope": "factor",
    "eps": "variance",
    "share": "share",
}

# A plain value that stands for a mapping.
_SHORT_FORMS: dict[str, dict[str, Any]] = {
    "DropPath": {"type": "number", "minimum": 0, "exclusiveMaximum": 1},
    **{model.__name__: {} for model in (ShortcutMode, Attention, Norm, Activation)},
}


def schema() -> dict[str, Any]:
    """The JSON Schema of a spec file: what an editor completes and checks.

    It knows every key and value by itself; the rules between keys that need arithmetic
    are checked by resgen alone.
    """
    made = Spec.model_json_schema()
    made["description"] = made["description"].partition("\n")[0]  # without its example
    parts = made.pop("$defs")
    made = {"$schema": "https://json-schema.org/draft/2020-12/schema", **made, "$defs": parts}
    for part in (made, *parts.values()):
        for key, value in part["properties"].items():
            path_schema.marked(key, value)
    for name, part in (("Spec", made), *parts.items()):
        _tidy(name, part)
    for name in ("StageKeys", "BlockKeys", "BlockEntry"):
        parts[name]["allOf"] = [*_one_of_each_pair(), {"properties": _KINDS}]
    stage = parts["StageKeys"]
    stage["anyOf"] = [{"required": ["depth", "width"]}, {"required": ["blocks"]}]
    stage.pop("required", None)
    stage["properties"]["width"] = _growing(stage["properties"]["width"])
    parts |= path_schema.definitions()
    # An heir gives what differs, inside `stem` and its like too.
    regnet = parts["RegNet"]["required"]
    for part in ("Stem", "Input", "RegNet", "DropPath", "ShortcutMode", "Attention", "Norm"):
        parts[part].pop("required", None)
    made["required"] = ["name"]
    made["allOf"] = _one_of_each_pair()
    made["if"] = {"required": ["extends"]}
    made["then"] = {"not": {"required": ["stages", "regnet"]}}
    made["else"] = {
        "required": ["input", "stem", "classes"],
        "properties": {
            "input": {"required": ["size"]},
            "stem": _needs("kind"),
            "regnet": {"required": regnet},
            "drop_path": _needs("rate"),
            **_KINDS,
        },
        "oneOf": [{"required": ["stages"]}, {"required": ["regnet"]}],
    }
    return made


def _needs(key: str) -> dict[str, Any]:
    """Where a mapping is written, a key of it."""
    return {"if": {"type": "object"}, "then": {"required": [key]}}


_KINDS = {key: _needs("kind") for key in ("shortcut", "attention", "norm")}


def _growing(width: dict[str, Any]) -> dict[str, Any]:
    """A width, or one that grows from block to block."""
    bounds = {key: width.pop(key) for key in ("type", "minimum", "maximum")}
    multiple = {"type": "integer", "minimum": 1, "maximum": 1024}
    parts = {"start": bounds, "end": bounds, "round": multiple}
    grows = {"type": "object", "properties": parts, "required": ["start", "end"]}
    return {**width, "anyOf": [bounds, {**grows, "additionalProperties": False}]}


def _one_of_each_pair() -> list[Any]:
    return [{"not": {"required": list(pair)}} for pair in RIVALS]


def _tidy(model: str, part: dict[str, Any]) -> None:
    """What a person writes: no nulls, short forms, the defaults that hold, units."""
    part.pop("title", None)
    for key, value in part["properties"].items():
        value.pop("title", None)
        # pydantic leaves it out where the value is a mapping of its own.
        value.setdefault("description", _models()[model].model_fields[key].description)
        if "anyOf" in value and {"type": "null"} in value["anyOf"]:
            options = [option for option in value.pop("anyOf") if option != {"type": "null"}]
            value.update(options[0] if len(options) == 1 else {"anyOf": options})
        if value.get("default", "") is None or isinstance(value.get("default"), dict):
            del value["default"]
        if part["additionalProperties"] is False and model in (
            "Spec",
            "StageKeys",
            "BlockKeys",
            "BlockEntry",
        ):
            _default_of_block_key(model, key, value)
        _short_form(value)
        if key == "size":
            pair = {name: value.pop(name) for name in list(value) if name in _PAIR}
            value["anyOf"] = [pair["prefixItems"][0], pair]
        if key == "reference":
            value["anyOf"] = [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]
            value.pop("items"), value.pop("type"), value.pop("default")
        if unit := unit_of(model, key):
            value["unit"] = unit


_PAIR = ("type", "prefixItems", "minItems", "maxItems")


def _default_of_block_key(model: str, key: str, value: dict[str, Any]) -> None:
    default = DEFAULTS.get(key)
    if model == "Spec" and default is not None:
        if isinstance(default, Use):
            default = default.written
        words = Attention | Norm | Activation
        value["default"] = default.kind if isinstance(default, words) else default


def _short_form(value: dict[str, Any]) -> None:
    """`shortcut: none` for `shortcut: {kind: none}`, `drop_path: 0.2` for {rate: 0.2}."""
    name = value.get("$ref", "").rpartition("/")[2]
    if name not in _SHORT_FORMS:
        return
    plain = _SHORT_FORMS[name]
    if not plain:
        plain = {"enum": _models()[name].model_json_schema()["properties"]["kind"]["enum"]}
    value["anyOf"] = [plain, {"$ref": value.pop("$ref")}]


def unit_of(model: str, key: str) -> str:
    """The unit of a number, "" for words and mappings."""
    return UNITS.get(f"{model}.{key}") or UNITS.get(key, "")


def _models() -> dict[str, type[Keys]]:
    known: tuple[type[Keys], ...] = (
        Spec,
        Input,
        Stem,
        StageKeys,
        BlockKeys,
        BlockEntry,
        ShortcutMode,
        Attention,
        Norm,
        Activation,
        RegNet,
        DropPath,
        Head,
    )
    return {model.__name__: model for model in known}


def schema_text() -> str:
    """spec.schema.json as it is committed."""
    return json.dumps(schema(), indent=2, ensure_ascii=False) + "\n"
