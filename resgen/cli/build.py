"""`resgen build`: the standalone source file of a network."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from resgen.cli.options import Needs, Overrides, refuse
from resgen.files import check_place, write_new
from resgen.plan import resolve
from resgen.source import emit_source
from resgen.spec import load_spec

RULES = (Needs("--force", ("--output",)),)


def build(
    ctx: typer.Context,
    spec: Annotated[str, typer.Argument(help="A spec file, or the name of a shipped spec.")],
    with_: Overrides = None,
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", metavar="FILE", help="The file to write, else stdout."),
    ] = None,
    features: Annotated[
        bool,
        typer.Option("--features", help="Add forward_features: the outputs of stem and stages."),
    ] = False,
    force: Annotated[bool, typer.Option("--force", help="Overwrite the output file.")] = False,
) -> None:
    """Write the network as one Python file that needs only torch."""
    refuse(ctx, RULES)
    if output is not None:
        check_place(output, force=force, endings=(".py",))
    source = emit_source(resolve(load_spec(spec, with_ or ())), features=features)
    if output is None:
        typer.echo(source, nl=False)
        return
    write_new(output, source, force=force)
    typer.echo(f"wrote {output} ({len(source.splitlines())} lines)", err=True)
