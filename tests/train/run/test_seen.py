"""A folder that one machine does not see ends all processes within seconds, in one sentence.

Two processes in two folders with one relative path are like two machines with disks of their own.
"""

from __future__ import annotations

import re
import socket
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from resgen.errors import UserError
from resgen.train.device.processes import World
from resgen.train.run import seen
from tests.launched import Run

Apart = Callable[..., list[Run]]


@pytest.fixture
def apart(tmp_path: Path) -> Apart:
    """Starts two processes of one run, each in a folder of its own."""

    def begin(*arguments: str) -> list[Run]:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = str(free.getsockname()[1])
        place = {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
        pair = []
        for rank in range(2):
            (tmp_path / f"{rank}").mkdir(exist_ok=True)
            own = {**place, "RANK": str(rank), "LOCAL_RANK": str(rank)}
            pair.append(Run(list(arguments), tmp_path / f"{rank}", "said", own))
        return pair

    return begin


def said(pair: list[Run]) -> str:
    """The one sentence of two processes that end with it."""
    assert [run.end() for run in pair] == [2, 2]
    (line,) = [
        line for run in pair for line in run.err.splitlines()
        if line.startswith("error") or "Traceback" in line
    ]  # fmt: skip
    return line


def test_a_run_folder_of_one_machine_alone(
    apart: Apart, tiny: Callable[..., str], tmp_path: Path
) -> None:
    command = ("train", tiny(), "--epochs", "1", "--device", "cpu", "--out", "run")
    line = said(apart(*command))
    assert re.match(r"error: --out run: process 1 on \S+ does not see what process 0 writes", line)
    assert list((tmp_path / "0/run").iterdir()) == []
    # With a checkpoint on the one, they would go on from two steps.
    (tmp_path / "0/run/last.pt").touch()
    line = said(apart(*command, "--auto-resume"))
    assert "error: --out run: process 1 on" in line
    assert "does not see run/last.pt, and another one does" in line


def test_images_of_one_machine_alone(
    apart: Apart, tiny: Callable[..., str], pictures: str, tmp_path: Path
) -> None:
    (tmp_path / "0").mkdir()
    (tmp_path / "pictures").rename(tmp_path / "0/pictures")
    command = ["train", tiny(classes=2), "--data", "folder:pictures", "--set", "batch=8"]
    line = said(apart(*command, "--out", str(tmp_path / "run")))
    assert re.search(r"error: process 1 of 2 on \S+: --data folder:pictures: no such folder", line)
    assert not (tmp_path / "run").exists()


def test_as_many_images_of_other_names(
    apart: Apart, tiny: Callable[..., str], pictures: str, tmp_path: Path
) -> None:
    import shutil

    for rank in range(2):
        shutil.copytree(tmp_path / "pictures", tmp_path / f"{rank}/pictures")
    cat = tmp_path / "1/pictures/train/cat"
    (cat / "3.png").rename(cat / "other.png")
    command = ["train", tiny(classes=2), "--data", "folder:pictures", "--set", "batch=8"]
    line = said(apart(*command, "--out", str(tmp_path / "run")))
    assert "process 1 has images of names whose hash is" in line


def test_what_a_server_shows_late_is_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def late(_: World, facts: object) -> list[object]:
        if isinstance(facts, str) and facts:
            return ["there", "there"]  # the first one's token
        return ["", ""] if facts == "" else [(True, "a"), facts]

    looks = []

    def listed(folder: Path) -> list[str]:
        looks.append(time.monotonic())
        return [".seen-there"] * (len(looks) > 3)

    monkeypatch.setattr(World, "gather", late)
    monkeypatch.setattr("os.listdir", listed)
    seen.written(World(rank=1, size=2), tmp_path)
    monkeypatch.setattr(seen, "WAIT", 0.3)
    monkeypatch.setattr("os.listdir", lambda _: [])
    with pytest.raises(UserError, match=r"process 1 on \S+ does not see what process 0 writes"):
        seen.written(World(rank=1, size=2), tmp_path)
