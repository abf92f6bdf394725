"""Files of weights, whoever wrote them: what is read, and in what kind."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import nn
from torch.optim.swa_utils import AveragedModel

from resgen.tensors import read_weights
from tests.checkpoints import averaged, seal, whole

W = torch.arange(6.0).reshape(2, 3)


@pytest.mark.parametrize("kind", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_floating_point_weights_become_float32(kind: torch.dtype, tmp_path: Path) -> None:
    torch.save({"w": nn.Parameter(W.to(kind).T)}, tmp_path / "f.pth")
    found = read_weights(tmp_path / "f.pth")
    assert torch.equal(found["w"], W.T)
    assert (found["w"].dtype, found["w"].requires_grad) == (torch.float32, False)


@pytest.mark.parametrize("kind", [torch.int32, torch.int64, torch.float32])
def test_a_counter_is_a_whole_number_in_any_kind(kind: torch.dtype, tmp_path: Path) -> None:
    torch.save({"bn1.num_batches_tracked": torch.tensor(3, dtype=kind)}, tmp_path / "f.pth")
    found = read_weights(tmp_path / "f.pth")["bn1.num_batches_tracked"]
    assert (found.item(), found.dtype) == (3, torch.int64)


@pytest.mark.parametrize("name", ["f.pth", "f.safetensors"])
def test_the_content_and_not_the_name_says_what_a_file_is(name: str, tmp_path: Path) -> None:
    save_file({"w": W}, tmp_path / name)
    assert torch.equal(read_weights(tmp_path / name)["w"], W)


def test_a_file_without_checksums_is_read(tmp_path: Path) -> None:
    torch.serialization.set_crc32_options(False)
    try:
        torch.save({"w": W}, tmp_path / "f.pth")
    finally:
        torch.serialization.set_crc32_options(True)
    assert torch.equal(read_weights(tmp_path / "f.pth")["w"], W)


def test_the_old_form_of_torchs_files_is_read(tmp_path: Path) -> None:
    torch.save({"w": W}, tmp_path / "f.pth", _use_new_zipfile_serialization=False)
    assert torch.equal(read_weights(tmp_path / "f.pth")["w"], W)


@pytest.mark.parametrize(("state", "more"), [(whole(), 0), (averaged(), 1)])
def test_of_a_checkpoint_the_weights_for_use_are_read(
    state: dict[str, Any], more: int, tmp_path: Path
) -> None:
    seal(state, tmp_path / "f.pt")
    found = read_weights(tmp_path / "f.pt")
    assert found.keys() == whole()["model"].keys()
    for name, value in whole()["model"].items():
        assert torch.equal(found[name], value + more)


def test_an_average_that_torch_made_is_read_without_its_count(tmp_path: Path) -> None:
    module = nn.Linear(3, 2)
    torch.save(AveragedModel(module).state_dict(), tmp_path / "f.pth")
    found = read_weights(tmp_path / "f.pth")
    assert found.keys() == {"module.weight", "module.bias"}
    assert torch.equal(found["module.weight"], module.weight)
