"""The recipe's model -> recipe.schema.json, for editors.

python -m resgen.train.recipe.schema --write     renews it
"""

from __future__ import annotations

from resgen.spec.schema_files import print_or_write, text_of
from resgen.spec.shipped import schema_file
from resgen.train.recipe.keys import Recipe

SCHEMA_FILE = schema_file("recipe")


def schema_text() -> str:
    """recipe.schema.json as it is committed."""
    return text_of(Recipe)


if __name__ == "__main__":
    print_or_write("recipe", schema_text())
