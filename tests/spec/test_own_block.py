"""docs/spec.md's block of one's own: its spec, its session, and its first mistakes."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from resgen.plan import plan_of
from resgen.report.draw import draw
from tests.test_readme import printed

DOCS = Path(__file__).parents[2] / "docs"
PAGE = (DOCS / "spec.md").read_text(encoding="utf-8")
CHAPTER = PAGE.partition("## A block of your own")[2]
(SPEC,) = re.findall(r"```yaml\n(.*?)```", CHAPTER, re.S)
MISTAKES = {
    "uneven": SPEC.replace("out / 16", "out / 24"),
    "unstrided": SPEC.replace(", stride: stage", ""),
    "even": SPEC.replace("{conv: 3}", "{conv: 4}"),
    "foreign": SPEC.replace("- norm\n", "- batchnorm\n"),
}


def sessions() -> list[tuple[str, str]]:
    found = re.findall(r"```\n\$ (.*?)\n(.*?)```", CHAPTER, re.S)
    assert len(found) == 1 + len(MISTAKES)
    return found


@pytest.mark.parametrize(("command", "expected"), sessions())
def test_a_session_prints_what_the_page_says(command: str, expected: str, tmp_path: Path) -> None:
    (tmp_path / "inception50.yaml").write_text(SPEC)
    for name, text in MISTAKES.items():
        assert text != SPEC
        (tmp_path / f"{name}.yaml").write_text(text)
    shown = printed(command, tmp_path)
    shown = re.sub(r"error: \S*/specs/imagenet/resnet50.yaml:", "error: (resnet50.yaml):", shown)
    assert shown == expected


def test_the_picture_on_the_page_is_the_networks(tmp_path: Path) -> None:
    path = tmp_path / "inception50.yaml"
    path.write_text(SPEC)
    assert draw([plan_of(path)]) == (DOCS / "inception50.svg").read_text(encoding="utf-8")
