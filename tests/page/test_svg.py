"""SVGs of files become part of a page: ids and rules of their own, nothing that runs or loads."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from resgen.page.svg import picture, scoped, tone
from tests.page.document import read
from tests.page.folders import depth_figure

HEAD = '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 9 9">'


def written(inner: str, key: str = "a") -> str:
    found = picture(f"{HEAD}{inner}</svg>", key, title="t")
    assert found is not None
    return str(found.markup)


def test_ids_are_prefixed_wherever_they_are_used() -> None:
    text = written(
        '<defs><path id="tip" d="M0 0"/><clipPath id="c"><rect/></clipPath></defs>'
        '<use href="#tip"/><g clip-path="url(#c)" style="marker-end: url(#tip)"/>'
        "<style>#tip { fill: #fff } path { marker-end: url(#tip) }</style>",
        "first",
    )
    for each in ('id="first-tip"', 'href="#first-tip"', "url(#first-c)", "url(#first-tip)",
                 "#first #first-tip {"):  # fmt: skip
        assert each in text
    assert "fill: #fff" in text


def test_two_of_matplotlibs_figures_share_no_id(tmp_path: Path) -> None:
    depth_figure(tmp_path / "a.svg")
    text = (tmp_path / "a.svg").read_text()
    both = "".join(str(picture(text, key, title="t").markup) for key in ("a", "b"))  # type: ignore[union-attr]
    ids = [each.id for each in read(both).every() if each.id]
    assert len(ids) == len(set(ids)) > 20


@pytest.mark.parametrize(
    "inner",
    [
        "<script>alert(1)</script>",
        '<path onload="alert(1)" d="M0 0"/>',
        '<image href="https://example.org/a.png"/>',
        '<use href="https://example.org/a.svg#b"/>',
        "<foreignObject><p>a</p></foreignObject>",
        '<path fill="url(https://example.org/a)"/>',
        "<path style=\"fill: url('https://example.org/a')\"/>",
        "<style>@import 'https://example.org/a.css';</style>",
        "<style>path { fill: url(https://example.org/a) }</style>",
        '<a href="javascript:alert(1)"><text>a</text></a>',
        "<metadata><rdf xmlns='http://example.org/'/></metadata>",
    ],
)
def test_what_runs_or_loads_is_left_out(inner: str) -> None:
    text = written(inner)
    assert "example.org" not in text
    assert "alert" not in text


def test_an_image_inside_the_file_stays() -> None:
    assert 'href="data:image/png;base64,AAAA"' in written(
        '<image href="data:image/png;base64,AAAA"/>'
    )


@pytest.mark.parametrize("text", ["", "no svg", "<html/>", "<svg/>", "<svg", "\x00"])
def test_what_is_no_svg_is_none(text: str) -> None:
    assert picture(text, "a", title="t") is None


def test_rules_hold_inside_their_own_picture_alone() -> None:
    rules = scoped(
        "svg { --a: 1 } text, .b { fill: red } @media (prefers-color-scheme: dark) { "
        "svg { --a: 2 } .root .c { fill: blue } } @font-face { src: url(x) } "
        "svg:root { color: red }",
        "#a", ["root"],
    )  # fmt: skip
    assert re.sub(r"\s+", " ", rules) == (
        "#a { --a: 1 } #a text, #a .b { fill: red } @media screen and (prefers-color-scheme: dark) "
        "{ #a { --a: 2 } #a .c { fill: blue } } #a { color: red }"
    )


def test_words_keep_their_spaces_and_marks() -> None:
    assert "<text>a &lt; <tspan>b</tspan> &amp; c</text>" in written(
        "<text>a &lt; <tspan>b</tspan> &amp; c</text>"
    )


@pytest.mark.parametrize(
    ("colour", "words", "expected"),
    [
        ("#000000", False, "var(--ink)"),
        ("#fff", False, "var(--paper)"),
        ("white", True, "var(--paper)"),
        ("#808080", False, "color-mix(in srgb, var(--ink) 50%, var(--paper))"),
        ("#808080", True, "color-mix(in srgb, var(--ink) 75%, var(--paper))"),
        ("#0072B2", False, "#0072B2"),
        ("#0072B2", True, "color-mix(in srgb, #0072B2 40%, var(--ink))"),
    ],
)
def test_greys_lie_between_paper_and_ink(colour: str, words: bool, expected: str) -> None:
    assert tone(colour, words=words) == expected


def test_a_figure_with_rules_for_a_dark_scheme_keeps_its_colours() -> None:
    dark = "<style>@media (prefers-color-scheme: dark) { path { fill: #fff } }</style>"
    assert 'fill="#000000"' in written(f'{dark}<path fill="#000000"/>')
    assert 'fill="var(--ink)"' in written('<path fill="#000000"/>')
