"""Small networks and short runs, on one thread so that tests do not fight for the processors."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import typer

from resgen.cli.train import train
from resgen.train.data.images import Wanted
from resgen.train.device.engine import Engine
from resgen.train.device.processes import World
from resgen.train.recipe import Recipe
from resgen.train.run import runs
from resgen.train.run.network import load_all
from resgen.train.run.settings import Settings

torch.set_num_threads(1)

TINY = """
name: {name}
input: {{channels: 1, size: 8}}
stem: {{kind: conv3x3, width: 8}}
block: basic
shortcut: identity
stages:
  - {{depth: 1, width: 8}}
  - {{depth: 1, width: 16, stride: 2}}
classes: {classes}
"""

RECIPE: dict[str, Any] = {
    "description": "for tests",
    "length": "2 epochs",
    "batch": 128,
    "optimizer": {"lr": 0.05, "weight_decay": 1e-4},
    "schedule": {"kind": "cosine", "warmup": "10 %"},
    "augment": {"crop": "pad", "pad": 1, "flip": "horizontal"},
}


def recipe(**changes: Any) -> Recipe:
    return Recipe.model_validate({**RECIPE, **changes})


@pytest.fixture
def cpu() -> Engine:
    return Engine(torch.device("cpu"), "fp32", "contiguous", "off")


@pytest.fixture
def tiny(tmp_path: Path) -> Callable[..., str]:
    """Writes a tiny network's spec and gives its path."""

    def write(name: str = "tiny", classes: int = 10, more: str = "") -> str:
        path = tmp_path / f"{name}.yaml"
        path.write_text(TINY.format(name=name, classes=classes) + more)
        return str(path)

    return write


@pytest.fixture
def job(tiny: Callable[..., str], tmp_path: Path, cpu: Engine) -> Callable[..., runs.Job]:
    """A job on the digits in tmp_path/OUT; settings by keyword, recipe keys in `recipe_`."""

    def make(
        out: str = "run",
        *,
        specs: list[str] | None = None,
        recipe_: dict[str, Any] | None = None,
        data: Wanted | None = None,
        **settings: Any,
    ) -> runs.Job:
        chosen = Settings(out=tmp_path / out, **{"voice": "quiet", **settings})
        networks = load_all(specs or [tiny()])
        return runs.Job(networks, recipe(**(recipe_ or {})), data or Wanted(), chosen, cpu, World())

    return make


def typed(*words: str) -> None:
    """`resgen train WORDS`, in this process; errors come out as they are raised."""
    app = typer.Typer()
    app.command()(train)
    app(list(words), standalone_mode=False)


def typed_as(command: Callable[..., None], *words: str) -> None:
    """Another command's words, likewise; an exit code comes out as typer's Exit."""
    app = typer.Typer()
    app.command()(command)
    code = app(list(words), standalone_mode=False)
    if code:
        raise typer.Exit(code)


@pytest.fixture
def command(
    tiny: Callable[..., str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., None]:
    """`resgen train` of a tiny network in tmp_path."""
    monkeypatch.chdir(tmp_path)
    return lambda *arguments: typed(tiny(), *arguments)
