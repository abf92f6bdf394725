"""Every form of file, read by another program: the same network, and nothing half written."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
import timm
import torch
import torchvision.models
import yaml
from safetensors import safe_open
from torch import nn
from typer.testing import CliRunner, Result

from resgen import build_module, cost, load_spec, resolve
from resgen.cli import app
from resgen.errors import CheckFailed, UserError
from resgen.export import compare, forms, programs, tracing
from resgen.plan import Plan
from tests.kinds import TOGETHER
from tests.training import TINY, typed

ONNX = all(find_spec(name) for name in forms.ONNX_PACKAGES)
needs_onnx = pytest.mark.skipif(
    not ONNX, reason="ONNX files are not tested: pip install 'resgen[onnx]'"
)
FILES = ("net.py", "net.pt2", "net.safetensors", "net.yaml", "net.json")
PROGRAMS = ("net.pt2", *(["net.onnx"] * ONNX))


def build(*words: str | Path) -> Result:
    return CliRunner().invoke(app, ["build", *map(str, words)])


def built(*words: str | Path) -> Result:
    result = build(*words)
    assert result.exit_code == 0, result.exception
    return result


def to(folder: Path, *names: str) -> list[str]:
    return [word for name in names for word in ("-o", str(folder / name))]


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a run in `run`, whose average differs from its last weights, built whole."""
    folder = tmp_path_factory.mktemp("trained")
    (folder / "tiny.yaml").write_text(TINY.format(name="tiny", classes=10))
    words = ("--epochs", "1", "--set", "ema={decay: 0.9}", "--out", str(folder / "run"), "--quiet")
    typed(str(folder / "tiny.yaml"), *words)
    built(folder / "run", *to(folder, *FILES, *PROGRAMS[1:]))
    return folder


@pytest.fixture(scope="module")
def judged(trained: Path) -> nn.Module:
    """The network with the weights that its errors were measured with, taken by hand."""
    state = torch.load(trained / "run" / "last.pt", weights_only=True)
    module = build_module(str(trained / "tiny.yaml")).eval()
    average = {name: value for name, value in state["average"].items() if name != "n_averaged"}
    module.load_state_dict({name.removeprefix("module."): each for name, each in average.items()})
    assert not torch.equal(module.fc.weight, state["model"]["fc.weight"])  # type: ignore[union-attr]
    return module


def images(count: int) -> torch.Tensor:
    return torch.randn(count, 1, 8, 8, generator=torch.Generator().manual_seed(count))


def outputs(module: nn.Module, count: int) -> torch.Tensor:
    with torch.no_grad():
        found: torch.Tensor = module(images(count))
    return found


COUNTS = (1, 2, 3, 8, 17)


# ---- doors


@needs_onnx
def test_onnxruntime_puts_out_the_same_for_any_number_of_images(
    trained: Path, judged: nn.Module
) -> None:
    import onnxruntime

    session = onnxruntime.InferenceSession(trained / "net.onnx")
    for count in COUNTS:
        (found,) = session.run(["logits"], {"images": images(count).numpy()})
        assert np.allclose(found, outputs(judged, count), atol=1e-5)
    said = session.get_modelmeta().custom_metadata_map
    assert resolve(load_spec(json.loads(said["network"]))) == resolve(
        load_spec(trained / "run/spec.yaml")
    )
    assert json.loads(said["data"])["classes"] == [str(digit) for digit in range(10)]


BARE = """
import sys
sys.modules["resgen"] = None  # whoever imports it fails
import torch
torch.set_num_threads(1)
{load}
images = torch.load(sys.argv[1], weights_only=True)
with torch.no_grad():
    torch.save([model(each) for each in images], sys.argv[2])
"""
LOADS = {
    "net.py": (
        "import safetensors.torch\nfrom net import *\nimport net\n"
        "model = getattr(net, net.__all__[0])().eval()\n"
        "line = net.__doc__.partition('Its trained weights:')[2].split('\\n')[2].strip()\n"
        "eval(line)\n"
    ),
    "net.pt2": "model = torch.export.load('net.pt2').module()\n",
}


@pytest.mark.parametrize("file", LOADS)
def test_a_bare_interpreter_puts_out_the_same(file: str, trained: Path, judged: nn.Module) -> None:
    torch.save([images(count) for count in COUNTS], trained / "x.pt")
    done = subprocess.run(
        [sys.executable, "-c", BARE.format(load=LOADS[file]), "x.pt", "y.pt"],
        cwd=trained, env={**os.environ, "OMP_NUM_THREADS": "1"}, capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found = torch.load(trained / "y.pt", weights_only=True)
    for count, each in zip(COUNTS, found, strict=True):
        assert torch.allclose(each, outputs(judged, count), rtol=0, atol=1e-6)


@pytest.mark.parametrize(
    ("spec", "make"),
    [
        ("resnet18", lambda: torchvision.models.resnet18()),
        ("resnet18", lambda: timm.create_model("resnet18")),
        ("seresnet50", lambda: timm.create_model("seresnet50")),
    ],
    ids=["torchvision resnet18", "timm resnet18", "timm seresnet50"],
)
def test_other_libraries_take_our_file_by_name(
    spec: str, make: Callable[[], nn.Module], tmp_path: Path
) -> None:
    built(spec, *to(tmp_path, "net.safetensors"))
    theirs = make()
    theirs.load_state_dict(safetensors.torch.load_file(tmp_path / "net.safetensors"))
    plan = resolve(load_spec(str(tmp_path / "net.safetensors")))
    ours = build_module(plan)
    ours.load_state_dict(safetensors.torch.load_file(tmp_path / "net.safetensors"))
    x = torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        assert torch.equal(ours.eval()(x), theirs.eval()(x))


def test_the_file_of_weights_says_what_they_are_of(trained: Path, judged: nn.Module) -> None:
    with safe_open(trained / "net.safetensors", "pt") as file:
        said = file.metadata()
    state = torch.load(trained / "run" / "last.pt", weights_only=True)
    data = json.loads(said["data"])
    assert said["weights"] == "averaged"
    assert json.loads(said["network"]) == state["network"]
    for key in ("name", "classes", "mean", "std"):
        assert data[key] == state["data"][key]
    # How the errors were measured, too; where the images lie is nobody else's business.
    assert data["crop"] == state["judged"]["crop"]
    assert data["precision"] == state["judged"]["precision"]
    weights = safetensors.torch.load_file(trained / "net.safetensors")
    for name, value in judged.state_dict().items():
        assert torch.equal(weights[name], value)


def test_the_file_of_weights_stands_for_its_network(trained: Path, tmp_path: Path) -> None:
    weights = trained / "net.safetensors"
    again = tmp_path / "again.safetensors"
    built(weights, "-o", again)
    for name, value in safetensors.torch.load_file(weights).items():
        assert torch.equal(safetensors.torch.load_file(again)[name], value)
    result = CliRunner().invoke(app, ["summarize", str(weights), "--no-measure"])
    assert result.stdout.startswith("tiny   1x8x8 -> 10 classes")
    with pytest.raises(UserError, match=r"add --init-from .*net\.safetensors to begin"):
        typed(str(weights))
    typed(
        str(trained / "tiny.yaml"), "--epochs", "1", "--init-from", str(weights), "--out",
        str(tmp_path / "run"), "--quiet",
    )  # fmt: skip


def test_pt2_carries_what_it_is_of(trained: Path) -> None:
    extra = {programs.METADATA: ""}
    torch.export.load(trained / "net.pt2", extra_files=extra)
    said = json.loads(extra[programs.METADATA])
    assert json.loads(said["network"])["name"] == "tiny"
    assert said["weights"] == "averaged"


def test_the_written_spec_is_the_network(trained: Path) -> None:
    keys = yaml.safe_load((trained / "net.yaml").read_text())
    assert resolve(load_spec(keys)) == resolve(load_spec(trained / "tiny.yaml"))
    assert "extends" not in keys


def test_the_plan_lists_every_parameter(trained: Path, judged: nn.Module) -> None:
    data = json.loads((trained / "net.json").read_text())
    books = cost(str(trained / "tiny.yaml"))
    assert (data["params"], data["macs"]) == (books.params, books.macs)
    assert data["params"] == sum(each.numel() for each in judged.parameters())
    assert [stage["name"] for stage in data["stages"]] == ["layer1", "layer2"]
    first = data["stages"][0]["runs"][0]["block"]["main"][0]
    assert (first["name"], first["call"]) == ("conv1", "nn.Conv2d")
    assert first["arguments"]["kernel_size"] == 3


@pytest.mark.parametrize("kinds", TOGETHER)
def test_every_kind_of_block_exports(kinds: str, tmp_path: Path) -> None:
    (tmp_path / "net.yaml").write_text(yaml.safe_dump(TOGETHER[kinds]))
    result = built(tmp_path / "net.yaml", *to(tmp_path, *PROGRAMS, "net.safetensors"))
    assert result.stdout.count("  holds  ") == 2 + ONNX


# ---- what the files say


def test_the_command_in_a_file_writes_it_again(
    trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    words = [
        str(trained / "run"),
        "--name",
        'it is "mine"'.replace('"', "+"),
        "--features",
        "--fold",
    ]
    built(*words, "-o", "a \\ b'.py")
    text = Path("a \\ b'.py").read_text()
    scope: dict[str, object] = {}
    exec(text, scope)
    command = str(scope["__doc__"]).partition("Written again by")[2].strip()
    Path("a \\ b'.py").unlink()
    import shlex

    program, *again = shlex.split(command)
    assert program == "resgen"
    assert CliRunner().invoke(app, again).exit_code == 0
    assert Path("a \\ b'.py").read_text() == text


def test_hostile_paths_do_not_leave_the_docstring(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    name = '""" ; raise SystemExit(9) ; """\n\\'
    Path(f"{name}.yaml").write_text(TINY.format(name="tiny", classes=10))
    built(f"{name}.yaml", "-o", f"{name}.py")
    scope: dict[str, object] = {}
    exec(Path(f"{name}.py").read_text(), scope)
    assert name.partition("\n")[0] in str(scope["__doc__"])


def test_classes_and_name_are_changed(tmp_path: Path) -> None:
    built("digits/resnet20", "--classes", "7", "--name", "seven", *to(tmp_path, "a.py", "a.yaml"))
    spec = load_spec(tmp_path / "a.yaml")
    assert (spec.name, spec.classes) == ("seven", 7)
    scope: dict[str, object] = {"__name__": "a"}
    exec((tmp_path / "a.py").read_text(), scope)
    seven = scope["Seven"]
    for given, classes in (({}, 7), ({"num_classes": 3}, 3)):
        found = seven(**given).eval()(torch.zeros(2, 1, 8, 8))  # type: ignore[operator]
        assert found.shape == (2, classes)


def test_an_untrained_network_says_that_its_weights_are_drawn(tmp_path: Path) -> None:
    result = built("digits/resnet20", *to(tmp_path, "a.safetensors"))
    assert "newly drawn (seed 0), not trained" in result.stderr
    first = (tmp_path / "a.safetensors").read_bytes()
    built("digits/resnet20", "--force", *to(tmp_path, "a.safetensors"))
    assert (tmp_path / "a.safetensors").read_bytes() == first
    assert "not trained" not in built("digits/resnet20", *to(tmp_path, "a.py")).stderr


def test_a_py_file_without_its_weights_says_so(trained: Path, tmp_path: Path) -> None:
    result = built(trained / "run", *to(tmp_path, "alone.py"))
    assert (
        f"names alone.safetensors; -o {tmp_path / 'alone.safetensors'} writes it" in result.stderr
    )
    both = built(trained / "run", *to(tmp_path, "b.py", "b.safetensors"))
    assert "writes it" not in both.stderr


# ---- refusals, before any work


def test_what_cannot_be_made_is_refused(trained: Path, tmp_path: Path) -> None:
    run, out = trained / "run", tmp_path / "x.pt2"
    begun = tmp_path.parent / "begun"
    begun.mkdir(exist_ok=True)
    (begun / "spec.yaml").write_text((run / "spec.yaml").read_text())
    for words, sentence in [
        ((begun, "-o", out), f"has no checkpoint yet; {begun / 'spec.yaml'} is its network"),
        ((run, "-o", tmp_path / "x.h5"), "end the file's name in .py, .pt2, .onnx,"),
        ((run, "-o", out, "-o", out), "given twice; name each file once"),
        ((run, "--features", "-o", out), "only a .py file has forward_features"),
        ((run, "--fold", "-o", tmp_path / "x.yaml"), "no spec says a folded batch norm"),
        (
            (run, "--classes", "3", "-o", out),
            "with classes=3, fc.weight is (3, 16), and its weights have (10, 16)",
        ),
        (
            (trained, "-o", out),
            "a folder without spec.yaml, with runs in it (run): name one of them",
        ),
        ((tmp_path, "-o", out), "a folder without spec.yaml; give a spec file or a run folder"),
        ((tmp_path / "no.safetensors", "-o", out), "no such file"),
        (("digits/resnet20", "--classes", "99999999", "-o", out), "--with classes=99999999: "),
        (("imagenet/resnet18", "--fold", "--name", "a/b"), "--with name=a/b: name: "),
        (("bit/resnetv2_101x1_bit", "--fold"), "no batch norm"),
    ]:
        result = build(*words)
        assert isinstance(result.exception, UserError), (words, result.output)
        assert sentence in str(result.exception)
    assert not list(tmp_path.iterdir())


def test_what_onnx_needs_is_said_before_any_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def find(name: str) -> object:
        return None if name == "onnxscript" else object()

    monkeypatch.setattr(forms, "find_spec", find)
    result = build("no-such-network", *to(tmp_path, "a.onnx"))
    assert str(result.exception) == (
        f"{tmp_path / 'a.onnx'}: onnxscript is not installed, which ONNX files are written or "
        "checked with; pip install 'resgen[onnx]'"
    )
    assert not isinstance(build("digits/resnet20", *to(tmp_path, "a.json")).exception, UserError)


# ---- whole or absent


@pytest.mark.parametrize("form", [".pt2", pytest.param(".onnx", marks=needs_onnx), ".safetensors"])
def test_a_check_that_misses_its_tolerance_writes_nothing(
    form: str, trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    difference = compare.difference
    monkeypatch.setattr(compare, "difference", lambda *given: difference(*given) + 0.01)
    result = build(trained / "tiny.yaml", *to(tmp_path, f"a{form}", "a.py"))
    assert isinstance(result.exception, CheckFailed)
    assert result.exception.exit_code == 1
    assert f"a{form}: not written, as a check fails: " in str(result.exception)
    assert not list(tmp_path.iterdir())


def test_a_program_that_fails_with_so_many_images_is_not_written(
    trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fixed(module: nn.Module, plan: Plan) -> torch.export.ExportedProgram:
        return torch.export.export(module, (torch.zeros(2, *plan.input),))

    monkeypatch.setattr(tracing, "export", fixed)
    result = build(trained / "tiny.yaml", *to(tmp_path, "a.pt2"))
    assert isinstance(result.exception, CheckFailed)
    assert "torch.export.load reads it, and fails with 1 image: " in str(result.exception)
    assert not list(tmp_path.iterdir())


INTERRUPTED = """
import os, sys
import resgen.files
from resgen.cli import main
def stopped(*_):
    raise {error}
os.{call} = stopped
sys.argv = ["resgen", "build", "digits/resnet20", "--force", *sys.argv[1:]]
main()
"""


@pytest.mark.parametrize(
    ("call", "error", "code", "said"),
    [
        ("fsync", "OSError(28, 'No space left on device')", 2, "cannot be written: No space left"),
        ("replace", "KeyboardInterrupt", 130, ""),
    ],
)
def test_no_half_file_stays(call: str, error: str, code: int, said: str, tmp_path: Path) -> None:
    (tmp_path / "a.safetensors").write_text("as it was")
    done = subprocess.run(
        [sys.executable, "-c", INTERRUPTED.format(error=error, call=call),
         *to(tmp_path, "a.safetensors")],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == code, done.stderr
    assert said in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["a.safetensors"]
    assert (tmp_path / "a.safetensors").read_text() == "as it was"
