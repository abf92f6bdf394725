"""--plot: networks as points, against accuracy where run folders are given."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from resgen.cli import app
from resgen.spec import shipped


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
    for words in ("resnet18", "resnet50", "MACs an image", "params"):
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
