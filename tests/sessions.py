"""A page's files and terminal sessions, as a reader would save and type them."""

from __future__ import annotations

import doctest
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parent.parent
_BLOCK = re.compile(r'^```(\w+)(?: title="([^"]+)")?\n(.*?)^```$', re.M | re.S)


class File(NamedTuple):
    """A block with a title: what stands in the file of that name."""

    name: str
    text: str


class Typed(NamedTuple):
    """A line after `$ ` in a block of `console`, and what the page says it prints.

    `...` stands for any text, as in doctest.
    """

    command: str
    printed: str


def steps(page: Path) -> list[File | Typed]:
    """What a page asks for, in order."""
    found: list[File | Typed] = []
    for kind, title, text in _BLOCK.findall(page.read_text(encoding="utf-8")):
        if title:
            found.append(File(title, text))
        elif kind == "console":
            first, *sessions = re.split(r"^\$ ", text, flags=re.M)
            assert not first, f"{page}: a session begins with `$ `"
            found += [Typed(*session.split("\n", 1)) for session in sessions]
    return found


def follow(page: Path, folder: Path) -> None:
    """Does it all in a folder. Fails where a command prints something else than the page says."""
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    env = {**os.environ, "PATH": path, "NO_COLOR": "1"}
    for step in steps(page):
        if isinstance(step, File):
            (folder / step.name).write_text(step.text)
            continue
        done = subprocess.run(
            ["bash", "-o", "pipefail", "-c", f"{step.command} 2>&1"],
            cwd=folder, env=env, capture_output=True, text=True, check=False,
        )  # fmt: skip
        same = doctest.OutputChecker().check_output(step.printed, done.stdout, doctest.ELLIPSIS)
        assert same, f"{page.name}: $ {step.command}\n{done.stdout}"
