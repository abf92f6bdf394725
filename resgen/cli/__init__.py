"""The command line: load, call, render. Results go to stdout, everything else to stderr."""

from __future__ import annotations

import os
import sys
from typing import Annotated, NoReturn

import typer

from resgen.cli import streams
from resgen.cli.analyze import analyze
from resgen.cli.bench import bench
from resgen.cli.build import build
from resgen.cli.deepen import deepen
from resgen.cli.evaluate import evaluate
from resgen.cli.experiment import experiment
from resgen.cli.fit import fit
from resgen.cli.help import EXIT_CODES, NAMES, Commands, Panels
from resgen.cli.list import list_
from resgen.cli.predict import predict
from resgen.cli.report import report
from resgen.cli.sample import sample
from resgen.cli.schema import schema
from resgen.cli.summarize import summarize
from resgen.cli.train import train
from resgen.errors import ResgenError, UserError, one_line
from resgen.version import __version__

_HEAVY = ("torch", "torchvision", "fvcore")
"""What a plain install brings, and the half of resgen that computes nothing goes without."""

app = typer.Typer(
    name="resgen",
    cls=Commands,
    context_settings=NAMES,
    epilog=EXIT_CODES,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
COMMANDS = {
    "Networks": (list_, summarize, build, report, schema),
    "New networks": (fit, sample, deepen),
    "Training": (train, experiment, evaluate, predict, analyze, bench),
}
for _panel, _commands in COMMANDS.items():
    for _command in _commands:
        app.command(
            _command.__name__.rstrip("_"), cls=Panels, epilog=EXIT_CODES, rich_help_panel=_panel
        )(_command)


def _version(asked: bool) -> None:
    if asked:
        typer.echo(f"resgen {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """Design, cost, prove, write, train and test residual networks from a YAML spec."""


def _run() -> int | None:
    """The command, and its exit code; raises UserError where it needs torch and there is none."""
    try:
        code: int | None = app(prog_name="resgen", standalone_mode=False)
        return code
    except ModuleNotFoundError as missing:
        if missing.name not in _HEAVY:
            raise
        raise UserError(
            f"this needs {missing.name}, which is not installed: pip install torch torchvision "
            "fvcore; list, schema, fit, sample, summarize and report --no-measure, and build for "
            ".py, .yaml and .json go without"
        ) from missing


def main() -> None:
    """The console script: a sentence a mistake on stderr and an exit code for what goes wrong."""
    streams.guard()
    try:
        sys.exit(_run())
    except ResgenError as error:
        _end(error.exit_code, *error.lines)
    except typer.TyperException as error:
        _end(error.exit_code, *_usage(error))
    except typer.Abort:
        _end(1, "aborted")
    except OSError as error:
        # A name too long, a folder that may not be entered: wherever a path is looked at.
        if error.filename is None:
            raise
        _end(2, f"{os.fsdecode(error.filename)}: {error.strerror}")


def _end(code: int, *lines: str) -> NoReturn:
    for line in lines:
        streams.say(f"error: {line}", err=True)
    sys.exit(code)


def _usage(error: typer.TyperException) -> list[str]:
    """What is wrong with the options and arguments, in a sentence; of no command, the help."""
    ctx = getattr(error, "ctx", None)
    if type(error).__name__ == "NoArgsIsHelpError":
        typer.echo(error.format_message(), err=True, color=getattr(ctx, "color", None))
        return []
    text = one_line(error.format_message().rstrip("."))
    command = ctx.command_path if ctx else "resgen"
    text += " " if text.endswith("?") else "; "
    return [f"{text[:1].lower()}{text[1:]}`{command} --help` says what there is"]
