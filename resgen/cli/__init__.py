"""The command line: load, call, render. Results go to stdout, everything else to stderr."""

from __future__ import annotations

import os
import sys
from typing import Annotated

import typer

from resgen.cli import streams
from resgen.cli.analyze import analyze
from resgen.cli.bench import bench
from resgen.cli.build import build
from resgen.cli.deepen import deepen
from resgen.cli.evaluate import evaluate
from resgen.cli.experiment import experiment
from resgen.cli.fit import fit
from resgen.cli.list import list_
from resgen.cli.predict import predict
from resgen.cli.report import report
from resgen.cli.sample import sample
from resgen.cli.schema import schema
from resgen.cli.summarize import summarize
from resgen.cli.train import train
from resgen.errors import ResgenError, UserError
from resgen.version import __version__

_HEAVY = ("torch", "torchvision", "fvcore")
"""What a plain install brings, and the half of resgen that computes nothing goes without."""

app = typer.Typer(
    name="resgen",
    help="Design, cost, prove, write, train and test residual networks from a YAML spec.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
app.command()(analyze)
app.command()(bench)
app.command()(build)
app.command()(deepen)
app.command()(evaluate)
app.command()(experiment)
app.command()(fit)
app.command("list")(list_)
app.command()(predict)
app.command()(report)
app.command()(sample)
app.command()(schema)
app.command()(summarize)
app.command()(train)


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
    """Design, cost, prove, write, train and test residual networks from a YAML spec.

    Exit codes: 0 fine, 1 a check failed, 2 bad input, 3 training diverged, 130 interrupted
    with the state saved.
    """


def _run() -> None:
    """The command; raises UserError where torch is not installed and it cannot go without."""
    try:
        app()
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
        _run()
    except ResgenError as error:
        for line in error.lines:
            print(f"error: {line}", file=sys.stderr)
        sys.exit(error.exit_code)
    except OSError as error:
        # A name too long, a folder that may not be entered: wherever a path is looked at.
        if error.filename is None:
            raise
        print(f"error: {os.fsdecode(error.filename)}: {error.strerror}", file=sys.stderr)
        sys.exit(2)
