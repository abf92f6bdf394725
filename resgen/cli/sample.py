"""`resgen sample`: networks drawn from a design space, within a budget."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal

import typer

from resgen.cost import COUNTING
from resgen.cost.budget import Budget, amount
from resgen.errors import UserError
from resgen.files import write_new
from resgen.search.sample import Candidate, Tally
from resgen.search.sample import sample as sampled
from resgen.spec.text import plain, spec_text
from resgen.words import aligned, short, wrapped

SHOWN = 20
SORTS = {
    "drawn": lambda candidate: candidate.number,
    "params": lambda candidate: candidate.books.params,
    "macs": lambda candidate: candidate.books.macs,
    "activations": lambda candidate: candidate.books.activations,
}


def sample(
    space: Annotated[str, typer.Argument(help="A spec whose values may be choices.")],
    draws: Annotated[int, typer.Option("-n", "--draws", help="Networks to draw.")] = 1000,
    seed: Annotated[int, typer.Option(help="Draw k of a seed is always the same.")] = 0,
    max_macs: Annotated[str | None, typer.Option(metavar="2G", help="Leave out the rest.")] = None,
    max_params: Annotated[
        str | None, typer.Option(metavar="25M", help="Leave out the rest.")
    ] = None,
    max_activations: Annotated[
        str | None, typer.Option(metavar="10M", help="Leave out the rest.")
    ] = None,
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
    if draws < 1:
        raise UserError(f"--draws {draws}: must be 1 or more")
    budget = Budget(
        params=_most(max_params, "--max-params"),
        macs=_most(max_macs, "--max-macs"),
        activations=_most(max_activations, "--max-activations"),
    )
    found, tally = sampled(space, draws=draws, seed=seed, budget=budget)
    found.sort(key=SORTS[sort])
    typer.echo(_FORMATS[form](found, tally))
    if output is not None:
        if output.exists() and not output.is_dir():
            raise UserError(f"-o {output}: is a file; name a folder")
        output.mkdir(parents=True, exist_ok=True)
        for one in found:
            text = spec_text(plain(one.spec), f"draw {one.number} of seed {seed} from {space}")
            write_new(output / f"{one.data['name']}.yaml", text, force=force)
        typer.echo(f"wrote {len(found)} specs to {output}", err=True)


def _most(text: str | None, option: str) -> int | None:
    return None if text is None else amount(text, option)


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
