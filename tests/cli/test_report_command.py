"""`resgen report`: what is given decides the kind of page; mistakes have one sentence each."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from resgen.cli import app
from resgen.proof import proof
from tests.compare.folders import write_run
from tests.page.document import read, table
from tests.page.folders import write_experiment

ROOT = Path(__file__).parents[2]


def run(*words: str | Path) -> Result:
    return CliRunner().invoke(app, ["report", *map(str, words)])


def title(path: Path) -> str:
    return next(read(path.read_text()).every("title")).text


def test_what_is_given_decides_the_kind_of_page(tmp_path: Path) -> None:
    folder = write_experiment(tmp_path / "experiment")
    first, second = (write_run(tmp_path / "runs" / f"seed-{seed}", seed, 0.1) for seed in (0, 1))
    for name, words, expected in (
        ("sheet", ["resnet18"], "resnet18 \u2013 data sheet"),
        ("two", ["resnet18", "resnet34"], "resnet18 and resnet34 \u2013 comparison"),
        ("run", [first], "tiny \u2013 runs"),
        ("runs", [tmp_path / "runs"], "tiny \u2013 runs"),
        ("mixed", [first, second, "resnet18"], "tiny and resnet18 \u2013 comparison"),
        ("experiment", [folder], "Deeper plain networks train worse, residual ones do not"
         " \u2013 experiment"),
    ):  # fmt: skip
        page = tmp_path / f"{name}.html"
        result = run(*words, "-o", page, "--no-measure")
        assert result.exit_code == 0, result.output
        assert title(page) == expected
        assert result.stderr.startswith(f"wrote {page} (")
    assert len(table(read((tmp_path / "runs.html").read_text()), "runs")) == 3


def test_the_page_says_the_command_that_writes_it(tmp_path: Path) -> None:
    page = tmp_path / "a b.html"
    words = ("resnet18", "--with", "classes=10", "--no-measure", "-o", page)
    assert run(*words).exit_code == 0
    command = f"resgen report resnet18 --with classes=10 --no-measure -o '{page}'"
    text = read(page.read_text()).text
    assert command in text
    assert "resgen build resnet18 --with classes=10 -o resnet18.py" in text
    assert "11,181,642" in text


def test_measured_it_has_the_proof(tmp_path: Path) -> None:
    page = tmp_path / "a.html"
    assert run("digits/resnet20", "-o", page).exit_code == 0
    assert "the proof holds" in page.read_text()


def test_a_proof_that_fails_is_written_and_exits_1(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wrong = proof.Check("operators", False, "aten::odd was traced 1 times and has no rule")
    monkeypatch.setattr(proof, "_operators", lambda seen: wrong)
    result = run("digits/resnet20", "-o", tmp_path / "a.html")
    assert str(result.exception) == f"resnet20: operators: {wrong.text}"
    assert result.exception.exit_code == 1  # type: ignore[union-attr]
    assert "the proof fails" in (tmp_path / "a.html").read_text()


def test_a_file_whose_name_is_markup_is_text(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    spec = Path("<script>a.yaml")
    spec.write_text((ROOT / "specs/digits/resnet20.yaml").read_text())
    assert run(spec, "-o", "a.html", "--no-measure").exit_code == 0
    page = read(Path("a.html").read_text())
    assert len(list(page.every("script"))) == 1
    assert "resgen summarize '<script>a.yaml'" in page.text


def test_bad_input_has_one_sentence(tmp_path: Path) -> None:
    def message(*words: str | Path) -> str:
        result = run(*words)
        assert result.exception.exit_code == 2  # type: ignore[union-attr]
        return str(result.exception)

    page, empty = tmp_path / "a.html", tmp_path / "empty"
    empty.mkdir()
    experiment = write_experiment(tmp_path / "experiment")
    trained = write_run(tmp_path / "run", 0, 0.1)
    assert message("resnet18", "-o", tmp_path / "a.pdf") == (
        f"{tmp_path / 'a.pdf'}: end the file's name in .html"
    )
    assert message(empty, "-o", page) == (
        f"{empty}: a folder of no run and no experiment (it has neither spec.yaml nor "
        "experiment.json); name an experiment's folder, run folders or specs"
    )
    assert message("resnet5O", "-o", page) == (
        "resnet5O: no such file, and no spec of this name is shipped; did you mean "
        "imagenet/resnet50?"
    )
    assert message(experiment, "resnet18", "-o", page) == (
        "an experiment and other networks exclude each other; an experiment has a page of its "
        "own; name it alone"
    )
    assert message(trained, "--with", "classes=3", "-o", page) == (
        "--with and run folders exclude each other; --with makes another network than was "
        "trained; leave one out"
    )
    (experiment / "experiment.json").write_text("{")
    assert message(experiment, "-o", page) == (
        f"{experiment}: holds no finished experiment (experiment.json); `resgen experiment` "
        "writes one"
    )
    assert not page.exists()
    page.write_text("mine")
    assert message("resnet18", "-o", page) == (
        f"{page}: already exists; give --force to overwrite it"
    )
    assert page.read_text() == "mine"
    assert run("resnet18", "-o", page, "--force", "--no-measure").exit_code == 0
    assert title(page) == "resnet18 \u2013 data sheet"


def test_without_measuring_no_torch_is_loaded(tmp_path: Path) -> None:
    code = (
        "import sys; sys.argv = ['resgen', 'report', 'resnet18', '--no-measure', '-o', 'a.html']\n"
        "from resgen.cli import main\nmain()"
    )
    code = code.replace("main()", "app(standalone_mode=False)").replace("main", "app")
    code += "\nprint({'torch', 'matplotlib'} & set(sys.modules))"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert done.stdout == "set()\n"


def test_the_templates_are_in_the_wheel(tmp_path: Path) -> None:
    hatchling = pytest.importorskip("hatchling.builders.wheel", reason="hatchling is not installed")
    (path,) = hatchling.WheelBuilder(str(ROOT)).build(directory=str(tmp_path))
    inside = {name for name in zipfile.ZipFile(path).namelist() if "/templates/" in name}
    there = (ROOT / "resgen/page/templates").iterdir()
    assert inside == {f"resgen/page/templates/{each.name}" for each in there}
