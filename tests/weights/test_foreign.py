"""Files of weights that are damaged, foreign or wrapped: each is read, or has its sentence."""

from __future__ import annotations

import json
import os
import zipfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import timm
import torch
import torchvision
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file
from torch import Tensor, nn

from resgen import build_module, load_spec, resolve
from resgen.errors import UserError
from resgen.weights import identified
from resgen.weights.identify import identify
from resgen.weights.shapes import plain, tensors_of

State = dict[str, Any]

SPEC = {
    "name": "small",
    "input": {"channels": 3, "size": 32},
    "stem": {"kind": "conv3x3", "width": 8},
    "block": "basic",
    "shortcut": "projection",
    "stages": [{"depth": 2, "width": 8}, {"depth": 3, "width": 16, "stride": 2}],
    "classes": 10,
}
PLAN = resolve(load_spec(SPEC))


@cache
def _trained() -> State:
    torch.manual_seed(0)
    return dict(build_module(PLAN).state_dict())


@pytest.fixture
def state() -> State:
    """The weights of a small network that nobody ships."""
    return {name: value.clone() for name, value in _trained().items()}


class Net(nn.Module):
    """Somebody's own network."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(2, 2)


class Runs:
    """What would make a folder, were it read by running it."""

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[str]]:
        return os.mkdir, ("was-run",)


def read(path: Path) -> None:
    """That the file is the small network, every tensor explained."""
    found = identified(path)
    assert found.found == "read"
    assert found.tensors == len(tensors_of(PLAN))
    assert tensors_of(resolve(found.spec)) == tensors_of(PLAN)


WRAPPED: dict[str, Callable[[State], Any]] = {
    "plain": lambda s: s,
    "in state_dict": lambda s: {"state_dict": s, "epoch": 3},
    "in model": lambda s: {"model": s, "optimizer": {"state": {}, "param_groups": []}},
    "in model_state_dict": lambda s: {"model_state_dict": s, "loss": 0.5},
    "in one in another": lambda s: {"state_dict": {"model": s}},
    "module.": lambda s: {f"module.{k}": v for k, v in s.items()},
    "_orig_mod.": lambda s: {f"_orig_mod.{k}": v for k, v in s.items()},
    "both": lambda s: {"state_dict": {f"module._orig_mod.{k}": v for k, v in s.items()}},
    "float16": lambda s: {k: v.half() for k, v in s.items()},
    "bfloat16": lambda s: {k: v.bfloat16() if v.is_floating_point() else v for k, v in s.items()},
    "float64": lambda s: {k: v.double() if v.is_floating_point() else v for k, v in s.items()},
    "no counters": lambda s: {k: v for k, v in s.items() if "num_batches" not in k},
    "another order": lambda s: dict(sorted(s.items(), reverse=True)),
    "parameters": lambda s: {k: nn.Parameter(v.float()) for k, v in s.items()
                             if "num_batches" not in k},
    "a classifier that is a convolution": lambda s: {
        k: v[:, :, None, None] if k == "fc.weight" else v for k, v in s.items()},
}  # fmt: skip


@pytest.mark.parametrize("how", WRAPPED)
def test_wrapped_weights_are_read(state: State, tmp_path: Path, how: str) -> None:
    torch.save(WRAPPED[how](state), path := tmp_path / "weights.pth")
    read(path)


def test_safetensors_are_read(state: State, tmp_path: Path) -> None:
    save_file(state, path := tmp_path / "weights.safetensors")
    read(path)


def less(*starts: str) -> Callable[[State], State]:
    """Without the tensors whose names start so."""
    return lambda state: {k: v for k, v in state.items() if not k.startswith(starts)}


def other(name: str, *shape: int) -> Callable[[State], State]:
    """With one tensor of another shape, or one more."""
    return lambda state: {**state, name: torch.zeros(shape)}


def changed(name: str, change: Callable[[Tensor], Any]) -> Callable[[State], State]:
    """With something done to one tensor."""
    return lambda state: {**state, name: change(state[name])}


class Damage(NamedTuple):
    """What is saved of the weights, and what is said of it."""

    make: Callable[[State], Any]
    said: str


ORDINARY = "is 8 in the network the others make"
DAMAGES = {
    "a convolution missing": Damage(less("layer2.1.conv2.weight"), "layer2.1.conv1.weight"),
    "a scale missing": Damage(less("layer1.0.bn2.weight"), "layer1.0.bn2"),
    "a shift missing": Damage(less("layer1.0.bn2.bias"), "layer1.0.bn2.bias is missing"),
    "a mean missing": Damage(less("layer2.0.bn1.running_mean"), "bn1.running_mean is missing"),
    "a block missing": Damage(less("layer2.1."), "layer2.1 is missing, though layer2.2 is there"),
    "a stage missing": Damage(less("layer1."), "layer1.0 is missing, though layer2 is there"),
    "a stem missing": Damage(less("conv1."), "conv1.weight is missing: no convolution"),
    "a stem's norm missing": Damage(less("bn1."), "bn1.weight is missing"),
    "a projection's norm missing": Damage(less("layer2.0.downsample.1."), "layer2.0.downsample"),
    "half a norm": Damage(other("layer1.1.bn1.weight", 4), "layer1.1.bn1.weight (4)"),
    "a running mean too long": Damage(other("bn1.running_mean", 9), f"(9) {ORDINARY}"),
    "a kernel of 5": Damage(other("layer1.0.conv1.weight", 8, 8, 5, 5), "5x5, 3x3"),
    "a convolution of three sides": Damage(other("conv1.weight", 8, 3, 3, 3, 3), "conv1.weight"),
    "a convolution of one side": Damage(other("layer1.0.conv1.weight", 8, 8, 3), "layer1.0.conv"),
    "a convolution of a number": Damage(other("layer1.0.conv1.weight"), "layer1.0.conv1.weight"),
    "a convolution of nothing": Damage(other("conv1.weight", 0, 3, 3, 3), "has no values"),
    "a filter of nothing": Damage(other("layer1.0.conv2.weight", 8, 0, 3, 3), "layer1.0.conv2"),
    "more channels than enter": Damage(
        other("layer1.1.conv1.weight", 8, 9, 3, 3), "takes 9 channels, and 8 enter the block"),
    "groups that do not divide": Damage(
        other("layer1.1.conv2.weight", 8, 3, 3, 3), "takes 3 channels a group, and 8 enter"),
    "a classifier of another width": Damage(other("fc.weight", 10, 99), "is 10x16 in the network"),
    "a classifier's bias too long": Damage(other("fc.bias", 11), "fc.bias (11)"),
    "one tensor more": Damage(other("aux.weight", 4, 4), "aux.weight (4x4) has no place"),
    "one more in a block": Damage(other("layer1.0.gamma", 8), "layer1.0.gamma (8) has no place"),
    "a third convolution": Damage(other("layer1.0.conv3.weight", 8, 8, 3, 3), "3x3, 3x3, 3x3"),
    "a projection of 5x5": Damage(other("layer2.0.downsample.0.weight", 16, 8, 5, 5), "projection"),
    "a projection of another kind": Damage(
        other("layer1.0.downsample.weight", 8), "no 1x1 convolution"),
    "a name with an escape": Damage(other("a\x1b[31mb", 2), r"a\x1b[31mb (2)"),
    "a name of a megabyte": Damage(other("a" * 2**20, 2), "aaaa (2)"),
    "a stage of thirty digits": Damage(other(f"layer{'9' * 30}.0.x", 2), "has no place"),
    "a stage of 5,000 digits": Damage(other(f"stages.{'9' * 5000}.blocks.0.x", 2), "has no place"),
    "stage 4": Damage(other("layer4.0.x", 2), "layer3.0 is missing, though layer4 is there"),
    "names twice": Damage(lambda s: {**s, "module.fc.bias": s["fc.bias"]}, "two of its names"),
    "numbers of no weights": Damage(changed("conv1.weight", Tensor.int), "torch.int32"),
    "complex numbers": Damage(
        changed("conv1.weight", lambda v: v.to(torch.complex64)), "torch.complex64"),
    "not a number": Damage(changed("fc.bias", lambda v: v * torch.nan), "fc.bias is NaN"),
    "infinite": Damage(changed("fc.bias", lambda v: v + torch.inf), "NaN or infinite in 10"),
    "a negative variance": Damage(changed("bn1.running_var", torch.neg), "has negative values"),
    "a negative count": Damage(
        changed("bn1.num_batches_tracked", lambda v: v - 3), "a whole number from 0 on"),
    "sparse": Damage(changed("fc.weight", Tensor.to_sparse), "is not dense"),
    "no values": Damage(changed("fc.weight", lambda v: v.to("meta")), "meta device"),
    "repeated values": Damage(
        changed("fc.weight", lambda v: v[:1].clone().expand(10, 16)), "repeats fewer"),
    "counters only": Damage(
        lambda s: {k: v for k, v in s.items() if "num_batches" in k}, "counters of batches"),
    "empty": Damage(lambda s: {}, "holds no weights"),
    "an empty state_dict": Damage(lambda s: {"state_dict": {}}, "holds no weights"),
    "a list": Damage(lambda s: list(s.values()), "holds no weights"),
    "one tensor": Damage(lambda s: s["conv1.weight"], "holds no weights"),
    "numbers for names": Damage(lambda s: dict(enumerate(s.values())), "holds no weights"),
    "a number": Damage(lambda s: 3, "holds no weights"),
    "an optimizer's state": Damage(
        lambda s: torch.optim.SGD([nn.Parameter(v) for v in s.values() if v.is_floating_point()],
                                  lr=0.1).state_dict(), "an optimizer's state"),
    "a module": Damage(lambda s: Net(), "would have to be run to be read"),
    "what runs": Damage(lambda s: {**s, "x": Runs()}, "would have to be run to be read"),
    "a resgen checkpoint's hash": Damage(lambda s: {"format": 1, "sha256": "", "model": s}, "hash"),
}  # fmt: skip


@pytest.mark.parametrize("what", DAMAGES)
def test_a_damaged_state_dict_has_its_sentence(
    state: State, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    monkeypatch.chdir(tmp_path)
    torch.save(DAMAGES[what].make(state), "weights.pth")
    with pytest.raises(UserError) as raised:
        identified(Path("weights.pth"))
    said = str(raised.value)
    assert said.startswith("weights.pth: ")
    assert DAMAGES[what].said in said
    assert "\n" not in said
    assert len(said) < 1200
    assert not Path("was-run").exists()


def _cut(path: Path, state: State) -> None:
    torch.save(state, path)
    path.write_bytes(path.read_bytes()[:-500])


def _cut_safetensors(path: Path, state: State) -> None:
    save_file(state, path)
    path.write_bytes(path.read_bytes()[:-4])


def _flipped(path: Path, state: State) -> None:
    torch.save(state, path)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 255
    path.write_bytes(content)


def _program(path: Path, state: State) -> None:
    torch.jit.script(nn.Linear(2, 2)).save(path)


def _zip(path: Path, state: State) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("readme.txt", "no weights")


def _folder(path: Path, state: State) -> None:
    path.mkdir()


def written(content: bytes) -> Callable[[Path, State], None]:
    return lambda path, state: path.write_bytes(content) and None


FILES: dict[str, tuple[str, Callable[[Path, State], None], str]] = {
    "cut short": ("w.pth", _cut, "damaged: cut short"),
    "cut short, safetensors": ("w.safetensors", _cut_safetensors, "damaged"),
    "a bit flipped": ("w.pth", _flipped, "does not match its checksum"),
    "a program": ("w.pt", _program, "a TorchScript program"),
    "a zip of other things": ("w.pth", _zip, "not one that torch wrote"),
    "a folder": ("w.pth", _folder, "is a directory"),
    "nothing there": ("w.pth", lambda path, state: None, "no such file"),
    "an empty file": ("w.pth", written(b""), "it is empty"),
    "a web page": ("w.pth", written(b"<!doctype html><html>"), "a web page"),
    "a pointer": ("w.pth", written(b"version https://git-lfs.github.com"), "git lfs pull"),
    "gzip": ("w.pth", written(b"\x1f\x8b\x08\x00"), "compressed by gzip"),
    "Keras": ("w.bin", written(b"\x89HDF\r\n"), "an HDF5 file"),
    "NumPy": ("w.bin", written(b"\x93NUMPY\x01"), "a NumPy array"),
    "GGUF": ("w.bin", written(b"GGUF\x03"), "a GGUF file"),
    "text": ("w.pth", written(b"hello, weights"), "damaged, or not a file of weights"),
    "YAML": ("w.pth", written(json.dumps(SPEC).encode()), "not a file of weights"),
}


@pytest.mark.parametrize("what", FILES)
def test_a_file_of_something_else_has_its_sentence(state: State, tmp_path: Path, what: str) -> None:
    name, write, said = FILES[what]
    write(tmp_path / name, state)
    with pytest.raises(UserError, match=said):
        identified(tmp_path / name)


def test_there_are_fifty_of_them() -> None:
    assert len(DAMAGES) + len(FILES) >= 50


def _shapes(module: nn.Module) -> dict[str, tuple[int, ...]]:
    return {name: tuple(value.shape) for name, value in module.state_dict().items()}


OTHERS: dict[str, tuple[Callable[[], nn.Module], str]] = {
    "ViT": (lambda: timm.create_model("vit_tiny_patch16_224"), "cls_token (1x1x192)"),
    "Swin": (lambda: timm.create_model("swin_tiny_patch4_window7_224"), "patch_embed.proj.weight"),
    "VGG": (lambda: torchvision.models.vgg16(), "features.0.weight (64x3x3x3)"),
    "DenseNet": (lambda: torchvision.models.densenet121(), "features.conv0.weight"),
    "LSTM": (lambda: nn.LSTM(4, 4), "weight_ih_l0 (16x4)"),
    "bottleneck transformer": (
        lambda: timm.create_model("botnet26t_256"),
        "stages.2.1.conv1_1x1.conv.weight (256x1024x1x1)",
    ),
    "one linear layer": (lambda: nn.Linear(2, 2), "weight (2x2)"),
}


@pytest.mark.parametrize("what", OTHERS)
def test_a_network_of_another_kind_has_its_first_tensor_named(what: str) -> None:
    make, said = OTHERS[what]
    with torch.device("meta"):
        shapes = _shapes(make())
    with pytest.raises(UserError) as raised:
        identify(shapes, "weights.pth", "x")
    assert said in str(raised.value)
    assert "no shipped network has tensors of these shapes" in str(raised.value)


SHAPES = tensors_of(PLAN)
NAMES = [*SHAPES, "layer1.0.conv3.weight", "layer3.0.conv1.weight", "layer1.0.se.fc1.weight",
         "layer2.0.se.conv.weight", "layer1.0.se.0.fc1.weight", "attnpool.positional_embedding",
         "layer1.0.bn1.v", "layer1.0.bn1.IN.weight", "maxpool.0.weight", "conv1.0.weight",
         "conv1.3.weight", "conv2.weight", "head_conv.weight", "layer1.0.gate.conv.weight",
         "final_bn.weight", "layer1.0.norm1.weight"]  # fmt: skip
SIDES = st.lists(st.sampled_from([0, 1, 2, 3, 7, 8, 16, 2**40]), max_size=5).map(tuple)


@settings(max_examples=150, deadline=None)
@given(
    st.dictionaries(st.sampled_from(NAMES), SIDES, max_size=3),
    st.sets(st.sampled_from([*SHAPES]), max_size=3),
)
def test_whatever_the_shapes_every_tensor_is_explained_or_the_first_is_named(
    given_: dict[str, tuple[int, ...]], gone: set[str]
) -> None:
    shapes = {name: shape for name, shape in {**SHAPES, **given_}.items() if name not in gone}
    try:
        found = identify(shapes, "weights.pth", "x")
    except UserError as error:
        assert str(error).startswith("weights.pth: ")
        return
    made = tensors_of(resolve(found.spec))
    assert made.keys() == shapes.keys()
    assert all(plain(made[name]) == plain(shape) for name, shape in shapes.items())
