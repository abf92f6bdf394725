"""The emitted file: what a good engineer would have written, and the same network to the bit."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import torchvision.models
from torch import nn
from typer.testing import CliRunner

from resgen import build_module, emit_source, load_spec, resolve
from resgen.cli import app
from resgen.spec import Spec
from resgen.spec.shipped import names

HE2015 = [n for n in names() if n.split("/")[0] in ("cifar", "imagenet", "digits")]
TORCHVISION = ["resnet18", "resnet34", "resnet50", "resnet101", "resnet152"]


@pytest.fixture(scope="module")
def emitted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Every shipped network as a file."""
    folder = tmp_path_factory.mktemp("emitted")
    for name in names():
        source = emit_source(resolve(load_spec(name)))
        (folder / f"{name.replace('/', '__').replace('-', '_')}.py").write_text(source)
    return folder


def tool(*command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", *command], capture_output=True, text=True, check=False
    )


def test_every_emitted_file_passes_the_linter_and_is_formatted(emitted: Path) -> None:
    checked = tool("ruff", "check", "--isolated", "--select", "E4,E7,E9,F,I,UP,B", str(emitted))
    assert checked.returncode == 0, checked.stdout
    formatted = tool("ruff", "format", "--isolated", "--diff", str(emitted))
    assert formatted.returncode == 0, formatted.stdout


def test_every_emitted_file_passes_the_type_checker(emitted: Path) -> None:
    files = [str(path) for path in emitted.glob("*.py")]
    checked = tool("mypy", "--config-file=", "--disallow-untyped-defs", *files)
    assert checked.returncode == 0, checked.stdout


LONG = ("GlobalContext", "ChannelAttention", "SpatialAttention", "FilterResponseNorm2d")


@pytest.mark.parametrize("name", names())
def test_an_emitted_file_is_short_and_needs_only_torch(name: str) -> None:
    plan = resolve(load_spec(name))
    source = emit_source(plan)
    # Pruned networks, each block with widths of its own, need a line more for each block; paths
    # of their own, a class for each; so need layers made of others that torch does not have.
    irregular = [stage for stage in plan.stages if len(stage.runs) > 2]
    own = load_spec(name).define
    most = 200 + 30 * len(own) if own else 150
    most += 15 * sum(source.count(f"\nclass {part}(") for part in LONG)
    assert len(source.splitlines()) < most + sum(stage.depth for stage in irregular)
    assert max(map(len, source.splitlines())) <= 88
    tree = ast.parse(source)
    modules = {
        (node.module if isinstance(node, ast.ImportFrom) else node.names[0].name).split(".")[0]
        for node in ast.walk(tree)
        if isinstance(node, ast.Import | ast.ImportFrom)
    }
    assert modules == {"torch"}
    assert not any(isinstance(node, ast.Lambda) for node in ast.walk(tree))


def test_a_deeper_network_is_no_longer_file() -> None:
    codes = set()
    for depth in (20, 56, 110, 1202):
        source = emit_source(resolve(load_spec(f"cifar/resnet{depth}")))
        docstring = ast.get_docstring(ast.parse(source), clean=False)
        codes.add(len(source.replace(str(docstring), "").splitlines()))
    assert len(codes) == 1


FRESH = """
import importlib.util, sys, torch
spec = importlib.util.spec_from_file_location("net", sys.argv[1])
net = importlib.util.module_from_spec(spec)
spec.loader.exec_module(net)
assert not any(name.split(".")[0] == "resgen" for name in sys.modules)
(name,) = net.__all__
torch.set_num_threads(int(sys.argv[5]))
model = getattr(net, name)().eval()
weights = torch.load(sys.argv[2], weights_only=True)
assert list(model.state_dict()) == list(weights)
model.load_state_dict(weights)
x = torch.load(sys.argv[3], weights_only=True)
with torch.no_grad():
    torch.save(model(x), sys.argv[4])
"""


@pytest.mark.parametrize("name", ["cifar/resnet20", "cifar/plain20", "imagenet/resnet50"])
def test_a_fresh_interpreter_rebuilds_the_network_bit_for_bit(name: str, tmp_path: Path) -> None:
    spec = load_spec(name)
    file = tmp_path / "net.py"
    done = CliRunner().invoke(app, ["build", name, "-o", str(file)])
    assert done.exit_code == 0, done.output
    module = build_module(spec).eval()
    x = torch.randn(2, spec.input.channels, *spec.input.size)
    torch.save(module.state_dict(), tmp_path / "weights.pt")
    torch.save(x, tmp_path / "x.pt")
    paths = [str(tmp_path / part) for part in ("net.py", "weights.pt", "x.pt", "y.pt")]
    # The number of threads decides the order of a sum, and so its last bit.
    threads = str(torch.get_num_threads())
    fresh = subprocess.run(
        [sys.executable, "-c", FRESH, *paths, threads], cwd=tmp_path, capture_output=True, text=True
    )
    assert fresh.returncode == 0, fresh.stderr
    with torch.no_grad():
        assert torch.equal(torch.load(tmp_path / "y.pt", weights_only=True), module(x))


def randomize(module: nn.Module) -> None:
    """Weights and running statistics that no two layers share."""
    generator = torch.Generator().manual_seed(0)
    for tensor in module.state_dict().values():
        if tensor.is_floating_point():
            tensor.copy_(torch.rand(tensor.shape, generator=generator) + 0.5)
            if tensor.dim() > 1:
                tensor.sub_(1.0).mul_((2 / tensor[0].numel()) ** 0.5)


@pytest.mark.parametrize("name", TORCHVISION)
def test_torchvisions_weights_load_and_give_the_same_outputs(name: str) -> None:
    theirs = getattr(torchvision.models, name)(weights=None).eval()
    ours = build_module(f"imagenet/{name}").eval()
    assert list(ours.state_dict()) == list(theirs.state_dict())
    randomize(theirs)
    ours.load_state_dict(theirs.state_dict())
    x = torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        expected = theirs(x)
        assert expected.isfinite().all()
        assert (ours(x) - expected).abs().max() == 0.0
    theirs.load_state_dict(ours.state_dict())


def test_features_are_the_outputs_of_stem_and_stages() -> None:
    plain, module = (build_module("cifar/resnet20", features=f).eval() for f in (False, True))
    module.load_state_dict(plain.state_dict())
    x = torch.randn(2, 3, 32, 32)
    features = module.forward_features(x)  # type: ignore[operator]
    shapes = [tuple(f.shape[1:]) for f in features]
    assert shapes == [(16, 32, 32), (16, 32, 32), (32, 16, 16), (64, 8, 8)]
    assert torch.equal(module(x), plain(x))


def test_what_a_spec_can_hold_does_not_reach_the_file_as_code(tmp_path: Path) -> None:
    text = (Path(__file__).parents[2] / "specs/cifar/resnet20.yaml").read_text()
    for number, name in enumerate(("class", "None", "Tensor", "nn", "9lives", "a-b c.d+e", "F")):
        path = tmp_path / f"spec{number}.yaml"
        path.write_text(text.replace("name: resnet20", f"name: {name!r}"))
        namespace: dict[str, object] = {}
        exec(emit_source(resolve(load_spec(path))), namespace)
        (made,) = namespace["__all__"]  # type: ignore[misc]
        assert made.isidentifier()
        assert namespace[made]() is not None  # type: ignore[operator]


def test_an_output_that_exists_is_kept_unless_forced(tmp_path: Path) -> None:
    file = tmp_path / "net.py"
    file.write_text("mine")
    done = CliRunner().invoke(app, ["build", "resnet50", "-o", str(file)])
    assert done.exit_code != 0
    assert file.read_text() == "mine"
    done = CliRunner().invoke(app, ["build", "resnet50", "-o", str(file), "--force"])
    assert done.exit_code == 0
    assert "class ResNet50" in file.read_text()


@pytest.mark.parametrize("first", ["gated-shortcut", "scaled", "dropout", "gated"])
def test_stages_with_other_shortcuts_keep_the_names_of_the_plan(first: str) -> None:
    stages = [
        {"depth": 2, "width": 16, "shortcut": first},
        {"depth": 2, "width": 32, "stride": 2, "shortcut": "projection"},
    ]
    spec = Spec.model_validate(
        {
            "name": "mixed",
            "input": {"size": 16},
            "stem": {"kind": "conv3x3", "width": 16},
            "block": "basic",
            "stages": stages,
            "classes": 10,
        }
    )
    plan = resolve(spec)
    built = {name for name, _ in build_module(plan).named_parameters()}
    assert built == {name for name, _ in plan.named_parameters()}
