"""`resgen list`: the networks that come with resgen."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from resgen.cli.streams import say
from resgen.search.catalog import as_json, as_table, catalog


def list_(
    pattern: Annotated[
        str, typer.Argument(help="Part of a name, or a pattern such as 'regnet/*'.")
    ] = "*",
    family: Annotated[
        str | None, typer.Option(help="Only the networks of one family, a folder of specs.")
    ] = None,
    form: Annotated[
        Literal["table", "json"], typer.Option("--format", help="How to print the list.")
    ] = "table",
) -> None:
    """List the shipped networks: input, params, MACs and what they were checked against."""
    items = catalog(pattern, family)
    say(as_json(items) if form == "json" else as_table(items))
