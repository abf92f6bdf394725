"""`resgen deepen`: a trained network as a deeper or wider one that computes the same."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated, Literal

import typer

from resgen.cli import completion
from resgen.cli.options import Overrides
from resgen.cli.streams import say
from resgen.export.deepening import Deeper, deeper, trained
from resgen.files import check_place, write_new
from resgen.report.tables import check_lines, deepened_lines
from resgen.spec import load_spec
from resgen.words import hung, memory


def deepen(
    network: Annotated[
        str,
        typer.Argument(metavar="RUN|FILE", help="A run folder, a checkpoint, a file of weights."),
    ],
    larger: Annotated[
        str,
        typer.Argument(
            metavar="SPEC",
            help="The deeper or wider network: a spec, a name.",
            autocompletion=completion.specs,
        ),
    ],
    output: Annotated[
        Path, typer.Option("-o", "--output", metavar="FILE", help="The .safetensors file to write.")
    ],
    with_: Overrides = None,
    spec: Annotated[
        str | None,
        typer.Option(
            metavar="SPEC",
            help="The network of a FILE that names none (.pth).",
            autocompletion=completion.specs,
        ),
    ] = None,
    exact: Annotated[
        Literal["evaluation", "training"],
        typer.Option(help="Where outputs are equal, where batch norms do not allow both."),
    ] = "evaluation",
    seed: Annotated[int, typer.Option(help="What free weights are drawn from.", min=0)] = 0,
    force: Annotated[bool, typer.Option("--force", help="Overwrite the output file.")] = False,
) -> None:
    """Write a deeper or wider network that computes what a trained one does.

    Its blocks are copied and the others made the identity (He et al. 2015); channels are copied
    where there are more (Chen et al. 2016). `resgen train SPEC --init-from FILE` trains it on.
    """
    check_place(output, force=force, endings=(".safetensors",))
    small = trained(network, spec)
    made = deeper(small, larger, load_spec(larger, with_ or ()), exact=exact, seed=seed)
    from resgen.export.weights import safetensors

    content, check = safetensors(made.large)
    _show(made)
    write_new(output, content, force=force)
    say(f"wrote {output} ({memory(len(content))})", err=True)
    say("\n".join(check_lines([check])))
    command = shlex.join(["resgen", "train", str(output), "--init-from", str(output)])
    say(f"to train it on: {command}", err=True)


def _show(made: Deeper) -> None:
    say(made.small.note([]), err=True)
    lines = deepened_lines(made.small.plan, made.large.plan, made.made.stages)
    say("\n".join([*lines, *check_lines(made.checks)]))
    for note in made.notes:
        say("\n".join(hung("  note", note.removeprefix("note: "))))
