"""`resgen summarize`: what a network costs, where, and the proof about its shortcuts."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from resgen.cost import cost
from resgen.cost.budget import BYTES, Budget, amount, enforce
from resgen.cost.conventions import CONVENTIONS
from resgen.cost.memory import largest_batch, step_lines, training_step
from resgen.errors import CheckFailed, UserError
from resgen.plan import Plan, resolve
from resgen.proof import Proof, effort
from resgen.report.formats import SORTS, Entry, render
from resgen.report.plots import outcome, plot_file
from resgen.spec import load_spec


def summarize(
    specs: Annotated[
        list[str],
        typer.Argument(help="Spec files, shipped names or run folders.", metavar="SPEC"),
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
    convention: Annotated[
        Literal["torchvision", "fvcore", "pycls", "paper"] | None,
        typer.Option(help="Count MACs as another tool does, to the integer."),
    ] = None,
    resolved: Annotated[
        bool,
        typer.Option("--resolved", help="Only the full spec, each value with where it came from."),
    ] = False,
    explain: Annotated[
        str | None,
        typer.Option(metavar="LAYER", help="Only the formulas of one layer, block or stage."),
    ] = None,
    sort: Annotated[
        Literal["given", "name", "params", "macs", "activations", "layers"],
        typer.Option(help="The order of several networks; differences are to the first."),
    ] = "given",
    batch: Annotated[
        int | None, typer.Option(help="Add the memory of a training step of N images.", metavar="N")
    ] = None,
    precision: Annotated[
        Literal["fp32", "bf16"], typer.Option(help="The training step's; bf16 is autocast.")
    ] = "fp32",
    optimizer: Annotated[
        Literal["sgd", "momentum", "adamw"], typer.Option(help="The training step's.")
    ] = "momentum",
    memory: Annotated[
        str | None,
        typer.Option(metavar="24GiB", help="Add the largest batch that trains in it."),
    ] = None,
    max_params: Annotated[
        str | None, typer.Option(metavar="25M", help="Exit 1 where a network has more.")
    ] = None,
    max_macs: Annotated[
        str | None, typer.Option(metavar="4.1G", help="Exit 1 where an image takes more.")
    ] = None,
    max_memory: Annotated[
        str | None,
        typer.Option(
            metavar="16GiB", help="Exit 1 where a step of --batch images (or 1) takes more."
        ),
    ] = None,
    draw: Annotated[
        Path | None, typer.Option(metavar="FILE.svg", help="Draw a network, or two side by side.")
    ] = None,
    beside: Annotated[
        Literal["plain", "nothing"],
        typer.Option(help="What to draw beside a single network: its plain twin."),
    ] = "plain",
    plot: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Plot the networks' params and MACs (png, svg, pdf)."),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Overwrite output files.")] = False,
) -> None:
    """Report params and MACs; prove what the shortcuts cost.

    Exits 1 where a proof fails or a budget (--max-...) is exceeded, with the amount.
    """
    if batch is not None and batch < 1:
        raise UserError(f"--batch {batch}: must be 1 or more images")
    limit = None if memory is None else amount(memory, "--memory", units=BYTES)
    budget = Budget(
        params=None if max_params is None else amount(max_params, "--max-params"),
        macs=None if max_macs is None else amount(max_macs, "--max-macs"),
        memory=None if max_memory is None else amount(max_memory, "--max-memory", units=BYTES),
    )
    read = [outcome(spec) for spec in specs]
    if resolved:
        from resgen.spec.resolved import resolved_text

        typer.echo("\n\n".join(resolved_text(load_spec(spec)) for spec, _ in read))
        return
    ended = [(resolve(load_spec(spec)), result) for spec, result in read]
    ended.sort(key=lambda pair: SORTS[sort](pair[0]))
    plans = [plan for plan, _ in ended]
    if explain is not None:
        from resgen.report.explain import explain as explained

        typer.echo("\n\n".join("\n".join(explained(plan, explain)) for plan in plans))
        return
    found = []
    for plan, result in ended:
        training, lines = _training(plan, batch, precision, optimizer, limit)
        proof = _proof(plan) if measure else None
        found.append(Entry(plan, proof, training, lines, result.error if result else None))
    typer.echo(render(found, form, by, CONVENTIONS[convention] if convention else None))
    if draw is not None:
        from resgen.report.draw import draw_file

        draw_file(plans, draw, twin=beside == "plain", force=force)
    if plot is not None:
        plot_file(plans, [result for _, result in ended], plot, force=force)
    for entry in found:
        for check in entry.proof.checks if entry.proof else ():
            if not check.holds:
                raise CheckFailed(f"{entry.plan.name}: {check.name}: {check.text}")
    enforce([(plan.name, _over(plan, budget, batch or 1, precision, optimizer)) for plan in plans])


def _training(
    plan: Plan, batch: int | None, precision: str, optimizer: str, limit: int | None
) -> tuple[dict[str, object] | None, tuple[str, ...]]:
    """The training step as plain values and as text, where it was asked for."""
    if batch is None and limit is None:
        return None, ()
    fits = None if limit is None else largest_batch(plan, limit, precision, optimizer)
    step = training_step(plan, batch or fits or 1, precision, optimizer)
    data: dict[str, object] = dict(step._asdict())
    if limit is not None:
        data |= {"limit": limit, "largest_batch": fits}
    return data, tuple(step_lines(step, limit, fits))


def _over(plan: Plan, budget: Budget, batch: int, precision: str, optimizer: str) -> list[str]:
    books = cost(plan)
    peak = 0
    if budget.memory is not None:
        peak = training_step(plan, batch, precision, optimizer).peak
    return budget.over(books.params, books.macs, books.activations, peak)


def _proof(plan: Plan) -> Proof:
    if line := effort.notice(plan):
        typer.echo(line, err=True)
    from resgen.proof import prove
    from resgen.source.module import build_undrawn

    return prove(plan, build_undrawn(plan))
