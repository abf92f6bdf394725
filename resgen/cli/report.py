"""`resgen report`: networks, runs or an experiment as one HTML page."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated

import typer
from typer import Option

from resgen.cli import completion
from resgen.cli.options import Apart, Overrides, refuse, retyped
from resgen.cli.proofs import enforce_proofs, proved
from resgen.cli.streams import say
from resgen.compare.record import networks
from resgen.errors import UserError
from resgen.experiment import outcome
from resgen.files import check_place, kind, write_new
from resgen.plan import Plan
from resgen.proof import Proof
from resgen.spec.loading import runs_in
from resgen.words import memory

RUNS, EXPERIMENT = "run folders", "an experiment"
_TRAINED = "--with makes another network than was trained; leave one out"
RULES = (
    Apart(EXPERIMENT, ("other networks",), "an experiment has a page of its own; name it alone"),
    *(Apart("--with", (each,), _TRAINED) for each in (RUNS, EXPERIMENT)),
)


def report(
    ctx: typer.Context,
    sources: Annotated[
        list[str],
        typer.Argument(
            metavar="EXPERIMENT|RUN|SPEC",
            help="An experiment's folder; or run folders, spec files and shipped names.",
            autocompletion=completion.specs,
        ),
    ],
    output: Annotated[
        Path, Option("-o", "--output", metavar="FILE.html", help="The page to write.")
    ],
    with_: Overrides = None,
    measure: Annotated[
        bool,
        Option(
            "--measure/--no-measure",
            help="Measure the networks and prove their figures; without, no torch is needed.",
        ),
    ] = True,
    force: Annotated[bool, Option("--force", help="Overwrite the page.")] = False,
) -> None:
    """Write one HTML page that stands alone: a data sheet, a comparison or an experiment.

    One spec is its data sheet: drawing, costs, layers, proof. Several specs or runs are compared;
    runs that differ in their seeds alone are a group. Of an experiment's folder it is the claim,
    the verdict and all that they rest on. Exits 1 where a proof fails, the page being written.
    """
    check_place(output, force=force, endings=(".html",))
    experiments = [each for each in sources if (Path(each) / outcome.NAME).is_file()]
    for each in sources:
        _refuse_nothing(each, experiments)
    found = networks([each for each in sources if each not in experiments])
    said = [EXPERIMENT] if experiments else []
    said += ["other networks"] if len(sources) > 1 else []
    refuse(ctx, RULES, *said, *([RUNS] if any(runs for _, runs in found) else []))
    from resgen import page

    proofs: list[tuple[Plan, Proof]] = []

    def prove(plan: Plan) -> Proof:
        proofs.append((plan, proved(plan)))
        return proofs[-1][1]

    measured = prove if measure else None
    words = retyped(ctx, without=("output", "force"))
    command = shlex.join([*words, "-o", str(output)])
    if experiments:
        text = page.experiment_page(Path(sources[0]), measured, command=command)
    elif len(found) == 1 and not found[0][1]:
        text = page.spec_page(sources[0], with_ or (), prove=measured, command=command)
    else:
        text = page.comparison_page(sources, with_ or (), prove=measured, command=command)
    write_new(output, text, force=force)
    say(f"wrote {output} ({memory(len(text.encode()))})", err=True)
    enforce_proofs(proofs)


def _refuse_nothing(source: str, experiments: list[str]) -> None:
    path = Path(source)
    if kind(path) == "folder" and source not in experiments and not runs_in(path):
        raise UserError(
            f"{source}: a folder of no run and no experiment (it has neither spec.yaml nor "
            f"{outcome.NAME}); name an experiment's folder, run folders or specs"
        )
