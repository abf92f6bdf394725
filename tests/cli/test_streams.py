"""The command as a shell runs it: full disks, closed streams, readers that leave, odd names."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from resgen.cli import main

RESGEN = f"{sys.executable} -m resgen"


def shell(words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["bash", "-c", f"set -o pipefail; {words}"], capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        ("build resnet18 > /dev/full", "No space left on device"),
        ("--help > /dev/full", "No space left on device"),
        ("build resnet18 >&-", "it is closed"),
        ("build resnet18 <&- >&-", "it is closed"),
    ],
)
def test_output_that_cannot_be_written_is_said(words: str, reason: str) -> None:
    done = shell(f"{RESGEN} {words}")
    assert done.stderr == f"error: standard output: cannot be written: {reason}\n"
    assert done.returncode == 2


def test_a_reader_that_leaves_is_no_failure() -> None:
    done = shell(f"{RESGEN} build resnet18 | true")
    assert (done.stdout, done.stderr, done.returncode) == ("", "", 0)


def test_a_reader_that_leaves_costs_neither_files_nor_checks(tmp_path: Path) -> None:
    path = tmp_path / "a.svg"
    words = f"summarize resnet18 --no-measure --draw {path} --max-macs 1M"
    done = shell(f"{RESGEN} {words} | true")
    assert path.exists()
    assert done.stderr.startswith("error: over budget: resnet18: ")
    assert done.returncode == 1


@pytest.mark.parametrize("lost", ["2>&-", "2>/dev/full"])
def test_a_mistake_keeps_its_exit_code_where_it_cannot_be_said(lost: str) -> None:
    done = shell(f"{RESGEN} build nothing.yaml {lost}")
    assert (done.stdout, done.returncode) == ("", 2)


def test_a_full_disk_leaves_no_file(tmp_path: Path) -> None:
    # The shell lets no file grow beyond a block; the system then says so.
    path = tmp_path / "net.py"
    done = shell(f"trap '' XFSZ; ulimit -f 1; {RESGEN} build resnet18 -o {path}")
    assert done.stderr == f"error: {path}: cannot be written: File too large\n"
    assert done.returncode == 2
    assert not list(tmp_path.iterdir())


LONG = 300 * "x"


@pytest.mark.parametrize(
    "words",
    [
        ["summarize", LONG],
        ["summarize", f"{LONG}.yaml"],
        ["build", LONG],
        ["build", "resnet18", "-o", f"{LONG}.py"],
        ["sample", LONG],
        ["fit", "resnet18", "--macs", "1G", "-o", f"{LONG}.yaml"],
        ["train", LONG],
        ["train", "digits/resnet20", "--recipe", f"{LONG}.yaml"],
        ["train", "digits/resnet20", "--data", f"folder:{LONG}"],
        ["train", "digits/resnet20", "--data", f"cifar10:{LONG}"],
        ["train", "digits/resnet20", "--out", LONG],
        ["train", "digits/resnet20", "--out", "run", "--init-from", f"{LONG}.pth"],
    ],
    ids=lambda words: " ".join(words).replace(LONG, "LONG"),
)
def test_a_name_too_long_gets_one_sentence(
    words: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["resgen", *words])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 2
    said = capsys.readouterr().err.splitlines()
    assert said[-1].startswith("error: ")
    assert LONG in said[-1]
