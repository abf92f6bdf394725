"""`resgen summarize`: what a network costs, where, and the proof about its shortcuts."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from resgen.errors import CheckFailed
from resgen.loading import load_spec
from resgen.plan import Plan
from resgen.proof import Proof
from resgen.report import Entry, render
from resgen.resolve import resolve


def summarize(
    specs: Annotated[
        list[str], typer.Argument(help="Spec files or names of shipped specs.", metavar="SPEC...")
    ],
    form: Annotated[
        Literal["table", "json", "csv", "markdown"],
        typer.Option("--format", help="How to print the report."),
    ] = "table",
    by: Annotated[
        Literal["stage", "block", "layer"], typer.Option("--by", help="How finely to list it.")
    ] = "stage",
    measure: Annotated[
        bool,
        typer.Option(
            "--measure/--no-measure",
            help="Measure the compiled module and prove the figures; without, no torch is needed.",
        ),
    ] = True,
) -> None:
    """Report params, MACs and FLOPs, and prove what the shortcuts cost."""
    plans = [resolve(load_spec(spec)) for spec in specs]
    found = [Entry(plan, _proof(plan) if measure else None) for plan in plans]
    typer.echo(render(found, form, by))
    for entry in found:
        for check in entry.proof.checks if entry.proof else ():
            if not check.holds:
                raise CheckFailed(f"{entry.plan.name}: {check.name}: {check.text}")


def _proof(plan: Plan) -> Proof:
    import torch

    from resgen.module import build_module
    from resgen.proof import prove

    # The weights' values do not matter: they are neither drawn nor stored twice.
    with torch.device("meta"):
        module = build_module(plan)
    return prove(plan, module.to_empty(device="cpu"))
