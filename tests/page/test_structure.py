"""Every kind of page is sound HTML that a screen reader finds its way in, and loads nothing."""

from __future__ import annotations

import re
from itertools import pairwise
from pathlib import Path

import pytest

from resgen import cost, resolve
from resgen.cli.proofs import proved
from resgen.page import comparison_page, experiment_page, rendering, spec_page
from tests.compare.folders import write_run
from tests.page.conftest import KINDS
from tests.page.document import Element, read, table
from tests.page.folders import comparison, outcome, runs, write_experiment


@pytest.fixture
def documents(pages: dict[str, str]) -> dict[str, Element]:
    return {kind: read(text) for kind, text in pages.items()}


@pytest.mark.parametrize("kind", KINDS)
def test_no_two_elements_share_an_id_and_every_reference_meets_one(
    documents: dict[str, Element], kind: str
) -> None:
    page = documents[kind]
    ids = [each.id for each in page.every() if each.id]
    assert len(ids) == len(set(ids))
    for each in page.every():
        for name, value in each.attributes.items():
            if name in ("aria-labelledby", "aria-describedby"):
                assert set((value or "").split()) <= set(ids)
            elif name == "href":
                assert (value or "").removeprefix("#") in ids
            for key in re.findall(r"url\(([^)]*)\)", value or ""):
                assert key.removeprefix("#") in ids


@pytest.mark.parametrize("kind", KINDS)
def test_headings_are_one_h1_and_no_level_is_left_out(
    documents: dict[str, Element], kind: str
) -> None:
    levels = [int(each.name[1]) for each in documents[kind].every("h1", "h2", "h3", "h4", "h5")]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))


@pytest.mark.parametrize("kind", KINDS)
def test_landmarks_captions_and_scopes_are_there(documents: dict[str, Element], kind: str) -> None:
    page = documents[kind]
    for landmark in ("header", "nav", "main", "footer"):
        assert len(list(page.every(landmark))) == 1
    first = next(page.every("body")).inner
    skip = next(each for each in first if isinstance(each, Element))
    assert (skip.name, skip.attributes["href"]) == ("a", "#content")
    assert next(page.every("html")).attributes["lang"] == "en"
    for each in page.every("table"):
        assert next(each.every("caption")).text
        assert all(head.attributes.get("scope") in ("row", "col") for head in each.every("th"))
        rows = [len(list(row.every("th", "td"))) for row in each.every("tr")]
        assert len(set(rows)) == 1
    for each in page.every("section"):
        assert each.attributes["aria-labelledby"]


@pytest.mark.parametrize("kind", KINDS)
def test_every_picture_says_what_it_shows(documents: dict[str, Element], kind: str) -> None:
    found = list(documents[kind].every("svg"))
    assert found
    for svg in found:
        assert svg.attributes["role"] == "img"
        assert next(svg.every("title")).text


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_is_loaded(documents: dict[str, Element], pages: dict[str, str], kind: str) -> None:
    page = documents[kind]
    assert not list(page.every("link", "iframe", "object", "embed", "base"))
    for each in page.every():
        assert "src" not in each.attributes
        assert not [name for name in each.attributes if name.startswith("on")]
        href = each.attributes.get("href")
        assert href is None or href.startswith("#")
    text = pages[kind].replace("http://www.w3.org/2000/svg", "")
    assert "@import" not in text
    assert not re.search(r"url\((?!#)", text)
    assert "default-src 'none'" in text


def test_the_figures_of_resnet50_to_the_digit(documents: dict[str, Element]) -> None:
    page = documents["sheet"]
    (total,) = (row for row in table(page, "net-stages") if row[0] == "total")
    assert total == [
        "total", "1000", "16", "25,557,032", "4,089,184,256", "8,178,368,512", "11,113,984",
        "5,519,360",
    ]  # fmt: skip
    assert table(page, "net-layers")[-1][-5:] == total[-5:]
    counted = {row[0]: row[1] for row in table(page, "net-counted")}
    assert counted["torchvision"] == "4,089,184,256"
    assert counted["fvcore"] == "4,111,512,576"
    paths = table(page, "net-paths")
    assert ["projection shortcuts", "4", "2,776,576", "359,661,568"] in paths
    assert "the proof holds" in page.text
    assert "fvcore measures the same, layer by layer: 54 with MACs, 53 norms" in page.text


def test_rows_of_layers_add_up_to_the_total(documents: dict[str, Element]) -> None:
    _, *rows, total = table(documents["sheet"], "net-layers")
    for column in range(3, 8):
        values = [int(row[column].replace(",", "")) for row in (*rows, total)]
        assert sum(values[:-1]) == values[-1]


def test_specs_are_compared_to_the_first(documents: dict[str, Element]) -> None:
    page = documents["specs"]
    heads, *rows = table(page, "costs")
    assert [dict(zip(heads[:3], row[:3], strict=True))["params"] for row in rows] == [
        f"{cost(resolve(f'cifar/{name}')).params:,}"
        for name in ("plain56", "resnet56", "resnet110")
    ]
    assert rows[1][3] == "="
    assert rows[2][3] == "+102.57%"
    keys = {row[0]: row[1:] for row in table(page, "keys")}
    assert keys["stages[0].depth"] == ["9", "9", "18"]
    assert keys["shortcut.kind"] == ["none", "identity", "identity"]
    assert "name" not in keys


def test_runs_are_grouped_over_seeds_and_those_left_out_are_named(
    documents: dict[str, Element],
) -> None:
    page = documents["runs"]
    groups = table(page, "groups")
    assert [row[:2] for row in groups[1:]] == [["tiny [1]", "2"], ["tiny [2]", "2"]]
    assert groups[1][3].startswith("10.50 \u00b1 0.71")
    assert "tiny [1]: left out: seed 7 has not ended, after epoch 1" in page.text
    assert table(page, "runs")[1][2] == "unfinished"
    assert table(page, "apart-1")[1] == ["recipe.batch", "128", "64"]
    assert "resgen train tiny.yaml" in page.text


def test_an_experiment_says_its_claim_and_every_comparison(documents: dict[str, Element]) -> None:
    page, said = documents["experiment"], outcome()
    for text in (said.title, said.claim, said.source, said.said, said.sentence, *said.commands):
        assert text in page.text
    rows = table(page, "tests")
    assert rows[1] == [
        "plain56's training error is above plain20's", "holds", "+45.50", "+28.60 to +62.40", "5",
        "5 of 5", "Welch's t interval, 95 %",
    ]  # fmt: skip
    assert [row[1] for row in rows[1:]] == ["holds", "holds", "undecided"]
    networks = {row[0]: row for row in table(page, "rows")}
    assert networks["plain56"][5] == "45.50 \u00b1 13.64"
    assert networks["resnet56"][-1] == "6.97"
    assert networks["plain56"][-1] == "\u2013"
    assert len(list(page.by_id("figure-1").every("path"))) > 5
    for each in said.rows:
        assert each.network in [head.text for head in page.every("h3")]


def test_runs_that_failed_come_first_with_their_reason(tmp_path: Path) -> None:
    every = runs()
    lost = every[7].__class__(**{**vars(every[7]), "state": "failed", "why": "killed by signal 9"})
    found = write_experiment(tmp_path / "a", runs=[*every[:7], lost, *every[8:]])
    page = read(experiment_page(found))
    assert table(page, "runs")[1][:3] == ["plain56", "2", "failed"]
    assert "plain56, seed 2 failed: killed by signal 9" in page.text


def test_a_measure_that_is_no_error_is_not_made_a_percentage(tmp_path: Path) -> None:
    steps = comparison(mean=-120.0, low=-150.5, high=-89.5, measure="steps", n=(5, 0))
    page = read(experiment_page(write_experiment(tmp_path / "a", comparisons=[steps])))
    assert table(page, "tests")[1][2:5] == ["\u2212120", "\u2212150.5 to \u221289.5", "5"]


@pytest.mark.parametrize("text", ["<script>alert(1)</script>", '"><b>', "{{ 7 * 7 }}", "&amp;"])
def test_what_an_experiment_says_is_text(tmp_path: Path, text: str) -> None:
    one = runs()[0]
    run = one.__class__(**{**vars(one), "network": text, "command": text, "folder": text})
    found = write_experiment(
        tmp_path / "a", title=text, claim=text, said=text, sentence=text, runs=[run],
        figures={"curves.svg": text}, environment={text: text}, commands=[text],
        comparisons=[comparison(sentence=text, why=text)], measures={"train_error": text},
    )  # fmt: skip
    page = read(experiment_page(found))
    assert next(page.every("h1")).text == text
    assert len(list(page.every("script"))) == 1
    assert not list(page.every("b"))
    assert next(page.by_id("figure-1").every("title")).text == text


def test_a_figure_that_is_missing_is_said(tmp_path: Path) -> None:
    found = write_experiment(tmp_path / "a", figures={"gone.svg": "Of nothing."})
    assert (
        "Figure 1. Of nothing. (gone.svg is not there, or is no SVG.)"
        in read(experiment_page(found)).text
    )


def test_without_measuring_the_page_says_so() -> None:
    page = read(spec_page("cifar/resnet20"))
    assert "closed form, not measured" in page.text
    assert "the proof holds" not in page.text


def test_a_proof_that_fails_is_shown() -> None:
    def wrong(plan):  # type: ignore[no-untyped-def]
        proof = proved(plan)
        first = proof.checks[0]._replace(holds=False, text="1 params too many")
        return proof._replace(checks=(first, *proof.checks[1:]))

    page = read(spec_page("digits/resnet20", prove=wrong))
    assert "the proof fails" in page.text
    assert "fails 1 params too many" in page.text


def test_the_same_inputs_give_the_same_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rendering, "made", lambda: [("written", "then")])
    folder = write_experiment(tmp_path / "a")
    assert experiment_page(folder) == experiment_page(folder)
    specs = ["cifar/plain56", "cifar/resnet56"]
    assert comparison_page(specs) == comparison_page(specs)
    runs = [str(write_run(tmp_path / f"run-{seed}", seed, 0.1)) for seed in range(2)]
    assert comparison_page(runs) == comparison_page(runs)
    assert spec_page("resnet18") == spec_page("resnet18")
