"""`resgen analyze`: what the room below measures, as a table, CSV, JSON and a figure."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from resgen.analysis import drops, gradients, responses, zeroed
from resgen.cli import app
from resgen.errors import UserError
from resgen.train.device.engine import choose
from resgen.train.run import runs

OF = ("responses", "gradients", "drop", "zeroed")


def analyze(*words: object) -> str:
    """What the command prints; exits 0."""
    done = CliRunner().invoke(app, ["analyze", *map(str, words), "--device", "cpu"])
    if done.exception and not isinstance(done.exception, SystemExit):
        raise done.exception
    assert done.exit_code == 0, done.output
    return done.stdout


def rows(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


@pytest.fixture
def folder(
    job: Callable[..., runs.Job], tiny: Callable[..., str], tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Path:  # fmt: skip
    """Runs of a residual and a plain network under one folder."""
    monkeypatch.chdir(tmp_path)
    plain = tmp_path / "plain.yaml"
    plain.write_text(Path(tiny()).read_text().replace("identity", "none").replace("tiny", "plain"))
    runs.train(job("runs", specs=[tiny(), str(plain)], recipe_={"length": "4 steps"}))
    return tmp_path / "runs"


@pytest.mark.parametrize("of", OF)
def test_the_forms_have_what_was_measured(folder: Path, of: str) -> None:
    run, engine = folder / "tiny", choose(device="cpu", compile="off")
    found = json.loads(analyze(run, "--of", of, "--format", "json"))
    assert (found["version"], found["measure"], len(found["runs"])) == (1, of, 1)
    (one,) = found["runs"]
    measured: Any
    if of == "responses":
        measured = responses(run, engine=engine)
        assert one["median"] == measured.median
        wanted = [(each.name, each.std) for each in measured.layers]
        assert [(each["layer"], each["std"]) for each in one["layers"]] == wanted
        assert [each["sorted"] for each in one["layers"]] == list(measured.sorted)
    elif of == "gradients":
        measured = gradients(run, engine=engine)
        assert (one["first"], one["loss"]) == (measured.first, measured.loss)
        wanted = [(each.name, each.norm) for each in measured.layers]
        assert [(each["layer"], each["norm"]) for each in one["layers"]] == wanted
    elif of == "drop":
        measured = drops(run, engine=engine)
        assert one["whole_error"] == measured.whole.error
        errors = [each.rate and each.rate.errors for each in measured.blocks]
        assert [each["errors"] for each in one["blocks"]] == errors
    else:
        measured = zeroed(run, engine=engine)
        assert one["largest"] == measured.largest == 0.0
        assert one["blocks"][1]["why"].startswith("it changes the shape")
    details = one["blocks" if of in ("drop", "zeroed") else "layers"]
    listed = rows(analyze(run, "--of", of, "--format", "csv"))
    assert [{**each, "run": "tiny"} for each in listed] == [
        {"run": "tiny", **{key: "" if value is None else str(value) for key, value in each.items()}}
        for each in details
    ]
    table = analyze(run, "--of", of)
    assert all(str(next(iter(each.values()))) in table for each in details)
    assert max(map(len, table.splitlines())) <= 80


@pytest.mark.parametrize("of", OF)
def test_several_runs_are_a_row_each(folder: Path, of: str) -> None:
    table = analyze(folder, "--of", of)
    assert [line.split()[0] for line in table.splitlines()[:3]] == ["run", "plain", "tiny"]
    assert "layer1.0" not in table.replace("without", "") or of == "drop"
    assert len(rows(analyze(folder, "--of", of, "--format", "csv"))) == 2
    every = rows(analyze(folder, "--of", of, "--format", "csv", "--by", "layer"))
    assert {each["run"] for each in every} == {"plain", "tiny"}
    assert "layer1.0" in analyze(folder, "--of", of, "--by", "layer")


def test_it_says_what_it_took(folder: Path) -> None:
    table = " ".join(analyze(folder / "tiny", "--images", "50").split())
    assert "taken behind each layer's own norm; 50 images of digits, held-out, evaluation" in table
    training = " ".join(analyze(folder / "tiny", "--mode", "training").split())
    assert "360 images of digits, held-out, training mode, fp32" in training
    split = analyze(folder / "tiny", "--split", "train", "--of", "drop")
    assert "512 images of digits, training" in " ".join(split.split())


def test_specs_have_gradients_and_blocks(tiny: Callable[..., str]) -> None:
    said = [analyze(tiny(), "--of", "gradients", "--seed", seed) for seed in (0, 1, 1)]
    assert said[0] != said[1] == said[2]
    assert "tiny as seed 0 draws it, on its first 128 images of digits" in " ".join(said[0].split())
    assert "weights drawn from seed 3" in analyze(tiny(), "--of", "zeroed", "--seed", "3")


@pytest.mark.parametrize("of", OF[:3])
@pytest.mark.parametrize("form", ["svg", "png", "pdf"])
def test_a_figure_of_several_runs(folder: Path, of: str, form: str) -> None:
    analyze(folder, "--of", of, "-o", f"one.{form}")
    analyze(folder, "--of", of, "-o", f"two.{form}")
    one, two = (Path(f"{name}.{form}").read_bytes() for name in ("one", "two"))
    if form == "svg":
        assert one == two
        assert b">plain</text>" in one
        assert b">tiny</text>" in one
    assert one[:4] in (b"<?xm", b"\x89PNG", b"%PDF")
    with pytest.raises(UserError, match="already exists; give --force"):
        analyze(folder, "--of", of, "-o", f"one.{form}")
    analyze(folder, "--of", of, "-o", f"one.{form}", "--force")


@pytest.mark.parametrize(
    ("words", "match"),
    [
        (("runs", "--seed", "1"), "--seed and responses exclude each other"),
        (("runs", "--of", "gradients", "--images", "5"), "--images and gradients exclude"),
        (("runs", "--of", "zeroed", "-o", "a.svg"), "there is nothing to draw of 0.0"),
        (("runs", "-o", "a.txt"), "end the file's name in .png, .svg or .pdf"),
        (("runs", "--force"), "--force says nothing without --output"),
        (("tiny.yaml",), "tiny.yaml: names no trained network; give a run folder"),
        (("tiny.yaml", "--of", "drop"), "names no trained network; give a run folder"),
        (("digits/resnet20", "--of", "drop"), "names no trained network"),
        (("runs", "--of", "gradients", "--seed", "1"), "a run's first step has the seed, data"),
        (("nothing", "--of", "zeroed"), "nothing"),
        (("runs", "--data", "cifar10:nowhere"), "nowhere"),
    ],
)
def test_bad_input_is_one_sentence(folder: Path, words: tuple[str, ...], match: str) -> None:
    with pytest.raises(UserError, match=match.replace(".", r"\.")) as error:
        analyze(*words)
    assert error.value.exit_code == 2
