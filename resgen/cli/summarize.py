"""`resgen summarize`: what a network costs, where, and the proof about its shortcuts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

import typer
from typer import Option

from resgen.cli import completion
from resgen.cli.options import Apart, Needs, Overrides, grouped, refuse
from resgen.cli.pictures import Pictures
from resgen.cli.proofs import enforce_proofs, proved
from resgen.cli.streams import say
from resgen.cli.trainings import groups_of, mean, outcomes
from resgen.compare import forms
from resgen.compare.record import networks
from resgen.cost import cost
from resgen.cost.budget import MEMORY, Budget, amount, enforce
from resgen.cost.conventions import CONVENTIONS
from resgen.cost.memory import Training
from resgen.cost.roofline import Roofline, roofline
from resgen.errors import UserError, each
from resgen.plan import Plan, resolve
from resgen.report.formats import SORTS, Entry, render
from resgen.spec import load_spec


@dataclass(frozen=True)
class View:
    """What is counted and how it is shown."""

    PANEL = "What is shown"

    form: Annotated[
        Literal["table", "json", "csv", "markdown"],
        Option("--format", help="How to print the report."),
    ] = "table"
    by: Annotated[
        Literal["stage", "block", "layer", "run", "group"],
        Option("--by", help="How finely to list it; run and group list only trainings."),
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
        Option(
            metavar="LAYER",
            help="Only the formulas of one layer, block or stage.",
            autocompletion=completion.layers,
        ),
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

    PANEL = "Training step"

    batch: Annotated[
        int | None, Option(help="Add the memory of a training step of N images.", metavar="N")
    ] = None
    precision: Annotated[
        Literal["fp32", "bf16", "fp16"],
        Option(help="The training step's; bf16 and fp16 are autocast."),
    ] = "fp32"
    optimizer: Annotated[
        Literal["sgd", "momentum", "adamw"], Option(help="The training step's.")
    ] = "momentum"
    memory: Annotated[
        str | None,
        Option(metavar="24GiB", help="Add the largest batch that trains in it."),
    ] = None
    roofline: Annotated[
        str | None,
        Option(
            metavar="FILE|FLOPS,BYTES",
            help="With --by layer: which layers memory bounds, of --batch images (or 1), on the "
            "device of a file of resgen bench or with these peaks a second (19.5T,1.5TB).",
        ),
    ] = None

    def training(self) -> Training:
        """The step in numbers. Raises UserError for what is none."""
        if self.batch is not None and self.batch < 1:
            raise UserError(f"--batch {self.batch}: must be 1 or more images")
        limit = None if self.memory is None else amount(self.memory, "--memory", units=MEMORY)
        return Training(self.batch, self.precision, self.optimizer, limit)

    def roof(self) -> Roofline | None:
        """The device that layers are held against. Raises UserError for what is none."""
        if self.roofline is None:
            return None
        return roofline(self.roofline, self.precision)._replace(batch=self.batch or 1)


@dataclass(frozen=True)
class Limits:
    """What the networks may have."""

    PANEL = "Budgets"

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


SEVERAL, RUNS = "several networks", "run folders"
_STEP = ("--batch", "--memory", "--max-memory")
_REPORT = (
    "--format", "--by", "--measure", "--convention", "--sort", "--batch", "--precision",
    "--optimizer", "--memory", "--max-params", "--max-macs", "--max-memory", "--draw", "--beside",
    "--detail", "--part", "--wide", "--plot", "--x", "--y", "--curves", "--theme", "--force",
    "--roofline",
)  # fmt: skip
RUNS_ALONE = ("--by run", "--by group")
_OF_NETWORKS = (
    "--with",
    *(o for o in _REPORT if o not in ("--format", "--by", "--curves", "--theme", "--force")),
)
_ROWS = ("--format csv", "--format markdown")
_NO_STEP = "a training step has no rows; give --format json or table"
RULES: tuple[Apart | Needs, ...] = (
    Apart("--resolved", ("--explain", *_REPORT), "the spec is printed alone; leave one out"),
    Apart("--explain", _REPORT, "the formulas are printed alone; leave one out"),
    Apart("--memory", _ROWS, _NO_STEP),
    Apart("--batch", _ROWS, _NO_STEP, unless="--max-memory"),
    Needs("--precision", (*_STEP, "--roofline")),
    Needs("--roofline", ("--by layer",)),
    Needs("--optimizer", _STEP),
    *(
        Apart(f"--by {part}", (SEVERAL,), "give one network, or --format json", "--format json")
        for part in ("stage", "block", "layer")
    ),
    *(
        Apart(option, _OF_NETWORKS, "trainings alone are listed; leave it out")
        for option in RUNS_ALONE
    ),
    *(Needs(option, (RUNS,)) for option in (*RUNS_ALONE, "--curves")),
    Apart("--curves", ("--with",), "--with makes another network than was trained; leave one out"),
    *(Needs(option, ("--draw",)) for option in ("--beside", "--detail", "--part", "--wide")),
    *(Needs(option, ("--plot",)) for option in ("--x", "--y")),
    Needs("--theme", ("--draw", "--plot", "--curves")),
    Apart("--beside", (SEVERAL,), "two networks are drawn beside each other; leave it out"),
    Needs("--force", ("--draw", "--plot", "--curves")),
)


@grouped
def summarize(
    ctx: typer.Context,
    specs: Annotated[
        list[str],
        typer.Argument(
            help="Spec files, shipped names or run folders.",
            metavar="SPEC",
            autocompletion=completion.specs,
        ),
    ],
    view: View,
    step: StepOptions,
    limits: Limits,
    pictures: Pictures,
    with_: Overrides = None,
) -> None:
    """Report params and MACs; prove what the shortcuts cost.

    Run folders are grouped by what they differ in but for the seed, with mean, deviation and the
    differences. Exits 1 where a proof fails or a budget (--max-...) is exceeded, with the amount.
    """
    sources, order = networks(specs), SORTS[view.sort]
    said = [(SEVERAL, len(sources) > 1), (RUNS, any(runs for _, runs in sources))]
    refuse(ctx, RULES, *(word for word, holds in said if holds))
    training, roof, budget = step.training(), step.roof(), limits.budget()
    ends = each(lambda source: outcomes(*source, with_), sources)
    pictures.check(len(sources), [end for own in ends for end in own])
    if view.resolved:
        typer.echo(_resolved([source for source, _ in sources], with_ or ()))
        return
    groups = groups_of(sources) if not with_ else []
    if view.by in ("run", "group"):
        say(forms.render(groups, view.form, view.by), plain=view.form != "table")
        pictures.write_curves(groups)
        return
    made = each(lambda source: resolve(load_spec(source[0], with_ or ())), sources)
    triples = sorted(zip(made, sources, ends, strict=True), key=lambda own: order(own[0]))
    plans = [plan for plan, *_ in triples]
    if view.explain is not None:
        say(_explained(plans, view.explain))
        return
    found = [
        Entry(
            plan,
            proved(plan) if view.measure else None,
            *training.report(plan),
            mean([end.error for end in own if end]),
            [forms.group_data(g) for g in groups if g.folder in runs] if runs and groups else None,
            roof,
        )
        for plan, (_, runs), own in triples
    ]
    say(view.render(found), plain=view.form != "table")
    if groups and view.form in ("table", "markdown"):
        say("\n" + forms.render(groups, view.form, "group"), plain=view.form != "table")
    ended = [(plan, source, end) for plan, (source, _), own in triples for end in own]
    pictures.write(plans, ended, training)
    pictures.write_curves(groups)
    enforce_proofs((entry.plan, entry.proof) for entry in found)
    enforce([(plan.name, _over(plan, budget, training)) for plan in plans])


def _resolved(sources: Sequence[str], overrides: Sequence[str]) -> str:
    from resgen.spec.resolved import resolved_text

    return "\n\n".join(map(resolved_text, each(lambda one: load_spec(one, overrides), sources)))


def _explained(plans: Sequence[Plan], name: str) -> str:
    from resgen.report.explain import explain

    return "\n\n".join("\n".join(explain(plan, name)) for plan in plans)


def _over(plan: Plan, budget: Budget, training: Training) -> list[str]:
    books = cost(plan)
    peak = 0 if budget.memory is None else training.peak(plan)
    return budget.over(books.params, books.macs, books.activations, peak)
