"""Files are written whole or not at all, where they can be, and what is wrong is said."""

from __future__ import annotations

import errno
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from resgen import files
from resgen.errors import UserError

NAME = "x" * 300


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 16 KiB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=16k", "none", str(folder)]
    if os.geteuid() or subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("mounting a small disk takes root")
    try:
        yield folder
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def listing(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_a_full_disk_is_named_and_leaves_no_file(small_disk: Path) -> None:
    path = small_disk / "a.svg"
    with pytest.raises(UserError) as caught:
        files.write_whole(path, b"x" * 40_000)
    assert str(caught.value) == f"{path}: cannot be written: No space left on device"
    assert not listing(small_disk)


def test_a_full_disk_leaves_the_old_file_whole(small_disk: Path) -> None:
    path = small_disk / "a.py"
    files.write_new(path, "old", force=False)
    with pytest.raises(UserError, match="No space left on device"):
        files.write_new(path, "new" * 20_000, force=True)
    assert listing(small_disk) == {"a.py": b"old"}


@pytest.mark.parametrize("call", ["fsync", "replace"])
@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT, errno.EIO])
def test_whatever_fails_is_the_reason_and_nothing_is_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str, code: int
) -> None:
    def failing(*_: object) -> None:
        raise OSError(code, os.strerror(code))

    (tmp_path / "a").write_text("old")
    with monkeypatch.context() as patch:
        patch.setattr(os, call, failing)
        with pytest.raises(UserError) as caught:
            files.write_whole(tmp_path / "a", "new")
    assert str(caught.value) == f"{tmp_path / 'a'}: cannot be written: {os.strerror(code)}"
    assert listing(tmp_path) == {"a": b"old"}


def test_an_interrupted_writing_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", interrupted)
        with pytest.raises(KeyboardInterrupt):
            files.write_whole(tmp_path / "a", "new")
    assert not listing(tmp_path)


def test_the_content_is_on_the_disk_before_it_has_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[str] = []
    for name in ("fsync", "replace"):
        real = getattr(os, name)
        monkeypatch.setattr(
            os, name, lambda *a, name=name, real=real: (seen.append(name), real(*a))
        )
    files.write_whole(tmp_path / "a", "new")
    assert seen == ["fsync", "replace", "fsync"]


def test_text_and_bytes_are_written_as_they_are(tmp_path: Path) -> None:
    files.write_all({tmp_path / "a": "x × y\n", tmp_path / "b": b"\x00\xff"})
    assert listing(tmp_path) == {"a": "x × y\n".encode(), "b": b"\x00\xff"}


def test_a_link_is_kept_and_what_it_points_to_replaced(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "real" / "a.py").write_text("old")
    (tmp_path / "a.py").symlink_to("real/a.py")
    files.write_new(tmp_path / "a.py", "new", force=True)
    assert (tmp_path / "a.py").is_symlink()
    assert listing(tmp_path / "real") == {"a.py": b"new"}


def test_a_new_file_has_the_usual_permissions_and_an_old_one_its_own(tmp_path: Path) -> None:
    old = os.umask(0o027)
    try:
        files.write_whole(tmp_path / "new", "")
    finally:
        os.umask(old)
    assert (tmp_path / "new").stat().st_mode & 0o777 == 0o640
    (tmp_path / "new").chmod(0o600)
    files.write_whole(tmp_path / "new", "again")
    assert (tmp_path / "new").stat().st_mode & 0o777 == 0o600


def test_a_name_as_long_as_names_can_be_is_written(tmp_path: Path) -> None:
    path = tmp_path / ("x" * 252 + ".py")
    files.write_new(path, "new", force=False)
    assert path.read_text() == "new"


@pytest.mark.parametrize(
    ("path", "sentence"),
    [
        ("folder.py", "folder.py: is a folder; name a file in it"),
        ("a.txt", "a.txt: end the file's name in .py or .pyi"),
        ("a", "a: end the file's name in .py or .pyi"),
        ("mine.py", "mine.py: already exists; give --force to overwrite it"),
        ("no/a.py", "no/a.py: there is no folder no; make it first"),
        ("mine.py/a.py", "mine.py/a.py: mine.py is a file; name a folder"),
        ("pipe.py", "pipe.py: is no ordinary file; name another"),
        ("loop.py", "loop.py: cannot be written: Too many levels of symbolic links"),
        ("lost.py", "lost.py: there is no folder no; make it first"),
        (f"{NAME}.py", f"{NAME}.py: cannot be written: File name too long"),
    ],
)
def test_a_place_that_cannot_be_written_is_told_beforehand(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, path: str, sentence: str
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("folder.py").mkdir()
    Path("mine.py").write_text("mine")
    Path("loop.py").symlink_to("loop.py")
    Path("lost.py").symlink_to("no/a.py")
    os.mkfifo("pipe.py")
    with pytest.raises(UserError) as caught:
        files.check_place(Path(path), force=False, endings=(".py", ".pyi"))
    assert str(caught.value) == sentence


def test_force_overwrites_a_file_and_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("mine")
    files.check_place(tmp_path / "mine", force=True)
    os.mkfifo(tmp_path / "pipe")
    for name in ("pipe", "."):
        with pytest.raises(UserError):
            files.check_place(tmp_path / name, force=True)


def test_a_folder_that_takes_no_files_is_told_beforehand(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Root may write anywhere, so the system's answer is given here.
    monkeypatch.setattr(os, "access", lambda path, mode: Path(path) != tmp_path)
    sentence = f"cannot be written: the folder {tmp_path} takes no new files$"
    with pytest.raises(UserError, match=sentence):
        files.check_place(tmp_path / "a", force=False)
    with pytest.raises(UserError, match=sentence):
        files.check_folder(tmp_path / "new" / "inner")


def test_a_folder_to_be_made_is_checked_up_to_what_is_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("file").write_text("")
    files.check_folder(Path("new/inner"))
    assert not Path("new").exists()
    for path, sentence in {
        "file": "file: is a file; name a folder",
        "file/new": "file/new: file is a file; name a folder",
        NAME: f"{NAME}: cannot be written: File name too long",
    }.items():
        with pytest.raises(UserError) as caught:
            files.check_folder(Path(path))
        assert str(caught.value) == sentence
