"""`resgen summarize`: what a network costs, where, and the proof about its shortcuts."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import typer
from typer import Option

from resgen.cli.options import Apart, Needs, Overrides, grouped, refuse
from resgen.cost import cost
from resgen.cost.budget import BYTES, Budget, amount, enforce
from resgen.cost.conventions import CONVENTIONS
from resgen.cost.memory import Training
from resgen.errors import CheckFailed, UserError, each
from resgen.plan import Plan, resolve
from resgen.proof import Proof, effort
from resgen.report.formats import SORTS, Entry, render
from resgen.report.plots import Outcome, check_plot, outcome, plot_file
from resgen.spec import load_spec


@dataclass(frozen=True)
class View:
    """What is counted and how it is shown."""

    form: Annotated[
        Literal["table", "json", "csv", "markdown"],
        Option("--format", help="How to print the report."),
    ] = "table"
    by: Annotated[
        Literal["stage", "block", "layer"], Option("--by", help="How finely to list it.")
    ] = "stage"
    measure: Annotated[
        bool,
        Option(
            "--measure/--no-measure",
            help="Measure the compiled module and prove the figures; without, no torch is needed.",
        ),
    ] = True
    convention: Annotated[
        Literal["torchvision", "fvcore", "pycls", "paper"] | None,
        Option(help="Count MACs as another tool does, to the integer."),
    ] = None
    resolved: Annotated[
        bool,
        Option("--resolved", help="Only the full spec, each value with where it came from."),
    ] = False
    explain: Annotated[
        str | None,
        Option(metavar="LAYER", help="Only the formulas of one layer, block or stage."),
    ] = None
    sort: Annotated[
        Literal["given", "name", "params", "macs", "activations", "layers"],
        Option(help="The order of several networks; differences are to the first."),
    ] = "given"

    def render(self, found: Sequence[Entry]) -> str:
        """The report as text."""
        convention = CONVENTIONS[self.convention] if self.convention else None
        return render(found, self.form, self.by, convention)


@dataclass(frozen=True)
class StepOptions:
    """The training step whose memory is reported."""

    batch: Annotated[
        int | None, Option(help="Add the memory of a training step of N images.", metavar="N")
    ] = None
    precision: Annotated[
        Literal["fp32", "bf16"], Option(help="The training step's; bf16 is autocast.")
    ] = "fp32"
    optimizer: Annotated[
        Literal["sgd", "momentum", "adamw"], Option(help="The training step's.")
    ] = "momentum"
    memory: Annotated[
        str | None,
        Option(metavar="24GiB", help="Add the largest batch that trains in it."),
    ] = None

    def training(self) -> Training:
        """The step in numbers. Raises UserError for what is none."""
        if self.batch is not None and self.batch < 1:
            raise UserError(f"--batch {self.batch}: must be 1 or more images")
        limit = None if self.memory is None else amount(self.memory, "--memory", units=BYTES)
        return Training(self.batch, self.precision, self.optimizer, limit)


@dataclass(frozen=True)
class Limits:
    """What the networks may have."""

    max_params: Annotated[
        str | None, Option(metavar="25M", help="Exit 1 where a network has more.")
    ] = None
    max_macs: Annotated[
        str | None, Option(metavar="4.1G", help="Exit 1 where an image takes more.")
    ] = None
    max_memory: Annotated[
        str | None,
        Option(metavar="16GiB", help="Exit 1 where a step of --batch images (or 1) takes more."),
    ] = None

    def budget(self) -> Budget:
        """The limits in numbers. Raises UserError for what is none."""
        return Budget.written(params=self.max_params, macs=self.max_macs, memory=self.max_memory)


@dataclass(frozen=True)
class Pictures:
    """The files to draw."""

    draw: Annotated[
        Path | None, Option(metavar="FILE.svg", help="Draw a network, or two side by side.")
    ] = None
    beside: Annotated[
        Literal["plain", "nothing"],
        Option(help="What to draw beside a single network: its plain twin."),
    ] = "plain"
    plot: Annotated[
        Path | None,
        Option(metavar="FILE", help="Plot the networks' params and MACs (png, svg, pdf)."),
    ] = None
    force: Annotated[bool, Option("--force", help="Overwrite output files.")] = False

    def check(self, outcomes: Sequence[Outcome | None]) -> None:
        """Raises UserError where one of the files could not be written."""
        if self.draw is not None:
            from resgen.report.draw import check_drawing

            check_drawing(self.draw, len(outcomes), force=self.force)
        if self.plot is not None:
            check_plot(self.plot, outcomes, force=self.force)
        if self.draw and self.plot and os.path.realpath(self.draw) == os.path.realpath(self.plot):
            raise UserError(f"--draw and --plot: both are {self.plot}; name two files")

    def write(self, plans: Sequence[Plan], outcomes: Sequence[Outcome | None]) -> None:
        """Draws the networks and writes the files."""
        if self.draw is not None:
            from resgen.report.draw import draw_file

            draw_file(plans, self.draw, beside=self.beside, force=self.force)
        if self.plot is not None:
            plot_file(plans, outcomes, self.plot, force=self.force)


SEVERAL = "several networks"
_STEP = ("--batch", "--memory", "--max-memory")
_REPORT = (
    "--format", "--by", "--measure", "--convention", "--sort", "--batch", "--precision",
    "--optimizer", "--memory", "--max-params", "--max-macs", "--max-memory", "--draw", "--beside",
    "--plot", "--force",
)  # fmt: skip
_ROWS = ("--format csv", "--format markdown")
_NO_STEP = "a training step has no rows; give --format json or table"
RULES = (
    Apart("--resolved", ("--explain", *_REPORT), "the spec is printed alone; leave one out"),
    Apart("--explain", _REPORT, "the formulas are printed alone; leave one out"),
    Apart("--memory", _ROWS, _NO_STEP),
    Apart("--batch", _ROWS, _NO_STEP, unless="--max-memory"),
    Needs("--precision", _STEP),
    Needs("--optimizer", _STEP),
    Apart("--by", (SEVERAL,), "give one network, or --format json", unless="--format json"),
    Needs("--beside", ("--draw",)),
    Apart("--beside", (SEVERAL,), "two networks are drawn beside each other; leave it out"),
    Needs("--force", ("--draw", "--plot")),
)


@grouped
def summarize(
    ctx: typer.Context,
    specs: Annotated[
        list[str],
        typer.Argument(help="Spec files, shipped names or run folders.", metavar="SPEC"),
    ],
    view: View,
    step: StepOptions,
    limits: Limits,
    pictures: Pictures,
    with_: Overrides = None,
) -> None:
    """Report params and MACs; prove what the shortcuts cost.

    Exits 1 where a proof fails or a budget (--max-...) is exceeded, with the amount.
    """
    refuse(ctx, RULES, *([SEVERAL] if len(specs) > 1 else []))
    training, budget = step.training(), limits.budget()
    read = each(lambda spec: _read(spec, with_), specs)
    pictures.check([result for _, result in read])
    if view.resolved:
        from resgen.spec.resolved import resolved_text

        specs_ = each(lambda pair: load_spec(pair[0], with_ or ()), read)
        typer.echo("\n\n".join(map(resolved_text, specs_)))
        return
    ended = each(lambda pair: (resolve(load_spec(pair[0], with_ or ())), pair[1]), read)
    ended.sort(key=lambda pair: SORTS[view.sort](pair[0]))
    plans = [plan for plan, _ in ended]
    if view.explain is not None:
        from resgen.report.explain import explain

        typer.echo("\n\n".join("\n".join(explain(plan, view.explain)) for plan in plans))
        return
    found = [
        Entry(
            plan,
            _proof(plan) if view.measure else None,
            *training.report(plan),
            result.error if result else None,
        )
        for plan, result in ended
    ]
    typer.echo(view.render(found))
    pictures.write(plans, [result for _, result in ended])
    _enforce_proofs(found)
    enforce([(plan.name, _over(plan, budget, training)) for plan in plans])


def _read(spec: str, overrides: list[str] | None) -> tuple[str, Outcome | None]:
    """What to load the spec from, and how its run ended, if it is of this network."""
    found, result = outcome(spec)
    if result is not None and overrides:
        typer.echo(
            f"note: {spec}: its run's error is left out: --with makes another network", err=True
        )
        return found, None
    return found, result


def _proof(plan: Plan) -> Proof:
    if line := effort.notice(plan):
        typer.echo(line, err=True)
    from resgen.proof import prove
    from resgen.source.module import build_undrawn

    return prove(plan, build_undrawn(plan))


def _enforce_proofs(found: Sequence[Entry]) -> None:
    """Raises CheckFailed for the first part of a proof that does not hold."""
    for entry in found:
        for check in entry.proof.checks if entry.proof else ():
            if not check.holds:
                raise CheckFailed(f"{entry.plan.name}: {check.name}: {check.text}")


def _over(plan: Plan, budget: Budget, training: Training) -> list[str]:
    books = cost(plan)
    peak = 0 if budget.memory is None else training.peak(plan)
    return budget.over(books.params, books.macs, books.activations, peak)
