"""What a .safetensors file of ours says of its weights: read back, or refused in a sentence."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from resgen import load_spec
from resgen.errors import UserError
from resgen.tensors import formats, read_weights
from resgen.tensors.metadata import Metadata, images, is_ours, parse

NETWORK = {
    "name": "one",
    "input": {"channels": 1, "size": [8, 8]},
    "stem": {"kind": "conv3x3", "width": 8},
    "block": "basic",
    "shortcut": "identity",
    "stages": [{"depth": 1, "width": 8}],
    "classes": 2,
}
DATA = {"name": "pets", "classes": ["cat", "é\n"], "mean": [0.5], "std": [0.25]}


def written(path: Path, words: dict[str, str] | None) -> Path:
    save_file({"conv1.weight": torch.ones(8, 1, 3, 3)}, path, words)
    return path


@pytest.mark.parametrize("data", [None, DATA])
@pytest.mark.parametrize("which", ["averaged", "last", "drawn"])
@pytest.mark.parametrize("folded", [False, True])
def test_it_is_read_as_it_was_written(
    data: dict[str, Any] | None, which: Any, folded: bool, tmp_path: Path
) -> None:
    given = Metadata(NETWORK, which, data, folded)
    path = written(tmp_path / "a.safetensors", given.words())
    assert formats.read_trained(path).metadata == given


DAMAGES: dict[str, dict[str, str | None]] = {
    "network": {"network": "{"},
    "network, no mapping": {"network": "[1]"},
    "network, deep": {"network": "[" * 100_000},
    "weights": {"weights": "best"},
    "folded": {"folded": "yes"},
    "data": {"data": "3"},
    "data, no std": {"data": json.dumps({**DATA, "std": [0.0]})},
    "data, no name": {"data": json.dumps({**DATA, "name": 3})},
    "data, two means": {"data": json.dumps({**DATA, "mean": [0.1, 0.2]})},
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damage_has_its_sentence(damage: str, tmp_path: Path) -> None:
    words = {**Metadata(NETWORK, "last", DATA).words(), **DAMAGES[damage]}
    path = written(tmp_path / "a.safetensors", words)  # type: ignore[arg-type]
    key = damage.partition(",")[0]
    for read in (formats.read_trained, formats.network, load_spec, read_weights):
        with pytest.raises(UserError) as caught:
            read(path)  # type: ignore[operator]
        assert str(caught.value) == (
            f"{path}: changed after resgen wrote it: its metadata's {key} cannot be read; take "
            "another copy of it"
        )


def test_a_network_that_is_no_spec_is_refused_by_the_file(tmp_path: Path) -> None:
    words = Metadata({**NETWORK, "classes": -1}, "last").words()
    path = written(tmp_path / "a.safetensors", words)
    with pytest.raises(UserError, match=r"a\.safetensors: classes: must be at least 0"):
        load_spec(path)


@pytest.mark.parametrize("words", [None, {}, {"format": "pt"}, {"resgen": "0.1.0"}])
def test_files_of_others_hold_weights_and_no_network(
    words: dict[str, str] | None, tmp_path: Path
) -> None:
    path = written(tmp_path / "a.safetensors", words)
    assert list(read_weights(path)) == ["conv1.weight"]
    assert not is_ours(words)
    for read, sentence in (
        (formats.read_trained, "a file of tensors that names no network"),
        (load_spec, "a file of tensors whose metadata name no network; give a spec"),
    ):
        with pytest.raises(UserError, match=sentence):
            read(path)  # type: ignore[operator]


def test_folded_weights_are_no_weights_of_the_spec(tmp_path: Path) -> None:
    path = written(tmp_path / "a.safetensors", Metadata(NETWORK, "last", folded=True).words())
    for read in (read_weights, load_spec):
        with pytest.raises(UserError, match="its batch norms are folded into its convolutions"):
            read(path)
    assert list(formats.read_trained(path).weights) == ["conv1.weight"]


def test_data_that_is_not_all_there_is_not_relied_on() -> None:
    assert images({**DATA, "files": 8}) == DATA
    how = {"train": 8, "crop": None, "precision": "bf16", "batch": 16, "loss": "binary"}
    assert images({**DATA, **how}) == {**DATA, **how}
    assert images({**DATA, "train": 0, "crop": 2.0, "precision": "fp8", "batch": None}) == DATA
    assert images({"name": "digits", "train": 8}) is None
    assert images(None) is None


def test_a_file_without_what_is_new_is_read() -> None:
    words = {"network": json.dumps(NETWORK), "resgen": "0.1.0"}
    assert parse(words, Path("a")) == Metadata(NETWORK, "last")
