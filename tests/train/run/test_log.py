"""The log prints text as it is, and never ends what it tells of."""

from __future__ import annotations

import errno
import io
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from resgen.errors import UserError
from resgen.train.run.log import Log

LINES = (
    "import sys\nfrom resgen.train.run.log import Log\n"
    "with Log() as log:\n"
    "    for number in range(3000):\n        log.line(f'line {number}')\n"
    "print('done')\n"
)


@pytest.mark.parametrize("text", ["runs/:loop:/x", "[red]runs[/red]", "[/]", "a" * 300, "\\[b]"])
@pytest.mark.parametrize("terminal", ["no", "yes"])
def test_a_path_is_printed_as_it_is(
    text: str, terminal: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    if terminal == "yes":
        monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
        monkeypatch.setenv("TERM", "xterm")
        monkeypatch.setenv("COLUMNS", "1000")
    with Log() as log:
        log.open(text, total=3, done=0)
        log.step(1, text)
        log.line(text)
    err = capsys.readouterr().err
    assert text in err
    if terminal == "yes":
        assert err.count(text) >= 3  # the bar's title and its state, and the line above it


def test_a_terminals_lines_are_as_wide_as_it_is(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    words = [f"  epoch {number}: training 40.00 %" for number in range(5)]
    text = ", ".join([*words, "p" * 100, "0 s left"])
    with Log() as log:
        log.line(text)
    assert capsys.readouterr().err == f"{text}\n"
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("NO_COLOR", "1")
    with Log() as log:
        log.line(text)
        log.missed[text] = None
    shown = capsys.readouterr().err
    assert all(len(line) <= 80 or "p" * 100 in line for line in shown.splitlines())
    assert shown.split() == [*text.split(), "note:", *text.split()]
    assert shown.startswith("  epoch 0: training 40.00 %,   epoch 1")


def test_what_reads_the_log_may_leave(tmp_path: Path) -> None:
    with (tmp_path / "out").open("w") as out:
        process = subprocess.Popen(
            [sys.executable, "-c", LINES], stdout=out, stderr=subprocess.PIPE, text=True
        )
        assert process.stderr is not None
        process.stderr.readline()
        process.stderr.close()
        assert process.wait() == 0
    assert (tmp_path / "out").read_text() == "done\n"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_the_logs_disk_may_be_full() -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-c", LINES], stdout=subprocess.PIPE, stderr=full, check=False
        )
    assert (done.returncode, done.stdout) == (0, b"done\n")


def test_there_may_be_no_stderr_at_all() -> None:
    shell = ["sh", "-c", 'exec "$0" -c "$1" 2>&-', sys.executable, LINES]
    done = subprocess.run(shell, stdout=subprocess.PIPE, check=False)
    assert (done.returncode, done.stdout) == (0, b"done\n")


def test_a_bar_survives_its_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    class Gone(io.StringIO):
        def isatty(self) -> bool:
            return True

        def write(self, text: str) -> int:
            raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(sys, "stderr", Gone())
    monkeypatch.setenv("TERM", "xterm")
    with Log() as log:
        log.open("net", total=3, done=0)
        log.step(1, "state")
        log.line("line")


@pytest.mark.parametrize("voice", ["full", "quiet"])
def test_what_could_not_be_written_is_noted_once_at_the_end(
    voice: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with Log(voice=voice) as log:  # type: ignore[arg-type]
        for _ in range(2):
            with log.unless_missed():
                raise UserError("curves.png: cannot be written: No space left on device")
        with log.unless_missed():
            raise OSError(errno.ENOSPC, "No space left on device", "events")
        assert "note" not in capsys.readouterr().err
    assert capsys.readouterr().err == (
        "note: curves.png: cannot be written: No space left on device\n"
        "note: [Errno 28] No space left on device: 'events'\n"
    )


def test_what_is_a_mistake_of_ours_is_not_noted_away() -> None:
    with pytest.raises(ZeroDivisionError), Log() as log, log.unless_missed():
        raise ZeroDivisionError


def bars(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], title: str) -> str:
    """What a terminal of 80 columns shows of a run of 64,000 steps, 351 an epoch."""
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("NO_COLOR", "1")
    with Log() as log:
        log.open(title, total=64_000, done=0, epoch=351)
        for step in (350, 351, 63_999, 64_000):
            log.step(step, "loss 0.1234, error 12.34 %, 12,345 images/s, 3 min 20 s left")
            log._bar.refresh()  # type: ignore[union-attr]
    return capsys.readouterr().err


def test_a_bar_names_the_epoch_in_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    shown = bars(monkeypatch, capsys, "a network of a long name, seed 3")
    lines = [line for line in re.split(r"\x1b\[[0-9;?]*[A-Za-z]|[\r\n]", shown) if "epoch" in line]
    for place in ("epoch 1/183", "epoch 2/183", "epoch 183/183"):
        assert any(place in line for line in lines)
    assert max(map(len, lines)) <= 80
    # The words are whole, the time left is one, and the title goes where there is no room for it.
    last = lines[-1]
    assert last.startswith("epoch 183/183")
    assert last.rstrip().endswith("12,345 images/s, 3 min 20 s left")
    assert lines[0].startswith("a network of a long name, seed 3 epoch 1/183")
