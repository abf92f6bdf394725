"""Where torch is not installed: what needs none goes on, what needs it says so in a sentence."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.packages import TORCH, run, without

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What is installed here, but for torch and what needs it."""
    return without(TORCH, tmp_path_factory.mktemp("packages"))


def resgen(packages: Path, cwd: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """The command where only these packages are installed."""
    code = "from resgen.cli import main; main()"
    return run(code, *arguments, cwd=cwd, paths=(packages, ROOT))


def test_torch_is_really_not_there(packages: Path, tmp_path: Path) -> None:
    done = run("import rich, numpy, yaml; import torch", cwd=tmp_path, paths=(packages,))
    assert done.stderr.splitlines()[-1] == "ModuleNotFoundError: No module named 'torch'"


@pytest.mark.parametrize(
    ("command", "says"),
    [
        ("list wide*", "wide_resnet50_2"),
        ("schema", "$schema"),
        ("summarize resnet50 --no-measure", "25,557,032"),
        ("summarize resnet50 resnet18 --no-measure", "11,689,512"),
        ("summarize resnet50 --no-measure --by layer --format json", '"macs": 4089184256'),
        ("summarize resnet50 --no-measure --batch 8 --draw a.svg", "655.7 MiB"),
        ("summarize resnet50 --no-measure --explain layer1.0.conv2", "36,864"),
        ("fit resnet50 --macs 2G -o half.yaml", "wrote half.yaml"),
        ("sample space.yaml --draws 2", "9,978"),
        ("report resnet50 --no-measure -o sheet.html", "wrote sheet.html"),
        ("build resnet50", "class ResNet50"),
        ("build resnet50 -o a.py -o a.yaml -o a.json", "25,557,032"),
        ("experiment degradation --plan", "resnet110"),
    ],
)
def test_what_computes_nothing_goes_without(
    packages: Path, tmp_path: Path, command: str, says: str
) -> None:
    (tmp_path / "space.yaml").write_text(
        "name: a\nextends: cifar/resnet20\nstages: [{depth: {from: 1, to: 4}, width: 16}]\n"
    )
    done = resgen(packages, tmp_path, *command.split())
    assert done.returncode == 0, done.stderr
    assert says in done.stdout + done.stderr


@pytest.mark.parametrize(
    "command",
    [
        "summarize resnet50",
        "build resnet50 -o a.onnx",
        "build resnet50 -o a.safetensors",
        "train digits/resnet20 --out run",
        "bench resnet18",
    ],
)
def test_what_computes_names_torch_in_one_sentence(
    packages: Path, tmp_path: Path, command: str
) -> None:
    done = resgen(packages, tmp_path, *command.split())
    assert done.returncode == 2
    (error,) = [line for line in done.stderr.splitlines() if not line.startswith("note: ")]
    assert error.startswith("error: ")
    assert "which is not installed: pip install torch" in error
    assert list(tmp_path.iterdir()) == []
