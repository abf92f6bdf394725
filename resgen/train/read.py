"""A recipe's name or file, and the command's changes to it -> Recipe."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from resgen.reading import read_model, set_values
from resgen.train.recipe import Recipe


def read_recipe(
    path_or_name: str, *, changes: Sequence[str] = (), epochs: int | None = None
) -> Recipe:
    """The recipe with `key=value` changes made through the same schema. Raises UserError."""
    from resgen.shipped import find

    path = Path(path_or_name)
    if not path.suffix and not path.exists():
        path = find("recipe", path_or_name)
    recipe = read_model(Recipe, path)
    more = [f"length={epochs} epochs"] if epochs is not None else []
    return set_values(recipe, [*changes, *more]) if changes or more else recipe
