"""`--help`: options in panels by what they are about, whole sentences, exit codes, 80 columns.

A panel is what typer calls `rich_help_panel`. It is drawn as a headed list and not as a box: in 80
columns a box leaves a third of them to the sentences, and `<auto|channels_last|contiguous>` breaks.
"""

from __future__ import annotations

import sys
from typing import Any

from typer.core import TyperCommand, TyperGroup

from resgen import ink

OPTIONS, COMMANDS = "Options", "Commands"
EXIT_CODES = (
    "Exit codes: 0 fine; 1 a check failed (a proof, a budget, an image); 2 bad input; 3 training "
    "diverged; 130 interrupted, with the state saved."
)
NAMES = {"help_option_names": ["-h", "--help"]}
"""The settings of every command."""


class Panels(TyperCommand):
    """A command whose options stand in panels, those of none last."""

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Writes the arguments, then the options, panel by panel."""
        _write_parameters(self, ctx, formatter)

    def get_help(self, ctx: Any) -> str:
        """The page, in colour where it is shown on a terminal."""
        return _painted(super().get_help(ctx), ctx)


class Commands(TyperGroup):
    """The commands, in panels, each with its whole first sentence."""

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Writes the commands, then the options."""
        panels: dict[str, list[tuple[str, str]]] = {}
        for name in self.list_commands(ctx):
            command: Any = self.get_command(ctx, name)
            sentence = " ".join((command.help or "").partition("\n\n")[0].split())
            panels.setdefault(command.rich_help_panel or COMMANDS, []).append((name, sentence))
        for title, rows in panels.items():
            with formatter.section(title):
                formatter.write_dl(rows)
        _write_parameters(self, ctx, formatter)

    def get_help(self, ctx: Any) -> str:
        """The page, in colour where it is shown on a terminal."""
        return _painted(super().get_help(ctx), ctx)


def _write_parameters(command: Any, ctx: Any, formatter: Any) -> None:
    panels: dict[str, list[tuple[str, str]]] = {"Arguments": []}
    for parameter in command.get_params(ctx):
        record = parameter.get_help_record(ctx)
        if record is None:
            continue
        if parameter.param_type_name == "argument":
            # `SPEC <list[str]>`: the usage line says whether there may be several.
            panels["Arguments"].append((record[0].partition(" <")[0], record[1]))
        else:
            title = getattr(parameter, "rich_help_panel", None) or OPTIONS
            panels.setdefault(title, []).append(record)
    for title in sorted(panels, key=lambda title: title == OPTIONS):
        if panels[title]:
            with formatter.section(title):
                formatter.write_dl(panels[title])


def _painted(text: str, ctx: Any) -> str:
    shown = ink.written(text, sys.stdout, ink.HELP)
    if shown != text:
        ctx.color = True  # or what is printed would lose it where FORCE_COLOR reaches a pipe
    return shown
