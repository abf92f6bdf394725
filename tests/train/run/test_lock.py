"""One run a folder, on one machine and on several, whatever became of the run before."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from resgen.errors import UserError
from resgen.train.run import lock, runs
from resgen.train.run.lock import Holder, held

Make = Callable[..., runs.Job]

# Holds a folder until its input ends.
HOLDER = (
    "import sys\nfrom pathlib import Path\nfrom resgen.train.run.lock import held\n"
    "with held(Path(sys.argv[1])):\n    print('held', flush=True)\n    sys.stdin.read()\n"
)
FAR = Holder("another-host", 4321, "2026-01-02 03:04:05+00:00")


@pytest.fixture
def other(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """Another process that holds tmp_path/run."""
    (tmp_path / "run").mkdir()
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER, tmp_path / "run"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    yield process
    process.kill()
    process.communicate()


def refused(folder: Path) -> str:
    with pytest.raises(UserError) as caught, held(folder):
        pass
    return str(caught.value)


def leave(folder: Path, holder: Holder) -> Path:
    """What a run that was killed leaves."""
    (folder / lock.NAME).write_text(json.dumps(holder._asdict()))
    return folder / lock.NAME


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lock, "BEAT", 0.02)
    monkeypatch.setattr(lock, "WATCH", 0.3)


def test_the_process_inside_is_named(tmp_path: Path, other: subprocess.Popen[str]) -> None:
    said = refused(tmp_path / "run")
    host = re.escape(os.uname().nodename)
    assert re.fullmatch(
        rf"--out .*/run: a run is going on in it \(process {other.pid} on {host}, since "
        r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d.*\); wait for its end, or name another folder",
        said,
    )


@pytest.mark.parametrize("start", ["new", "resume", "force"])
def test_no_run_enters_a_folder_where_one_is_going_on(
    job: Make, tmp_path: Path, other: subprocess.Popen[str], start: str
) -> None:
    (tmp_path / "run" / "last.pt").write_text("its checkpoint")
    with pytest.raises(UserError, match=f"a run is going on in it .process {other.pid} on"):
        runs.train(job("run", start=start))
    assert {path.name for path in (tmp_path / "run").iterdir()} == {"last.pt", lock.NAME}


def test_several_networks_hold_their_folders_too(
    job: Make, tiny: Callable[..., str], tmp_path: Path
) -> None:
    seen: list[str] = []
    made = job("both", specs=[tiny(), tiny("other")], recipe_={"length": "1 steps"})
    introduce = runs._introduce

    def spy(*arguments: object) -> None:
        seen.extend(str(p.parent.relative_to(tmp_path)) for p in tmp_path.rglob(lock.NAME))
        introduce(*arguments)  # type: ignore[arg-type]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(runs, "_introduce", spy)
        runs.train(made)
    assert sorted(seen) == ["both", "both/other", "both/tiny"]
    assert not list(tmp_path.rglob(lock.NAME))


def test_what_a_killed_process_leaves_is_taken_over(
    tmp_path: Path, other: subprocess.Popen[str]
) -> None:
    other.send_signal(signal.SIGKILL)
    other.wait()
    assert json.loads((tmp_path / "run" / lock.NAME).read_text())["pid"] == other.pid
    with held(tmp_path / "run"):
        assert json.loads((tmp_path / "run" / lock.NAME).read_text())["pid"] == os.getpid()
    assert not (tmp_path / "run" / lock.NAME).exists()


def test_an_error_inside_frees_the_folder(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError), held(tmp_path):
        raise RuntimeError
    with held(tmp_path):
        pass


def test_processes_that_decode_images_do_not_hold_it_longer(tmp_path: Path) -> None:
    code = (
        "import os, sys, time\nfrom pathlib import Path\nfrom resgen.train.run.lock import held\n"
        "with held(Path(sys.argv[1])):\n"
        "    child = os.fork()\n    if not child:\n        time.sleep(30)\n"
        "    print(child, flush=True)\n    os.kill(os.getpid(), 9)\n"
    )
    out = tmp_path / "out"
    with out.open("w") as file:
        subprocess.run([sys.executable, "-c", code, tmp_path], stdout=file, check=False)
    child = int(out.read_text())
    try:
        with held(tmp_path):
            pass
    finally:
        os.kill(child, signal.SIGKILL)


@pytest.mark.usefixtures("quick")
def test_a_run_on_another_machine_that_shows_life_is_respected(tmp_path: Path) -> None:
    path = leave(tmp_path, FAR)
    over = lock.Event()
    heart = lock.Thread(target=lock._beat, args=(path, over))
    heart.start()
    try:
        assert "(process 4321 on another-host, since 2026-01-02 03:04:05" in refused(tmp_path)
    finally:
        over.set()
        heart.join()
    assert lock._holder(path) == FAR


@pytest.mark.usefixtures("quick")
def test_a_run_on_another_machine_that_shows_none_is_taken_over(tmp_path: Path) -> None:
    path = leave(tmp_path, FAR)
    with held(tmp_path):
        mine = lock._holder(path)
        assert mine is not None
        assert mine.pid == os.getpid()


@pytest.mark.usefixtures("quick")
def test_a_holder_shows_life(tmp_path: Path) -> None:
    with held(tmp_path):
        before = lock._time(tmp_path / lock.NAME)
        for _ in range(500):
            if lock._time(tmp_path / lock.NAME) != before:
                break
            lock.time.sleep(0.02)
        assert lock._time(tmp_path / lock.NAME) != before


@pytest.mark.usefixtures("quick")
def test_where_files_have_no_locks_the_sign_of_life_decides(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, other: subprocess.Popen[str]
) -> None:
    monkeypatch.setattr(lock, "_locked", lambda _: False)
    other.send_signal(signal.SIGKILL)
    other.wait()
    path = tmp_path / "run" / lock.NAME
    over = lock.Event()
    heart = lock.Thread(target=lock._beat, args=(path, over))
    heart.start()
    assert f"process {other.pid} on " in refused(tmp_path / "run")
    over.set()
    heart.join()
    with held(tmp_path / "run"):
        pass


def test_a_lock_file_of_nobody_is_no_obstacle(tmp_path: Path) -> None:
    for text in ("", "no json", "[]", '{"pid": 3}'):
        (tmp_path / lock.NAME).write_text(text)
        with held(tmp_path):
            pass


def test_two_runs_of_one_command_in_one_folder_are_refused(
    job: Make, tiny: Callable[..., str], tmp_path: Path
) -> None:
    """Their lock is this process's own, and would keep neither from the other's files."""
    (tmp_path / "run/b").mkdir(parents=True)
    (tmp_path / "run/a").symlink_to("b")
    both = [tiny("a"), tiny("b")]
    for start in ("resume", "auto", "force"):
        with pytest.raises(UserError, match=r"run/b: is the same folder as .*run/a; remove the"):
            runs.train(job(specs=both, recipe_={"length": "1 steps"}, start=start))
    assert list((tmp_path / "run/b").iterdir()) == []
