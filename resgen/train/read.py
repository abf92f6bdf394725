"""A recipe's name or file, and the command's changes to it -> Recipe."""

from __future__ import annotations

from collections.abc import Sequence

from resgen.reading import read_model, set_values
from resgen.train.recipe import Recipe


def read_recipe(path_or_name: str, *, changes: Sequence[str] = ()) -> Recipe:
    """The recipe with `key=value` changes made through the same schema. Raises UserError."""
    from resgen.shipped import find

    recipe = read_model(Recipe, find("recipe", path_or_name))
    return set_values(recipe, changes) if changes else recipe
