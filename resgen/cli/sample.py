"""`resgen sample`: networks drawn from a design space, within a budget."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import typer

from resgen.cli import completion
from resgen.cli.options import Needs, Overrides, grouped, refuse
from resgen.cli.streams import say
from resgen.cost import COUNTING
from resgen.cost.budget import Budget
from resgen.errors import UserError
from resgen.files import check_folder, check_place, make_folder, write_all
from resgen.search.sample import Candidate, Tally
from resgen.search.sample import sample as sampled
from resgen.spec.text import plain, spec_text
from resgen.words import aligned, overridden, short, wrapped

SHOWN = 20
SORTS = {
    "drawn": lambda candidate: candidate.number,
    "params": lambda candidate: candidate.books.params,
    "macs": lambda candidate: candidate.books.macs,
    "activations": lambda candidate: candidate.books.activations,
}


@dataclass(frozen=True)
class Draws:
    """Which networks are drawn."""

    PANEL = "Draws"

    draws: Annotated[int, typer.Option("-n", "--draws", help="Networks to draw.")] = 1000
    seed: Annotated[int, typer.Option(help="Draw k of a seed is always the same.")] = 0

    def check(self) -> None:
        """Raises UserError for no draws."""
        if self.draws < 1:
            raise UserError(f"--draws {self.draws}: must be 1 or more")


@dataclass(frozen=True)
class Limits:
    """What the networks may have."""

    PANEL = "Limits"

    max_macs: Annotated[str | None, typer.Option(metavar="2G", help="Leave out the rest.")] = None
    max_params: Annotated[str | None, typer.Option(metavar="25M", help="Leave out the rest.")] = (
        None
    )
    max_activations: Annotated[
        str | None, typer.Option(metavar="10M", help="Leave out the rest.")
    ] = None

    def budget(self) -> Budget:
        """The limits in numbers. Raises UserError for what is none."""
        return Budget.written(
            params=self.max_params, macs=self.max_macs, activations=self.max_activations
        )


RULES = (Needs("--force", ("--output",)),)


@grouped
def sample(
    ctx: typer.Context,
    space: Annotated[
        str,
        typer.Argument(help="A spec whose values may be choices.", autocompletion=completion.specs),
    ],
    wanted: Draws,
    limits: Limits,
    with_: Overrides = None,
    sort: Annotated[
        Literal["drawn", "params", "macs", "activations"], typer.Option(help="Smallest first.")
    ] = "drawn",
    form: Annotated[
        Literal["table", "csv", "json"], typer.Option("--format", help="How to list them.")
    ] = "table",
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", metavar="FOLDER", help="Write a spec file for each."),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Overwrite output files.")] = False,
) -> None:
    """Draw networks from a design space, within a budget.

    A design space is a spec in which a value may be {any: [a, b]} or {from: 8, to: 64, step: 8}.
    """
    refuse(ctx, RULES)
    wanted.check()
    if output is not None:
        check_folder(output)
    budget = limits.budget()
    found, tally = sampled(
        space, draws=wanted.draws, seed=wanted.seed, budget=budget, overrides=with_ or ()
    )
    found.sort(key=SORTS[sort])
    say(_FORMATS[form](found, tally), plain=form != "table")
    if output is not None:
        source = f"of seed {wanted.seed} from {space}"
        source += f" with {overridden(with_)}" if with_ else ""
        _write(found, output, source=source, force=force)
        say(f"wrote {len(found)} specs to {output}", err=True)


def _write(found: Sequence[Candidate], folder: Path, *, source: str, force: bool) -> None:
    """A spec file for each candidate; none is written where one may not be."""
    make_folder(folder)
    files: dict[Path, bytes | str] = {
        folder / f"{one.data['name']}.yaml": spec_text(
            plain(one.spec), f"draw {one.number} {source}"
        )
        for one in found
    }
    for file in files:
        check_place(file, force=force)
    write_all(files)


def _values(one: Candidate) -> list[str]:
    stages = one.spec.stages
    books = one.books
    return [
        str(one.data["name"]),
        *(str(n) for n in (books.params, books.macs, books.flops, books.activations)),
        "-".join(str(stage.depth) for stage in stages),
        "-".join(str(stage.width) for stage in stages),
    ]


_COLUMNS = ("name", "params", "macs", "flops", "activations", "depths", "widths")


def _table(found: Sequence[Candidate], tally: Tally) -> str:
    body = []
    for one in found[:SHOWN]:
        name, params, macs, _, activations, *rest = _values(one)
        figures = (f"{int(params):,}", short(int(macs)), short(int(activations)))
        body.append([name, *figures, *rest])
    lines = aligned(("", "params", "MACs", "activations", "depths", "widths"), body) if body else []
    if len(found) > SHOWN:
        lines.append(f"... and {len(found) - SHOWN:,} more; --format csv lists all")
    words = (
        f"{tally.drawn:,} drawn, {tally.drawn - tally.invalid:,} valid, {len(found):,} within the "
        "budget"
    )
    if tally.invalid:
        words += f"; the first that is not valid: {tally.first_reason}"
    return "\n".join([*lines, "", *wrapped(f"{words}."), *wrapped(f"{COUNTING}.")])


def _csv(found: Sequence[Candidate], tally: Tally) -> str:
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow([*_COLUMNS, "counting"])
    writer.writerows([*_values(one), COUNTING] for one in found)
    return out.getvalue().rstrip("\n")


def _json(found: Sequence[Candidate], tally: Tally) -> str:
    rows = [
        {
            "number": one.number,
            "params": one.books.params,
            "macs": one.books.macs,
            "flops": one.books.flops,
            "activations": one.books.activations,
            "spec": one.data,
        }
        for one in found
    ]
    data = {
        "version": 1, "drawn": tally.drawn, "invalid": tally.invalid, "over": tally.over,
        "counting": COUNTING, "candidates": rows,
    }  # fmt: skip
    return json.dumps(data, indent=2)


_FORMATS = {"table": _table, "csv": _csv, "json": _json}
