"""A model -> its JSON Schema as text; the file of one, printed or renewed."""

from __future__ import annotations

import json
import sys

from pydantic import BaseModel

from resgen.spec.shipped import schema_file


def text_of(model: type[BaseModel]) -> str:
    """KIND.schema.json as it is committed."""
    made = {"$schema": "https://json-schema.org/draft/2020-12/schema", **model.model_json_schema()}
    return json.dumps(made, indent=2, ensure_ascii=False) + "\n"


def print_or_write(kind: str, text: str) -> None:
    """Prints the schema, or with --write renews the file."""
    if sys.argv[1:] == ["--write"]:
        schema_file(kind).write_text(text, encoding="utf-8")
    else:
        sys.stdout.write(text)
