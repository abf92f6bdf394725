"""--plot: networks as points, against accuracy where run folders are given."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from resgen import load_spec, resolve
from resgen.cli import app
from resgen.cli.trainings import outcomes
from resgen.cost import cost
from resgen.cost.memory import Training, training_step
from resgen.report.plots import gathered
from resgen.report.points import AXES, Outcome, Point, family, interval
from resgen.spec import shipped
from resgen.train.run.metrics import KEYS


def run(*words: str) -> Result:
    return CliRunner().invoke(app, ["summarize", "--no-measure", *words])


def finished(folder: Path, name: str, error: float | None) -> str:
    folder.mkdir()
    (folder / "spec.yaml").write_text(shipped.find("spec", name).read_text())
    if error is not None:
        result = {"name": name, "last_error": error, "test_error": error}
        (folder / "result.json").write_text(json.dumps(result))
    return str(folder)


def test_specs_are_plotted_with_their_names_as_text(tmp_path: Path) -> None:
    path = tmp_path / "cost.svg"
    assert run("resnet18", "resnet50", "--plot", str(path)).exit_code == 0
    text = path.read_text()
    for words in ("resnet18", "resnet50", "multiply-adds (MACs) an image", "parameters"):
        assert f">{words}</text>" in text


def test_run_folders_are_plotted_against_their_error(tmp_path: Path) -> None:
    runs = [
        finished(tmp_path / "a", "cifar/resnet20", 0.0875),
        finished(tmp_path / "b", "cifar/resnet56", 0.0697),
    ]
    path = tmp_path / "errors.svg"
    result = run(*runs, "--plot", str(path))
    assert result.exit_code == 0
    assert "8.75%" in result.stdout
    assert "6.97%" in result.stdout
    assert "error on test images, %" in path.read_text()


def test_seeds_are_a_mean_with_its_interval() -> None:
    """t of two degrees of freedom at 97.5 % is 4.302653 (any table of Student's t)."""
    mean, low, high = interval([8.0, 9.0, 10.0]) or (0, 0, 0)
    assert mean == 9
    assert high - mean == mean - low == pytest.approx(4.302653 / 3**0.5)
    assert interval([7.0]) == (7, 7, 7)
    plan = resolve(load_spec("cifar/resnet20"))
    runs = [Outcome(f"seed-{n}", error / 100, "test") for n, error in enumerate((8, 9, 10))]
    (point,) = gathered([plan] * 3, runs)
    assert AXES["error"].value(point, Training()) == pytest.approx((mean, low, high))


def test_every_axis_has_its_figure() -> None:
    plan = resolve(load_spec("resnet50"))
    point = Point(plan, "imagenet", (Outcome("a", 0.24, "test", 1200.0),))
    found = {name: axis.value(point, Training(batch=32)) for name, axis in AXES.items()}
    books = cost(plan)
    peak = training_step(plan, 32, "fp32", "momentum").peak / 2**30
    expected = {
        "params": 25_557_032, "macs": books.macs, "activations": books.activations,
        "memory": peak, "error": 24, "images-per-second": 1200,
    }  # fmt: skip
    assert {name: value and value.mean for name, value in found.items()} == expected


def test_axes_are_chosen(tmp_path: Path) -> None:
    path = tmp_path / "a.svg"
    both = ("--plot", str(path), "--x", "activations", "--y", "memory", "--batch", "64")
    assert run("resnet18", "resnet50", *both).exit_code == 0
    text = path.read_text()
    assert ">activations an image</text>" in text
    assert ">memory of a training step, GiB</text>" in text
    assert "64 images" in text
    for words, said in (
        (["--y", "error"], "--y error: only runs have it; give run folders"),
        (["--x", "macs", "--y", "macs"],
         "--x macs and --y macs: both axes are the same; choose another for one"),
    ):  # fmt: skip
        result = run("resnet18", "--plot", str(tmp_path / "b.svg"), *words)
        assert str(result.exception) == said


def test_the_speed_of_a_run_is_the_median_of_its_epochs(tmp_path: Path) -> None:
    folder = tmp_path / "a"
    finished(folder, "cifar/resnet20", 0.1)
    rows = [
        {**dict.fromkeys(KEYS, 0.5), "epoch": n, "images_per_second": speed}
        for n, speed in enumerate((100.0, 900.0, 1000.0), 1)
    ]
    (folder / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (found,) = outcomes(str(folder), [], None)
    assert found
    assert found.speed == 900
    path = tmp_path / "a.svg"
    assert run(str(folder), "--plot", str(path), "--x", "images-per-second").exit_code == 0
    assert "images a second in training" in path.read_text()


def test_a_family_is_a_folder_of_specs_and_not_the_spelling_of_a_name(tmp_path: Path) -> None:
    for name in ("wrn/wrn16_4", "resnext/resnext50_32x4d"):
        assert family(name, resolve(load_spec(name))) == name.split("/")[0]
    own = tmp_path / "resnet99.yaml"
    own.write_text(shipped.find("spec", "cifar/resnet20").read_text())
    assert family(str(own), resolve(load_spec(own))) == "basic blocks, shortcut identity"


def test_a_spec_beside_a_run_has_no_error_to_plot(tmp_path: Path) -> None:
    folder = finished(tmp_path / "a", "cifar/resnet20", 0.1)
    path = tmp_path / "errors.png"
    assert str(run(folder, "resnet18", "--plot", str(path)).exception) == (
        f"--plot {path}: 1 of 2 networks come with a finished run; give run folders for all "
        "of them, or specs for all"
    )


@pytest.mark.parametrize("suffix", [".png", ".pdf"])
def test_other_formats_are_written_whole_and_not_over_a_file(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"cost{suffix}"
    assert run("resnet18", "--plot", str(path)).exit_code == 0
    assert path.stat().st_size > 1000
    assert str(run("resnet18", "--plot", str(path)).exception) == (
        f"{path}: already exists; give --force to overwrite it"
    )


def test_a_folder_that_is_no_run_is_refused(tmp_path: Path) -> None:
    assert str(run(str(tmp_path)).exception) == (
        f"{tmp_path}: a folder without spec.yaml; give a spec file or a run folder"
    )
