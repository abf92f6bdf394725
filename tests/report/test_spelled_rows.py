"""Rows, tables and kinds of networks made of paths, against the built modules and the books."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from itertools import product

import pytest
from spelled import NAMES, networks
from torch import nn

from resgen import build_module
from resgen.cost import Cost, cost
from resgen.cost.conventions import CONVENTIONS
from resgen.plan import Plan, plan_of
from resgen.plan import layers as L
from resgen.report.formats import Entry, as_data, render
from resgen.report.kinds import kind_of
from resgen.report.rows import Row, rows, total

every = pytest.mark.parametrize("name", NAMES)


def spread(name: str) -> Iterator[str]:
    """layer1.1-2.dark.0-1.conv1 -> the four modules that it stands for."""
    head, span, tail = re.match(r"(.*?)(?:(?<=\.)(\d+-\d+)(.*))?$", name).groups()  # type: ignore[union-attr]
    if not span:
        yield name
        return
    first, last = map(int, span.split("-"))
    for index in range(first, last + 1):
        yield from spread(f"{head}{index}{tail}")


def check_rows(plan: Plan) -> None:
    rules = (None, *(convention.macs for convention in CONVENTIONS.values()))
    for by, rule in product(("stage", "block", "layer"), rules):
        found = rows(plan, by, rule)
        books = Cost()
        for row in found:
            books = books.plus(row.books)
        assert books == cost(plan) == total(plan).books
        assert sum(row.macs for row in found) == total(plan, rule).macs
        assert sum(row.blocks for row in found) == (0 if by == "layer" else plan.blocks)


@every
def test_rows_add_up_to_the_books_and_to_every_convention(name: str) -> None:
    check_rows(networks()[name])


def check_modules(plan: Plan) -> None:
    module = build_module(plan)
    modules = dict(module.named_modules())
    seen: Counter[str] = Counter()
    params: Counter[str] = Counter()
    for row in rows(plan, "layer"):
        if " " in row.name:  # an addition, a join, a shortcut's kind: no modules
            assert not row.books.params
            continue
        names = list(spread(row.name))
        assert set(names) <= set(modules), row.name
        sizes = {sum(p.numel() for p in modules[each].parameters()) for each in names}
        assert row.books.params in {len(names) * size for size in sizes} | {0}
        params[row.name] += row.books.params
        seen.update(names)
    leaves = {path for path, part in modules.items() if not list(part.children()) and path}
    joiners = {path for path, part in modules.items() if type(part).__name__ == "Select"}
    inside = {path for path in leaves if any(path.startswith(f"{j}.") for j in joiners)}
    idle = {path for path in leaves if isinstance(modules[path], nn.Identity)}
    assert leaves - inside - idle - set(seen) == set()
    assert sum(params.values()) == sum(p.numel() for p in module.parameters())


@every
def test_a_layers_row_is_a_module_with_its_parameters(name: str) -> None:
    check_modules(networks()[name])


@every
def test_what_stands_before_blocks_is_a_transition_and_no_block(name: str) -> None:
    plan = networks()[name]
    for stage in plan.stages:
        found = [row for row in rows(plan, "block") if row.name.startswith(f"{stage.name}.")]
        moves = [row for row in found if row.kind == "transition"]
        assert [row.name for row in moves] == [f"{stage.name}.0"] * stage.before
        assert [row.blocks for row in moves] == [0] * stage.before
        (whole,) = [row for row in rows(plan) if row.name == stage.name]
        assert whole.blocks == stage.depth == sum(row.blocks for row in found)


def by_name(name: str) -> dict[str, Row]:
    return {row.name: row for row in rows(networks()[name], "layer")}


def test_joins_slices_and_carries_have_rows_of_their_own() -> None:
    found = by_name("res2net")
    image = (24, 32, 32)
    row = found["layer1.1-2 slices"]
    assert (row.kind, row.output, row.books) == ("slice 8", image, Cost())
    assert found["layer1.1-2 join"].kind == "concat of 3"
    # Two blocks, in each two sums of 8x32x32.
    carries = [found[f"layer1.1-2 carry{number}"] for number in ("", " 2")]
    assert [row.kind for row in carries] == ["sum", "sum"]
    assert [row.books for row in carries] == [Cost(elementwise=2 * 8 * 32 * 32)] * 2
    assert "layer1.1-2 carry 3" not in found
    assert by_name("select")["layer2.0-1 slices"].kind == "slice 8, 24"
    gate = by_name("squeeze")["layer1.0-1.squeeze join"]
    assert (gate.kind, gate.books) == ("product of 2", Cost(elementwise=2 * 32 * 32 * 32))
    many = by_name("resnext")["layer2.1 join"]
    assert (many.kind, many.books) == ("sum of 8", Cost(elementwise=7 * 64 * 16 * 16))
    assert by_name("shake")["layer2.1.shake"].kind == "shake"
    added = by_name("former")["layer1.0-1 addition"]
    assert (added.kind, added.books) == ("add", Cost(residual_adds=2 * 32 * 32 * 32))
    assert "layer1.0-1 addition 2" in by_name("former")


def test_one_path_so_many_times_is_one_row_a_layer() -> None:
    found = by_name("resnext")
    assert found["layer2.1.branches.0-7.conv2"].books.params == 8 * 8 * 8 * 9
    assert "layer2.1.branches.0.conv2" not in found
    assert found_macs(found, "layer2.1") == sum(
        row.macs for row in rows(networks()["resnext"], "block") if row.name.startswith("layer2.1")
    )
    assert by_name("partial")["layer2.1.dark.0-4.conv2"].books.params == 5 * 32 * 32 * 9


def found_macs(found: dict[str, Row], prefix: str) -> int:
    return sum(row.macs for name, row in found.items() if name.startswith(prefix))


@every
@pytest.mark.parametrize("by", ["stage", "block", "layer"])
def test_reports_fit_80_columns_and_name_every_row_once(name: str, by: str) -> None:
    plan = networks()[name]
    for convention in (None, CONVENTIONS["fvcore"]):
        lines = render([Entry(plan)], "table", by, convention).splitlines()
        assert max(map(len, lines)) <= 80
        for row in rows(plan, by):
            assert any(line == row.name or line.startswith(f"{row.name} ") for line in lines)


def test_a_name_too_long_for_the_table_stands_on_a_line_of_its_own() -> None:
    path = [{"conv": 3, "width": 64}, "norm", {"act": "hardsigmoid"}]
    plan = plan_of(
        {
            "name": "long",
            "input": {"size": 64, "channels": 3},
            "classes": 10,
            "stem": [{"conv": 3, "width": 64}],
            "shortcut": "identity",
            "define": {
                "a-definition-whose-name-is-long": path,
                "one": ["a-definition-whose-name-is-long", "add"],
            },
            "block": "one",
            "stages": [{"depth": 2, "width": 64}],
        }
    )
    lines = render([Entry(plan)], "table", "layer").splitlines()
    assert max(map(len, lines)) <= 80
    prefix = "layer1.0-1.a_definition_whose_name_is_long"
    place = lines.index(f"{prefix}.hardsigmoid")
    assert lines[place + 1].split() == ["hardsigmoid", "64x64x64", "0", "0", "0"]


@every
def test_paths_of_the_table_add_up_to_the_network(name: str) -> None:
    plan = networks()[name]
    lines = render([Entry(plan)], "table", "stage").splitlines()
    numbers = [
        tuple(int(n.replace(",", "")) for n in found.groups())
        for line in lines
        if (found := re.match(r".{11} *(\d+) .*? ([\d,]+) params +([\d,]+) MACs$", line))
    ]
    ends = [row for row in rows(plan) if row.name in ("stem", "head")]
    books = cost(plan)
    assert sum(n[1] for n in numbers) + sum(row.books.params for row in ends) == books.params
    assert sum(n[2] for n in numbers) + sum(row.macs for row in ends) == books.macs
    shortcuts = Counter(unit.shortcut.kind for _, unit in plan.named_units())
    said = {
        found[2].replace(", ", "-"): int(found[1])
        for line in lines
        if (found := re.match(r".{11} *(\d+) (identity, padded|identity|projection) ", line))
    }
    assert said == shortcuts


def test_headings_name_the_kinds_of_block_once_each() -> None:
    text = render([Entry(networks()["res2net"])], "table", "stage")
    assert "first and scales blocks, projection shortcuts" in text.splitlines()[0]


@every
def test_json_has_the_rows_of_paths_too(name: str) -> None:
    plan = networks()[name]
    data = as_data(plan, None, "layer")
    assert sum(row["params"] for row in data["layers"]) == data["params"]
    assert sum(row["macs"] for row in data["stages"]) == data["macs"]


@pytest.mark.parametrize(
    ("op", "words"),
    [
        (L.RectConv(8, 12, (1, 7), padding=(0, 3)), "conv 1x7"),
        (L.RectConv(8, 12, (7, 1), (2, 1)), "conv 7x1/2x1"),
        (L.Conv(8, 8, 3, 2, groups=8), "depthwise 3x3/2"),
        (L.Conv(8, 8, 3, groups=4, dilation=2), "conv 3x3 g4 d2"),
        (L.Conv(1, 8, 3), "conv 3x3"),
        (L.ChannelConv(5), "channel conv 5"),
        (L.LearnedScale(8, 1.0, False), "learned scale"),
        (L.Scale(-1.0), "scale -1"),
        (L.LayerNorm2d(8), "layer norm"),
        (L.ResponseNorm(8), "response norm"),
        (L.ChannelShuffle(2), "channel shuffle g2"),
        (L.Upsample(2), "upsample x2"),
        (L.SpaceToDepth(4), "space to depth /4"),
        (L.Shift(1), "shift by 1"),
        (L.Shake(2), "shake"),
        (L.Part("squeeze", (), (8,)), "squeeze"),
    ],
)
def test_kinds_are_words(op: L.Op, words: str) -> None:
    assert kind_of(op) == words
