"""Images that are decoded once: found by the next run, and never taken for what they are not."""

from __future__ import annotations

import multiprocessing
import os
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

from resgen.errors import UserError
from resgen.train.data import cifar, gathering, keeping
from resgen.train.data.images import Data, Files, Images, Wanted
from resgen.train.data.sources import load
from tests.noise import noise_folders
from tests.train.data.test_cifar import binary_cifar10

Make = Callable[..., Path]


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(keeping.VARIABLE, str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """Class folders of noise, of one size."""
    return noise_folders(tmp_path)


def two(path: Path, **more: Any) -> Data:
    return load(Wanted(f"folder:{path}", classes=2, size=(8, 8), **more))


def refused(*_: Any) -> None:
    raise AssertionError("an image was decoded")


@pytest.fixture
def undecoded(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """From its call on nothing can be decoded."""
    return lambda: monkeypatch.setattr(gathering, "decode", refused)


def same(one: Data, other: Data) -> None:
    for name in ("train", "heldout", "test"):
        mine, theirs = getattr(one, name), getattr(other, name)
        assert torch.equal(mine.pixels, theirs.pixels)
        assert torch.equal(mine.labels, theirs.labels)
        assert theirs.pixels.is_contiguous(memory_format=torch.channels_last)
    facts = ("name", "classes", "mean", "std", "place")
    assert [getattr(one, fact) for fact in facts] == [getattr(other, fact) for fact in facts]
    assert one.files is None or torch.equal(one.files, other.files)  # type: ignore[arg-type]


def kept(cache: Path) -> Path:
    (file,) = cache.glob("*.safetensors")
    return file


def mapped(data: Data) -> str:
    """The file that the training images are memory of."""
    assert isinstance(data.train, Images)
    place = data.train.pixels.data_ptr()
    for line in Path("/proc/self/maps").read_text().splitlines():
        low, _, high = line.split()[0].partition("-")
        if int(low, 16) <= place < int(high, 16):
            return " ".join(line.split()[5:])
    raise AssertionError("in no memory")


def test_the_next_run_decodes_nothing_and_has_the_same_images(
    pictures: Path, cache: Path, undecoded: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(keeping.VARIABLE, "off")
    plain = two(pictures)
    monkeypatch.setenv(keeping.VARIABLE, str(cache))
    first = two(pictures)
    (note,) = first.notes
    assert note.startswith(f"decoded images are kept in {kept(cache)}: ")
    undecoded()
    second = two(pictures)
    assert second.notes == ()
    same(plain, first)
    same(plain, second)
    assert mapped(first) == mapped(second) == str(kept(cache))
    monkeypatch.setenv(keeping.VARIABLE, "off")
    with pytest.raises(AssertionError, match="was decoded"):
        two(pictures)


def test_it_may_be_moved_to_another_place_with_the_images(
    pictures: Path, cache: Path, undecoded: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    two(pictures)
    shutil.move(cache, cache.with_name("elsewhere"))
    monkeypatch.setenv(keeping.VARIABLE, str(cache.with_name("elsewhere")))
    undecoded()
    two(pictures)


def repaint(path: Path) -> None:
    """Another image of as many bytes and of the same time."""
    before, seen = path.read_bytes(), path.stat()
    path.write_bytes(before[:-20] + bytes(20))
    os.utime(path, ns=(seen.st_atime_ns, seen.st_mtime_ns))
    assert (path.stat().st_size, path.stat().st_mtime_ns) == (seen.st_size, seen.st_mtime_ns)


CHANGES: dict[str, Callable[[Path], object]] = {
    "content": lambda path: Image.new("RGB", (8, 8), (1, 2, 3)).save(path / "train/dog/003.png"),
    "gone": lambda path: (path / "train/dog/003.png").unlink(),
    "new": lambda path: shutil.copy(path / "train/dog/003.png", path / "train/dog/99.png"),
    "name": lambda path: (path / "test/dog/001.png").rename(path / "test/dog/9.png"),
    "class": lambda path: (path / "train/dog/003.png").rename(path / "train/cat/99.png"),
    "label": lambda path: (
        (path / "train/dog").rename(path / "train/ant")
        and (path / "test/dog").rename(path / "test/ant")
    ),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_changed_files_are_noticed(
    pictures: Path, cache: Path, change: Callable[[Path], object], monkeypatch: pytest.MonkeyPatch
) -> None:
    two(pictures)
    change(pictures)
    after = two(pictures)
    (note,) = after.notes
    assert note.endswith(
        " (what was there is of other files, or of other versions of their decoder)"
    )
    assert len(list(cache.glob("*.safetensors"))) == 1  # in the place of the old one
    monkeypatch.setenv(keeping.VARIABLE, "off")
    same(two(pictures), after)


def test_a_change_that_hides_its_time_is_noticed(pictures: Path, cache: Path) -> None:
    two(pictures)
    repaint(pictures / "train/dog/003.png")
    with pytest.raises(UserError, match=r"dog/003\.png: unreadable image"):
        two(pictures)


def test_another_decoder_decodes_again(
    pictures: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    two(pictures)
    monkeypatch.setattr(keeping, "_version", lambda package: f"{package} 99")
    assert "other versions of their decoder" in two(pictures).notes[0]


def cut_short(file: Path) -> None:
    os.truncate(file, file.stat().st_size - 100)


def flipped(place: float) -> Callable[[Path], None]:
    def flip(file: Path) -> None:
        content = bytearray(file.read_bytes())
        content[int(place * len(content))] ^= 4
        file.write_bytes(content)

    return flip


DAMAGE: dict[str, Callable[[Path], object]] = {
    "empty": lambda file: file.write_bytes(b""),
    "no such file": lambda file: file.write_bytes(b"something else"),
    "cut short": cut_short,
    "a bit of the header": flipped(0.02),
    "a bit of an image": flipped(0.5),
    "a bit of a label": flipped(0.99),
}


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
def test_damage_is_noticed_and_made_good(
    pictures: Path, cache: Path, damage: Callable[[Path], object], undecoded: Callable[[], None]
) -> None:
    before = two(pictures)
    damage(kept(cache))
    # The images of the run before are those of the file as it was, only where it was replaced.
    after = two(pictures)
    (note,) = after.notes
    assert note.endswith("(what was there is damaged)")
    undecoded()
    same(after, two(pictures))
    assert (before.mean, before.std) == (after.mean, after.std)


def test_a_folder_that_cannot_be_written_is_told_of_once_and_does_without(
    pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv(keeping.VARIABLE, str(tmp_path / "file" / "cache"))
    data = two(pictures)
    (note,) = data.notes
    assert note.startswith(f"{tmp_path}/file/cache/")
    assert note.endswith(
        ": decoded images cannot be kept there (Not a directory), and are decoded at each start; "
        "RESGEN_CACHE names another folder, or says off"
    )
    assert isinstance(data.train, Images)


@pytest.mark.parametrize("when", ["before", "while"])
def test_a_full_disk_is_told_of_and_leaves_nothing(
    pictures: Path, cache: Path, when: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if when == "before":
        free = shutil.disk_usage("/")._replace(free=100)
        monkeypatch.setattr(shutil, "disk_usage", lambda _: free)
    else:

        def full(tensors: Any, path: Path, **_: Any) -> None:
            path.write_bytes(b"half of it")
            raise OSError(28, "No space left on device", str(path))

        monkeypatch.setattr(keeping, "save_file", full)
    data = two(pictures)
    assert "cannot be kept there (No space left on device)" in data.notes[0]
    assert len(data.train) == 36
    assert [file.suffix for file in cache.iterdir()] == [".lock"]


def hang_while_writing(path: Path, cache: Path) -> None:
    def never(tensors: Any, file: Path, **_: Any) -> None:
        file.write_bytes(bytes(1000))
        (cache / "begun").touch()
        time.sleep(600)

    keeping.save_file = never
    two(path)


def test_killed_while_writing_it_leaves_no_harm(pictures: Path, cache: Path) -> None:
    process = multiprocessing.get_context("fork").Process(
        target=hang_while_writing, args=(pictures, cache)
    )
    process.start()
    end = time.monotonic() + 120
    while not (cache / "begun").exists() and time.monotonic() < end:
        time.sleep(0.01)
    assert process.pid is not None
    os.kill(process.pid, signal.SIGKILL)
    process.join()
    (left,) = cache.glob(".*-*")
    assert left.stat().st_size == 1000
    assert two(pictures).notes[0].startswith("decoded images are kept in")
    assert not left.exists()
    assert two(pictures).notes == ()


def at_once(path: Path, cache: Path, name: str) -> None:
    decode = gathering.decode

    def slow(*asked: Any) -> Any:
        time.sleep(0.005)
        with (cache / f"decoded-{name}").open("a") as file:
            file.write(".")
        return decode(*asked)

    gathering.decode = slow
    data = two(path)
    torch.save(data.train.pixels.clone(), cache / f"{name}.pt")  # type: ignore[union-attr]


def test_of_two_processes_at_once_one_decodes(pictures: Path, cache: Path) -> None:
    cache.mkdir()
    context = multiprocessing.get_context("fork")
    both = [
        context.Process(target=at_once, args=(pictures, cache, name)) for name in ("one", "other")
    ]
    for each in both:
        each.start()
    for each in both:
        each.join()
        assert each.exitcode == 0
    assert len(list(cache.glob("decoded-*"))) == 1
    assert torch.equal(*(torch.load(cache / f"{name}.pt") for name in ("one", "other")))


def test_what_is_held_out_is_kept_apart(
    pictures: Path, cache: Path, undecoded: Callable[[], None]
) -> None:
    four, seven = two(pictures), two(pictures, heldout=7)
    undecoded()
    assert (len(four.heldout), len(seven.heldout)) == (4, 7)
    assert len(two(pictures).heldout) == 4
    assert len(two(pictures, heldout=7).heldout) == 7


def test_sets_that_are_not_held_in_memory_are_not_kept(pictures: Path, cache: Path) -> None:
    assert isinstance(two(pictures, memory_limit=100).train, Files)
    Image.new("RGB", (9, 8)).save(pictures / "train/cat/000.png")
    assert isinstance(two(pictures).train, Files)
    assert not cache.exists()


# ---- bad images


@pytest.mark.parametrize("limit", [2**32, 0])
def test_bad_images_are_remembered(
    pictures: Path, cache: Path, limit: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    bad = pictures / "train/dog/004.png"
    bad.write_bytes(b"no image")
    first = two(pictures, bad_images="skip", memory_limit=limit)
    decode, decoded = gathering.decode, list[object]()
    monkeypatch.setattr(
        gathering, "decode", lambda *asked: decoded.append(asked[0]) or decode(*asked)
    )
    second = two(pictures, bad_images="skip", memory_limit=limit)
    assert str(bad) not in decoded
    assert len(decoded) == (0 if limit else 36)  # those that are measured
    assert len(first.train) == len(second.train)
    assert first.notes[0] == second.notes[0]
    assert second.notes[0].startswith(f"1 unreadable images of train left out, the first {bad}: ")
    with pytest.raises(UserError, match=r"dog/004\.png: unreadable image"):
        two(pictures, memory_limit=limit)


def test_a_bad_image_that_was_repaired_comes_back(pictures: Path, cache: Path) -> None:
    bad = pictures / "train/dog/004.png"
    good = bad.read_bytes()
    bad.write_bytes(b"no image")
    for count in (39, 40):
        data = two(pictures, bad_images="skip")
        assert len(data.train) + len(data.heldout) == count
        bad.write_bytes(good)


# ---- CIFAR's files


def test_cifar_is_unpacked_once(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    binary_cifar10(tmp_path / "cifar-10-batches-bin", 20)
    first = load(Wanted(f"cifar10:{tmp_path}"))
    with monkeypatch.context() as patch:
        patch.setattr(cifar, "_records", refused)
        second = load(Wanted(f"cifar10:{tmp_path}"))
    same(first, second)
    assert (len(first.notes), len(second.notes)) == (1, 0)
    file = tmp_path / "cifar-10-batches-bin" / "data_batch_2.bin"
    content = bytearray(file.read_bytes())
    content[5] ^= 1
    file.write_bytes(content)
    assert "of other files" in load(Wanted(f"cifar10:{tmp_path}")).notes[0]


# ---- where


def test_the_folder_is_the_one_said_or_the_users(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/me")
    for env, platform, folder in (
        ({}, "linux", "/home/me/.cache/resgen"),
        ({}, "darwin", "/home/me/Library/Caches/resgen"),
        ({"XDG_CACHE_HOME": "/scratch"}, "linux", "/scratch/resgen"),
        ({"XDG_CACHE_HOME": "/scratch", "RESGEN_CACHE": "/fast"}, "linux", "/fast"),
    ):
        assert keeping.folder(env, platform) == Path(folder)
    assert keeping.folder({"RESGEN_CACHE": "off"}, "linux") is None


@pytest.fixture(autouse=True)
def _no_more_processes() -> Iterator[None]:
    yield
    assert not multiprocessing.active_children()
