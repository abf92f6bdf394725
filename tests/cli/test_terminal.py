"""80 columns: every command's words on a terminal of that width, and what a pipe gets."""

from __future__ import annotations

import errno
import os
import pty
import re
import subprocess
import sys
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from resgen.cli import app
from tests.compare.folders import write_run
from tests.training import TINY, typed

COMMANDS = tuple(typer.main.get_command(app).commands)  # type: ignore[attr-defined]
LONG = "a-network-whose-name-is-as-long-as-a-name-may-be-which-is-64-let"
CODES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
SPACE = f"extends: imagenet/resnet18\nname: {LONG[:30]}\nclasses: {{from: 10, to: 90}}\n"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A trained network of a long name, runs of several seeds, a spec, a space, an image."""
    from PIL import Image

    place = tmp_path_factory.mktemp("widths")
    before = Path.cwd()
    os.chdir(place)
    try:
        Path("mine.yaml").write_text(TINY.format(name=LONG, classes=10))
        Path("deeper.yaml").write_text(
            TINY.format(name="deeper", classes=10).replace("depth: 1", "depth: 2")
        )
        Path("space.yaml").write_text(SPACE)
        typed(
            "mine.yaml", "--epochs", "1", "--device", "cpu", "--threads", "1", "--quiet",
            "--set", "batch=512", "--out", LONG,
        )  # fmt: skip
        for seed in range(2):
            write_run(Path(f"runs/{LONG}/seed-{seed}"), seed, 0.5, name=LONG)
            write_run(Path(f"runs/other/seed-{seed}"), seed, 0.4, name="other")
        Image.new("L", (8, 8)).save(f"{LONG}.png")
    finally:
        os.chdir(before)
    return place


WORDS = {
    "analyze": [f"{LONG} --images 64 --device cpu", f"{LONG} --of drop --images 64 --device cpu"],
    "bench": ["mine.yaml resnet18 --mode latency --rounds 1 --device cpu --roofline 1T,1TB"],
    "build": ["resnet18 --fold", "mine.yaml -o mine.safetensors --force"],
    "deepen": [f"{LONG} deeper.yaml -o deeper.safetensors --force"],
    "evaluate": [f"{LONG} --device cpu{by}" for by in ("", " --by class", " --by confusion")],
    "experiment": ["degradation --plan"],
    "fit": ["mine.yaml --macs 100k"],
    "list": ["", "--sort macs", "recipes", "experiments", "data", "--max-params 1M --sort name"],
    "predict": [f"{LONG} {LONG}.png --device cpu"],
    "report": ["mine.yaml --no-measure --force -o mine.html"],
    "sample": ["space.yaml -n 30", "space.yaml -n 3 --sort macs"],
    "schema": ["--path"],
    "summarize": [
        "mine.yaml", "mine.yaml resnet50 imagenet/resnet152 --no-measure",
        "resnet50 --no-measure --by block", "csp/cspresnext50 --no-measure --by layer",
        "mobilenet/mobilenet_v3_large --no-measure --by layer",
        "resnet50 --no-measure --batch 256 --memory 24G --convention paper",
        "resnet50 --no-measure --by layer --roofline 19.5T,1.5TB",
        "resnet50 --no-measure --explain layer2", "resnet50 --resolved",
        f"runs/{LONG} runs/other --by run", f"runs/{LONG} runs/other --by group",
        f"runs/{LONG} --no-measure",
    ],
    "train": [
        f"mine.yaml resnet18 --with classes=10 --data synthetic --plan --out {LONG}-2",
        f"mine.yaml --epochs 1 --set batch=512 --device cpu --force --out {LONG}-3",
    ],
}  # fmt: skip
NO_TABLE = {
    "build resnet18 --fold",
    "fit mine.yaml --macs 100k",
    "schema --path",
    "summarize resnet50 --resolved",
}
"""A file's lines, and a path, are as long as they are."""


def test_every_command_is_measured() -> None:
    assert WORDS.keys() == {*COMMANDS}


@pytest.mark.parametrize(
    "words",
    [f"{name} {each}" for name, some in WORDS.items() for each in some],
    ids=lambda words: words.replace(LONG, "LONG"),
)
def test_what_is_printed_fits_80_columns(
    words: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)
    monkeypatch.setenv("COLUMNS", "80")
    result = CliRunner().invoke(app, words.split())
    assert result.exit_code == 0, (result.output, result.exception)
    if words not in NO_TABLE:
        # A name alone in its line, as a path is, may be longer, and is not cut.
        wide = [line for line in result.stdout.splitlines() if len(line) > 80]
        assert not [line for line in wide if " " in line.strip()]


@pytest.mark.parametrize("by", ["network", "stage", "layer"])
def test_long_names_are_whole(by: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    others = ["resnet18"] if by == "network" else []
    by_ = [] if by == "network" else ["--by", by]
    words = ["summarize", "mine.yaml", *others, "--no-measure", *by_]
    result = CliRunner().invoke(app, words)
    assert LONG in result.stdout
    assert "..." not in result.stdout


# ---- a real terminal


def on_a_terminal(words: str, cwd: Path, **variables: str) -> str:
    """What a terminal of 80 columns gets, of standard output and error together."""
    ours, theirs = pty.openpty()
    environment = {k: v for k, v in os.environ.items() if k not in ("NO_COLOR", "FORCE_COLOR")}
    process = subprocess.Popen(
        [sys.executable, "-m", "resgen", *words.split()],
        stdin=theirs, stdout=theirs, stderr=theirs, cwd=cwd,
        env={**environment, "TERM": "xterm", "COLUMNS": "80", **variables},
    )  # fmt: skip
    os.close(theirs)
    found = b""
    while True:
        try:
            part = os.read(ours, 65536)
        except OSError as error:
            assert error.errno == errno.EIO
            break
        if not part:
            break
        found += part
    os.close(ours)
    process.wait()
    return found.decode().replace("\r\n", "\n")


def piped(words: str, cwd: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    environment = {k: v for k, v in os.environ.items() if k not in ("NO_COLOR", "FORCE_COLOR")}
    return subprocess.run(
        [sys.executable, "-m", "resgen", *words.split()], cwd=cwd,
        env={**environment, **variables}, capture_output=True, text=True, check=False,
    )  # fmt: skip


def test_a_terminal_gets_colours_and_a_pipe_the_same_words(tmp_path: Path) -> None:
    words = "summarize resnet18 resnet34 --no-measure"
    shown, plain = on_a_terminal(words, tmp_path), piped(words, tmp_path).stdout
    assert "\x1b[1m" in shown
    assert "\x1b" not in plain
    assert CODES.sub("", shown) == plain
    assert on_a_terminal(words, tmp_path, NO_COLOR="1") == plain
    forced = piped(words, tmp_path, FORCE_COLOR="1").stdout
    assert "\x1b[1m" in forced
    assert CODES.sub("", forced) == plain


def test_what_programs_read_is_never_coloured(tmp_path: Path) -> None:
    for form in ("json", "csv", "markdown"):
        words = f"summarize resnet18 --no-measure --format {form}"
        assert "\x1b" not in piped(words, tmp_path, FORCE_COLOR="1").stdout
    assert "\x1b" not in piped("build resnet18", tmp_path, FORCE_COLOR="1").stdout


def test_mistakes_are_red_and_fit_the_terminal(tmp_path: Path) -> None:
    words = "list --shortcut no-such-shortcut-as-this"
    shown = on_a_terminal(words, tmp_path)
    assert shown.startswith("\x1b[1;31merror\x1b[0m: --shortcut no-such-shortcut-as-this: ")
    lines = CODES.sub("", shown).splitlines()
    assert len(lines) > 1
    assert max(map(len, lines)) <= 80
    (line,) = piped(words, tmp_path).stderr.splitlines()
    assert " ".join(each.strip() for each in lines) == line


def test_help_is_coloured_on_a_terminal_alone(tmp_path: Path) -> None:
    shown, plain = on_a_terminal("list -h", tmp_path), piped("list -h", tmp_path).stdout
    assert CODES.sub("", shown) == plain
    assert shown != plain
    assert piped("list -h", tmp_path, FORCE_COLOR="1").stdout == shown


def test_a_run_on_a_terminal_is_a_bar_of_80_columns_with_one_time_left(folder: Path) -> None:
    words = "train mine.yaml --epochs 3 --set batch=64 --device cpu --threads 1 --out seen --force"
    shown = on_a_terminal(words, folder)
    pieces = [CODES.sub("", each) for each in re.split(r"[\r\n]", shown)]
    assert max(map(len, pieces)) <= 80
    bars = [piece for piece in pieces if "━" in piece]
    assert any("epoch 1/3" in bar for bar in bars)
    assert any("epoch 3/3" in bar for bar in bars)
    assert all(piece.count(" left") <= 1 for piece in pieces)
    assert all(not re.search(r"\d:\d\d:\d\d", bar) for bar in bars)
