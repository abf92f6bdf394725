"""`resgen sample`: reproducible draws from a design space, within a budget."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from resgen import cost, load_spec, resolve
from resgen.cli import app
from resgen.cost.budget import Budget
from resgen.errors import UserError
from resgen.search.sample import sample

SPACE = """\
name: candidate
input: {channels: 3, size: 64}
stem: {kind: conv3x3, width: {any: [16, 32]}}
block: {any: [basic, bottleneck]}
shortcut: identity
groups: {any: [1, 2]}
stages:
  - {depth: {from: 1, to: 4}, width: {from: 32, to: 128, step: 16}}
  - {depth: {from: 1, to: 9, step: 2}, width: {from: 32, to: 512, step: 16, scale: log}, stride: 2}
classes: 10
"""


@pytest.fixture
def space(tmp_path: Path) -> Path:
    path = tmp_path / "space.yaml"
    path.write_text(SPACE)
    return path


def run(*words: str) -> Result:
    return CliRunner().invoke(app, ["sample", *words])


def test_a_draw_depends_on_the_seed_and_its_number_alone(space: Path) -> None:
    few, _ = sample(space, draws=20, seed=3)
    many, _ = sample(space, draws=60, seed=3)
    assert [one.data for one in few] == [one.data for one in many[: len(few)]]
    other, _ = sample(space, draws=20, seed=4)
    assert [one.data for one in few] != [one.data for one in other]


def test_values_lie_in_their_ranges_and_all_of_them_occur(space: Path) -> None:
    found, _ = sample(space, draws=600)
    assert {one.spec.stem.width for one in found} == {16, 32}
    assert {one.spec.block.name for one in found} == {"basic", "bottleneck"}
    assert {one.spec.stages[0].depth for one in found} == {1, 2, 3, 4}
    assert {one.spec.stages[1].depth for one in found} == {1, 3, 5, 7, 9}
    widths = {one.spec.stages[1].width for one in found}
    assert widths <= set(range(32, 513, 16))
    assert {32, 48} < widths


def test_books_are_those_of_the_spec_drawn(space: Path) -> None:
    for one in sample(space, draws=30)[0]:
        assert one.books == cost(resolve(one.spec))


def test_every_draw_is_accounted_for(space: Path) -> None:
    everything, _ = sample(space, draws=300)
    budget = Budget(macs=10**8, params=10**6)
    within, tally = sample(space, draws=300, budget=budget)
    assert len(within) + tally.over + tally.invalid == tally.drawn == 300
    assert [one.number for one in within] == [
        one.number for one in everything if one.books.macs <= 10**8 and one.books.params <= 10**6
    ]
    assert tally.invalid  # an identity shortcut that would narrow
    assert "narrow" in tally.first_reason


def test_the_command_lists_sorts_and_writes(space: Path, tmp_path: Path) -> None:
    out = tmp_path / "found"
    words = (str(space), "-n", "60", "--max-macs", "200M", "--sort", "macs")
    result = run(*words, "--format", "csv", "-o", str(out))
    rows = list(csv.DictReader(io.StringIO(result.stdout)))
    macs = [int(row["macs"]) for row in rows]
    assert macs == sorted(macs)
    assert max(macs) <= 200_000_000
    for row in rows:
        assert cost(resolve(load_spec(out / f"{row['name']}.yaml"))).macs == int(row["macs"])
    data = json.loads(run(*words, "--format", "json").stdout)
    assert [row["macs"] for row in data["candidates"]] == macs
    table = run(*words).stdout
    assert f"60 drawn, {60 - data['invalid']} valid, {len(macs)} within the budget" in table
    assert "FLOPs = 2 x MACs" in table


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("width: {from: 64, to: 32}", "must hold a number: from 64 to 32 in steps of 1 holds none"),
        ("width: {from: 64}", "from, to and step must be whole numbers; from and to are required"),
        ("width: {from: 1, to: 2, by: 3}",
         "a range has the keys from, to, step and scale (linear or log)"),
        ("width: {any: []}", "any takes a list of at least one value, and stands alone"),
        ("width: {from: 0, to: 8, scale: log}", "a log scale must start at 1 or above (got 0)"),
        ("width: {to: 64}", "from, to and step must be whole numbers; from and to are required"),
        (f"width: {{from: 1, to: 1{'0' * 320}}}",
         "from, to and step may be at most 1,000,000,000,000,000"),
        ("width: {from: 1, to: .inf}",
         "from, to and step must be whole numbers; from and to are required"),
    ],
)  # fmt: skip
def test_a_choice_that_is_none_is_named_with_its_place(
    tmp_path: Path, line: str, message: str
) -> None:
    path = tmp_path / "bad.yaml"
    path.write_text(f"name: a\nstem:\n  kind: conv3x3\n  {line}\n")
    with pytest.raises(UserError) as caught:
        sample(path, draws=1)
    assert str(caught.value) == f"{path}:4:10: stem.width: {message}"


@pytest.mark.parametrize(
    ("choice", "message"),
    [
        ("{from: 1}", "from, to and step must be whole numbers; from and to are required"),
        ("{to: 8}", "from, to and step must be whole numbers; from and to are required"),
        ("{any: []}", "any takes a list of at least one value, and stands alone"),
        ("{from: 0, to: 8, scale: log}", "a log scale must start at 1 or above (got 0)"),
    ],
)
def test_a_choice_inside_a_choice_is_looked_at_too(
    tmp_path: Path, choice: str, message: str
) -> None:
    path = tmp_path / "bad.yaml"
    path.write_text(SPACE.replace("{any: [16, 32]}", f"{{any: [16, {choice}]}}"))
    with pytest.raises(UserError) as caught:
        sample(path, draws=1)
    assert str(caught.value) == f"{path}:3:41: stem.width.any[1]: {message}"


@pytest.mark.parametrize("line", ["name: {any: [a, b]}", "name: null", "name: 5"])
def test_the_name_of_a_space_is_a_word(tmp_path: Path, line: str) -> None:
    path = tmp_path / "bad.yaml"
    path.write_text(SPACE.replace("name: candidate", line))
    with pytest.raises(UserError) as caught:
        sample(path, draws=1)
    assert str(caught.value) == f"{path}:1:7: name: must be a word, which all draws have"


def test_the_base_of_a_space_is_no_choice(tmp_path: Path) -> None:
    path = tmp_path / "bad.yaml"
    path.write_text(SPACE + "extends: {any: [resnet50, resnet18]}\n")
    with pytest.raises(UserError, match="extends: must be a word, which all draws have"):
        sample(path, draws=1)


def test_why_a_draw_is_none_is_said_as_of_a_spec(tmp_path: Path) -> None:
    path = tmp_path / "space.yaml"
    path.write_text(SPACE.replace("{any: [16, 32]}", "{any: ['16']}"))
    _, tally = sample(path, draws=2)
    assert tally.invalid == 2
    assert tally.first_reason == f"{path}:3:30: stem.width: must be a whole number (got '16')"


@pytest.mark.parametrize("name", ["1e", "5E", "null-1e"])
def test_a_draw_named_like_a_number_is_read_again(tmp_path: Path, name: str) -> None:
    path = tmp_path / "space.yaml"
    path.write_text(SPACE.replace("candidate", name))
    out = tmp_path / "found"
    assert run(str(path), "-n", "8", "-o", str(out)).exit_code == 0
    written = sorted(out.iterdir())
    assert written
    assert {load_spec(file).name for file in written} == {file.stem for file in written}


def test_a_spec_without_choices_has_nothing_to_sample() -> None:
    with pytest.raises(UserError) as caught:
        sample("resnet50", draws=1)
    assert str(caught.value) == (
        "resnet50: nothing to sample: write a value as {any: [...]} or {from: 1, to: 8}"
    )
