"""`resgen deepen`: a run or a file becomes a deeper network's file, which trains on."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import torchvision
from safetensors.torch import load_file
from typer.testing import CliRunner

from resgen import build_module, load_spec, resolve
from resgen.cli import app
from resgen.errors import UserError
from resgen.tensors.formats import read_trained
from resgen.train.run import metrics
from tests.training import typed

FROZEN = ("--epochs", "1", "--device", "cpu", "--precision", "fp32", "--quiet",
          "--set", "optimizer={lr: 1e-20, weight_decay: 0}")  # fmt: skip
DEEP = ("--with", "stages[0].depth=3", "--with", "stages[1].depth=2", "--with", "name=deep")


def deepen(*words: str) -> str:
    """What the command prints; exits 0."""
    done = CliRunner().invoke(app, ["deepen", *words])
    if done.exception and not isinstance(done.exception, SystemExit):
        raise done.exception
    assert done.exit_code == 0, done.output
    return done.stdout


def refused(*words: str) -> str:
    done = CliRunner().invoke(app, ["deepen", *words])
    assert isinstance(done.exception, UserError), done.output
    assert done.exception.exit_code == 2
    return str(done.exception)


def first_loss(run: str) -> float:
    return float(metrics.read(Path(run))[0]["train_loss"])


def test_a_deepened_run_begins_with_the_loss_of_the_one_it_is_made_from(
    command: Callable[..., None], tmp_path: Path
) -> None:
    command("--epochs", "1", "--out", "run", "--quiet")
    said = deepen("run", "run", *DEEP, "-o", "deep.safetensors")
    assert "layer1              1                2" in said
    assert "in evaluation, with 8 images: outputs differ by 0.0" in said
    assert "in training, with 8 images: outputs differ by 0.0" in said
    kept, was = read_trained(Path("deep.safetensors")), read_trained(Path("run/last.pt"))
    assert load_spec("deep.safetensors").name == "deep"
    assert kept.metadata._replace(network={}) == was.metadata._replace(network={})
    # Both go on over the same images, at a rate that changes nothing.
    typed("run", "--init-from", "run", "--out", "shallow", *FROZEN)
    typed("deep.safetensors", "--init-from", "deep.safetensors", "--out", "deep", *FROZEN)
    assert first_loss("deep") == first_loss("shallow")


def test_a_plain_network_does_so_where_training_is_to_be_exact(
    command: Callable[..., None], tmp_path: Path
) -> None:
    command("--epochs", "1", "--out", "run", "--quiet", "--with", "shortcut=none")
    said = deepen("run", "run", *DEEP, "-o", "a.safetensors")
    assert "outputs differ by 0.0" in said
    assert "note    not in training" in said
    said = deepen("run", "run", *DEEP, "-o", "b.safetensors", "--exact", "training")
    assert "lifted values round otherwise" in said
    typed("run", "--init-from", "run", "--out", "shallow", *FROZEN)
    for file in ("a", "b"):
        name = f"{file}.safetensors"
        typed(name, "--init-from", name, "--out", file, *FROZEN)
    assert first_loss("b") == pytest.approx(first_loss("shallow"), rel=1e-4)
    assert first_loss("a") != pytest.approx(first_loss("shallow"), rel=1e-3)


@pytest.mark.parametrize("said", [(), ("--spec", "resnet18")])
def test_a_file_that_names_no_network_is_read_from_its_tensors_or_with_its_spec(
    said: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """torchvision's own ResNet-34 computes what its ResNet-18 does, with the file's weights."""
    monkeypatch.chdir(tmp_path)
    torch.manual_seed(0)
    small = torchvision.models.resnet18(weights=None).eval()
    torch.save(small.state_dict(), "resnet18.pth")
    deepen("resnet18.pth", "resnet34", *said, "-o", "deep.safetensors")
    large = torchvision.models.resnet34(weights=None).eval()
    large.load_state_dict(load_file("deep.safetensors"))
    images = torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        assert torch.equal(large(images), small(images))
    assert resolve(load_spec("deep.safetensors")) == resolve(load_spec("resnet34"))


def test_the_file_is_the_same_each_time_and_follows_the_seed(
    command: Callable[..., None], tmp_path: Path
) -> None:
    command("--epochs", "1", "--out", "run", "--quiet")
    for name, seed in (("a", "0"), ("b", "0"), ("c", "1")):
        deepen("run", "run", *DEEP, "-o", f"{name}.safetensors", "--seed", seed)
    a, b, c = (Path(f"{name}.safetensors").read_bytes() for name in "abc")
    assert a == b
    assert a != c


def test_what_cannot_be_deepened_has_one_sentence(
    command: Callable[..., None], tmp_path: Path, tiny: Callable[..., str]
) -> None:
    command("--epochs", "1", "--out", "run", "--quiet")
    spec, out = tiny(), ("-o", "x.safetensors")
    assert "names a network without weights" in refused(spec, spec, *out)
    said = refused("run", "run", "--with", "order=preact", *out)
    assert said.startswith("tiny with order=preact cannot compute what tiny does: ")
    assert "narrower here" in refused("run", "run", "--with", "stages[1].width=12", *out)
    assert "end the file's name in .safetensors" in refused("run", "run", "-o", "x.pt")
    assert refused("run", "nothing-like-it", *out).startswith("nothing-like-it: ")
    assert not Path("x.safetensors").exists()


def test_weights_of_a_folded_network_are_refused(
    command: Callable[..., None], tmp_path: Path
) -> None:
    command("--epochs", "1", "--out", "run", "--quiet")
    done = CliRunner().invoke(app, ["build", "run", "--fold", "-o", "folded.safetensors"])
    assert done.exit_code == 0
    assert "batch norms are folded" in refused("folded.safetensors", "run", "-o", "x.safetensors")


def test_the_written_file_builds_alone(command: Callable[..., None], tmp_path: Path) -> None:
    command("--epochs", "1", "--out", "run", "--quiet")
    deepen("run", "run", *DEEP, "-o", "deep.safetensors")
    module = build_module("deep.safetensors")
    module.load_state_dict(load_file("deep.safetensors"))
