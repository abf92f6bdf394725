"""The committed schema is the model's, and holds for what ships."""

from __future__ import annotations

import json
from typing import Any

import jsonschema
import pytest
import yaml

from resgen.experiment import schema
from resgen.spec import shipped
from tests.experiments import KEYS

COMMITTED = json.loads(schema.SCHEMA_FILE.read_text(encoding="utf-8"))
VALIDATOR = jsonschema.Draft202012Validator(COMMITTED)


def test_the_committed_schema_is_the_models() -> None:
    assert json.loads(schema.schema_text()) == COMMITTED
    jsonschema.Draft202012Validator.check_schema(COMMITTED)


def test_an_editor_takes_what_resgen_takes() -> None:
    assert [error.message for error in VALIDATOR.iter_errors(KEYS)] == []


@pytest.mark.parametrize("keys", [{"clam": "x"}, {"expect": []}, {"scales": {}}, {"title": 3}])
def test_an_editor_marks_what_resgen_refuses(keys: dict[str, Any]) -> None:
    assert list(VALIDATOR.iter_errors({**KEYS, **keys}))


@pytest.mark.parametrize("name", shipped.names("experiment"))
def test_a_shipped_experiment_is_valid_in_an_editor(name: str) -> None:
    text = (shipped.root() / "experiments" / f"{name}.yaml").read_text(encoding="utf-8")
    assert text.startswith("# yaml-language-server: $schema=../experiment.schema.json\n")
    assert [error.message for error in VALIDATOR.iter_errors(yaml.safe_load(text))] == []
