"""The recipe's schema is the model's, holds for what ships, and is what an editor needs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from pydantic import BaseModel, ValidationError

from resgen.errors import UserError
from resgen.spec.assigning import set_values
from resgen.spec.reading import read_document
from resgen.spec.shipped import find, names
from resgen.train.recipe import Recipe, read_recipe, schema
from resgen.train.recipe import keys as recipe
from resgen.train.recipe.keys import far_changes
from tests.training import RECIPE

COMMITTED = json.loads(schema.SCHEMA_FILE.read_text(encoding="utf-8"))
VALIDATOR = jsonschema.Draft202012Validator(COMMITTED)
MODELS = [
    model
    for model in vars(recipe).values()
    if isinstance(model, type) and issubclass(model, BaseModel) and model.model_fields
]


def test_the_committed_schema_is_the_models() -> None:
    # As values: versions of pydantic differ in writing 0 or 0.0.
    assert json.loads(schema.schema_text()) == COMMITTED
    jsonschema.Draft202012Validator.check_schema(COMMITTED)


@pytest.mark.parametrize("name", names("recipe"))
def test_a_shipped_recipe_is_valid_in_an_editor(name: str) -> None:
    path = Path(find("recipe", name))
    data = read_document(path, what="recipe").data
    assert [error.message for error in VALIDATOR.iter_errors(data)] == []
    first = path.read_text(encoding="utf-8").splitlines()[0]
    path_of_schema = first.removeprefix("# yaml-language-server: $schema=")
    assert (path.parent / path_of_schema).resolve() == schema.SCHEMA_FILE


@pytest.mark.parametrize(
    "keys",
    [
        {"lenght": "2 epochs"},
        {"length": 2},
        {"length": "2 weeks"},
        {"length": "-2 epochs"},
        {"batch": 0},
        {"optimizer": {"kind": "adam", "lr": 0.1}},
        {"optimizer": {}},
        {"schedule": {"kind": "cosine", "warmup": "five epochs"}},
        {"augment": {"flip": "vertical"}},
        {"loss": {"label_smoothing": 1}},
        {"ema": {"decay": 1.0}},
    ],
)
def test_an_editor_refuses_what_resgen_refuses(keys: dict[str, Any]) -> None:
    data = {**RECIPE, **keys}
    with pytest.raises(ValidationError):
        Recipe.model_validate(data)
    assert list(VALIDATOR.iter_errors(data))


@pytest.mark.parametrize(
    ("changes", "notes"),
    [
        ([], []),
        (["optimizer.lr=0.02", "optimizer.weight_decay=9e-4"], []),
        (["optimizer.lr=1.0"], ["optimizer.lr 1 is 10 times the recipe's 0.1"]),
        (
            ["optimizer.lr=0.001", "optimizer.weight_decay=0.01"],
            [
                "optimizer.lr 0.001 is 0.01 times the recipe's 0.1",
                "optimizer.weight_decay 0.01 is 100 times the recipe's 0.0001",
            ],
        ),
        (["optimizer.weight_decay=0"], []),
    ],
)
def test_numbers_far_from_the_recipes_are_noted(changes: list[str], notes: list[str]) -> None:
    preset = read_recipe("he2015-cifar")
    assert far_changes(preset, set_values(preset, changes)) == notes


@pytest.mark.parametrize(
    "length", ["1234567 steps", "0.0000001 epochs", "30 epochs", "2.5 epochs", "0.1 epochs"]
)
def test_a_length_is_written_with_all_its_digits(length: str) -> None:
    recipe = Recipe.model_validate({**RECIPE, "length": length})
    assert str(recipe.length) == length
    assert Recipe.model_validate(recipe.model_dump(mode="json")) == recipe


@pytest.mark.parametrize("length", ["9" * 400 + " epochs", "9" * 20 + " steps"])
def test_a_length_beyond_all_bounds_is_refused(length: str) -> None:
    with pytest.raises(ValidationError, match="may be at most 1,000,000,000,000"):
        Recipe.model_validate({**RECIPE, "length": length})


@pytest.mark.parametrize("keys", [{"batch": "128"}, {"batch": True}, {"clip": float("inf")}])
def test_a_value_of_another_kind_is_no_number(keys: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Recipe.model_validate({**RECIPE, **keys})


def test_a_copy_of_a_recipe_is_checked() -> None:
    preset = read_recipe("he2015-cifar")
    assert preset.model_copy(update={"accumulate": 4}).accumulate == 4
    with pytest.raises(UserError) as caught:
        preset.model_copy(update={"accumulate": 0})
    assert str(caught.value) == "recipe: accumulate: must be at least 1 (got 0)"


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.__name__)
def test_every_key_says_what_it_is_and_stands_in_the_documentation(model: type[BaseModel]) -> None:
    page = (Path(__file__).parents[3] / "docs" / "training.md").read_text(encoding="utf-8")
    for key, field in model.model_fields.items():
        assert field.description, key
        assert f"{key}:" in page, key
