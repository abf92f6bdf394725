"""Fine-tuning: what is frozen stays to the bit, rates are whose they are, and runs go on."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import torchvision
from PIL import Image
from torch import Tensor
from torchvision.transforms.v2 import functional as F

from resgen.errors import Interrupted, UserError
from resgen.tensors import checkpoint
from resgen.train.data.feed import Piece
from resgen.train.data.preparing import Normal
from resgen.train.run import metrics, runs
from resgen.train.run.metrics import without_times
from resgen.train.run.network import load
from tests.train.run.test_resume import EVERYTHING, StopAt, assert_equal_bits
from tests.training import typed

Make = Callable[..., runs.Job]

TUNED: dict[str, Any] = {
    "optimizer": {
        "kind": "adamw", "lr": 0.01, "weight_decay": 0.02, "decay": "weights",
        "layer_decay": 0.7, "head_rate": 3.0,
    },
    "freeze": ["stem", "layer1"],
}  # fmt: skip


def state(job: runs.Job) -> dict[str, Any]:
    return checkpoint.load(job.settings.out / "last.pt")


@pytest.fixture
def first(job: Make) -> Path:
    """A run of two epochs to start from."""
    made = job("first")
    runs.train(made)
    return made.settings.out / "last.pt"


def parts(weights: dict[str, Tensor], *prefixes: str) -> dict[str, Tensor]:
    return {name: value for name, value in weights.items() if name.startswith(prefixes)}


@pytest.mark.parametrize(
    "more",
    [
        {},
        {"recompute": "blocks"},
        {"recipe": {"ema": {"decay": 0.9}, "precise_bn": 2, "accumulate": 2}},
        {"recipe": {"freeze": ["layer2", "head"]}},
    ],
    ids=["plain", "recomputed", "averaged", "behind"],
)
def test_what_is_frozen_keeps_its_bits(job: Make, first: Path, more: dict[str, Any]) -> None:
    more = dict(more)
    recipe = {**TUNED, **more.pop("recipe", {})}
    made = job("tuned", recipe_=recipe, init_from=first, **more)
    runs.train(made)
    before, after = checkpoint.load(first)["model"], state(made)
    behind = recipe["freeze"] == ["layer2", "head"]
    frozen = ("layer2", "fc") if behind else ("conv1", "bn1", "layer1")
    kept = parts(before, *frozen)
    assert "running_mean" in " ".join(kept)
    for name, value in kept.items():
        assert torch.equal(after["model"][name], value), name
        if after["average"] is not None and not name.endswith("tracked"):
            assert torch.equal(after["average"][f"module.{name}"], value), name
    moved = {name for name in before if not torch.equal(before[name], after["model"][name])}
    assert moved == before.keys() - kept.keys()
    # Neither state nor a group is there for what is frozen.
    names = dict(made.networks[0].parameters)
    count = len(names) - len([name for name in names if name in kept])
    assert len(after["optimizer"]["state"]) == count
    assert sum(len(group["params"]) for group in after["optimizer"]["param_groups"]) == count


def test_frozen_norms_are_those_of_evaluation_in_every_step(job: Make, first: Path) -> None:
    """With all but the classifier frozen, a step is logistic regression on fixed features."""
    optimizer = {"lr": 0.1, "momentum": 0.0}
    recipe = {
        "optimizer": optimizer, "freeze": "backbone", "length": "3 steps",
        "schedule": {"kind": "constant"}, "augment": {"crop": "none", "flip": "none"},
    }  # fmt: skip
    made = job("probe", recipe_=recipe, init_from=first)
    network = made.networks[0]
    setup = runs.made_ready(made, network, {})
    module = network.module(0)
    network.init(module, first, "auto")
    module.eval()
    weight, bias = (p.detach().clone() for p in (module.fc.weight, module.fc.bias))
    features = torch.nn.Sequential(*[m for n, m in module.named_children() if n != "fc"])
    for step in range(3):
        (batch,) = setup.feed.train([Piece(step, range(128))])
        with torch.no_grad():
            x = features(batch.images).flatten(1)
            error = (x @ weight.T + bias).softmax(1)
            error[torch.arange(128), batch.labels] -= 1
            weight -= 0.1 * error.T @ x / 128
            bias -= 0.1 * error.mean(0)
    runs.train(made)
    after = state(made)["model"]
    assert torch.allclose(after["fc.weight"], weight, atol=1e-5)
    assert torch.allclose(after["fc.bias"], bias, atol=1e-6)


def test_each_part_moves_by_its_own_rate(job: Make, first: Path) -> None:
    """One step of plain SGD: w - rate x scale x gradient, the gradient being the same."""
    recipe = {"length": "1 steps", "schedule": {"kind": "constant"}}

    def step(out: str, **optimizer: Any) -> dict[str, Tensor]:
        made = job(
            out,
            recipe_={**recipe, "optimizer": {"lr": 0.1, "momentum": 0.0, **optimizer}},
            init_from=first,
        )
        runs.train(made)
        rows = metrics.read(made.settings.out)
        assert rows[-1]["rate"] == pytest.approx(0.1, rel=1e-12)
        after: dict[str, Tensor] = state(made)["model"]
        return after

    before = checkpoint.load(first)["model"]
    plain, scaled = step("plain"), step("scaled", layer_decay=0.5, head_rate=4.0)
    for prefix, share in (("conv1", 1 / 8), ("layer1", 1 / 4), ("layer2", 1 / 2), ("fc", 4.0)):
        for name in (n for n, _ in load(str(first)).parameters if n.startswith(prefix)):
            moved = plain[name] - before[name]
            assert torch.allclose(scaled[name] - before[name], share * moved, atol=1e-6), name


@pytest.mark.parametrize("step", [5, 11])
@pytest.mark.parametrize("kind", ["tuned", "everything"])
def test_a_tuned_run_stopped_and_resumed_has_the_same_bits(
    job: Make, first: Path, step: int, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = TUNED if kind == "tuned" else {**EVERYTHING, **TUNED}
    whole = job("whole", recipe_=recipe, init_from=first)
    runs.train(whole)
    with monkeypatch.context() as patch:
        stop = StopAt(step, patch)
        patch.setattr(runs, "Stop", lambda: stop)
        with pytest.raises(Interrupted):
            runs.train(job("cut", recipe_=recipe, init_from=first))
    # The weights are not asked for again: the checkpoint has them, and how images were normalised.
    first.rename(first.with_name("gone.pt"))
    cut = job("cut", recipe_=recipe, init_from=first, start="resume")
    runs.train(cut)
    assert_equal_bits(state(whole), state(cut))
    rows = [without_times(metrics.read(each.settings.out)) for each in (whole, cut)]
    assert rows[0] == rows[1]


def test_a_checkpoint_from_before_these_keys_goes_on(job: Make) -> None:
    made = job("old", recipe_={"length": "1 epochs"})
    runs.train(made)
    saved = state(made)
    for key in ("freeze", "precise_bn"):
        del saved["recipe"][key]
    for key in ("head_rate", "layer_decay"):
        del saved["recipe"]["optimizer"][key]
    for group in saved["optimizer"]["param_groups"]:
        del group["lr_scale"]
    (made.settings.out / "result.json").unlink()
    checkpoint.save({k: v for k, v in saved.items() if k != "sha256"}, made.settings.out)
    runs.train(job("old", recipe_={"length": "1 epochs"}, start="resume"))
    assert (made.settings.out / "result.json").is_file()


# ---- what the data and the weights offer


def flowers(path: Path, classes: int = 3, *, mode: str = "L", size: int = 8) -> str:
    for label in range(classes):
        place = path / "train" / f"class{label}"
        place.mkdir(parents=True)
        for number in range(40):
            image = Image.effect_noise((size, size), 10 + 60 * label)
            image.convert(mode).save(place / f"{number}.png")
    return f"folder:{path}"


SHORT = ("--set", "batch=16", "--epochs", "1", "--device", "cpu")


def test_the_datas_classes_are_taken_where_weights_are_given(
    first: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    data = flowers(tmp_path / "flowers")
    words = (str(tmp_path / "tiny.yaml"), "--data", data, *SHORT)
    with pytest.raises(UserError, match=r"3 classes and the network 10; .* --with classes=3"):
        typed(*words, "--out", "none")
    tune = (*words, "--init-from", str(first))
    typed(*tune, "--plan")
    line = "note: tiny: 3 classes in place of 10, as folder:flowers has them"
    plan = capsys.readouterr()
    assert line in plan.err
    assert "a new classifier (fc.weight, fc.bias), not the file's of 10 classes" in plan.out
    assert "images normalised as digits was there: mean " in plan.out
    typed(*tune, "--out", "tuned")
    said = capsys.readouterr().err
    assert line in said
    assert "a new classifier" in said
    tuned = checkpoint.load(Path("tuned/last.pt"))
    assert tuned["network"]["classes"] == 3
    assert len(tuned["data"]["classes"]) == 3
    assert tuned["data"]["mean"] == checkpoint.load(first)["data"]["mean"]
    typed(*tune, "--out", "tuned", "--resume")
    for more in (("--with", "classes=7"), ("--with", "classes=10")):
        with pytest.raises(UserError, match="3 classes and the network"):
            typed(*tune, *more, "--out", "none")
    with pytest.raises(UserError, match="--head drop starts the classifier anew"):
        typed(*tune, "--head", "keep", "--out", "none")
    typed(*tune, "--normalize", "data", "--out", "own")
    own = checkpoint.load(Path("own/last.pt"))["data"]
    assert own["mean"] != tuned["data"]["mean"]
    assert "the data's own mean" in capsys.readouterr().err


IMAGENET = ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225])
COLOUR = """
name: small
input: {channels: 3, size: 8}
stem: {kind: conv3x3, width: 8}
block: basic
shortcut: identity
stages: [{depth: 1, width: 8}]
"""


@pytest.mark.parametrize(
    ("classes", "more", "mode", "expected"),
    [
        (1000, (), "RGB", IMAGENET),
        (1000, (), "L", IMAGENET),
        (1000, ("--with", "input.channels=1"), "L", ([0.449], [0.226])),
        (10, (), "RGB", None),
    ],
)
def test_foreign_weights_of_imagenets_classes_have_its_statistics(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
    classes: int, more: tuple[str, ...], mode: str, expected: Any,
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    Path("small.yaml").write_text(f"{COLOUR}classes: {classes}\n")
    torch.save(load("small.yaml").module(0).state_dict(), "weights.pth")
    data = flowers(tmp_path / "flowers", mode=mode)
    typed("small.yaml", *more, "--data", data, *SHORT, "--init-from", "weights.pth", "--out", "run")
    found = checkpoint.load(Path("run/last.pt"))["data"]
    said = capsys.readouterr().err
    if expected is None:
        assert "its classes are not ImageNet's" in said
        assert len(found["mean"]) == 3
        assert found["mean"] != IMAGENET[0]
        return
    assert "ImageNet" in said
    assert found["mean"] == pytest.approx(expected[0])
    assert found["std"] == pytest.approx(expected[1])


def test_grey_is_spread_before_it_is_normalised_by_the_statistics_of_colour() -> None:
    pixels = torch.randint(0, 256, (2, 1, 5, 5), dtype=torch.uint8)
    mean, std = map(tuple, IMAGENET)
    normal = Normal.of(
        mean, std, channels=3, device=torch.device("cpu"), layout=torch.contiguous_format
    )
    found = normal(pixels)
    theirs = F.normalize(pixels.float().div(255).expand(-1, 3, -1, -1), *IMAGENET)
    assert torch.allclose(found, theirs, atol=1e-5)


# ---- what a reference names


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """torch's folder for downloads, and torchvision's ResNet-18 weights at a file:// address."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    model = torchvision.models.resnet18()
    torch.save(model.state_dict(), tmp_path / "source.pth")
    sha = hashlib.sha256((tmp_path / "source.pth").read_bytes()).hexdigest()[:8]
    source = tmp_path / f"resnet18-{sha}.pth"
    (tmp_path / "source.pth").rename(source)
    entry = torchvision.models.ResNet18_Weights.IMAGENET1K_V1
    monkeypatch.setattr(entry.value, "url", source.as_uri())
    return tmp_path / "home" / "hub" / "checkpoints" / source.name


REFER = ("resnet18", "--with", "input.size=32", "--data", "folder:flowers", *SHORT)


def test_the_weights_that_a_reference_names_are_fetched_once_and_only_when_allowed(
    hub: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    flowers(Path("flowers"), mode="RGB", size=32)
    words = (*REFER, "--init-from", "reference", "--out", "run", "--set", "length=1 steps")
    words = tuple(w for w in words if w not in ("--epochs", "1"))
    for more in ((), ("--plan",)):
        with pytest.raises(UserError, match=r"are not there; add --download to fetch them"):
            typed(*words, *more)
    typed(*words, "--plan", "--download")
    assert (
        "starts from torchvision resnet18, IMAGENET1K_V1, fetched first" in capsys.readouterr().out
    )
    assert not hub.exists()
    typed(*words, "--download")
    assert hub.exists()
    said = capsys.readouterr().err
    assert "torchvision resnet18, IMAGENET1K_V1: loaded " in said
    assert "images normalised as torchvision resnet18, IMAGENET1K_V1, was: mean 0.485, " in said
    theirs = torch.load(hub, weights_only=True)
    first = json.loads(Path("run/metrics.jsonl").read_text().splitlines()[0])
    assert first["step"] == 1
    saved = checkpoint.load(Path("run/previous.pt"))
    assert saved["step"] == 0
    assert torch.equal(saved["model"]["conv1.weight"], theirs["conv1.weight"])
    assert saved["model"]["fc.weight"].shape == (3, 512)
    typed(*words, "--force")  # they are there now


def test_what_cannot_be_fetched_is_said(hub: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    flowers(Path("flowers"), mode="RGB", size=32)
    refer = ("--init-from", "reference", "--download", "--out", "run")
    source = Path(torchvision.models.ResNet18_Weights.IMAGENET1K_V1.url.removeprefix("file://"))
    held = source.read_bytes()
    source.write_bytes(held[:1000])
    with pytest.raises(UserError, match=r"--download: torchvision resnet18, .* invalid hash"):
        typed(*REFER, *refer)
    source.unlink()
    with pytest.raises(UserError, match=r"could not be fetched from file://.*: .*No such file"):
        typed(*REFER, *refer)
    with pytest.raises(UserError, match="has no such weights; it has IMAGENET1K_V1"):
        typed(*REFER, "--init-from", "reference:V9", "--download", "--out", "run")
    with pytest.raises(UserError, match=r"seresnet18 names timm:seresnet18 only, and what is "):
        typed("seresnet18", *REFER[1:], *refer)
    Path("own.yaml").write_text(f"{COLOUR}classes: 3\n")
    with pytest.raises(UserError, match="small has no reference"):
        typed("own.yaml", "--data", "folder:flowers", *SHORT, *refer)
    assert not hub.exists()


def test_a_part_that_is_not_there_is_refused_before_anything_is_written(
    tiny: Callable[..., str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for more in ((), ("--plan",)):
        with pytest.raises(UserError, match="freeze: layer9 is nothing that tiny trains"):
            typed(tiny(), "--set", "freeze=[stem, layer9]", "--out", "run", *more)
    assert not Path("run").exists()
