"""Options: what cannot stand together is refused in one sentence, and commands stay a page."""

from __future__ import annotations

import ast
import inspect
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

import resgen.cli
from resgen.cli import app, build, fit, sample, summarize, train
from resgen.cli.options import Apart, Needs
from resgen.errors import UserError
from resgen.spec import load_spec

PAGE = 60
FILES = sorted(Path(resgen.cli.__file__).parent.glob("*.py"))
RULES: dict[str, tuple[Apart | Needs, ...]] = {
    name: inspect.getmodule(inspect.unwrap(command)).RULES  # type: ignore[union-attr]
    for name, command in {
        "build": build, "fit": fit, "sample": sample, "summarize": summarize, "train": train,
    }.items()
}  # fmt: skip


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_no_function_of_the_command_line_is_longer_than_a_page(file: Path) -> None:
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            assert node.end_lineno is not None
            assert node.end_lineno - node.lineno < PAGE, node.name


def options_of(command: str) -> set[str]:
    """Every way to write an option of a command."""
    group = typer.main.get_command(app)
    parameters = group.commands[command].params  # type: ignore[attr-defined]
    names = {name for each in parameters for name in (*each.opts, *each.secondary_opts)}
    return {name for name in names if name.startswith("-")}


@pytest.mark.parametrize("command", RULES)
def test_the_rules_name_options_that_there_are(command: str) -> None:
    known = options_of(command)
    for rule in RULES[command]:
        for name in (rule.option, *rule.others):
            assert name.split()[0] in known or name in ("several networks", "run folders"), name


def test_whatever_reports_is_refused_beside_what_prints_one_thing_alone() -> None:
    alone = {"--resolved", "--explain", "--no-measure", "--help", "--with"}
    for option in ("--resolved", "--explain"):
        others = {o for r in RULES["summarize"] if r.option == option for o in r.others}
        assert others >= options_of("summarize") - alone


REFUSED = {
    "summarize --resolved --max-macs 1G": "--resolved and --max-macs exclude each other; "
    "the spec is printed alone; leave one out",
    "summarize --resolved --explain fc": "--resolved and --explain exclude each other; "
    "the spec is printed alone; leave one out",
    "summarize --explain fc --format json": "--explain and --format exclude each other; "
    "the formulas are printed alone; leave one out",
    "summarize --resolved --measure": "--resolved and --measure exclude each other; "
    "the spec is printed alone; leave one out",
    "summarize --explain fc --draw a.svg": "--explain and --draw exclude each other; "
    "the formulas are printed alone; leave one out",
    "summarize --precision bf16": "--precision says nothing without --batch, --memory, "
    "--max-memory or --roofline; add one of them, or leave it out",
    "summarize --optimizer sgd --max-macs 9G": "--optimizer says nothing without --batch, "
    "--memory or --max-memory; add one of them, or leave it out",
    "summarize --beside nothing": "--beside says nothing without --draw; add it, or leave it out",
    "summarize --beside plain --draw a.svg resnet34": "--beside and several networks exclude "
    "each other; two networks are drawn beside each other; leave it out",
    "summarize --force": "--force says nothing without --draw, --plot or --curves; add one of "
    "them, or leave it out",
    "summarize --batch 8 --format csv": "--batch and --format csv exclude each other; a training "
    "step has no rows; give --format json or table",
    "summarize --memory 8GiB --format markdown": "--memory and --format markdown exclude each "
    "other; a training step has no rows; give --format json or table",
    "summarize --by layer resnet34": "--by layer and several networks exclude each other; give one "
    "network, or --format json",
    "build --force": "--force says nothing without --output; add it, or leave it out",
    "sample --force": "--force says nothing without --output; add it, or leave it out",
    "fit --macs 2G --force": "--force says nothing without --output; add it, or leave it out",
    "fit --macs 2G --by depth --divisor 4": "--divisor and --by depth exclude each other; "
    "it is of widths; leave it out",
    "train --resume --force": "--resume and --force exclude each other; the one goes on, the "
    "other starts over; leave one out",
    "train --plan --resume": "--plan and --resume exclude each other; nothing is trained; "
    "leave one out",
    "train --plan --force": "--plan and --force exclude each other; nothing is trained; "
    "leave one out",
    "train --normalize data": "--normalize says nothing without --init-from; add it, or leave it "
    "out",
    "train --head drop": "--head says nothing without --init-from; add it, or leave it out",
    "train --epochs 3 --set length=2": "--epochs and --set length exclude each other; both are "
    "the recipe's length; leave one out",
    "train --batch 8 --set batch=9": "--batch and --set batch exclude each other; both are the "
    "recipe's batch; leave one out",
    "train --download": "--download says nothing without --data cifar10, --data cifar100, "
    "--data hf or --init-from reference; "
    "add one of them, or leave it out",
    "train --data digits --skip-bad-images": "--skip-bad-images says nothing without --data "
    "folder or --data hf; add one of them, or leave it out",
}


@pytest.mark.parametrize("words", REFUSED)
def test_options_that_cannot_hold_together_are_refused(
    words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    command, *options = words.split()
    result = CliRunner().invoke(app, [command, "resnet18", *options])
    assert isinstance(result.exception, UserError)
    assert str(result.exception) == REFUSED[words]
    assert result.stdout == ""
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "words",
    [
        "summarize resnet18 --no-measure --resolved",
        "summarize resnet18 --no-measure --explain fc",
        "summarize resnet18 --no-measure --precision bf16 --max-memory 99GiB",
        "summarize resnet18 --no-measure --batch 8 --max-memory 99GiB --format csv",
        "summarize resnet18 resnet34 --no-measure --by block --format json",
        "summarize resnet18 --no-measure --sort macs",
        "build resnet18 --output a.py --force",
        "fit resnet18 --macs 1G --by width --divisor 4",
        "train resnet18 --data synthetic --batch auto --set batch=9 --plan",
        "train resnet18 --data synthetic --out runs/a --seed 3 --plan",
    ],
)
def test_options_that_hold_together_are_taken(
    words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(app, words.split())
    assert result.exit_code == 0, result.exception
    assert result.stdout or "-o" in words or "--output" in words


@pytest.mark.parametrize("option", ["--tensorboard", "--sync-bn", "--deterministic"])
def test_what_is_on_or_off_is_a_flag(option: str) -> None:
    words = ["train", "resnet18", "--data", "synthetic", option, "--plan"]
    assert CliRunner().invoke(app, words).exit_code == 0


# ---- places to write


OUTPUTS = ("summarize --no-measure --draw a/b.svg", "summarize --no-measure --plot a/b.png",
           "build -o a/b.py", "build -o c.pt2 -o a/b.safetensors",
           "fit --macs 1G -o a/b.yaml")  # fmt: skip


@pytest.fixture
def idle(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing may be done: whoever reads a spec or draws a network fails."""

    def work(*_: object, **__: object) -> None:
        raise AssertionError("worked before it was refused")

    for command in ("build", "fit", "summarize"):
        module = inspect.getmodule(inspect.unwrap(getattr(resgen.cli, command)))
        monkeypatch.setattr(module, "read" if command == "build" else "load_spec", work)
    monkeypatch.setattr(inspect.getmodule(inspect.unwrap(sample)), "sampled", work)


@pytest.mark.parametrize("words", OUTPUTS)
@pytest.mark.parametrize("fault", ["no folder", "a file", "an ending", "exists", "long"])
@pytest.mark.usefixtures("idle")
def test_a_file_that_cannot_be_written_is_refused_before_any_work(
    words: str, fault: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    command, *options, path = words.split()
    if fault == "a file":
        Path("a").write_text("mine")
    elif fault != "no folder":
        Path("a").mkdir()
    if fault == "exists":
        Path(path).write_text("mine")
    path = {"an ending": "a/b.doc", "long": f"a/{300 * 'x'}{Path(path).suffix}"}.get(fault, path)
    result = CliRunner().invoke(app, [command, "resnet18", *options, path])
    sentence = {
        "no folder": "there is no folder a; make it first",
        "a file": "a is a file; name a folder",
        "an ending": "end the file's name in .",
        "exists": "already exists; give --force to overwrite it",
        "long": "cannot be written: File name too long",
    }[fault]
    assert isinstance(result.exception, UserError)
    assert str(result.exception).startswith(f"{path}: {sentence}")


@pytest.mark.usefixtures("idle")
def test_a_folder_of_samples_is_looked_at_before_any_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("a").write_text("mine")
    for path, sentence in {
        "a": "a: is a file; name a folder",
        "a/b": "a/b: a is a file; name a folder",
        300 * "x": f"{300 * 'x'}: cannot be written: File name too long",
    }.items():
        result = CliRunner().invoke(app, ["sample", "resnet18", "-o", path])
        assert str(result.exception) == sentence


def test_no_sample_is_written_where_one_may_not_be(tmp_path: Path) -> None:
    (tmp_path / "space.yaml").write_text(
        "extends: imagenet/resnet18\nname: one\nclasses: {from: 10, to: 90}\n"
    )
    out = tmp_path / "out"
    out.mkdir()
    (out / "one-2.yaml").write_text("mine")
    words = ["sample", str(tmp_path / "space.yaml"), "-n", "3", "-o", str(out)]
    result = CliRunner().invoke(app, words)
    sentence = f"{out / 'one-2.yaml'}: already exists; give --force to overwrite it"
    assert str(result.exception) == sentence
    assert [path.name for path in out.iterdir()] == ["one-2.yaml"]
    assert CliRunner().invoke(app, [*words, "--force"]).exit_code == 0
    assert {path.name for path in out.iterdir()} == {"one-0.yaml", "one-1.yaml", "one-2.yaml"}


def test_one_file_for_two_pictures_is_refused(tmp_path: Path) -> None:
    path = str(tmp_path / "a.svg")
    words = ["summarize", "resnet18", "--no-measure", "--draw", path, "--plot", path]
    result = CliRunner().invoke(app, words)
    assert str(result.exception) == f"--draw and --plot: both are {path}; name two files"


def test_what_is_written_reads_back_whatever_its_source_is_called(tmp_path: Path) -> None:
    space = tmp_path / "a b\nc: d.yaml"
    space.write_text("extends: imagenet/resnet18\nname: one\nclasses: {from: 10, to: 90}\n")
    out = tmp_path / "out"
    result = CliRunner().invoke(app, ["sample", str(space), "-n", "1", "-o", str(out)])
    assert result.exit_code == 0
    assert load_spec(str(out / "one-0.yaml")).name == "one-0"


def test_a_name_that_no_spec_may_have_is_refused() -> None:
    result = CliRunner().invoke(app, ["fit", "resnet18", "--macs", "1G", "--name", "a/b"])
    assert isinstance(result.exception, UserError)
    assert str(result.exception).startswith("--name a/b: name: ")
