"""A checkpoint is whole or not there, and damage is recognized."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import torch

from resgen.errors import UserError
from resgen.tensors import checkpoint
from tests.checkpoints import ABSENT, averaged, changed, seal, whole


def test_last_previous_and_best_are_kept(tmp_path: Path) -> None:
    for step, best in ((1, False), (2, True), (3, False)):
        checkpoint.save(whole(step), tmp_path, best=best)
    kept = {path.name: checkpoint.load(path)["step"] for path in tmp_path.glob("*.pt")}
    assert kept == {"last.pt": 3, "previous.pt": 2, "best.pt": 2}
    assert not list(tmp_path.glob("*.new"))


def test_it_holds_only_what_weights_only_loading_allows(tmp_path: Path) -> None:
    checkpoint.save(whole(1), tmp_path)
    assert torch.load(tmp_path / "last.pt", weights_only=True)["step"] == 1


def test_the_hash_sees_every_value() -> None:
    base = {"a": torch.zeros(3), "b": [1, 2.0, "x", None, True], "c": {"d": torch.ones(0, 2)}}
    others = [
        {**base, "a": torch.tensor([0, 0, 1e-45])},
        {**base, "a": torch.zeros(3, dtype=torch.float64)},
        {**base, "a": torch.zeros(3, 1)},
        {**base, "b": [1, 2.0, "x", None, 1]},
        {**base, "b": (1, 2.0, "x", None)},
        {**base, "c": {"d": torch.ones(2, 0)}},
        {**base, "c": {"e": torch.ones(0, 2)}},
    ]
    digests = {checkpoint.digest(each) for each in [base, *others]}
    assert len(digests) == len(others) + 1


@pytest.mark.parametrize("damage", ["flipped", "cut", "empty", "text"])
def test_damage_is_recognized_and_the_previous_one_offered(tmp_path: Path, damage: str) -> None:
    checkpoint.save(whole(1), tmp_path)
    checkpoint.save(whole(2), tmp_path)
    path = tmp_path / "last.pt"
    content = bytearray(path.read_bytes())
    where = content.find(torch.tensor([2.0, 4.0, 6.0]).numpy().tobytes())
    content[where] ^= 1
    damaged = {"flipped": bytes(content), "cut": bytes(content[:9000]), "empty": b"", "text": b"x"}
    path.unlink()
    path.write_bytes(damaged[damage])
    with pytest.raises(UserError) as caught:
        checkpoint.load(path)
    assert "damaged" in str(caught.value)
    assert f"to go on from it: mv {tmp_path}/previous.pt {path}" in str(caught.value)


class _Full:
    """A file on a disk that has room for so many bytes more; it takes what fits, as disks do."""

    def __init__(self, file: Any, room: int) -> None:
        self.file, self.room = file, room

    def write(self, data: Any) -> int:
        taken = min(len(data), self.room)
        if not taken and len(data):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        self.room -= taken
        self.file.write(data[:taken])
        return taken

    def fileno(self) -> int:
        return int(self.file.fileno())

    def flush(self) -> None:
        self.file.flush()

    def __enter__(self) -> _Full:
        return self

    def __exit__(self, *_: object) -> None:
        self.file.close()


@pytest.mark.parametrize("room", [0, 1, 60, 700, 5000, 20000, 45000])
def test_a_full_disk_is_named_and_leaves_the_old_checkpoints_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, room: int
) -> None:
    checkpoint.save(whole(1), tmp_path, best=True)
    checkpoint.save(whole(2), tmp_path)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    opened = Path.open

    def full(path: Path, *args: Any, **kwargs: Any) -> Any:
        file = opened(path, *args, **kwargs)
        return _Full(file, room) if path.name.endswith(".new") else file

    with monkeypatch.context() as patch:
        patch.setattr(Path, "open", full)
        with pytest.raises(UserError) as caught:
            checkpoint.save(whole(3), tmp_path)
    assert str(caught.value) == (
        f"{tmp_path}/last.pt: the checkpoint could not be written: No space left on device"
    )
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_a_disk_that_fills_while_the_old_one_is_kept_leaves_no_piece(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    checkpoint.save(whole(1), tmp_path)

    def no_links(*_: object) -> None:
        raise OSError(errno.EPERM, "no hard links here")

    def full(source: Path, target: Path) -> None:
        Path(target).write_bytes(Path(source).read_bytes()[:100])
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(os, "link", no_links)
        patch.setattr(shutil, "copyfile", full)
        with pytest.raises(UserError, match="could not be written: No space left on device"):
            checkpoint.save(whole(2), tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["last.pt"]
    assert checkpoint.load(tmp_path / "last.pt")["step"] == 1


def test_a_folder_that_is_gone_or_a_file_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for folder, reason in (
        (tmp_path / "none", "No such file or directory"),
        (tmp_path / "file", "Not a directory"),
    ):
        with pytest.raises(UserError) as caught:
            checkpoint.save(whole(1), folder)
        assert str(caught.value) == (
            f"{folder}/last.pt: the checkpoint could not be written: {reason}"
        )


def test_a_crash_before_the_rename_leaves_the_old_checkpoint_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    checkpoint.save(whole(1), tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            checkpoint.save(whole(2), tmp_path)
    assert checkpoint.load(tmp_path / "last.pt")["step"] == 1


def test_a_foreign_torch_file_is_named_as_such(tmp_path: Path) -> None:
    torch.save({"state_dict": {}}, tmp_path / "x.pt")
    with pytest.raises(UserError, match="a file of tensors, but no resgen checkpoint"):
        checkpoint.load(tmp_path / "x.pt")


def test_it_names_its_network(tmp_path: Path) -> None:
    checkpoint.save(whole(1), tmp_path)
    assert checkpoint.network(tmp_path / "last.pt") == {"name": "x"}


def test_a_missing_checkpoint_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"none\.pt: no such file"):
        checkpoint.load(tmp_path / "none.pt")


def test_the_way_out_of_a_damaged_checkpoint_can_be_typed_as_it_is(tmp_path: Path) -> None:
    folder = tmp_path / "my runs; 2"
    folder.mkdir()
    for step in (1, 2):
        checkpoint.save(whole(step), folder)
    (folder / "last.pt").write_bytes(b"damaged")
    with pytest.raises(UserError) as caught:
        checkpoint.load(folder / "last.pt")
    way_out = str(caught.value).partition("to go on from it: ")[2]
    subprocess.run(["bash", "-c", way_out], check=True)
    assert checkpoint.load(folder / "last.pt")["step"] == 1


FORGED: dict[str, tuple[str, Any, str]] = {
    **{
        f"without {key}": (key.replace(".", "/"), ABSENT, f"it has no {key}")
        for key in (
            "name", "network", "recipe", "recipe.accumulate", "data", "seed", "step", "total",
            "warm", "best", "count", "window", "clock", "model", "average", "optimizer", "random",
            "random.python", "random.numpy", "random.torch", "random.cuda",
        )
        if key != "network"
    },
    "step below 0": ("step", -5, "its step must be a whole number from 0 on (it is -5)"),
    "step beyond the end": ("step", 10**9, "its step is 1,000,000,000 of 10"),
    "step a fraction": ("step", 1.5, "its step must be a whole number from 0 on (it is 1.5)"),
    "step true": ("step", True, "its step must be a whole number from 0 on (it is True)"),
    "step too long": ("step", 10**400, "its step must be a whole number from 0 on (it is 1000"),
    "total 0": ("total", 0, "its total must be a whole number from 1 on (it is 0)"),
    "seed a word": ("seed", "0", "its seed must be a whole number from 0 on (it is '0')"),
    "warm a number": ("warm", 1, "its warm must be true or false (it is 1)"),
    "best no pair": ("best", [0.5], "its best must be a pair of an error and the step"),
    "best a number": ("best", 0.5, "its best must be a pair of an error and the step"),
    "best NaN": ("best", [float("nan"), 1], "its best must be a pair of an error and the step"),
    "best to come": ("best", [0.5, 9], "its best is of step 9, after its step 1"),
    "clock a word": ("clock", "12", "its clock must be a pair of seconds (it is '12')"),
    "clock negative": ("clock", [-1.0, 0.0], "its clock must be a pair of seconds"),
    "count of two": ("count", torch.zeros(2), "its count must be the three sums of an epoch"),
    "count NaN": ("count", torch.full((3,), torch.nan), "its count must be the three sums"),
    "window a list": ("window", [0, 0, 0], "its window must be the three sums of an epoch"),
    "network a list": ("network", [1], "its network must be a mapping of plain values"),
    "network of tensors": ("network", {"a": torch.ones(1)}, "its network must be a mapping of"),
    "data a tensor": ("data/train", torch.ones(2), "its data must be a mapping of plain values"),
    "recipe a word": ("recipe", "digits", "its recipe must be a mapping of plain values"),
    "accumulate 0": ("recipe/accumulate", 0, "its recipe.accumulate must be a whole number from 1"),
    "model a list": ("model", [1], "its model must be a mapping of names to finite tensors"),
    "model of numbers": ("model", {1: torch.ones(1)}, "its model must be a mapping of names to"),
    "a weight NaN": (
        "model/w", torch.tensor([1.0, torch.nan]),
        "its model must be a mapping of names to finite tensors (it is a mapping in which w is NaN "
        "or infinite in 1 of its 2 values",
    ),
    "a negative variance": (
        "model/bn.running_var", torch.tensor([1.0, -2.0]),
        "in which bn.running_var is a variance and has negative values, the least -2)",
    ),
    "average a word": ("average", "yes", "its average must be what torch's AveragedModel keeps"),
    "average without its count": ("average", {"module.w": torch.ones(1)}, "its average must be"),
    "optimizer a word": ("optimizer", "sgd", "its optimizer must be the state of an optimizer"),
    "optimizer without groups": ("optimizer/param_groups", ABSENT, "its optimizer must be the"),
    "optimizer by names": ("optimizer/state", {"w": {}}, "its optimizer must be the state of"),
    "optimizer infinite": (
        "optimizer/state", {0: {"momentum_buffer": torch.tensor([torch.inf])}},
        "its optimizer must be the state of an optimizer",
    ),
    "random a list": ("random", [], "its random must be a mapping of states (it is a list of 0)"),
    "python's too short": ("random/python", [3, [1, 2], None], "its random.python must be a state"),
    "python's of words": ("random/python", [3, ["a"] * 625, None], "its random.python must be a"),
    "numpy's too short": ("random/numpy/state/key", [1], "its random.numpy must be a state of"),
    "numpy's beyond": ("random/numpy/state/pos", 10**6, "its random.numpy must be a state of"),
    "numpy's other": ("random/numpy/bit_generator", "PCG64", "its random.numpy must be a state"),
    "torch's too short": ("random/torch", torch.zeros(9, dtype=torch.uint8), "its random.torch"),
    "torch's zeros": ("random/torch", torch.zeros(5056, dtype=torch.uint8), "its random.torch"),
    "cuda's too short": ("random/cuda", torch.zeros(9, dtype=torch.uint8), "its random.cuda must"),
    "files a word": ("files", "all", "its files must be packed names of files, or nothing"),
}  # fmt: skip


@pytest.mark.parametrize(("key", "value", "sentence"), FORGED.values(), ids=FORGED.keys())
def test_a_forged_key_is_named_in_one_sentence(
    tmp_path: Path, key: str, value: Any, sentence: str
) -> None:
    path = tmp_path / "last.pt"
    seal(changed(whole(), key, value), path)
    with pytest.raises(UserError) as caught:
        checkpoint.load(path)
    text = str(caught.value)
    assert text.startswith(
        f"{path}: changed or not written by resgen, though its hash is right: its "
        if value is not ABSENT or "groups" in key
        else f"{path}: changed or not written by resgen, though its hash is right: it has no "
    )
    assert sentence in text
    assert text.endswith("; there is no previous.pt beside it")
    assert "\n" not in text
    assert len(text) - len(str(path)) < 500


def test_a_sound_one_is_taken(tmp_path: Path) -> None:
    for state in (whole(), averaged()):
        seal(state, tmp_path / "last.pt")
        assert checkpoint.load(tmp_path / "last.pt")["step"] == 1
        # The first of this format had no names of files.
        seal(changed(state, "files", ABSENT), tmp_path / "last.pt")
        assert checkpoint.load(tmp_path / "last.pt")["step"] == 1


def test_weights_for_use_are_the_averaged_ones_where_they_are_kept() -> None:
    assert checkpoint.weights_for_use(whole()).keys() == whole()["model"].keys()
    for name, value in checkpoint.weights_for_use(averaged()).items():
        assert torch.equal(value, whole()["model"][name] + 1)
    assert checkpoint.weights_for_use(averaged()).keys() == whole()["model"].keys()


def test_the_way_out_of_a_damaged_best_is_the_last(tmp_path: Path) -> None:
    checkpoint.save(whole(1), tmp_path, best=True)
    checkpoint.save(whole(2), tmp_path)
    (tmp_path / "best.pt").unlink()
    (tmp_path / "best.pt").write_bytes(b"PK")
    with pytest.raises(UserError, match=r"best\.pt: damaged.*; .*last\.pt is whole$"):
        checkpoint.load(tmp_path / "best.pt")
