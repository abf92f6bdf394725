"""What commands share: options grouped in records, and options that do not go together."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection, Iterable, Sequence
from copy import copy
from dataclasses import fields, is_dataclass
from functools import wraps
from typing import Annotated, Any, NamedTuple, get_args, get_type_hints

import typer

from resgen.errors import UserError
from resgen.words import joined

Overrides = Annotated[
    list[str] | None,
    typer.Option("--with", metavar="KEY=VALUE", help="Changes the spec: stages[2].depth=12."),
]
"""Of every command that takes a spec."""


def grouped(command: Callable[..., None]) -> Callable[..., None]:
    """The command as typer reads it: in place of each record the options that are its fields.

    A record is a dataclass whose fields are annotated as typer wants its parameters; its PANEL
    is the heading that they stand under in `--help`.
    """
    hints = get_type_hints(command, include_extras=True)
    records: dict[str, Any] = {name: hint for name, hint in hints.items() if is_dataclass(hint)}
    flat: list[inspect.Parameter] = []
    for name, parameter in inspect.signature(command).parameters.items():
        if name in records:
            flat += _options(records[name])
        else:
            flat.append(parameter.replace(annotation=hints[name], kind=_BY_NAME))

    @wraps(command)
    def called(**values: Any) -> None:
        made = {
            name: record(**{field.name: values.pop(field.name) for field in fields(record)})
            for name, record in records.items()
        }
        command(**values, **made)

    called.__signature__ = inspect.Signature(flat)  # type: ignore[attr-defined]
    called.__annotations__ = {each.name: each.annotation for each in flat}
    return called


_BY_NAME = inspect.Parameter.KEYWORD_ONLY


def _options(record: Any) -> list[inspect.Parameter]:
    hints = get_type_hints(record, include_extras=True)
    return [
        inspect.Parameter(
            field.name,
            _BY_NAME,
            default=field.default,
            annotation=_in_panel(hints[field.name], record.PANEL),
        )
        for field in fields(record)
    ]


def _in_panel(hint: Any, panel: str) -> Any:
    kind, option = get_args(hint)
    if option.rich_help_panel is None:
        option = copy(option)
        option.rich_help_panel = panel
    return Annotated[kind, option]


class Apart(NamedTuple):
    """An option that cannot stand beside any of others, and the way out.

    `unless` another gives it a meaning after all.
    """

    option: str
    others: tuple[str, ...]
    way_out: str
    unless: str = ""

    def against(self, given: set[str]) -> str | None:
        """What is wrong with the options given, in a sentence."""
        other = next((each for each in self.others if each in given), None)
        if self.option not in given or other is None or self.unless in given:
            return None
        return f"{self.option} and {other} exclude each other; {self.way_out}"


class Needs(NamedTuple):
    """An option that says nothing unless one of others is there, too."""

    option: str
    others: tuple[str, ...]

    def against(self, given: set[str]) -> str | None:
        """What is wrong with the options given, in a sentence."""
        if self.option not in given or given & set(self.others):
            return None
        which = "it" if len(self.others) == 1 else "one of them"
        others = joined(self.others, "or")
        return f"{self.option} says nothing without {others}; add {which}, or leave it out"


def refuse(ctx: typer.Context, rules: Iterable[Apart | Needs], *said: str) -> None:
    """Raises UserError for the first rule that the options on the command line break.

    `said` is what else the command line says that a rule may name: several networks.
    """
    given = typed(ctx) | set(said)
    for rule in rules:
        if sentence := rule.against(given):
            raise UserError(sentence)


def typed(ctx: typer.Context) -> set[str]:
    """The options on the command line by their long names, with words also as `--by depth`.

    Of `--measure/--no-measure` it is the one that was written.
    """
    found = set()
    for parameter in ctx.command.params:
        source = ctx.get_parameter_source(parameter.name or "")
        if source is not None and source.name == "COMMANDLINE":
            value = ctx.params[parameter.name or ""]
            off = value is False and parameter.secondary_opts
            name = (parameter.secondary_opts if off else parameter.opts)[-1]
            found |= {name, f"{name} {value}"} if isinstance(value, str) else {name}
    return found


DATA = "digits, cifar10[:PATH], cifar100[:PATH], folder:PATH, hf:NAME|PATH, synthetic."
"""What --data takes, for its help."""


def keys_set(changes: Sequence[str] | None) -> list[str]:
    """What the rules know changes of a recipe by: `--set batch`."""
    return [f"--set {each.partition('=')[0].strip()}" for each in changes or ()]


def retyped(ctx: typer.Context, *, without: Collection[str]) -> list[str]:
    """The command as it was typed, its arguments first, less the parameters named."""
    words: list[str] = []
    options: list[str] = []
    for parameter in ctx.command.params:
        name = parameter.name or ""
        source = ctx.get_parameter_source(name)
        if name in without or source is None or source.name != "COMMANDLINE":
            continue
        value = ctx.params[name]
        if parameter.param_type_name == "argument":
            words += value if isinstance(value, tuple | list) else [str(value)]
        elif isinstance(value, bool):
            options.append((parameter.opts if value else parameter.secondary_opts)[-1])
        else:
            for each in value if isinstance(value, tuple | list) else [value]:
                options += [parameter.opts[-1], str(each)]
    return ["resgen", ctx.info_name or "", *words, *options]
