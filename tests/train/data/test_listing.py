"""Which files of a folder are images, under which label, and what is said of the others."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from PIL import Image

from resgen.errors import UserError
from resgen.train.data import gathering
from resgen.train.data.images import Data, Files, Images, Wanted
from resgen.train.data.paths import Paths
from resgen.train.data.roster import pack, same_files, unpack
from resgen.train.data.sources import load


@pytest.fixture
def folder(tmp_path: Path) -> Callable[..., Path]:
    """PATH/train/CLASS/N.png: each image's grey tells its class."""

    def make(count: int = 6, mode: str = "L", **sizes: int) -> Path:
        for label, name in enumerate(("cat", "dog")):
            (tmp_path / "data/train" / name).mkdir(parents=True)
            for number in range(count):
                image = Image.new(mode, (8, 8), 100 * label)
                image.save(tmp_path / "data/train" / name / f"{number}.png")
        return tmp_path / "data"

    return make


def two(path: Path, **more: object) -> Data:
    wanted = {"classes": 2, "channels": 1, "size": (8, 8), **more}
    return load(Wanted(f"folder:{path}", **wanted))  # type: ignore[arg-type]


def counted(data: Data) -> int:
    """All images, after a look at each label."""
    for split in (data.train, data.heldout):
        assert isinstance(split, Images)
        assert torch.equal(split.pixels[:, 0, 0, 0].long(), split.labels * 100)
    return len(data.train) + len(data.heldout)


@pytest.mark.parametrize("target", [".", "..", "../..", "../../..", "/"])
def test_a_link_that_leads_back_up_is_not_followed(
    folder: Callable[..., Path], target: str
) -> None:
    path = folder()
    (path / "train/cat/up").symlink_to(target)
    data = two(path)
    assert counted(data) == 12
    (note,) = data.notes
    assert note == (
        "train: left out 1 links that lead back to folders above them, the first "
        f"{path}/train/cat/up"
    )


def test_a_folder_is_read_once_however_many_links_lead_to_it(
    folder: Callable[..., Path],
) -> None:
    path = folder()
    more = path / "more"
    (path / "train/cat/deep").mkdir()
    Image.new("L", (8, 8), 0).save(path / "train/cat/deep/a.png")
    more.mkdir()
    Image.new("L", (8, 8), 0).save(more / "b.png")
    for number in range(3):
        (path / f"train/cat/more{number}").symlink_to(more)
        (path / f"train/cat/deep{number}").symlink_to(path / "train/cat/deep")
    assert counted(two(path)) == 14


def test_a_class_that_is_a_link_is_followed(folder: Callable[..., Path]) -> None:
    path = folder()
    (path / "train/cat").rename(path / "cats")
    (path / "train/cat").symlink_to(path / "cats")
    assert counted(two(path)) == 12


def test_a_folder_under_two_labels_is_refused(folder: Callable[..., Path]) -> None:
    path = folder()
    (path / "train/cat/more").symlink_to(path / "train/dog")
    with pytest.raises(UserError) as caught:
        two(path)
    assert str(caught.value) == (
        f"{path}/train/dog: is the same folder as {path}/train/cat/more, so its images would have "
        "two labels; remove the link"
    )


def test_files_of_other_endings_are_counted_by_ending(folder: Callable[..., Path]) -> None:
    path = folder()
    for name in ("a.gif", "b.GIF", "c.txt", "noending"):
        (path / "train/cat" / name).write_bytes(b"")
    assert two(path).notes == (
        "train: left out 4 files of other endings: .gif (2), .txt (1), noending (1)",
    )
    for image in (path / "train/dog").iterdir():
        image.rename(image.with_suffix(".heic"))
    with pytest.raises(UserError) as caught:
        two(path)
    assert str(caught.value) == (
        f"{path}/train: no images in dog; the split holds 10 files of other endings: .heic (6), "
        ".gif (2), .txt (1), noending (1)"
    )


def test_a_folder_that_may_not_be_read_is_named(
    folder: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = folder()
    (path / "train/cat/inner").mkdir()
    scandir = os.scandir

    def refused(where: str) -> object:
        if str(where).endswith("inner"):
            raise PermissionError(errno.EACCES, "Permission denied", str(where))
        return scandir(where)

    monkeypatch.setattr(os, "scandir", refused)
    with pytest.raises(UserError) as caught:
        two(path)
    assert str(caught.value) == f"{path}/train/cat/inner: cannot be read: Permission denied"


def test_a_pipe_is_named_or_skipped(folder: Callable[..., Path]) -> None:
    path = folder()
    os.mkfifo(path / "train/cat/x.png")
    with pytest.raises(UserError, match=r"cat/x\.png: unreadable image \(no regular file\)"):
        two(path)
    assert counted(two(path, bad_images="skip")) == 12


def test_a_class_of_which_nothing_can_be_read_is_refused(folder: Callable[..., Path]) -> None:
    path = folder(count=2)
    for image in (path / "train/dog").iterdir():
        image.write_bytes(b"")
    with pytest.raises(UserError, match=r"train: none of the images of 1 classes can be read; "):
        two(path, bad_images="skip")


def test_grey_of_16_bits_trains_a_grey_network(folder: Callable[..., Path]) -> None:
    path = folder(mode="I;16")
    for image in (path / "train/dog").iterdir():
        Image.new("I;16", (8, 8), 100 * 256 + 7).save(image)
    data = two(path)
    assert counted(data) == 12
    assert data.train.channels == 1
    assert data.notes == ("images of 16 bits: the high byte of each value is read",)


def test_one_colour_image_among_thousands_of_grey_is_not_missed(
    folder: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = folder()
    Image.new("RGB", (8, 8), (0, 9, 0)).save(path / "train/cat/3.png")
    header = gathering.header

    def grey(path: str) -> object:  # as if another one had been looked at
        return header(path)._replace(grey=True)

    monkeypatch.setattr(gathering, "header", grey)
    data = two(path, channels=3)
    assert isinstance(data.train, Images)
    assert isinstance(data.heldout, Images)
    images = torch.cat([data.train.pixels, data.heldout.pixels])
    green = images[images[:, 1, 0, 0] == 9]
    assert green[0, :, 0, 0].tolist() == [0, 9, 0]
    assert images[images[:, 0, 0, 0] == 100].float().std() == 0


def test_rotated_photographs_are_of_one_size(folder: Callable[..., Path]) -> None:
    path = folder(count=2)
    exif = Image.Exif()
    exif[0x0112] = 6
    for number, image in enumerate(sorted((path / "train").glob("*/*.png"))):
        turned = number % 2
        size, more = ((8, 4), {"exif": exif}) if turned else ((4, 8), {})
        Image.new("L", size, 100 * ("dog" in str(image))).save(image, **more)
    data = two(path, size=(8, 4))
    assert counted(data) == 4


def test_transparency_is_noted(folder: Callable[..., Path]) -> None:
    path = folder(mode="LA")
    for image in (path / "train/dog").iterdir():
        Image.new("LA", (8, 8), (100, 0)).save(image)
    data = two(path)
    assert counted(data) == 12
    assert data.notes == (
        "images with transparency: it is left out, the colours under it are read",
    )


@pytest.mark.parametrize("name", ["x.tiff", "x.webp", "x.png"])
def test_pages_that_are_not_read_are_noted(folder: Callable[..., Path], name: str) -> None:
    path = folder()
    first, second = (Image.new("RGB", (8, 8), (grey,) * 3) for grey in (0, 200))
    (path / "train/cat/0.png").unlink()
    more = {"lossless": True} if name.endswith("webp") else {}
    first.save(path / "train/cat" / name, **more)
    said = "files of several pages or frames: the first of each is read"
    assert said not in two(path, channels=3).notes
    first.save(path / "train/cat" / name, save_all=True, append_images=[second], **more)
    data = two(path, channels=3)
    assert counted(data) == 12
    assert said in data.notes


@pytest.mark.filterwarnings("ignore:Corrupt EXIF")
def test_a_damaged_page_that_is_not_read_does_no_harm(folder: Callable[..., Path]) -> None:
    path = folder()
    file = path / "train/cat/0.tiff"
    first, second = (Image.new("L", (8, 8), grey) for grey in (0, 200))
    first.save(file, save_all=True, append_images=[second])
    whole = file.read_bytes()
    first.save(file)
    file.write_bytes(whole[: file.stat().st_size + 6])  # within the second page's table
    assert counted(two(path)) == 13


def test_files_on_disk_are_read_by_the_same_rules(folder: Callable[..., Path]) -> None:
    path = folder(mode="I;16")
    data = two(path, memory_limit=10)
    assert isinstance(data.train, Files)
    assert data.train.channels == 1


# ---- their names


def test_names_are_one_buffer_and_come_back_whatever_bytes_they_have() -> None:
    names = ["cat/1.png", "a\nb/\udcff.jpg", "", "ä/ü.jpg"]
    paths = Paths.of("data/", names)
    assert list(paths.names()) == names
    assert list(paths) == [paths[number] for number in range(4)] == ["data/" + n for n in names]
    assert len(paths.text) == sum(len(os.fsencode(name)) for name in names)
    with pytest.raises(IndexError):
        paths[4]
    assert list(Paths.of("data/", [])) == []


@pytest.mark.parametrize("where", [".", "data", "./data/../data", "absolute"])
def test_files_are_named_as_they_were_asked_for(
    folder: Callable[..., Path], monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    path = folder(count=2)
    monkeypatch.chdir(path if where == "." else path.parent)
    asked = path if where == "absolute" else Path(where)
    data = two(asked, memory_limit=0, heldout=1)
    assert isinstance(data.train, Files)
    found = {data.train[number] for number in range(3)} | {data.heldout[0]}  # type: ignore[index]
    assert found == {
        str(asked / "train" / kind / f"{number}.png")
        for kind in ("cat", "dog")
        for number in (0, 1)
    }
    assert data.files is not None
    assert unpack(data.files) == [f"train/{k}/{n}.png" for k in ("cat", "dog") for n in (0, 1)]


# ---- the same files again


def test_names_are_packed_and_come_back_whatever_bytes_they_have() -> None:
    names = ["train/cat/1.png", "a\nb/\udcff.jpg", "ä/ü.jpg"]
    assert unpack(pack(names)) == names


def test_files_that_are_gone_or_new_are_named() -> None:
    before, now = pack(["a", "b", "c"]), pack(["a", "c", "d", "e"])
    same_files(before, before, Path("last.pt"))
    same_files(None, before, Path("last.pt"))
    with pytest.raises(UserError) as caught:
        same_files(before, now, Path("last.pt"))
    assert str(caught.value) == (
        "last.pt: the images are others than this run began with: 1 is gone, the first b and 2 are "
        "new, the first d; make them the same again, or begin a new run from its weights: "
        "--init-from last.pt --out NEW"
    )
    with pytest.raises(UserError, match=r"began with: 1 is gone, the first b; make them"):
        same_files(before, pack(["a", "c"]), Path("last.pt"))
    with pytest.raises(UserError, match=r"began with: 2 are new, the first d; make them"):
        same_files(before, pack(["a", "b", "c", "d", "e"]), Path("last.pt"))
    with pytest.raises(UserError, match=r"weights: --init-from 'a b\.pt' --out NEW"):
        same_files(before, now, Path("a b.pt"))
    with pytest.raises(UserError, match="the names of its files are damaged"):
        same_files(torch.zeros(9, dtype=torch.uint8), now, Path("last.pt"))


def test_the_same_names_packed_otherwise_are_the_same() -> None:
    import zlib

    other = torch.frombuffer(bytearray(zlib.compress(b"a\0b", 1)), dtype=torch.uint8)
    assert not other.equal(pack(["a", "b"]))
    same_files(other, pack(["a", "b"]), Path("last.pt"))
