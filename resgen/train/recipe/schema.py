"""The recipe's model -> recipe.schema.json, for editors.

python -m resgen.train.recipe.schema --write     renews it
"""

from __future__ import annotations

import json
import sys

from resgen.spec.shipped import schema_file
from resgen.train.recipe.keys import Recipe

SCHEMA_FILE = schema_file("recipe")


def schema_text() -> str:
    """recipe.schema.json as it is committed."""
    made = {
        "$schema": "https://json-schema.org/draft/2020-12/schema", **Recipe.model_json_schema()
    }  # fmt: skip
    return json.dumps(made, indent=2, ensure_ascii=False) + "\n"


def main() -> None:
    """Prints the schema, or with --write renews the file."""
    if sys.argv[1:] == ["--write"]:
        SCHEMA_FILE.write_text(schema_text(), encoding="utf-8")
    else:
        sys.stdout.write(schema_text())


if __name__ == "__main__":
    main()
