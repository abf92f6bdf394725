"""What a shell may complete an argument or option with: names of what is shipped, files, layers.

Where there is nothing to offer, a shell falls back on the files it knows. Nothing here fails: a
mistake in what was typed so far is said when the command is run, not in the middle of a line.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import wraps
from pathlib import Path
from textwrap import shorten
from typing import TYPE_CHECKING

import typer

from resgen.spec import shipped

if TYPE_CHECKING:
    from resgen.plan import Plan

Offer = list[tuple[str, str]]
"""Words, each with a few others that say what it is; bash shows the words alone."""
SPECS = (".yaml", ".yml")


def _silent(offer: Callable[..., Offer]) -> Callable[..., Offer]:
    @wraps(offer)
    def offered(ctx: typer.Context, incomplete: str) -> Offer:
        try:
            return offer(ctx, incomplete)
        except Exception:
            return []

    return offered


def _starting(start: str, words: Iterable[tuple[str, str]]) -> Offer:
    return [(word, about) for word, about in words if word.startswith(start)]


@_silent
def specs(ctx: typer.Context, incomplete: str) -> Offer:
    """Shipped networks, by their last part while that says which; spec files and run folders."""
    names = sorted(shipped.names(), key=lambda name: name.rpartition("/")[::-1])
    lasts = [name.rpartition("/")[2] for name in names]
    short = [
        (last, name.rpartition("/")[0])
        for name, last in zip(names, lasts, strict=True)
        if lasts.count(last) == 1
    ]
    found = _starting(incomplete, short) if "/" not in incomplete else []
    return (found or _starting(incomplete, ((name, "") for name in names))) + _files(incomplete)


def _files(incomplete: str) -> Offer:
    """The spec files and run folders beside what is typed."""
    from resgen.spec.loading import RUN_SPEC

    typed = Path(incomplete)
    folder = typed if incomplete.endswith("/") else typed.parent
    found = [
        (path, "a run" if path.is_dir() else "a file")
        for path in sorted(folder.iterdir() if folder.is_dir() else ())
        if path.suffix in SPECS or (path / RUN_SPEC).is_file()
    ]
    offered = ((str(path), about) for path, about in found)
    # Hidden files are offered to whoever types their dot, as shells do.
    hidden = incomplete.rpartition("/")[2].startswith(".")
    return [
        each
        for each in _starting(incomplete, offered)
        if hidden or not each[0].rpartition("/")[2].startswith(".")
    ]


@_silent
def recipes(ctx: typer.Context, incomplete: str) -> Offer:
    """Shipped recipes, and files of them."""
    known = [(name, _about(name)) for name in shipped.names("recipe")]
    return _starting(incomplete, known) + _files(incomplete)


def _about(recipe: str) -> str:
    from resgen.train.recipe import read_recipe

    return shorten(read_recipe(recipe).description, 60, placeholder=" ...")


@_silent
def experiments(ctx: typer.Context, incomplete: str) -> Offer:
    """Shipped experiments, and files of them."""
    known = [(name, "") for name in shipped.names("experiment")]
    return _starting(incomplete, known) + _files(incomplete)


@_silent
def families(ctx: typer.Context, incomplete: str) -> Offer:
    """Folders of shipped networks."""
    found = dict.fromkeys(name.partition("/")[0] for name in shipped.names())
    return _starting(incomplete, ((name, "") for name in found))


@_silent
def listed(ctx: typer.Context, incomplete: str) -> Offer:
    """What `resgen list` lists: networks, and the words for what else there is."""
    return _starting(incomplete, ((word, "") for word in ("recipes", "experiments", "data"))) + [
        each for each in specs(ctx, incomplete) if each[1] not in ("a file", "a run")
    ]


@_silent
def data(ctx: typer.Context, incomplete: str) -> Offer:
    """Data sets."""
    from resgen.train.data.facts import NAMES

    return _starting(incomplete, ((name.removesuffix("PATH"), "") for name in NAMES))


@_silent
def layers(ctx: typer.Context, incomplete: str) -> Offer:
    """Stages, blocks and layers of the network on the command line."""
    from resgen.report.kinds import kind_of

    plan = _plan(ctx)
    found = {path: kind_of(layer.op) for path, layer in plan.named_layers() if layer.name}
    return _starting(incomplete, [*_blocks(plan), *found.items()])


@_silent
def blocks(ctx: typer.Context, incomplete: str) -> Offer:
    """Stages and blocks of the network on the command line."""
    return _starting(incomplete, _blocks(_plan(ctx)))


def _plan(ctx: typer.Context) -> Plan:
    from resgen.plan import resolve
    from resgen.spec import load_spec

    # An option that still lacks its value ends the parsing: the words before it are left in args.
    given = ctx.params.get("specs") or ctx.args
    return resolve(load_spec(given[0], ctx.params.get("with_") or ()))


def _blocks(plan: Plan) -> Offer:
    stages = [(stage.name, f"{stage.depth} blocks") for stage in plan.stages]
    return stages + [(str(path), block.kind) for path, block in plan.named_blocks()]
