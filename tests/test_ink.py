"""Colour: of verdicts, labels and headers, where a terminal shows it, and nowhere else."""

from __future__ import annotations

import io
import re

import pytest

from resgen import ink
from resgen.plan import resolve
from resgen.proof import Check, Proof
from resgen.report.formats import Entry, comparison
from resgen.report.tables import table
from resgen.search.catalog import as_table, catalog
from resgen.spec import load_spec

CODES = re.compile(r"\x1b\[[0-9;]*m")


class Screen(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("NO_COLOR", "FORCE_COLOR", "COLORTERM"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm")


def styled(text: str) -> dict[str, str]:
    """The words of a text that stand out, each with the name of its style."""
    made = ink.painted(text)
    return {made.plain[span.start : span.end]: str(span.style) for span in made.spans}


def report(holds: bool) -> str:
    proof = Proof((Check("additions", holds, "the trace adds 8 times"),))
    return table(resolve(load_spec("resnet18")), proof)


def test_verdicts_are_green_and_red() -> None:
    assert ink.STYLES["good"] == "green"
    assert "red" in ink.STYLES["bad"]
    assert styled(report(holds=True))["holds"] == "good"
    assert styled(report(holds=False))["FAILS"] == "bad"
    assert styled("error: resnet18: no")["error"] == "bad"
    assert styled("verdict   holds: all of it")["holds"] == "good"
    assert styled("verdict   does not hold: 0.3")["does not hold"] == "bad"
    assert styled("verdict   undecided: 0.3")["undecided"] == "odd"
    assert styled("net: 5 parameters; proof holds in all 7 parts")["proof holds"] == "good"


def test_a_verdict_in_a_sentence_is_a_word() -> None:
    assert not styled("it holds what it promises, and it fails to say more")
    assert not styled("upholds  and-holds  holdsting")


def test_names_headers_and_totals_are_bold() -> None:
    text = report(holds=True)
    found = styled(text)
    lines = text.splitlines()
    assert ink.STYLES[found["resnet18"]] == "bold"
    assert found[next(line for line in lines if line.split()[:2] == ["output", "blocks"])] == "head"
    assert found[next(line for line in lines if line.startswith("total"))] == "head"
    both = comparison([Entry(resolve(load_spec(name))) for name in ("resnet18", "resnet34")])
    assert styled(both)[both.splitlines()[0]] == "head"
    shipped = as_table(catalog("resnet18"))
    assert styled(shipped)[shipped.splitlines()[0]] == "head"


def test_less_its_codes_a_text_is_the_text() -> None:
    for text in (report(True), "a [red]b[/red] :smile: c\\[", "x" * 300, "\n\n  note: a\n", ""):
        shown = ink.written(text, Screen())
        assert CODES.sub("", shown) == text
    assert CODES.search(ink.written(report(True), Screen()))


@pytest.mark.parametrize(
    ("variables", "stream", "coloured"),
    [
        ({}, Screen(), True),
        ({}, io.StringIO(), False),
        ({"NO_COLOR": "1"}, Screen(), False),
        ({"NO_COLOR": ""}, Screen(), True),
        ({"FORCE_COLOR": "1"}, io.StringIO(), True),
        ({"FORCE_COLOR": "1", "NO_COLOR": "1"}, Screen(), False),
        ({"TERM": "dumb"}, Screen(), False),
    ],
)
def test_the_environment_says_whether_there_is_colour(
    variables: dict[str, str], stream: io.StringIO, coloured: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert ("\x1b[" in ink.written(report(True), stream)) == coloured
