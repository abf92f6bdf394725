"""What shells complete: asked as bash, zsh and fish ask, of a fresh process."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from resgen.spec import shipped

RESGEN = str(Path(sys.executable).parent / "resgen")


def asked(shell: str, line: str, cwd: Path) -> str:
    """What a shell gets for a line whose last word is to be completed."""
    words = line.split(" ")
    variables = {
        "bash": {"COMP_WORDS": "\n".join(words), "COMP_CWORD": str(len(words) - 1)},
        "zsh": {"_TYPER_COMPLETE_ARGS": line},
        "fish": {"_TYPER_COMPLETE_ARGS": line, "_TYPER_COMPLETE_FISH_ACTION": "get-args"},
    }[shell]
    done = subprocess.run(
        [RESGEN],
        env={**os.environ, **variables, "_RESGEN_COMPLETE": f"complete_{shell}"},
        cwd=cwd, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.stderr == ""
    return done.stdout


def words(line: str, cwd: Path) -> list[str]:
    return asked("bash", line, cwd).split()


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_every_shell_is_offered_networks_recipes_and_layers(shell: str, tmp_path: Path) -> None:
    for line, word in {
        "resgen summarize resnet5": "resnet50",
        "resgen train --recipe he2015-c": "he2015-cifar",
        "resgen summarize resnet50 --explain layer4.1.c": "layer4.1.conv2",
    }.items():
        found = asked(shell, line, tmp_path)
        assert word in found
        assert "Traceback" not in found


def test_networks_are_offered_by_their_last_part_and_in_their_folder(tmp_path: Path) -> None:
    short = words("resgen summarize resnet5", tmp_path)
    assert {"resnet50", "resnet50-v1"} <= {*short}
    for name in short:
        assert shipped.find("spec", name).is_file()
    found = words("resgen build cifar/resnet2", tmp_path)
    assert "cifar/resnet20" in found
    assert all(name.startswith("cifar/resnet2") for name in found)
    assert words("resgen train no-such-network", tmp_path) == []


def test_own_specs_and_runs_are_offered_beside_them(tmp_path: Path) -> None:
    (tmp_path / "resnet-of-mine.yaml").write_text("")
    (tmp_path / "resnet-text.txt").write_text("")
    (tmp_path / ".hidden.yaml").write_text("")
    run = tmp_path / "runs" / "one"
    run.mkdir(parents=True)
    (run / "spec.yaml").write_text("")
    found = words("resgen summarize resnet", tmp_path)
    assert "resnet-of-mine.yaml" in found
    assert "resnet-text.txt" not in found
    assert words("resgen summarize runs/", tmp_path) == ["runs/one"]
    assert ".hidden.yaml" not in words("resgen summarize ", tmp_path)


def test_a_mistake_on_the_line_offers_nothing(tmp_path: Path) -> None:
    (tmp_path / "broken.yaml").write_text("name: [")
    assert words("resgen summarize broken.yaml --explain l", tmp_path) == []
    assert words("resgen summarize --explain l", tmp_path) == []


def test_layers_are_those_of_the_overridden_network(tmp_path: Path) -> None:
    line = "resgen summarize resnet18 --with stages[0].depth=5 --part layer1."
    assert words(line, tmp_path) == [f"layer1.{block}" for block in range(5)]


def test_options_and_their_words_are_offered(tmp_path: Path) -> None:
    assert "--max-macs" in words("resgen list --max", tmp_path)
    assert words("resgen list --family efficient", tmp_path) == ["efficientnet"]
    assert {"digits", "cifar10", "folder:"} <= {*words("resgen train --data ", tmp_path)}
    assert words("resgen experiment degr", tmp_path) == ["degradation"]
    assert words("resgen list rec", tmp_path) == ["recipes"]


def test_completion_does_not_load_torch(tmp_path: Path) -> None:
    code = (
        "import sys\nsys.argv = ['resgen']\nfrom resgen.cli import main\n"
        "try:\n    main()\nexcept SystemExit:\n    pass\n"
        "print([n for n in ('torch', 'matplotlib') if n in sys.modules], file=sys.stderr)"
    )
    for line in (
        "resgen summarize resnet50 --explain l",
        "resgen train --recipe ",
        "resgen train --data ",
    ):
        split = line.split(" ")
        done = subprocess.run(
            [sys.executable, "-c", code],
            env={
                **os.environ, "_RESGEN_COMPLETE": "complete_bash",
                "COMP_WORDS": "\n".join(split), "COMP_CWORD": str(len(split) - 1),
            },
            cwd=tmp_path, capture_output=True, text=True, check=True,
        )  # fmt: skip
        assert done.stdout
        assert done.stderr == "[]\n"
