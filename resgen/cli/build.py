"""`resgen build`: a network as files that others can use, by their endings."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer
from typer import Option

from resgen.cli import completion
from resgen.cli.options import Needs, Overrides, grouped, refuse, retyped
from resgen.cli.streams import say
from resgen.export import ENDINGS, Order, check_order, missing_weights, read, written
from resgen.files import check_place, write_new
from resgen.report.tables import check_lines, fold_lines

RULES = (Needs("--force", ("--output",)),)


@dataclass(frozen=True)
class Own:
    """What is to differ from the network as it is named."""

    PANEL = "Changes of the network"

    classes: Annotated[int | None, Option(help="Short for --with classes=N.", min=0)] = None
    name: Annotated[str | None, Option(help="Short for --with name=NAME.")] = None

    def overrides(self) -> list[str]:
        """As `--with` has them."""
        return [f"{key}={value}" for key, value in vars(self).items() if value is not None]


@dataclass(frozen=True)
class Shape:
    """What becomes of the network on its way into a file."""

    PANEL = "Form of the network"

    fold: Annotated[
        bool, Option("--fold", help="Fold batch norms into the convolutions before them.")
    ] = False
    features: Annotated[
        bool, Option("--features", help="Add forward_features: the outputs of stem and stages.")
    ] = False


@grouped
def build(
    ctx: typer.Context,
    spec: Annotated[
        str,
        typer.Argument(
            help="A spec file, a shipped name, a run folder, or weights.",
            autocompletion=completion.specs,
        ),
    ],
    own: Own,
    shape: Shape,
    with_: Overrides = None,
    output: Annotated[
        list[Path] | None,
        Option(
            "-o",
            "--output",
            metavar="FILE",
            help=f"Files to write ({', '.join(ENDINGS)}), else source to stdout.",
        ),
    ] = None,
    force: Annotated[bool, Option("--force", help="Overwrite the output files.")] = False,
) -> None:
    """Write the network as a Python file, a program, weights, a spec or a Plan.

    .py needs only torch; .pt2 is torch.export's and .onnx ONNX, both for any number of images;
    .safetensors are the weights with their network; .yaml is the full spec, .json the Plan.
    Each is checked before it is there; exits 1 where a check does not hold. Of weights that name
    no network, it is read from the names and shapes of their tensors.
    """
    refuse(ctx, RULES)
    paths = output or []
    check_order(paths, features=shape.features, folding=shape.fold)
    for path in paths:
        check_place(path, force=force, endings=ENDINGS)
    subject = read(spec, [*(with_ or ()), *own.overrides()], folding=shape.fold)
    command = retyped(ctx, without=("output", "force"))
    orders = [
        Order(path, shlex.join([*command, "-o", str(path)]), shape.features) for path in paths
    ]
    alone = Order(Path(f"{subject.plan.name}.py"), shlex.join(command), shape.features)
    if note := subject.note([path.suffix for path in paths]):
        say(note, err=True)
    made = written(subject, orders or [alone])
    if subject.identified is not None:
        say("\n".join(subject.identified.lines()), err=not paths)
    if subject.checks:
        lines = fold_lines(subject.unfolded, subject.plan)
        say("\n".join([*lines, *check_lines(subject.checks)]), err=not paths)
    if not paths:
        typer.echo(made[0].content, nl=False)
        return
    for path, each in zip(paths, made, strict=True):
        write_new(path, each.content, force=force)
        say(f"wrote {path} ({each.size})", err=True)
        if each.checks:
            say("\n".join([str(path), *check_lines(each.checks)]))
    if note := missing_weights(subject, orders):
        say(note, err=True)
