"""`resgen bench`: how fast networks are on the device at hand, and how much memory they take."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer
from typer import Option

from resgen.cli import completion
from resgen.cli.options import Needs, Overrides, grouped, refuse
from resgen.cli.streams import say
from resgen.cost.roofline import Peaks, given
from resgen.cost.traffic import WIDTHS
from resgen.errors import Interrupted, UserError, each
from resgen.files import check_place
from resgen.plan import Plan, resolve
from resgen.report.look import SUFFIXES
from resgen.spec import load_spec
from resgen.words import joined

if TYPE_CHECKING:
    from resgen.timing.bench import Asked, Report
    from resgen.train.device.engine import Engine

NETWORK = "a network"
LARGEST = 10**6
"""Images at a time that nothing holds any more."""


@dataclass(frozen=True)
class What:
    """What is timed."""

    PANEL = "What is timed"

    mode: Annotated[str, Option(metavar="MODE[,MODE...]", help="latency, inference, training.")] = (
        "latency,inference,training"
    )
    batch: Annotated[
        str, Option(metavar="N[,N...]", help="Images at a time of inference and training.")
    ] = "32"
    precision: Annotated[
        str, Option(metavar="WORD[,WORD...]", help="auto, fp32, bf16, fp16: one or several.")
    ] = "auto"
    rounds: Annotated[
        int, Option(help="How often each is timed; intervals need 6.", min=1, max=10_000)
    ] = 20
    seed: Annotated[int, Option(help="The order of each round follows it.", min=0)] = 0

    def asked(self, engine: Engine, *, alone: bool) -> Asked:
        """All of it; `alone` stands the device. Raises UserError for a word that is none."""
        from resgen.timing.bench import Asked
        from resgen.timing.cases import MODES

        return Asked(
            _words("--mode", self.mode, MODES),
            [_count(word) for word in _words("--batch", self.batch)],
            self._precisions(engine, alone),
            self.rounds,
            self.seed,
        )

    def _precisions(self, engine: Engine, alone: bool) -> list[str]:
        """`auto` is the engine's own; of the device alone, all that training may choose."""
        found = _words("--precision", self.precision, ("auto", *WIDTHS))
        if alone and found == ["auto"]:
            return [word for word in WIDTHS if word != "fp16" or engine.precision == word]
        return list(dict.fromkeys(engine.precision if each == "auto" else each for each in found))


@dataclass(frozen=True)
class Machine:
    """Where, and how it computes."""

    PANEL = "Where it runs"

    device: Annotated[str, Option(help="auto, cuda, cuda:N, mps or cpu.")] = "auto"
    layout: Annotated[
        Literal["auto", "channels_last", "contiguous"], Option(help="Of images in memory.")
    ] = "auto"
    compile: Annotated[
        Literal["auto", "on", "off"], Option(help="torch.compile; auto: on CUDA.")
    ] = "auto"
    roofline: Annotated[
        str | None,
        Option(
            metavar="FILE|FLOPS,BYTES",
            help="The device's peaks a second, from an earlier bench in JSON or as 19.5T,1.5TB; "
            "without, they are measured.",
        ),
    ] = None

    def engine(self) -> Engine:
        """The device as training takes it. Raises UserError for one that is not there."""
        from resgen.train.device import engine

        chosen = engine.choose(device=self.device, layout=self.layout, compile=self.compile)
        chosen = chosen.for_run()
        if chosen.device.type == "cpu":
            engine.keep_freed_memory()
        return chosen


@dataclass(frozen=True)
class Shown:
    """How it is shown."""

    PANEL = "How it is shown"

    form: Annotated[
        Literal["table", "json", "csv"], Option("--format", help="How to print the report.")
    ] = "table"
    plot: Annotated[
        Path | None, Option(metavar="FILE", help="Plot speed against MACs (png, svg, pdf).")
    ] = None
    force: Annotated[bool, Option("--force", help="Overwrite the file of --plot.")] = False


RULES = (
    *(
        Needs(option, (NETWORK,))
        for option in ("--mode", "--batch", "--rounds", "--seed", "--plot", "--with")
    ),
    Needs("--force", ("--plot",)),
)


@grouped
def bench(
    ctx: typer.Context,
    what: What,
    machine: Machine,
    shown: Shown,
    specs: Annotated[
        list[str] | None,
        typer.Argument(
            help="Spec files or shipped names.",
            metavar="[SPEC]...",
            autocompletion=completion.specs,
        ),
    ] = None,
    with_: Overrides = None,
) -> None:
    """Time networks: latency, inference, training, memory, share of the device's peak.

    All are timed in one run, in drawn order, with 95 % intervals; a network that is given twice
    shows what the method can tell apart. Without a SPEC the device's peaks alone are measured;
    --format json keeps them for --roofline here and in summarize. Ctrl-C prints what there is.
    """
    refuse(ctx, RULES, *([NETWORK] if specs else []))
    if shown.plot is not None:
        check_place(shown.plot, force=shown.force, endings=SUFFIXES)
    plans = each(lambda source: resolve(load_spec(source, with_ or ())), specs or [])
    kept = None if machine.roofline is None else given(machine.roofline, ())
    from resgen.timing import figure, forms
    from resgen.timing.cases import MODES

    engine = machine.engine()
    asked = what.asked(engine, alone=not specs)
    if kept is not None:
        kept = given(str(machine.roofline), asked.precisions)
    if shown.plot is not None:
        modes = [MODES[mode].batch for mode in asked.modes]
        panels = sum(1 if batch else len(asked.batches) for batch in modes)
        figure.check_panels(shown.plot, panels * len(asked.precisions))
    report, signal = _timed(plans, asked, engine, kept)
    say(forms.render(report, shown.form), plain=shown.form != "table")
    if shown.plot is not None and any(found.seconds for found in report.results):
        figure.draw(report, shown.plot, force=shown.force)
    if report.stopped:
        raise Interrupted(
            f"{signal or 'SIGINT'}: stopped after {report.rounds} of {asked.rounds} rounds"
        )


def _timed(
    plans: Sequence[Plan], asked: Asked, engine: Engine, kept: Peaks | None
) -> tuple[Report, str | None]:
    """What was measured, with lines on the way, and the signal that stopped it."""
    from resgen.timing import bench as timing
    from resgen.timing import peaks
    from resgen.train.run.log import Log
    from resgen.train.run.signals import Stop

    with Log() as log, Stop() as stop:

        def ceiling() -> Peaks:
            if kept is not None:
                return kept
            log.line("measuring the device's peaks")
            return peaks.measured(engine, asked.precisions)

        def done(number: int) -> None:
            if number == 1:
                log.open("rounds", total=asked.rounds, done=0)
            log.step(number)

        report = timing.bench(plans, asked, engine, ceiling, say=log.line, done=done)
    return report, stop.asked


def _words(option: str, text: str, known: Collection[str] = ()) -> list[str]:
    """What stands between commas. Raises UserError for what is not known, or there twice."""
    found = [word.strip() for word in text.split(",")]
    for word in found:
        if known and word not in known:
            raise UserError(f"{option} {text}: {word or 'nothing'} is none of {joined(known)}")
        if found.count(word) > 1:
            raise UserError(f"{option} {text}: {word or 'nothing'} stands there twice")
    return found


def _count(word: str) -> int:
    if not re.fullmatch(r"[0-9]{1,9}", word) or not 1 <= int(word) <= LARGEST:
        raise UserError(
            f"--batch {word or 'nothing'}: must be whole numbers from 1 to {LARGEST:,}, several "
            "as 1,16,64"
        )
    return int(word)
