"""`resgen list`: the networks, recipes, experiments and data sets that come with resgen."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import typer
from typer import Option

from resgen.cli import completion
from resgen.cli.options import Apart, grouped, refuse
from resgen.cli.streams import say
from resgen.cost.budget import amount
from resgen.search.catalog import Wanted, as_json, as_table, catalog, chosen
from resgen.spec import shipped
from resgen.words import hung, joined

_INDENT = 22


@dataclass(frozen=True)
class Filters:
    """Which networks."""

    PANEL = "Which networks"

    family: Annotated[
        str | None, Option(help="Of one folder of specs.", autocompletion=completion.families)
    ] = None
    block: Annotated[
        str | None, Option(metavar="WORD", help="With such blocks: basic, bottleneck, mbconv.")
    ] = None
    shortcut: Annotated[
        str | None, Option(metavar="WORD", help="With such shortcuts: identity, projection.")
    ] = None
    min_macs: Annotated[str | None, Option(metavar="1G", help="An image takes as many.")] = None
    max_macs: Annotated[str | None, Option(metavar="4.1G", help="An image takes no more.")] = None
    min_params: Annotated[str | None, Option(metavar="5M", help="Have as many.")] = None
    max_params: Annotated[str | None, Option(metavar="25M", help="Have no more.")] = None
    min_activations: Annotated[
        str | None, Option(metavar="5M", help="Put out as many elements.")
    ] = None
    max_activations: Annotated[
        str | None, Option(metavar="11M", help="Put out no more elements.")
    ] = None

    def wanted(self) -> Wanted:
        """The same in numbers. Raises UserError for what is none."""
        low, high = (
            {
                what: amount(text, f"--{bound}-{what}")
                for what in ("macs", "params", "activations")
                if (text := getattr(self, f"{bound}_{what}")) is not None
            }
            for bound in ("min", "max")
        )
        return Wanted(self.block, self.shortcut, low, high)


OTHERS = "recipes, experiments or data"
_ONLY = "only networks have it; leave it out"
RULES = tuple(
    Apart(option, (OTHERS,), _ONLY)
    for option in (
        "--family", "--block", "--shortcut", "--sort", "--min-macs", "--max-macs", "--min-params",
        "--max-params", "--min-activations", "--max-activations",
    )
)  # fmt: skip


@grouped
def list_(
    ctx: typer.Context,
    filters: Filters,
    pattern: Annotated[
        str,
        typer.Argument(
            help="Part of a network's name, or a pattern such as 'regnet/*'; or what else is to "
            "be listed: recipes, experiments, data.",
            autocompletion=completion.listed,
        ),
    ] = "*",
    sort: Annotated[
        Literal["given", "name", "params", "macs", "activations", "layers"],
        Option(help="Smallest first, in one list; given: by family."),
    ] = "given",
    form: Annotated[
        Literal["table", "json"], Option("--format", help="How to print the list.")
    ] = "table",
) -> None:
    """List what is shipped: networks with their costs; recipes, experiments, data.

    A network's line has its input, params, MACs and what they were checked against.
    """
    if pattern in _LISTS:
        refuse(ctx, RULES, OTHERS)
        found = _LISTS[pattern]()
        if form == "json":
            say(json.dumps({"version": 1, pattern: found}, indent=2), plain=True)
        else:
            say("\n".join(line for each in found for line in _told(each)))
        return
    items = chosen(catalog(pattern, filters.family), filters.wanted(), sort)
    say(as_json(items) if form == "json" else as_table(items, sort), plain=form == "json")


def _told(each: dict[str, Any]) -> list[str]:
    """The name, and beside it what it is; a longer name stands above."""
    *above, name = [each["name"], ""] if len(each["name"]) > _INDENT - 2 else [each["name"]]
    return [*above, *hung(name, " ".join(each["about"].split()), _INDENT)]


def _recipes() -> list[dict[str, Any]]:
    from resgen.train.recipe import read_recipe

    found = []
    for name in shipped.names("recipe"):
        recipe = read_recipe(name)
        told = f"{recipe.length}, {recipe.batch} images a step. {recipe.description}"
        found.append({"name": name, "about": told, **recipe.model_dump(mode="json")})
    return found


def _experiments() -> list[dict[str, Any]]:
    from resgen.experiment import read_experiment

    found = []
    for name in shipped.names("experiment"):
        one = read_experiment(name)
        scales = [*one.scales]
        told = f"{' '.join(one.claim.split())} Scales: {joined(scales)}."
        found.append({"name": name, "about": told, "source": one.source, "scales": scales})
    return found


def _data() -> list[dict[str, Any]]:
    from resgen.train.data.facts import ABOUT
    from resgen.train.recipe.defaults import RECIPES

    return [
        {"name": name, "about": f"{about} Recipe: {recipe}.", "recipe": recipe}
        for name, about in ABOUT.items()
        for recipe in [RECIPES[name.partition(":")[0].partition("[")[0]]]
    ]


_LISTS: dict[str, Callable[[], list[dict[str, Any]]]] = {
    "recipes": _recipes,
    "experiments": _experiments,
    "data": _data,
}
