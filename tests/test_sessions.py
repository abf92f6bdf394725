"""The tutorial and the how-to pages, followed literally; every option that the documents name."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer.main

from resgen.cli import app
from tests.sessions import ROOT, File, Typed, follow, steps

DOCS = ROOT / "docs"
FOLLOWED = [
    page
    for page in sorted([*DOCS.glob("*.md"), *DOCS.glob("how-to/*.md")])
    if any(isinstance(step, Typed) for step in steps(page))
]


@pytest.mark.slow
@pytest.mark.parametrize("page", FOLLOWED, ids=lambda page: page.stem)
def test_a_page_followed_literally_shows_what_it_says(page: Path, tmp_path: Path) -> None:
    follow(page, tmp_path)


def test_the_tutorial_goes_from_a_spec_to_an_exported_network() -> None:
    found = steps(DOCS / "tutorial.md")
    typed = [step.command.split()[:2] for step in found if isinstance(step, Typed)]
    words = ["summarize", "train", "evaluate", "predict", "build"]
    assert [word for word in words if ["resgen", word] in typed] == words
    assert [step.name for step in found if isinstance(step, File)] == [
        "first.yaml", "folders.py", "use.py",
    ]  # fmt: skip


def test_a_session_that_shows_something_else_is_seen(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text('```yaml title="a.txt"\nsome\n```\n\n```console\n$ cat a.txt\nsome\n```\n')
    follow(page, tmp_path)
    page.write_text(page.read_text() + "\n```console\n$ echo one; echo two\none\n```\n")
    with pytest.raises(AssertionError, match="echo one; echo two\none\ntwo"):
        follow(page, tmp_path)


def commands() -> dict[str, set[str]]:
    """The options of every command."""
    group = typer.main.get_command(app)
    return {
        name: {option for each in command.params for option in (*each.opts, *each.secondary_opts)}
        for name, command in group.commands.items()  # type: ignore[attr-defined]
    }


def lines(page: Path) -> Iterator[str]:
    """The command lines of a page's blocks and indented sessions, those that go on made one."""
    text = re.sub(r"\\\n\s*", " ", page.read_text(encoding="utf-8"))
    for line in text.splitlines():
        if found := re.match(
            r"(?:\s+|)(?:\$ )?(?:torchrun .* -m )?(?:srun .* )?(resgen [a-z]+ .*)", line
        ):
            yield found[1]


PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted(DOCS.rglob("*.md"))]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_every_option_of_a_command_line_exists(page: Path) -> None:
    known = commands()
    for line in lines(page):
        command = line.split()[1]
        if command not in known:
            continue
        for option in re.findall(r"(?<![\w-])--[a-z][a-z-]*", re.split(r"[|>]|  +#", line)[0]):
            assert option in known[command], line


def test_there_are_command_lines_to_look_at() -> None:
    assert sum(len(list(lines(page))) for page in PAGES) > 60
