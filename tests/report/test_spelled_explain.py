"""What --explain says of networks made of paths: every name, and every sum it prints."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator

import pytest
from spelled import NAMES, networks
from torch import nn

from resgen import build_module
from resgen.cost import cost_of_layers
from resgen.errors import UserError
from resgen.plan import Layer, Plan
from resgen.plan import layers as L
from resgen.report.explain import explain

every = pytest.mark.parametrize("name", NAMES)
ARITHMETIC = {"__builtins__": {}, "floor": math.floor, "ceil": math.ceil}


SIDE = re.compile(r"(?:[a-z]+: )?((?:floor|ceil|[\d(])[\d\s*+/()-]*)(?::? [a-zA-Z].*)?")


def equations(lines: list[str]) -> Iterator[tuple[str, list[float]]]:
    """Every equation among the lines, and what its sides come to by Python's own arithmetic."""
    text = re.sub(r"\n {11,}", " ", "\n".join(lines))
    clauses = [clause for line in text.splitlines() for clause in line[11:].split("; ")]
    for line in clauses:
        said = re.sub(r" \([\d.,]+( [kMGT])?\)", "", line)
        sides = [re.sub(r"(?<=\d),(?=\d{3})", "", side).strip() for side in said.split(" = ")]
        found = [match[1] for side in sides if (match := SIDE.fullmatch(side))]
        values = [eval(side, ARITHMETIC) for side in found if side.count("(") == side.count(")")]
        if len(sides) > 1 and len(values) > 1:
            yield line, values


def parts(plan: Plan) -> dict[str, Layer]:
    return {path: layer for path, layer in plan.named_layers() if layer.name}


@every
def test_every_layer_and_every_definition_is_explained(name: str) -> None:
    plan = networks()[name]
    lists = nn.ModuleList | nn.Sequential | nn.Identity
    stages = {stage.name for stage in plan.stages}
    for path, module in build_module(plan).named_modules():
        if path and not isinstance(module, lists) and path not in stages:
            assert explain(plan, path)[0].split("   ")[0] == path
    for stage in stages:
        assert explain(plan, stage)[0].startswith(f"{stage}   ")


def check_equations(plan: Plan) -> None:
    names = [*parts(plan), *(path for path, _ in plan.named_blocks()), "stem", "head"]
    checked = 0
    for path in dict.fromkeys(names):
        lines = explain(plan, path)
        assert max(map(len, lines)) <= 80
        for line, values in equations(lines):
            assert len(set(values)) == 1, (path, line, values)
            checked += 1
    assert checked > len(names)


@every
def test_every_equation_holds(name: str) -> None:
    check_equations(networks()[name])


@every
def test_sums_are_those_of_the_books(name: str) -> None:
    plan = networks()[name]
    for path, block in plan.named_blocks():
        books = cost_of_layers(block.layers)
        text = "\n".join(explain(plan, path))
        assert f"\nparams     {books.params:,}" in text
        assert (f"= {books.macs:,} (" if books.macs else "MACs       0") in text
    for path, layer in parts(plan).items():
        if isinstance(layer.op, L.Part):
            books = cost_of_layers(layer.op.layers)
            text = "\n".join(explain(plan, path))
            assert text.endswith(f"params     {books.params:,}")
            assert (f"= {books.macs:,} (" if books.macs else "MACs       0") in text


def test_a_block_with_branches() -> None:
    assert explain(networks()["res2net"], "layer1.1") == [
        "layer1.1   scales block   32x32x32 -> 32x32x32",
        "main       conv1 -> bn1 -> relu -> branches -> conv5 -> bn5",
        "branches   3 slices of 8 channels; each but the first adds what the one before",
        "           puts out; concat: 3 * 8 = 24 channels",
        "  1          conv2 -> bn2 -> relu",
        "  2          conv3 -> bn3 -> relu",
        "  3          conv4 -> bn4 -> relu",
        "shortcut   identity: the input itself; 0 params, 0 MACs",
        "addition   32 * 32 * 32 = 32,768 elements, 0 MACs",
        "after      relu",
        "MACs       conv1 + conv2 + conv3 + conv4 + conv5 = 786,432 + 589,824 + 589,824 +",
        "           589,824 + 786,432",
        "           = 3,342,336 (3.3 M)",
        "params     3,424",
    ]


def test_an_empty_branch_passes_its_own_share_or_what_it_is_handed() -> None:
    text = "\n".join(explain(networks()["passing"], "layer1.0"))
    assert "4 slices of 8 channels; branches 2 and 3 add what the one before" in text
    assert "\n  4          its slice\n" in text
    text = "\n".join(explain(networks()["passing"], "layer2.0"))
    assert "\n  2          what the one before puts out\n" in text


def test_units_in_a_path_and_what_the_last_shortcut_leaves_from() -> None:
    text = explain(networks()["former"], "layer1.0")
    assert "unit       (bn1 -> branches -> scale2) + identity" in text
    assert "           addition: 32 * 32 * 32 = 32,768 elements" in text
    assert "branches   sum: 1 * 32 * 32 * 32 = 32,768 additions" in text
    assert "shortcut   identity: what the unit before puts out; 0 params, 0 MACs" in text


def test_branches_in_branches_and_kernels_of_two_sides() -> None:
    plan = networks()["inception"]
    text = explain(plan, "layer2.0.reduce")
    assert "  3          conv2 -> bn2 -> relu -> branches 2 -> conv5 -> bn5 -> relu" in text
    assert "branches 2 concat: 2 * 8 = 16 channels" in text
    layer = explain(plan, "layer1.0.conv3")
    assert layer[0] == "layer1.0.conv3   conv 1x7   8x32x32 -> 12x32x32"
    assert "height     floor((32 + 2*0 - 1*(1 - 1) - 1) / 1) + 1 = 32" in layer
    assert "width      floor((32 + 2*3 - 1*(7 - 1) - 1) / 1) + 1 = 32" in layer
    assert any("k_h * k_w * in/groups * out = 32 * 32 * 1 * 7 * 8 *" in line for line in layer)


def test_one_path_so_many_times_and_a_definition_so_many_times() -> None:
    text = "\n".join(explain(networks()["resnext"], "layer2.1"))
    assert "8 times branches.0-7: conv1 -> bn1 -> relu -> conv2" in text
    assert "MACs       branches.0-7 = 8 * " in text
    text = "\n".join(explain(networks()["partial"], "layer2.1"))
    assert "  1          its slice" in text
    assert "  2          dark.0-4 -> conv2" in text


def test_a_transition_is_no_block() -> None:
    text = explain(networks()["former"], "layer2.0")
    assert text[:2] == ["layer2.0   transition   32x32x32 -> 64x16x16", "layers     conv1"]
    assert not any(line.startswith("shortcut") for line in text)
    assert explain(networks()["former"], "layer2")[0] == "layer2   3 blocks, puts out 64x16x16"


def test_rows_of_a_table_can_be_asked_for_by_their_names() -> None:
    plan = networks()["resnext"]
    assert explain(plan, "layer2.0.branches.0-7") == explain(plan, "layer2.0.branches.0")


@pytest.mark.parametrize(
    ("name", "part", "line"),
    [
        ("next", "layer1.0.norm1", "apart      5 * 128 * 8 * 8 = 40,960 norm operations"),
        ("next", "layer1.0.norm2", "apart      4 * 512 * 8 * 8 = 131,072 response norm operations"),
        ("next", "layer1.0.attend.conv1", "MACs       k * channels = 5 * 128 = 640"),
        ("former", "layer1.0.scale2", "params     weight: 32 = 32"),
        ("chain", "layer1.0.cna.lab.scale", "params     bias: 1 = 1"),
    ],
)
def test_formulas_of_other_kinds(name: str, part: str, line: str) -> None:
    assert line in explain(networks()[name], part)


def test_ceil_pools_say_so() -> None:
    from resgen.report.formulas import formulas

    def sides(op: L.MaxPool, size: int) -> list[str]:
        shape = (4, size, size)
        found = formulas(Layer("pool", op, shape, op.out(shape)))
        return [text for label, text in found if label in ("height", "width")]

    whole = sides(L.MaxPool(3, 2, 0, 1, True), 8)
    assert whole == ["ceil((8 + 2*0 - 1*(3 - 1) - 1) / 2) + 1 = 4"] * 2
    (text, _) = sides(L.MaxPool(2, 2, 1, 1, True), 5)
    assert text == "ceil((5 + 2*1 - 1*(2 - 1) - 1) / 2) = 3: the last would start in the padding"


def test_an_unknown_name_gets_the_nearest_in_a_definition() -> None:
    with pytest.raises(UserError, match=r"did you mean layer1\.0\.squeeze\.conv1\?$"):
        explain(networks()["squeeze"], "layer1.0.squeeze.con1")
