"""Damaged and foreign files in a file of weights' place: one sentence each."""

from __future__ import annotations

import json
import struct
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from resgen.errors import UserError
from resgen.tensors import read_weights
from tests.checkpoints import changed, seal, whole

W = torch.arange(6.0).reshape(2, 3)


class Evil:
    """A pickle that would run something."""

    def __reduce__(self) -> Any:
        return (print, ("run",))


def content(data: bytes) -> Callable[[Path], None]:
    return lambda path: path.write_bytes(data) and None  # type: ignore[func-returns-value]


def saved(state: Any, **how: Any) -> Callable[[Path], None]:
    return lambda path: torch.save(state, path, **how)


def holding(value: Any) -> Callable[[Path], None]:
    return saved({"fine": W, "fc.weight": value})


def cut(by: int, **how: Any) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        torch.save({"w": W}, path, **how)
        path.write_bytes(path.read_bytes()[:-by])

    return write


def flipped(write: Callable[[Path], None], values: Tensor) -> Callable[[Path], None]:
    def damage(path: Path) -> None:
        write(path)
        data = bytearray(path.read_bytes())
        data[data.index(values.numpy().tobytes()) + 2] ^= 4
        path.write_bytes(data)

    return damage


def zipped(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a/notes.txt", "x")


def script(path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.jit.script(nn.Linear(2, 2)).save(str(path))


def odd(kind: str) -> Tensor:
    """Tensors of which torch warns when they are made."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if kind == "rows":
            return W.to_sparse_csr()
        if kind == "quantized":
            return torch.quantize_per_tensor(W, 0.1, 0, torch.qint8)
        scales, zeros = torch.tensor([0.1, 0.1]), torch.tensor([0, 0])
        return torch.quantize_per_channel(W, scales, zeros, 0, torch.qint8)


def safe(header: Any, data: bytes = b"\0" * 24) -> Callable[[Path], None]:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return content(struct.pack("<Q", len(text)) + text + data)


def ours(state: dict[str, Any], **how: Any) -> Callable[[Path], None]:
    return lambda path: seal(state, path, **how)


def pipe(path: Path) -> None:
    import os

    os.mkfifo(path)


DAMAGED = "damaged, or not a file of weights: .safetensors and torch's files are read"
SAFE = "damaged, or no .safetensors file: "
CODE = "which would have to be run to be read; save its tensors alone: torch.save(model.state_dict"
FLOATS = "and weights are floating-point numbers; if its numbers are the weights, save it with"
ENTRY = {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]}

BAD: dict[str, tuple[str, Callable[[Path], Any], str]] = {
    "missing": ("f.pth", lambda path: None, "no such file"),
    "missing with its folder": ("no/f.pth", lambda path: None, "no such file, nor a folder no"),
    "a folder": ("f.pt", lambda path: path.mkdir(), "is a directory; name a file in it"),
    "a pipe": ("f.pt", pipe, "is no regular file"),
    "empty": ("f.pt", content(b""), "damaged: it is empty"),
    "empty safetensors": ("f.safetensors", content(b""), "damaged: it is empty"),
    "text": ("f.pth", content(b"nothing"), DAMAGED),
    "one byte": ("f.pth", content(b"P"), DAMAGED),
    "zeros": ("f.pth", content(b"\0" * 5000), DAMAGED),
    "a web page": ("f.pth", content(b"\n<!DOCTYPE html><html>404"), "a web page or other markup"),
    "a pointer": ("f.pth", content(b"version https://git-lfs.github.com/spec/v1\n"), "a Git LFS"),
    "gzip": ("f.pth", content(b"\x1f\x8b\x08" + b"0" * 90), "compressed by gzip: unpack it first"),
    "HDF5": ("f.pth", content(b"\x89HDF\r\n\x1a\n" + b"0" * 90), "an HDF5 file, as Keras writes"),
    "NumPy": ("f.pth", lambda path: np.save(path.open("wb"), W.numpy()), "a NumPy array"),
    "JSON": ("f.pt", content(b'{"a": [1, 2]}'), DAMAGED),
    "a zip archive": ("f.pt", zipped, "a zip archive, but not one that torch wrote"),
    "a zip archive's start": ("f.pt", content(b"PK\x03\x04" + b"0" * 90), "damaged: cut short"),
    "cut short": ("f.pth", cut(30), "damaged: cut short, or changed after it was written"),
    "cut to its start": ("f.pth", cut(900), "damaged: cut short, or changed after it was written"),
    "an old one cut short": ("f.pth", cut(5, _use_new_zipfile_serialization=False), DAMAGED),
    "a flipped bit": ("f.pth", flipped(saved({"w": W}), W), "damaged: a part of it does not match"),
    "a program": ("f.pt", script, "a TorchScript program; save its weights alone: "),
    "code": ("f.pth", saved({"a": Evil()}), f"holds print, {CODE}"),
    "old code": (
        "f.pth", saved({"a": Evil()}, _use_new_zipfile_serialization=False),
        f"holds print, {CODE}",
    ),
    "a module": ("f.pth", saved(nn.Linear(2, 2)), f"holds torch.nn.modules.linear.Linear, {CODE}"),
    "arrays": ("f.pth", saved({"w": W.numpy()}), "holds numpy._core.multiarray._reconstruct, "),
    "a pickle": ("f.pth", content(b"\x80\x04\x95\x02\x00\x00\x00\x00\x00\x00\x00}."), DAMAGED),
    "no tensors": ("f.pth", saved({"weights": [1, 2]}), "holds no weights: a mapping of names"),
    "a tensor alone": ("f.pth", saved(W), "holds no weights: a mapping of names to tensors"),
    "a list": ("f.pth", saved([W]), "holds no weights: a mapping of names to tensors is wanted"),
    "nothing in it": ("f.pth", saved({"state_dict": {}}), "holds no weights: a mapping of names"),
    "safetensors of text": ("f.safetensors", content(b"no header at all"), SAFE),
    "safetensors too long": ("f.safetensors", content(b"\xff" * 8 + b"{}"), SAFE),
    "safetensors without end": ("f.safetensors", safe({"w": ENTRY}, b"\0" * 8), SAFE),
    "safetensors with more": ("f.safetensors", safe({"w": ENTRY}, b"\0" * 99), SAFE),
    "safetensors no JSON": ("f.safetensors", safe(b'{"w": '), SAFE),
    "safetensors other kind": ("f.safetensors", safe({"w": {**ENTRY, "dtype": "Q7"}}), SAFE),
    "safetensors other shape": ("f.safetensors", safe({"w": {**ENTRY, "shape": [9]}}), SAFE),
    "safetensors by another name": ("f.pth", safe({"w": {**ENTRY, "shape": [9]}}), SAFE),
    "int8": ("f.pth", holding(W.to(torch.int8)), f"fc.weight is of torch.int8, {FLOATS}"),
    "int64": ("f.pth", holding(W.long()), f"fc.weight is of torch.int64, {FLOATS}"),
    "bool": ("f.pth", holding(W > 2), f"fc.weight is of torch.bool, {FLOATS}"),
    "complex": ("f.pth", holding(W + 1j), f"fc.weight is of torch.complex64, {FLOATS}"),
    "float8": ("f.pth", holding(W.to(torch.float8_e4m3fn)), "fc.weight is of torch.float8_e4m3fn"),
    "int8 in safetensors": (
        "f.safetensors", lambda path: save_file({"fc.weight": W.to(torch.int8)}, path),
        f"fc.weight is of torch.int8, {FLOATS}",
    ),
    "meta": ("f.pth", holding(W.to("meta")), "fc.weight is on torch's meta device: it has a shape"),
    "sparse": ("f.pth", holding(W.to_sparse()), "fc.weight is not dense; save it with .to_dense()"),
    "sparse rows": ("f.pth", holding(odd("rows")), "fc.weight is not dense; save it with"),
    "quantized": ("f.pth", holding(odd("quantized")), "fc.weight is quantized; save it with"),
    "quantized rows": ("f.pth", holding(odd("quantized rows")), "fc.weight is quantized; save it"),
    "repeated": (
        "f.pth", holding(torch.zeros(1).expand(10**6, 10**6)),
        "fc.weight says it has 1,000,000,000,000 values and repeats fewer; save it with .clone()",
    ),
    "NaN": (
        "f.pth", holding(W.clone().fill_(torch.nan)),
        "fc.weight is NaN or infinite in 6 of its 6 values",
    ),
    "infinite": (
        "f.pth", holding(W / torch.tensor([1.0, 1.0, 0.0])),
        "fc.weight is NaN or infinite in 2 of its 6 values",
    ),
    "beyond float32": (
        "f.pth", holding(W.double() * 1e300), "fc.weight is NaN or infinite in 5 of its 6 values"
    ),
    "a negative variance": (
        "f.pth", saved({"bn1.running_var": torch.tensor([1.0, -0.5])}),
        "bn1.running_var is a variance and has negative values, the least -0.5",
    ),
    "a negative count": (
        "f.pth", saved({"bn1.num_batches_tracked": torch.tensor(-1)}),
        "bn1.num_batches_tracked must be a whole number from 0 on",
    ),
    "counts": (
        "f.pth", saved({"bn1.num_batches_tracked": torch.ones(3)}),
        "bn1.num_batches_tracked must be a whole number from 0 on",
    ),
    "a count of NaN": (
        "f.pth", saved({"bn1.num_batches_tracked": torch.tensor(torch.nan)}),
        "bn1.num_batches_tracked must be a whole number from 0 on",
    ),
    "a long name": ("f.pth", saved({"a" * 9999: W.long()}), f"{'a' * 97}... is of torch.int64"),
    "a name of lines": ("f.pth", saved({"a\nb": W.long()}), "'a\\nb' is of torch.int64"),
    "an older checkpoint": (
        "f.pt", ours(whole(), form=0), "checkpoint format 0; this resgen reads format 1, so use"
    ),
    "a checkpoint of no format": ("f.pt", ours(whole(), form=W), "checkpoint format unknown; this"),
    "a checkpoint's flipped bit": (
        "f.pt", flipped(ours(whole()), torch.tensor([2.0, 3.0, 4.0])), "damaged: "
    ),
    "a checkpoint's other content": (
        "f.pt", lambda path: torch.save({"format": 1, **whole(), "sha256": "0" * 64}, path),
        "damaged: its content does not match its hash",
    ),
    "a checkpoint's missing hash": (
        "f.pt", lambda path: torch.save({"format": 1, **whole()}, path),
        "damaged: its content does not match its hash",
    ),
    "a checkpoint of sets": (
        "f.pt", lambda path: torch.save({"format": 1, **whole(), "sha256": {1}, "x": {1}}, path),
        "damaged: its content does not match its hash",
    ),
    "a forged checkpoint": (
        "f.pt", ours(changed(whole(), "model/w", torch.tensor([torch.nan]))),
        "changed or not written by resgen, though its hash is right: its model must be a mapping "
        "of names to finite tensors (it is a mapping in which w is NaN or infinite in 1 of its 1",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("name", "write", "sentence"), BAD.values(), ids=BAD.keys())
def test_what_cannot_be_weights_is_one_sentence(
    name: str,
    write: Callable[[Path], Any],
    sentence: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch's, of what is written here
        write(Path(name))
    capfd.readouterr()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(UserError) as caught:
            read_weights(Path(name))
    text = str(caught.value)
    assert text.startswith(f"{name}: {sentence}")
    assert text.isprintable()
    assert len(text) < 500
    assert "weights_only" not in text
    assert capfd.readouterr() == ("", "")


def test_there_are_enough_of_them() -> None:
    assert len(BAD) >= 40


def test_a_file_that_may_not_be_read_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "f.pt"
    torch.save({"w": W}, path)

    def refused(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", refused)
    with pytest.raises(UserError) as caught:
        read_weights(path)
    assert str(caught.value) == f"{path}: cannot be read: Permission denied"
