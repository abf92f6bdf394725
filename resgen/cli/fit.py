"""`resgen fit`: the network of a spec's shape that meets a MACs or params target."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from resgen.cost.budget import amount
from resgen.errors import UserError
from resgen.files import write_new
from resgen.search.fit import fit as fitted
from resgen.spec import load_spec
from resgen.spec.text import spec_text
from resgen.words import short


def fit(
    spec: Annotated[str, typer.Argument(help="A spec file, or the name of a shipped spec.")],
    macs: Annotated[
        str | None, typer.Option(metavar="2G", help="The most MACs an image may take.")
    ] = None,
    params: Annotated[
        str | None, typer.Option(metavar="25M", help="The most params the network may have.")
    ] = None,
    by: Annotated[
        Literal["width", "depth"], typer.Option("--by", help="What to scale, in all stages.")
    ] = "width",
    divisor: Annotated[int, typer.Option(help="Widths are multiples of this.")] = 8,
    name: Annotated[str | None, typer.Option(help="The new network's name.")] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "-o", "--output", metavar="FILE", help="The spec to write; stdout by default."
        ),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Overwrite the output file.")] = False,
) -> None:
    """Scale a network to a MACs or params target.

    Takes the largest network that is not over the target, and says what was asked for and
    what was built.
    """
    if (macs is None) == (params is None):
        raise UserError("give one target: --macs 2G or --params 25M")
    if not 1 <= divisor <= 1024:
        raise UserError(f"--divisor {divisor}: must be between 1 and 1024")
    measure, text = ("macs", macs) if macs is not None else ("params", params or "")
    target = amount(text, f"--{measure}")
    if output is not None and output.suffix not in (".yaml", ".yml"):
        raise UserError(f"{output}: the output is a spec; end its name in .yaml")
    loaded = load_spec(spec)
    found = fitted(loaded, target, measure, by=by, divisor=divisor)
    data = {**found.data, "name": name or f"{loaded.name}-{text}".replace(",", "")}
    have = getattr(found.books, measure)
    title = "MACs" if measure == "macs" else "params"
    words = (
        f"{by} x {found.multiplier:.4f}: {have:,} {title}, {1 - have / target:.2%} under {target:,}"
    )
    comment = f"{loaded.name}, {words}"
    written = spec_text(data, comment)
    if output is None:
        typer.echo(written, nl=False)
    else:
        write_new(output, written, force=force)
    for line in (*found.changes, f"{words} ({short(have)})"):
        typer.echo(line, err=True)
    if output is not None:
        typer.echo(f"wrote {output}", err=True)
