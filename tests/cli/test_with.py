"""`--with` in every command that takes a spec, alone and beside the other options."""

from __future__ import annotations

import csv
import io
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import typer
from typer.testing import CliRunner

from resgen import build_module, cost, load_spec, resolve
from resgen.cli import app
from resgen.errors import UserError
from tests.training import typed

FEWER = ["--with", "classes=10", "--with", "stages[2].depth=12"]


def printed(*words: str) -> str:
    result = CliRunner().invoke(app, words)
    assert result.exit_code == 0, result.exception
    return result.stdout


def refused(*words: str) -> str:
    result = CliRunner().invoke(app, words)
    assert isinstance(result.exception, UserError), result.exception
    return str(result.exception)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_every_command_that_takes_a_spec_takes_it() -> None:
    commands = typer.main.get_command(app).commands  # type: ignore[attr-defined]
    taking = {
        name
        for name, command in commands.items()
        if {"spec", "specs", "space"} & {each.name for each in command.params}
    }
    assert taking == {"bench", "build", "deepen", "fit", "sample", "summarize", "train"}
    for name in taking:
        options = {option for each in commands[name].params for option in each.opts}
        assert "--with" in options, name


@pytest.mark.parametrize(
    "words",
    [
        "summarize resnet18 resnet34 --no-measure",
        "summarize resnet18 --resolved",
        "summarize resnet18 --explain fc",
        "build resnet18",
        "fit resnet18 --macs 1G",
        "sample resnet18",
        "train resnet18 --plan",
        "train resnet18",
    ],
)
def test_a_mistake_in_it_is_said_alike_everywhere(words: str, folder: Path) -> None:
    sentence = refused(*words.split(), "--with", "classes=ten")
    if words.startswith("sample"):
        assert "nothing to sample" in sentence
    else:
        assert sentence == "--with classes=ten: classes: must be a whole number (got 'ten')"
    assert refused(*words.split(), "--with", "clases[0]=3").endswith("did you mean classes?")
    assert not list(folder.iterdir())


def test_it_holds_for_every_network_of_a_table() -> None:
    table = printed("summarize", "resnet18", "resnet34", "--no-measure", *FEWER)
    for name in ("resnet18", "resnet34"):
        books = cost(load_spec(name, ["classes=10", "stages[2].depth=12"]))
        assert f"{books.params:,}" in table
    assert "With classes=10 and stages[2].depth=12.\n" in table


def test_every_form_of_the_report_says_it() -> None:
    plan = resolve(load_spec("resnet18", ["classes=10"]))
    words = ("summarize", "resnet18", "--no-measure", "--with", "classes=10", "--format")
    data = json.loads(printed(*words, "json"))
    assert data["overrides"] == ["classes=10"]
    assert data["params"] == cost(plan).params
    rows = list(csv.DictReader(io.StringIO(printed(*words, "csv"))))
    assert {row["with"] for row in rows} == {"classes=10"}
    assert int(rows[-1]["params"]) == cost(plan).params
    assert printed(*words, "markdown").strip().endswith("; with classes=10.")
    without = ("summarize", "resnet18", "--no-measure", "--format")
    assert "overrides" not in json.loads(printed(*without, "json"))
    assert "with" not in printed(*without, "csv").splitlines()[0]


def test_the_proof_is_of_the_network_as_it_is_overridden() -> None:
    report = printed("summarize", "cifar/resnet20", "--with", "shortcut=projection", "--with",
                     "input.size=16", "--with", "classes=3")  # fmt: skip
    assert "3x16x16 -> 3 classes" in report
    assert "FAILS" not in report
    assert report.count("holds") == 7


def test_budgets_formulas_and_drawings_are_of_it_too(folder: Path) -> None:
    macs = cost(load_spec("resnet18", ["input.size=64"])).macs
    assert cost("resnet18").macs > macs
    budget = ("summarize", "resnet18", "--no-measure", "--max-macs", str(macs))
    assert CliRunner().invoke(app, [*budget, "--with", "input.size=64"]).exit_code == 0
    assert CliRunner().invoke(app, budget).exit_code == 1
    assert "512 -> 7" in printed("summarize", "resnet18", "--explain", "fc", "--with", "classes=7")
    Path("heir.yaml").write_text("extends: resnet18\nname: resnet18\nshortcut: identity\n")
    drawn = ("summarize", "--no-measure", "--draw")
    printed(*drawn, "a.svg", "resnet18", "--with", "shortcut=identity")
    printed(*drawn, "b.svg", "heir.yaml")
    printed(*drawn, "c.svg", "resnet18")
    a, b, c = (Path(f"{name}.svg").read_text() for name in "abc")
    assert a == b != c
    step = ("summarize", "resnet18", "--no-measure", "--batch", "8", "--format", "json")
    small = json.loads(printed(*step, "--with", "input.size=64"))["training"]
    assert small["peak"] < json.loads(printed(*step))["training"]["peak"]


def test_what_is_built_is_the_network_it_says(folder: Path) -> None:
    printed("build", "resnet18", "-o", "net.py", *FEWER)
    source = Path("net.py").read_text()
    assert "from the spec resnet18 with classes=10 and stages[2].depth=12." in " ".join(
        source.split()
    )
    code = "import net; m = net.ResNet18(); print(sum(p.numel() for p in m.parameters()))"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=folder, capture_output=True, text=True, check=True
    )
    assert int(done.stdout) == cost(load_spec("resnet18", FEWER[1::2])).params


def test_a_fit_starts_from_it_and_is_written_without_it(folder: Path) -> None:
    printed("fit", "resnet18", "--macs", "1G", "-o", "small.yaml", "--with", "classes=10")
    assert Path("small.yaml").read_text().startswith("# resnet18 with classes=10, width x ")
    spec = load_spec("small.yaml")
    assert spec.classes == 10
    assert 0 < 10**9 - cost(spec).macs < 10**8
    assert spec.overrides == ()


def test_a_space_is_drawn_from_with_it(folder: Path) -> None:
    Path("space.yaml").write_text(
        "extends: imagenet/resnet18\nname: one\nclasses: {from: 10, to: 90}\n"
    )
    words = ["sample", "space.yaml", "-n", "5", "--format", "json"]
    drawn = json.loads(printed(*words, "--with", "stem.width=32"))["candidates"]
    assert [one["spec"]["stem"] for one in drawn] == [{"kind": "conv7x7-pool", "width": 32}] * 5
    without = json.loads(printed(*words))["candidates"]
    assert [one["spec"]["classes"] for one in drawn] == [o["spec"]["classes"] for o in without]
    assert "nothing to sample" in refused(*words, "--with", "classes=10")
    choice = ("--with", "classes=10", "--with", "stages[0].width={any: [32, 64]}")
    drawn = json.loads(printed(*words, *choice))["candidates"]
    assert {one["spec"]["stages"][0]["width"] for one in drawn} == {32, 64}
    bad = refused(*words, "--with", "classes.from=95")
    assert bad == (
        "space.yaml:3:10: classes: must hold a number: from 95 to 90 in steps of 1 holds none"
    )
    printed("sample", "space.yaml", "-n", "1", "-o", "out", "--with", "stem.width=32")
    assert "from space.yaml with stem.width=32\n" in Path("out/one-0.yaml").read_text()


# ---- runs


def run(tiny: Callable[..., str], *more: str, spec: str | None = None) -> None:
    words = ("--epochs", "1", "--device", "cpu", "--quiet", "--out", "run")
    typed(spec or tiny(), *words, *more)


FIVE = ("--data", "synthetic", "--with", "classes=5", "--with", "stages[-1].width=24")


def test_a_run_keeps_what_was_typed_and_the_network_it_made(
    tiny: Callable[..., str], folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run(tiny, *FIVE)
    plan = resolve(load_spec(tiny(), FIVE[3::2]))
    assert plan != resolve(load_spec(tiny()))
    # The folder stands alone: without the spec and without what was typed.
    Path(tiny()).unlink()
    assert resolve(load_spec("run/spec.yaml")) == plan
    assert Path("run/spec.yaml").read_text().startswith("language: 1\n")
    assert resolve(load_spec("run/last.pt")) == plan
    record = json.loads(Path("run/environment.json").read_text())[0]
    assert record["with"] == ["classes=5", "stages[-1].width=24"]
    weights = torch.load("run/last.pt", weights_only=True)["model"]
    module = build_module(plan)
    module.load_state_dict(weights)
    assert weights["fc.weight"].shape == (5, 24)


def test_a_run_says_it_at_its_start(
    tiny: Callable[..., str], folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    typed(tiny(), "--epochs", "1", "--device", "cpu", "--out", "run", *FIVE)
    assert "every spec with classes=5 and stages[-1].width=24\n" in capsys.readouterr().err


def test_a_run_goes_on_with_the_same_and_with_nothing_else(
    tiny: Callable[..., str], folder: Path
) -> None:
    run(tiny, *FIVE)
    run(tiny, *FIVE, "--resume")
    before = Path("run/last.pt").read_bytes()
    for more, where in {
        FIVE[:4]: "network.stages[1].width was 24 there and is 16 here",
        FIVE[:2]: "network.stages[1].width was 24 there and is 16 here",
        (*FIVE[:2], "--with", "classes=6", *FIVE[4:]): "network.classes was 5 there and is 6 here",
    }.items():
        with pytest.raises(UserError) as caught:
            run(tiny, *more, "--resume")
        assert str(caught.value) == (
            f"run/last.pt: of another run: {where}; resume with the same command, or start anew "
            "with another --out"
        )
    # A checkpoint has it in it already, and so has the folder's spec.
    for spec in ("run/last.pt", "run/spec.yaml"):
        run(tiny, *FIVE[:2], "--resume", spec=spec)
        run(tiny, *FIVE, "--resume", spec=spec)
        with pytest.raises(UserError, match=r"network\.classes was 5 there and is 7 here"):
            run(tiny, *FIVE[:2], "--with", "classes=7", "--resume", spec=spec)
    assert Path("run/last.pt").read_bytes() == before


def test_weights_go_on_with_another_number_of_classes(
    tiny: Callable[..., str], folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run(tiny)
    tune = ("--init-from", "run/last.pt", "--epochs", "1", "--device", "cpu", "--out", "tuned")
    new = ("--data", "synthetic", "--with", "classes=3")
    with pytest.raises(UserError, match="--head drop starts the classifier anew"):
        typed("run/last.pt", *tune, *new, "--head", "keep")
    typed("run/last.pt", *tune, *new, "--plan")
    typed("run/last.pt", *tune, *new)
    said = capsys.readouterr().err
    assert "run/last.pt: loaded " in said
    assert "a new classifier (fc.weight, fc.bias), not the file's of 10 classes" in said
    assert load_spec("tuned/spec.yaml").classes == 3
    assert torch.load("tuned/last.pt", weights_only=True)["model"]["fc.bias"].shape == (3,)


def test_a_run_is_summarized_with_it_and_without_its_error(
    tiny: Callable[..., str], folder: Path
) -> None:
    run(tiny)
    words = ("summarize", "run", "run/last.pt", "--no-measure")
    assert " error\n" in printed(*words)
    result = CliRunner().invoke(app, [*words, "--with", "classes=3"])
    assert result.exit_code == 0
    assert " error\n" not in result.stdout
    assert result.stderr == (
        "note: run: its run's error is left out: --with makes another network\n"
    )
    params = cost(load_spec(tiny(), ["classes=3"])).params
    assert result.stdout.count(f"{params:,}") == 2
    assert "classes=3" in printed("build", "run/last.pt", "--with", "classes=3")
    assert "# --with classes=3" in printed("summarize", "run", "--resolved", "--with", "classes=3")


# ---- the language


@pytest.mark.parametrize(("rank", "lines"), [("", 1), ("0", 1), ("1", 0)])
def test_an_old_word_is_one_line_on_stderr(folder: Path, rank: str, lines: int) -> None:
    Path("net.yaml").write_text("extends: resnet18\nname: net\nclass_count: 10\n")
    program = """
import sys
import resgen.spec.language
resgen.spec.language.OLD["class_count"] = "classes"
from resgen.cli import main
sys.argv = ["resgen", "summarize", "--no-measure", "net.yaml", "net.yaml", "--format", "json"]
main()
"""
    environment: dict[str, Any] = {**os.environ, **({"RANK": rank} if rank else {})}
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True, text=True, cwd=folder, env=environment, check=True,
    )  # fmt: skip
    note = "note: net.yaml:3:1: class_count is called classes now\n"
    assert done.stderr == note * lines
    assert [each["classes"] for each in json.loads(done.stdout)] == [10, 10]
