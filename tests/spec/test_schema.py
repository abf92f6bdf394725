"""The committed schema and documentation are the models', and hold for what ships."""

from __future__ import annotations

import json
from typing import Any

import jsonschema
import pytest
import yaml

from resgen.spec import Spec, pages, path_schema, schema, shipped
from resgen.spec.mistakes import known_keys

COMMITTED = json.loads(schema.SCHEMA_FILE.read_text(encoding="utf-8"))
VALIDATOR = jsonschema.Draft202012Validator(COMMITTED)
GOOD: dict[str, Any] = {
    "name": "net",
    "input": {"size": 32},
    "stem": {"kind": "conv3x3"},
    "block": "basic",
    "shortcut": "identity",
    "stages": [{"depth": 1, "width": 64}],
    "classes": 10,
}


def test_the_committed_schema_is_the_models() -> None:
    # As values: versions of pydantic differ in writing 0 or 0.0.
    assert json.loads(schema.schema_text()) == COMMITTED


def test_the_committed_documentation_is_the_models() -> None:
    written, mark, by_hand = pages.DOCS_FILE.read_text(encoding="utf-8").partition(pages.BY_HAND)
    assert written == pages.documentation()
    assert mark
    assert "## A block of your own" in by_hand
    assert pages.PATHS_FILE.read_text(encoding="utf-8") == path_schema.documentation()


def test_the_schema_is_one() -> None:
    jsonschema.Draft202012Validator.check_schema(COMMITTED)


@pytest.mark.parametrize("name", shipped.names())
def test_a_shipped_spec_is_valid_in_an_editor(name: str) -> None:
    data = yaml.safe_load((shipped.root() / f"{name}.yaml").read_text(encoding="utf-8"))
    assert [error.message for error in VALIDATOR.iter_errors(data)] == []


@pytest.mark.parametrize(
    "keys",
    [
        {},
        {"input": {"size": [7, 5]}},
        {"shortcut": {"kind": "scaled", "scale": 0.1}},
        {"drop_path": 0.2, "attention": "se", "norm": {"kind": "group", "groups": 8}},
        {"stages": [{"width": 8, "blocks": [{"groups": 2}, {}]}]},
        {"reference": "timm:resnet18"},
        {"stem": [{"conv": 3, "width": 16}, "norm", "act"], "head": ["global-pool", "flatten"]},
        {
            "define": {"mine": {"with": {"k": 3}, "path": [{"conv": "k"}, "norm", "add"]}},
            "block": {"kind": "mine", "k": 5},
        },
        {
            "block": [
                {
                    "branches": [["act", {"conv": [1, 3]}], []],
                    "take": ["in / 4", "rest"],
                    "join": "concat",
                },
                {"branches": [{"conv": 1}], "times": 2, "join": {"select": {"ratio": 0.5}}},
                "add",
            ],
            "stages": [{"depth": 1, "width": {"start": 60, "end": 64}, "before": ["norm"]}],
        },
    ],
)
def test_an_editor_takes_what_resgen_takes(keys: dict[str, Any]) -> None:
    data = {**GOOD, **keys}
    Spec.model_validate(data)
    assert VALIDATOR.is_valid(data)


def test_an_editor_takes_an_heirs_part_of_a_mapping() -> None:
    keys = {
        "attention": {"ratio": 0.5}, "norm": {"groups": 8}, "stem": {"width": 8},
        "shortcut": {"scale": 0.5}, "drop_path": {"rule": "constant"}, "regnet": {"depth": 3},
    }  # fmt: skip
    assert VALIDATOR.is_valid({"name": "net", "extends": "mine.yaml", **keys})


@pytest.mark.parametrize(
    "keys",
    [
        {"blok": "basic"},
        {"shortcut": "identty"},
        {"shortcut": None},
        {"classes": -1},
        {"stages": [{"depth": 1}]},
        {"stages": [{"width": 8}]},
        {"groups": 2, "group_width": 2},
        {"stem": {"width": 8}},
        {"attention": {"ratio": 0.5}},
        {"stages": [{"depth": 1, "width": 8, "attention": {"ratio": 0.5}}]},
        {"drop_path": {"rule": "constant"}},
        {"input": {"channels": 3}},
        {"regnet": {"depth": 4, "w0": 8, "wa": 8, "wm": 2, "group_width": 8}},
        {"stem": [{"conv": 3, "widht": 16}]},
        {"stem": [{"conv": 3, "stride": 0}]},
        {"block": [{"branches": [[]], "jion": "concat"}]},
        {"define": {"mine": {"wiht": {}, "path": []}}},
    ],
)
def test_an_editor_marks_what_resgen_refuses(keys: dict[str, Any]) -> None:
    assert not VALIDATOR.is_valid({**GOOD, **keys})


def _described() -> list[tuple[str, str, dict[str, Any]]]:
    models = {"Spec": COMMITTED, **COMMITTED["$defs"]}
    return [
        (name, key, value)
        for name, model in models.items()
        for key, value in model.get("properties", {}).items()
    ]


@pytest.mark.parametrize(("model", "key", "value"), _described())
def test_every_key_has_a_meaning_an_example_and_a_unit(
    model: str, key: str, value: dict[str, Any]
) -> None:
    assert value["description"].endswith(".")
    assert value["examples"]
    kinds = {option.get("type") for option in (value, *value.get("anyOf", ()))}
    assert ("unit" in value) == bool(kinds & {"integer", "number"})


def test_the_documentation_names_every_key() -> None:
    text = pages.DOCS_FILE.read_text(encoding="utf-8")
    keys = {key for _, key, _ in _described()}
    assert keys >= set(known_keys(Spec, ()))
    assert [key for key in sorted(keys) if f"\n| `{key}` |" not in text] == []
