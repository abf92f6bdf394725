"""`resgen fit`: the network of a spec's shape that meets a MACs or params target."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import typer

from resgen.cli import completion
from resgen.cli.options import Apart, Needs, Overrides, grouped, refuse
from resgen.cli.streams import say
from resgen.cost.budget import amount
from resgen.errors import UserError
from resgen.files import check_place, write_new
from resgen.search.fit import fit as fitted
from resgen.spec import Spec, load_spec
from resgen.spec.mistakes import Document
from resgen.spec.reading import validate
from resgen.spec.text import plain, spec_text
from resgen.words import overridden, short


@dataclass(frozen=True)
class Target:
    """What the network may have of one thing."""

    PANEL = "Target"

    macs: Annotated[
        str | None, typer.Option(metavar="2G", help="The most MACs an image may take.")
    ] = None
    params: Annotated[
        str | None, typer.Option(metavar="25M", help="The most params the network may have.")
    ] = None

    def read(self) -> tuple[Literal["macs", "params"], str, int]:
        """Of what, as it was written, and the number. Raises UserError unless it is one."""
        if self.macs is not None and self.params is None:
            return "macs", self.macs, amount(self.macs, "--macs")
        if self.params is not None and self.macs is None:
            return "params", self.params, amount(self.params, "--params")
        raise UserError("give one target: --macs 2G or --params 25M")


RULES = (
    Apart("--divisor", ("--by depth",), "it is of widths; leave it out"),
    Needs("--force", ("--output",)),
)


@grouped
def fit(
    ctx: typer.Context,
    spec: Annotated[
        str,
        typer.Argument(
            help="A spec file, or the name of a shipped spec.", autocompletion=completion.specs
        ),
    ],
    target: Target,
    with_: Overrides = None,
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
    refuse(ctx, RULES)
    measure, text, most = target.read()
    if not 1 <= divisor <= 1024:
        raise UserError(f"--divisor {divisor}: must be between 1 and 1024")
    if output is not None:
        check_place(output, force=force, endings=(".yaml", ".yml"))
    loaded = load_spec(spec, with_ or ())
    if name is not None:
        validate(Spec, Document(f"--name {name}", {**plain(loaded), "name": name}, {}, {}))
    found = fitted(loaded, most, measure, by=by, divisor=divisor)
    data = {**found.data, "name": name or f"{loaded.name}-{text}".replace(",", "")}
    have = getattr(found.books, measure)
    title = "MACs" if measure == "macs" else "params"
    words = f"{by} x {found.multiplier:.4f}: {have:,} {title}, {1 - have / most:.2%} under {most:,}"
    start = f"{loaded.name} with {overridden(with_)}" if with_ else loaded.name
    written = spec_text(data, f"{start}, {words}")
    if output is None:
        typer.echo(written, nl=False)
    else:
        write_new(output, written, force=force)
    for line in (*found.changes, f"{words} ({short(have)})"):
        say(line, err=True)
    if output is not None:
        say(f"wrote {output}", err=True)
