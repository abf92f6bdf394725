"""Specs, Plans, books and proofs show as tables and drawings, and are short as text."""

from __future__ import annotations

from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree

import pytest

import resgen
from resgen.api.notebook import SHOWN
from resgen.errors import UserError
from resgen.plan import Plan
from resgen.spec import shipped

NAME = "cifar/resnet20"


class Tables(HTMLParser):
    """The cells of every table, row by row; tags that are not closed in their order are refused."""

    def __init__(self, document: str) -> None:
        super().__init__()
        self.rows: list[list[str]] = []
        self.open: list[str] = []
        self.feed(document)
        assert not self.open

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self.open.append(tag)
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append("")

    def handle_startendtag(self, tag: str, attrs: object) -> None:
        pass

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] in ("td", "th"):
            self.rows[-1][-1] += data


def shown(value: object) -> list[list[str]]:
    return Tables(value._repr_html_()).rows  # type: ignore[attr-defined]


def test_a_plan_is_a_table_of_its_stages_and_a_drawing() -> None:
    plan = resgen.resolve(NAME)
    rows = shown(plan)
    assert [row[0] for row in rows] == ["", "stem", "layer1", "layer2", "layer3", "head", "total"]
    counts = [int(row[3].replace(",", "")) for row in rows[1:]]
    assert sum(counts[:-1]) == counts[-1] == resgen.cost(plan).params
    assert plan._repr_svg_() in plan._repr_html_()  # type: ignore[attr-defined]


def test_books_have_each_of_their_lines() -> None:
    books = resgen.cost(NAME)
    cells = {row[0]: int(row[1].replace(",", "")) for row in shown(books)}
    assert cells == {
        "params": books.params,
        "MACs": books.macs,
        "FLOPs": 2 * books.macs,
        "activations": books.activations,
        "additions": books.residual_adds,
        "norm": books.norm,
        "activation": books.activation,
        "pool": books.pool,
        "bias": books.bias,
    }


def test_a_proof_is_its_checks_and_says_which_fails() -> None:
    proof = resgen.prove(NAME)
    assert shown(proof) == [["holds", check.text] for check in proof.checks]
    bad = proof._replace(checks=(*proof.checks, resgen.Check("a", False, "1 < 2 & 3")))
    assert shown(bad)[-1] == ["FAILS", "1 < 2 & 3"]
    assert repr(bad) == "<Proof: FAILS a: 1 < 2 & 3>"


def test_a_spec_is_its_keys() -> None:
    rows = dict(shown(resgen.load_spec(NAME)))
    assert rows["name"] == "resnet20"
    assert rows["stages[1]"] == "{depth: 3, width: 32, stride: 2}"


@pytest.mark.parametrize("name", ["resnet50", "dla/dla34", "regnet/regnety_002", "rl/impala"])
def test_each_shows_as_html_and_svg(name: str) -> None:
    spec = resgen.load_spec(name)
    for value in (spec, resgen.resolve(spec), resgen.draw(spec)):
        assert ElementTree.fromstring(value._repr_svg_()).tag.endswith("svg")  # type: ignore[attr-defined]
    assert shown(spec)
    assert shown(resgen.resolve(spec))


@pytest.mark.parametrize("name", shipped.names())
def test_a_spec_and_a_plan_are_a_short_line_as_text(name: str) -> None:
    spec = resgen.load_spec(name)
    for value in (spec, resgen.resolve(spec), resgen.cost(spec)):
        assert len(repr(value)) < 160
        assert "\n" not in repr(value)


def test_every_type_that_is_shown_is_public() -> None:
    assert {kind.__name__ for kind in SHOWN} <= set(resgen.__all__)


def test_plans_that_differ_are_not_equal_though_they_read_the_same() -> None:
    one = resgen.resolve("resnet50")
    other = resgen.resolve(resgen.load_spec("resnet50", ["bottleneck_ratio=8"]))
    assert repr(one) == repr(other)
    assert one != other
    assert isinstance(hash(one), int)
    assert isinstance(one, Plan)


def test_a_drawing_is_text_that_can_be_saved(tmp_path: Path) -> None:
    drawing = resgen.draw(NAME)
    drawing.save(tmp_path / "net.svg")
    assert (tmp_path / "net.svg").read_text() == drawing
    with pytest.raises(UserError, match="already exists"):
        drawing.save(tmp_path / "net.svg")
    with pytest.raises(UserError, match=r"end the file's name in \.svg, \.pdf or \.png"):
        drawing.save(tmp_path / "net.gif")
    assert repr(resgen.draw(NAME, "resnet18")) == "<Drawing of resnet20 and resnet18>"
