"""The report as text: golden outputs, 80 columns, formulas, budgets."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from resgen import load_spec, resolve
from resgen.cli import app
from resgen.cost import cost
from resgen.cost.conventions import CONVENTIONS
from resgen.errors import CheckFailed, UserError
from resgen.proof import Proof
from resgen.proof.proof import closed_form
from resgen.report.explain import explain, formulas
from resgen.report.formats import Entry, as_data, render
from resgen.spec import shipped
from resgen.words import aligned, memory, short

GOLDEN = {
    "resnet50.txt": ("resnet50",),
    "resnet20-layers.txt": ("cifar/resnet20", "--no-measure", "--by", "layer"),
    "resnet34-blocks.txt": ("resnet34", "--no-measure", "--by", "block"),
    "resnet50-fvcore.txt": ("resnet50", "--no-measure", "--convention", "fvcore"),
    "resnet50-paper.txt": ("resnet50", "--no-measure", "--convention", "paper"),
    "resnet50-training.txt": (
        "resnet50", "--no-measure", "--precision", "bf16", "--batch", "256", "--memory", "24GiB",
    ),
    "resnet50-explain.txt": ("resnet50", "--explain", "layer2.0"),
    "resnext50-explain.txt": ("resnext50_32x4d", "--explain", "layer2.0.conv2"),
    "compared.txt": ("resnet18", "resnet34", "resnet50", "--no-measure", "--sort", "macs"),
    "resnet18.csv": ("resnet18", "--no-measure", "--format", "csv"),
    "resnet18.md": ("resnet18", "--no-measure", "--format", "markdown"),
}  # fmt: skip


def run(*words: str) -> Result:
    return CliRunner().invoke(app, ["summarize", *words])


@pytest.mark.parametrize("name", GOLDEN)
def test_output_is_the_golden_file(name: str, golden_output: Callable[[str, str], None]) -> None:
    golden_output(name, run(*GOLDEN[name]).stdout)


@pytest.mark.parametrize("by", ["stage", "block", "layer"])
def test_no_line_is_wider_than_80_columns(by: str) -> None:
    for name in shipped.names():
        plan = resolve(load_spec(name))
        proof = Proof(closed_form(plan))
        # Hundreds of millions of parameters take more columns than usual networks have.
        columns = 84 if cost(plan).params >= 10**8 else 80
        for convention in (None, *CONVENTIONS.values()):
            text = render([Entry(plan, proof)], "table", by, convention)
            for line in text.splitlines():
                assert len(line) <= columns, (name, line)


def test_every_export_names_its_rule_and_its_input() -> None:
    plans = [Entry(resolve(load_spec(name))) for name in ("resnet18", "resnet50")]
    for found in (plans, plans[:1]):
        for form in ("table", "json", "csv", "markdown"):
            for convention in (None, CONVENTIONS["fvcore"]):
                text = " ".join(render(found, form, "stage", convention).split())
                assert "FLOPs = 2 x MACs" in text
                assert "3x224x224" in text or json.loads(text)
                assert convention is None or "adaptive pooling takes in" in text


def test_the_convention_stands_beside_our_count_in_json() -> None:
    data = as_data(resolve(load_spec("resnet50")), None, convention=CONVENTIONS["fvcore"])
    assert data["macs"] == 4_089_184_256
    assert data["convention"]["macs"] == 4_111_512_576
    assert sum(row["macs"] for row in data["convention"]["rows"]) == 4_111_512_576


def test_every_formula_ends_in_the_number_of_the_books() -> None:
    for name in ("resnext50_32x4d", "seresnet50", "ecaresnet101d", "cifar/resnet20"):
        plan = resolve(load_spec(name))
        for _, layer in plan.named_layers():
            books = cost(plan) and formulas(layer)
            for _, text in books:
                left, found, right = text.rpartition(" = ")
                factors = left.rpartition(" = ")[2]
                if found and set(factors) <= set("0123456789 */().,"):
                    value = eval(factors.replace(",", ""), {"__builtins__": {}})
                    assert value == int(right.split()[0].replace(",", "")), text


def test_every_name_of_the_network_can_be_explained() -> None:
    plan = resolve(load_spec("cifar/resnet20"))
    names = dict.fromkeys(name for name, _ in plan.named_layers())
    for name in (*names, *(block for block, _ in plan.named_blocks()), "layer1"):
        assert explain(plan, name)[0].startswith(name)
    with pytest.raises(UserError, match=r"did you mean layer1\.0\.conv1\?$"):
        explain(plan, "layer1.0.conv11")


OPTIONS = {
    ("--batch", "0"): "--batch 0: must be 1 or more images",
    ("--memory", "lots"): (
        "--memory lots: must be a number with one of the units "
        "B, K, KB, KiB, M, MB, MiB, G, GB, GiB, T, TB, TiB, like 24GiB"
    ),
    ("--max-params", "25Q"): (
        "--max-params 25Q: must be a number with one of the units k, K, M, G, B, T, like 4.1G"
    ),
    ("--max-macs", "0"): "--max-macs 0: must be more than 0, like 4.1G",
    ("--plot", "a.txt"): "a.txt: end the file's name in .png, .svg or .pdf",
    ("--explain", "conv9"): "--explain conv9: resnet18 has no layer of this name; "
    "did you mean conv1?",
}


@pytest.mark.parametrize("words", OPTIONS)
def test_a_bad_option_is_named_with_its_rule_and_its_value(words: tuple[str, ...]) -> None:
    result = run("resnet18", "--no-measure", *words)
    assert isinstance(result.exception, UserError)
    assert str(result.exception) == OPTIONS[words]


def test_a_budget_says_by_how_much_a_network_is_over() -> None:
    result = run("resnet50", "--no-measure", "--max-macs", "4.089G", "--max-params", "25M")
    assert isinstance(result.exception, CheckFailed)
    assert str(result.exception) == (
        "over budget: resnet50: 25,557,032 params, 557,032 (557.0 k) over the 25,000,000 "
        "of --max-params\n"
        "over budget: resnet50: 4,089,184,256 MACs, 184,256 (184.3 k) over the 4,089,000,000 "
        "of --max-macs"
    )
    assert result.stdout  # the report comes all the same
    exact = run("resnet50", "--no-measure", "--max-macs", "4_089_184_256", "--max-params", "1G")
    assert exact.exit_code == 0
    over = run("resnet50", "--no-measure", "--max-memory", "1GiB", "--batch", "32")
    assert isinstance(over.exception, CheckFailed)
    assert "over the 1.00 GiB of --max-memory" in str(over.exception)


def test_networks_are_sorted_and_compared_with_the_first() -> None:
    text = run("resnet50", "resnet18", "resnet34", "--no-measure", "--sort", "params").stdout
    lines = text.splitlines()
    assert [line.split()[0] for line in lines[1:4]] == ["resnet18", "resnet34", "resnet50"]
    assert "+118.63%" in lines[3]
    assert "+/- against resnet18" in text


@pytest.mark.parametrize(
    ("count", "text"),
    [(0, "0"), (999, "999"), (1000, "1.0 k"), (999_950, "1.0 M"), (999_949, "999.9 k"),
     (4_089_184_256, "4.089 G"), (11_513_626_624, "11.51 G"), (10**15, "1000.0 T"),
     (9_999_500_000, "10.00 G"), (-1500, "-1.5 k")],
)  # fmt: skip
def test_counts_are_short_and_never_a_thousand_of_the_smaller_unit(count: int, text: str) -> None:
    assert short(count) == text


def test_bytes_are_in_binary_units() -> None:
    assert memory(1023) == "1023 B"
    assert memory(2**20 * 97 + 2**19) == "97.5 MiB"
    assert memory(24 * 2**30) == "24.00 GiB"


def test_nothing_but_the_proof_needs_torch(tmp_path: Path) -> None:
    (tmp_path / "space.yaml").write_text(
        "name: a\ninput: {size: 32}\nstem: {kind: conv3x3, width: 16}\nblock: basic\n"
        "shortcut: none\nstages: [{depth: {from: 1, to: 4}, width: 16}]\nclasses: 10\n"
    )
    commands = [
        ["summarize", "resnet50", "--no-measure", "--batch", "8", "--memory", "1GiB"],
        ["summarize", "resnet50", "--no-measure", "--draw", str(tmp_path / "a.svg")],
        ["summarize", "resnet50", "--explain", "conv1"],
        ["fit", "resnet50", "--macs", "2G"],
        ["sample", str(tmp_path / "space.yaml"), "-n", "3"],
    ]
    program = f"""
import sys
from typer.testing import CliRunner
from resgen.cli import app
for words in {commands!r}:
    assert CliRunner().invoke(app, words).exit_code == 0, words
print([name for name in ("torch", "matplotlib", "numpy") if name in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stdout == "[]\n", done.stderr


def test_columns_are_never_cut_off() -> None:
    long = "x" * 100
    assert aligned(("", "n"), [[long, "1"]])[1:] == [long, "1".rjust(80)]
