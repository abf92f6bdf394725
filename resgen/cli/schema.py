"""`resgen schema`: the JSON Schemas that editors complete and check with."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from resgen.spec.shipped import schema_file


def schema(
    kind: Annotated[
        Literal["spec", "recipe", "experiment"], typer.Argument(help="What the schema is of.")
    ] = "spec",
    path: Annotated[
        bool, typer.Option("--path", help="Print where the schema lies instead.")
    ] = False,
) -> None:
    """Print the JSON Schema of specs, recipes or experiments, or its path.

    An editor with a YAML language server completes and checks a file whose first line is
    `# yaml-language-server: $schema=` and that path, or a copy's beside the file.
    """
    file = schema_file(kind)
    typer.echo(file if path else file.read_text(encoding="utf-8"), nl=path)
