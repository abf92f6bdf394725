"""`resgen experiment NAME`: networks trained for a claim, and whether it holds."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer
from typer import Option

from resgen.cli import completion
from resgen.cli.options import Apart, Needs, grouped, keys_set, refuse, retyped
from resgen.cli.proofs import proved
from resgen.cli.streams import say
from resgen.errors import CheckFailed, UserError
from resgen.experiment import commands, planning, runs
from resgen.words import aligned, hung

if TYPE_CHECKING:
    from resgen.experiment.outcome import Outcome
    from resgen.experiment.running import Ended

REPORT = "report.html"
RULES = (
    Apart("--list", ("--plan",), "the one prints commands, the other counts them; leave one out"),
    Apart("--list", ("--jobs", "--on ray"), "nothing is run; leave it out"),
    Apart("--plan", ("--jobs", "--on ray"), "nothing is run; leave it out"),
    Apart("--jobs", ("--on ray",), "Ray runs as many as its resources allow; leave it out"),
    Apart("--epochs", ("--set length",), "both are the recipe's length; leave one out"),
    Needs("--address", ("--on ray",)),
)


@dataclass(frozen=True)
class Said:
    """What the command line says in place of the experiment's file."""

    PANEL = "In place of the experiment's file"

    scale: Annotated[
        str | None,
        Option(metavar="NAME", help="Which of its scales.", show_default="digits, or the only one"),
    ] = None
    data: Annotated[
        str | None,
        Option(
            help="As of train: cifar10:PATH; chooses the scale.",
            autocompletion=completion.data,
            show_default="the scale's",
        ),
    ] = None
    seeds: Annotated[
        int | None,
        Option(help="Runs of each network.", min=1, max=1000, show_default="the scale's"),
    ] = None
    set_: Annotated[
        list[str] | None,
        Option("--set", metavar="KEY=VALUE", help="Changes the recipe: optimizer.lr=0.05."),
    ] = None
    epochs: Annotated[
        int | None, Option(help="Changes the recipe's length.", min=1, max=1_000_000)
    ] = None

    def choice(self) -> planning.Choice:
        """In the words of the room below."""
        length = () if self.epochs is None else (f"length={self.epochs} epochs",)
        return planning.Choice(self.scale, self.data, self.seeds, (*(self.set_ or ()), *length))

    def words(self) -> list[str]:
        """What the rules about options know this by."""
        return keys_set(self.set_)


@dataclass(frozen=True)
class Where:
    """Where runs lie, and what computes them."""

    PANEL = "Where it runs"

    out: Annotated[Path, Option(help="The folder of all experiments and their runs.")] = Path(
        "experiments"
    )
    jobs: Annotated[
        int | None, Option(help="Runs at a time.", min=1, max=1024, show_default="as many as fit")
    ] = None
    threads: Annotated[int, Option(help="Of a run, on the CPU.", min=1)] = 1
    device: Annotated[str, Option(help="auto, cuda, cuda:N, mps or cpu.")] = "auto"
    on: Annotated[Literal["local", "ray"], Option(help="This machine, or a Ray cluster.")] = "local"
    address: Annotated[
        str | None,
        Option(help="Ray's, as `ray start` prints it.", show_default="the cluster that is there"),
    ] = None

    def execute(self, left: Sequence[runs.Planned]) -> Iterator[Ended]:
        """Each run as it ends."""
        if self.on == "ray":
            from resgen.experiment import cluster

            return cluster.run(left, address=self.address, threads=self.threads, device=self.device)
        from resgen.experiment import running

        jobs = self.jobs or running.at_a_time(self.threads, self.device)
        return running.run(left, jobs=jobs, threads=self.threads, device=self.device)


@grouped
def experiment(
    ctx: typer.Context,
    name: Annotated[
        str,
        typer.Argument(
            metavar="NAME|FILE",
            help="A shipped experiment, or its file.",
            autocompletion=completion.experiments,
        ),
    ],
    said: Said,
    where: Where,
    list_: Annotated[
        bool, Option("--list", help="Print the commands, a line each; run nothing.")
    ] = False,
    plan: Annotated[bool, Option("--plan", help="Say what there is to run; run nothing.")] = False,
    quiet: Annotated[bool, Option("--quiet", help="Only the verdict.")] = False,
) -> None:
    """Run an experiment, and say whether its claim holds.

    Trains each of its networks with each seed and writes tables, figures and a report. Given
    again, it goes on where it was interrupted; a run that is finished is never run again.
    """
    refuse(ctx, RULES, *said.words(), f"--on {where.on}")
    study = planning.plan(
        name, said.choice(), where.out, commands.Means(where.threads, where.device)
    )
    if plan:
        say(_overview(study))
        return
    study.write()
    if list_:
        typer.echo("\n".join(commands.listing(study.planned)))
        return
    board = _Board(study, quiet=quiet)
    if left := runs.left(study.planned):
        from resgen.train.run.signals import Stop

        with Stop() as stop:
            stop.kept = "what was going on is saved; the same command goes on"
            with closing(where.execute(left)) as ended:  # type: ignore[type-var]
                for each in ended:
                    board.ended(each)
    outcome = _concluded(study, shlex.join(retyped(ctx, without=())))
    say("\n".join([*_told(outcome), *hung("report", str(study.folder / REPORT))]))
    board.refuse_unfinished()


def _concluded(study: planning.Study, command: str) -> Outcome:
    """Everything that is made of the runs; the report has the proof of each network."""
    from resgen.experiment.conclusion import conclude
    from resgen.files import write_whole
    from resgen.page import experiment_page

    found = conclude(study.experiment, study.name, study.scale, study.planned, study.folder)
    try:
        text = experiment_page(study.folder, proved, command=command)
    except UserError as unmeasured:
        say(f"note: the report's proofs are not measured: {unmeasured}", err=True)
        text = experiment_page(study.folder, command=command)
    write_whole(study.folder / REPORT, text)
    return found


class _Board:
    """What is said while runs go on: a line each."""

    def __init__(self, study: planning.Study, *, quiet: bool) -> None:
        self._quiet = quiet
        self._runs = runs.each_once(study.planned)
        self._done = len(self._runs) - len(runs.left(study.planned))
        for note in study.notes:
            self._line(f"note: {note}")
        there = f", {self._done} of them already there" if self._done else ""
        self._line(f"{study.folder}: {len(self._runs)} runs{there}")

    def _line(self, text: str) -> None:
        if not self._quiet:
            say(text, err=True)

    def ended(self, each: Ended) -> None:
        """Says how a run ended."""
        self._done += 1
        count = f"{self._done:{len(str(len(self._runs)))}} of {len(self._runs)}"
        self._line(f"{count}  {each.run.title}: {_how(each)}"[:80])

    def refuse_unfinished(self) -> None:
        """Raises CheckFailed, naming each run that is not finished, where there are any."""
        found = [(each, each.standing) for each in self._runs]
        bad = [(each, how) for each, how in found if how.state != "finished"]
        if bad:
            lines = [f"{each.title}: {how.state}: {how.why}" for each, how in bad[:20]]
            more = [f"and {len(bad) - 20} more"] if len(bad) > 20 else []
            raise CheckFailed(f"{len(bad)} of {len(found)} runs are not finished", *lines, *more)


def _how(ended: Ended) -> str:
    how = ended.run.standing
    if how.state == "finished":
        return runs.errors(ended.run.folder)
    if ended.code is None and ended.run.after is not None:
        return f"not begun, as {ended.run.after.title} is not there"
    return f"{how.state}: {how.why} ({ended.run.folder})"


def _overview(study: planning.Study) -> str:
    """What there is to run, network by network."""
    rows = []
    names = dict.fromkeys(each.network for each in study.planned)
    for name in names:
        found = [each.standing.state for each in study.planned if each.network == name]
        rows.append((name, str(len(found)), *(str(found.count(state)) for state in runs.STATES)))
    header = ("network", "runs", *runs.STATES)
    left = len(runs.left(study.planned))
    return "\n".join(
        [
            *hung("claim", study.experiment.claim), "", *aligned(header, rows), "",
            *(f"note: {each}" for each in study.notes),
            f"{study.folder}: {left} of {len(runs.each_once(study.planned))} runs left",
        ]
    )  # fmt: skip


def _told(outcome: Outcome) -> list[str]:
    """The claim, the verdict and what it rests on."""
    return [
        *hung("claim", outcome.claim),
        *hung("verdict", f"{outcome.verdict}: {outcome.sentence}"),
        *(
            line
            for each in outcome.comparisons
            for line in hung("", f"{each.sentence}: {each.verdict}", 10)
        ),
    ]
