"""Data -> the shipped recipe that is meant where none is named."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from resgen.errors import UserError
from resgen.spec.shipped import find, names
from resgen.train.recipe.keys import read_recipe

RUN_RECIPE = "recipe.yaml"
"""Where a run folder has the recipe that it was run with."""
RECIPES = {
    "digits": "digits",
    "cifar10": "cifar-short",
    "cifar100": "cifar-short",
    "folder": "folder",
    "hf": "folder",
    "synthetic": "digits",
}
"""By the data's name before its colon; of folders and tables, whatever their images are."""


def recipe_for(data: str) -> str:
    """The recipe's name; the digits' of a name that no data has, which is refused elsewhere."""
    return RECIPES.get(data.partition(":")[0], "digits")


def begun_with(out: Path) -> str | None:
    """The shipped recipe that the run in a folder, or one that lies in it, was begun with.

    It is known by its description, whatever else of it was changed.
    """
    inside = (path for depth in ("*", "*/*") for path in sorted(out.glob(f"{depth}/{RUN_RECIPE}")))
    for path in (out / RUN_RECIPE, *inside):
        with suppress(UserError):
            description = read_recipe(str(path)).description
            for name in names("recipe"):
                if read_recipe(str(find("recipe", name))).description == description:
                    return name
    return None
