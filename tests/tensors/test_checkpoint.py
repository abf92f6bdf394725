"""A checkpoint is whole or not there, and damage is recognized."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
import torch

from resgen.errors import UserError
from resgen.tensors import checkpoint


def state(step: int) -> dict[str, Any]:
    weights = torch.arange(5000, dtype=torch.float32) * step
    return {"network": {"name": "x"}, "step": step, "model": {"w": weights, "n": torch.tensor(3)}}


def test_last_previous_and_best_are_kept(tmp_path: Path) -> None:
    for step, best in ((1, False), (2, True), (3, False)):
        checkpoint.save(state(step), tmp_path, best=best)
    kept = {path.name: checkpoint.load(path)["step"] for path in tmp_path.glob("*.pt")}
    assert kept == {"last.pt": 3, "previous.pt": 2, "best.pt": 2}
    assert not list(tmp_path.glob("*.new"))


def test_it_holds_only_what_weights_only_loading_allows(tmp_path: Path) -> None:
    checkpoint.save(state(1), tmp_path)
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
    checkpoint.save(state(1), tmp_path)
    checkpoint.save(state(2), tmp_path)
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


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk_leaves_the_old_checkpoint_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    checkpoint.save(state(1), tmp_path)
    opened = Path.open

    def full(path: Path, *args: Any, **kwargs: Any) -> Any:
        new = path.name.endswith(".new")
        return opened(Path("/dev/full") if new else path, *args, **kwargs)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "open", full)
        with pytest.raises(UserError, match="could not be written"):
            checkpoint.save(state(2), tmp_path)
    assert checkpoint.load(tmp_path / "last.pt")["step"] == 1


def test_a_crash_before_the_rename_leaves_the_old_checkpoint_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    checkpoint.save(state(1), tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            checkpoint.save(state(2), tmp_path)
    assert checkpoint.load(tmp_path / "last.pt")["step"] == 1


def test_a_foreign_torch_file_is_named_as_such(tmp_path: Path) -> None:
    torch.save({"state_dict": {}}, tmp_path / "x.pt")
    with pytest.raises(UserError, match="a torch file, but no resgen checkpoint"):
        checkpoint.load(tmp_path / "x.pt")


def test_it_names_its_network(tmp_path: Path) -> None:
    checkpoint.save(state(1), tmp_path)
    assert checkpoint.network(tmp_path / "last.pt") == {"name": "x"}


def test_a_missing_checkpoint_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"none\.pt: no such checkpoint"):
        checkpoint.load(tmp_path / "none.pt")


def test_the_way_out_of_a_damaged_checkpoint_can_be_typed_as_it_is(tmp_path: Path) -> None:
    folder = tmp_path / "my runs; 2"
    folder.mkdir()
    for step in (1, 2):
        checkpoint.save(state(step), folder)
    (folder / "last.pt").write_bytes(b"damaged")
    with pytest.raises(UserError) as caught:
        checkpoint.load(folder / "last.pt")
    way_out = str(caught.value).partition("to go on from it: ")[2]
    subprocess.run(["bash", "-c", way_out], check=True)
    assert checkpoint.load(folder / "last.pt")["step"] == 1
