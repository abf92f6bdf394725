"""Files of weights -> specs: every shipped network goes round; what tensors leave open is said."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import timm
import torch
import torchvision
from safetensors.torch import load_file
from torch import nn
from typer.testing import CliRunner

from resgen import build_module, load_spec, resolve
from resgen.cli import app
from resgen.errors import UserError
from resgen.plan import Plan
from resgen.spec import Spec, shipped
from resgen.spec.loading import resolved_data
from resgen.weights import identified, load_weights
from resgen.weights.identify import identify
from resgen.weights.shapes import COUNTER, tensors_of
from resgen.weights.structure import Read, network

Shapes = dict[str, tuple[int, ...]]


@cache
def spec_of(name: str) -> Spec:
    return load_spec(name)


def own_blocks(name: str) -> bool:
    """Whether the network has blocks, or anything else in its stages, that no word says."""
    spec = spec_of(name)
    words = {block.block.name for stage in spec.stage_settings for block in stage}
    return not words <= {"basic", "bottleneck"} or any(stage.before for stage in spec.stages)


READ = [name for name in shipped.names() if not own_blocks(name)]
COMPARED = [name for name in shipped.names() if own_blocks(name)]


def same(plan: Plan, other: Plan) -> bool:
    """Whether two Plans are one but for what they are called."""
    return dataclasses.replace(plan, name="x") == dataclasses.replace(other, name="x")


def filled(read: Read, truth: Spec) -> Spec:
    """What was read of tensors, with the truth at just those keys that are assumed."""
    keys: dict[str, Any] = resolved_data(load_spec({"name": "read", **read.keys}))
    right = resolved_data(truth)
    for path in read.assumed:
        head, _, rest = path.partition(".")
        if head == "stages":
            for stage, true in zip(keys["stages"], right["stages"], strict=True):
                stage[rest] = true[rest]
        elif not rest or not isinstance(right.get(head, {}), dict):
            for level, true in zip((keys, *keys["stages"]), (right, *right["stages"]), strict=True):
                level.pop(head, None)
                level.update({head: true[head]} if head in true else {})
        elif rest in right.get(head, {}):
            keys.setdefault(head, {})[rest] = right[head][rest]
    return load_spec(keys)


def test_most_shipped_networks_are_read_and_not_compared() -> None:
    assert len(READ) > 200
    assert len(COMPARED) > 100


@pytest.mark.parametrize("name", READ)
def test_tensors_alone_say_all_but_what_is_assumed(name: str) -> None:
    truth = resolve(spec_of(name))
    read = network(tensors_of(truth))
    assert tensors_of(resolve(load_spec({"name": "read", **read.keys}))) == tensors_of(truth)
    assert same(resolve(filled(read, spec_of(name))), truth)
    assert "classes" not in read.assumed
    assert "stages.width" not in read.assumed


@pytest.mark.parametrize("name", shipped.names())
def test_every_shipped_network_goes_round(name: str) -> None:
    plan = resolve(spec_of(name))
    found = identify(tensors_of(plan), "weights.pth", "found")
    assert tensors_of(resolve(found.spec)) == tensors_of(plan)
    if found.like == name:
        assert same(resolve(found.spec), plan)
    else:  # another has the same tensors: it is named, with every key in which they differ
        assert dict(found.others)[name]
    if name in READ:
        assert found.found == "read"
        keys = dict(found.others).get(name, ())
        assert all(any(key.startswith(each) for each in found.assumed) for key in keys)


def shapes_of(module: nn.Module) -> Shapes:
    return {name: tuple(value.shape) for name, value in module.state_dict().items()}


@pytest.mark.parametrize(
    "name",
    ["resnet18", "cifar/resnet20", "preact/resnetv2_50d_frn", "preact/resnetv2_50d_evos",
     "cbam_resnet18", "gcresnet50t", "clip/resnet50_clip", "convnext_atto", "resnet50_gn",
     "nf_resnet26", "ecaresnet50d_pruned", "skresnet18", "dla34", "repvgg_a0"],
)  # fmt: skip
def test_the_closed_form_has_the_tensors_of_the_module(name: str) -> None:
    plan = resolve(spec_of(name))
    with torch.device("meta"):
        module = build_module(plan)
    given = {k: shape for k, shape in shapes_of(module).items() if not k.endswith(COUNTER)}
    assert tensors_of(plan) == given


TIMM = {
    "resnet50d": ("read", "resnetd/resnet50d"),
    "resnet10t": ("read", "resnetd/resnet10t"),
    "seresnext26d_32x4d": ("read", "senet/seresnext26d_32x4d"),
    "ecaresnet50t": ("read", "ecanet/ecaresnet50t"),
    "resnetrs50": ("read", "resnetrs/resnetrs50"),
    "resnetv2_50": ("read", "preact/resnetv2_50"),
    "resnetv2_50d_gn": ("read", "preact/resnetv2_50d_gn"),
    "resnetv2_50d_frn": ("read", "preact/resnetv2_50d_frn"),
    "resnetv2_50d_evos": ("read", "preact/resnetv2_50d_evos"),
    "resnetv2_50x1_bit": ("read", "bit/resnetv2_50x1_bit"),
    "regnety_040": ("read", "regnet/regnety_040"),
    "regnetz_005": ("read", "regnet/regnetz_005"),
    "regnetv_040": ("read", "regnet/regnetv_040"),
    "gcresnet50t": ("read", "gcnet/gcresnet50t"),
    "eca_resnet33ts": ("read", "ecanet/eca_resnet33ts"),
    "resnet50_gn": ("read", "imagenet/resnet50_gn"),
    "mobilenetv2_100": ("order", "mobilenet/mobilenet_v2"),
    "efficientnet_lite0": ("order", "efficientnet/efficientnet_lite0"),
    "convnext_atto": ("shapes", "convnext/convnext_atto"),
    "res2net50_26w_4s": ("shapes", "res2net/res2net50_26w_4s"),
    "nf_resnet50": ("shapes", "nfnet/nf_resnet50"),
    "dla34": ("order", "dla/dla34"),
    "gernet_m": ("shapes", "genet/gernet_m"),
}


@pytest.mark.parametrize("name", TIMM)
def test_networks_of_timm_are_found(name: str) -> None:
    with torch.device("meta"):
        shapes = shapes_of(timm.create_model(name))
    found = identify(shapes, f"{name}.pth", name)
    assert (found.found, found.like) == TIMM[name]
    assert same(resolve(found.spec), resolve(spec_of(found.like)))


TORCHVISION = {
    "resnet18": ("read", "imagenet/resnet18"),
    "resnet50": ("read", "imagenet/resnet50"),
    "wide_resnet50_2": ("read", "wide/wide_resnet50_2"),
    "resnext50_32x4d": ("read", "resnext/resnext50_32x4d"),
    "regnet_y_400mf": ("read", "regnet/regnet_y_400mf"),
    "mobilenet_v3_small": ("order", "mobilenet/mobilenet_v3_small"),
}


@pytest.mark.parametrize("name", TORCHVISION)
def test_networks_of_torchvision_are_found(name: str) -> None:
    make: Callable[[], nn.Module] = getattr(torchvision.models, name)
    if name.startswith("regnet"):  # which cannot be made without values
        shapes = shapes_of(make())
    else:
        with torch.device("meta"):
            shapes = shapes_of(make())
    found = identify(shapes, f"{name}.pth", name)
    assert (found.found, found.like) == TORCHVISION[name]


def test_other_classes_and_channels_are_read_in_what_is_compared_too() -> None:
    with torch.device("meta"):
        shapes = shapes_of(timm.create_model("mobilenetv2_100", num_classes=7, in_chans=4))
    found = identify(shapes, "w.pth", "w")
    assert found.like == "mobilenet/mobilenet_v2 with input.channels=4 and classes=7"
    assert (found.spec.classes, found.spec.input.channels) == (7, 4)


# Networks that nobody ships, as keys of a spec: read back to the same Plan.
OWN: dict[str, dict[str, Any]] = {
    "gated": {"shortcut": "gated"},
    "gated shortcut": {"shortcut": "gated-shortcut"},
    "all projected, preact": {"shortcut": "projection-all", "order": "preact"},
    "own groups": {"groups": 4, "mid_width": 24},
    "squeezed of the input": {"attention": {"kind": "se", "ratio": 0.5, "ratio_of": "input",
                                            "divisor": 1}},
    "squeezed without biases": {"attention": {"kind": "se", "bias": False}},
    "small cbam": {"attention": {"kind": "cbam", "ratio": 0.25, "kernel": 3}},
    "no norm": {"norm": "none"},
    "prelu": {"activation": "prelu"},
    "instance-batch": {"norm": {"kind": "instance-batch", "share": 0.25}},
    "layer": {"norm": "layer"},
    "evonorm": {"norm": "evonorm-b0"},
    "biases": {"bias": True},
    "scaled": {"convolution": "scaled"},
    "bare": {"classes": 0},
    "deep": {"stem": {"kind": "deep-tiered", "width": 32}},
    "one kernel of its own": {"stem": [{"conv": 5, "width": 32, "stride": 2}, "norm", "act"]},
    "head": {"head": {"width": 80}},
    "final activation": {"order": "preact", "head": {"final_activation": "none"}},
    "first activations": {"order": "preact",
                          "stem": {"kind": "conv3x3", "width": 32, "first_activation": "both"}},
    "a linear layer without biases": {
        "head": ["global-pool", "flatten", {"linear": "classes", "bias": False}]},
    "grey": {"input": {"channels": 1, "size": 32}},
    "blocks of their own": {"stages": [
        {"width": 64, "blocks": [{"mid_width": 8}, {"mid_width": 24}, {}]},
        {"depth": 1, "width": 96, "stride": 2}]},
    "widths that grow": {"shortcut": "projection",
                         "stages": [{"depth": 3, "width": {"start": 32, "end": 80, "round": 8}}]},
}  # fmt: skip


@pytest.mark.parametrize("kind", ["basic", "bottleneck"])
@pytest.mark.parametrize("own", OWN)
def test_networks_of_ones_own_are_read(own: str, kind: str) -> None:
    truth = load_spec(
        {
            "name": "own",
            "input": {"channels": 3, "size": 32},
            "stem": {"kind": "conv3x3", "width": 32},
            "block": kind,
            "shortcut": "projection",
            "stages": [{"depth": 2, "width": 64, "stride": 2}, {"depth": 1, "width": 96}],
            "classes": 10,
            **OWN[own],
        }
    )
    plan = resolve(truth)
    found = identify(tensors_of(plan), "own.pth", "own")
    assert (found.found, found.like) == ("read", "")
    assert ("activation" in found.assumed) == (own != "prelu")
    assert tensors_of(resolve(found.spec)) == tensors_of(plan)
    assert same(resolve(filled(network(tensors_of(plan)), truth)), plan)


@pytest.fixture
def published(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> nn.Module:
    """A network of torchvision's classes that nobody publishes; its weights lie in net.pth."""
    monkeypatch.chdir(tmp_path)
    torch.manual_seed(0)
    block = torchvision.models.resnet.Bottleneck
    model = torchvision.models.ResNet(block, [1, 2, 1, 1], num_classes=5, width_per_group=32)
    torch.save({"state_dict": model.state_dict()}, "net.pth")
    return model.eval()


def test_the_network_of_a_file_computes_what_its_own_did(published: nn.Module) -> None:
    found = identified(Path("net.pth"))
    module = build_module(resolve(found.spec))
    load_weights(module, resolve(found.spec), published.state_dict())
    images = torch.randn(2, 3, 64, 64)
    assert torch.equal(module.eval()(images), published(images))


def test_build_writes_the_spec_of_a_file_with_what_is_assumed(published: nn.Module) -> None:
    done = CliRunner().invoke(app, ["build", "net.pth", "-o", "net.yaml"])
    assert done.exit_code == 0, done.output
    text = Path("net.yaml").read_text()
    found = identified(Path("net.pth"))
    assert resolve(load_spec("net.yaml")) == resolve(found.spec)
    for key in ("size", "stride", "order", "activation", "norm"):
        assert re.search(rf"^ *(- )?{key}: .*# assumed", text, re.MULTILINE), key
    for key in ("depth", "width", "classes", "mid_width", "channels"):
        assert not re.search(rf"^ *(- )?{key}: .*# assumed", text, re.MULTILINE), key
    count = sum(not name.endswith(COUNTER) for name in published.state_dict())
    assert f"net.pth: {count} tensors, every one explained" in done.stdout
    assert "assumed, as tensors do not say it:" in done.stdout
    for key in ("input.size", "stages.stride", "order", "norm"):
        assert f"\n  {key} " in done.stdout


def test_build_writes_other_forms_of_such_a_file(published: nn.Module) -> None:
    wanted = ["-o", "net.py", "-o", "net.safetensors", "--with", "input.size=64"]
    done = CliRunner().invoke(app, ["build", "net.pth", *wanted])
    assert done.exit_code == 0, done.output
    assert "input.size" not in done.stdout  # it is said, and not assumed
    published.load_state_dict(load_file("net.safetensors"))


def test_weights_known_by_shapes_alone_are_not_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    state = build_module(resolve(spec_of("cifar/resnet20"))).state_dict()
    names = [f"tensor{i}.{name.rpartition('.')[2]}" for i, name in enumerate(state)]
    torch.save(dict(reversed(list(zip(names, state.values(), strict=True)))), "net.pth")
    done = CliRunner().invoke(app, ["build", "net.pth", "-o", "net.py"])
    assert done.exit_code == 0, done.output
    assert "found by comparing shapes, in any order" in " ".join(done.stdout.split())
    assert "say the network, but not which is which; the network alone is written" in done.stderr


def test_a_file_that_nothing_explains_writes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    torch.save(nn.Linear(2, 2).state_dict(), "net.pth")
    done = CliRunner().invoke(app, ["build", "net.pth", "-o", "net.yaml"])
    assert isinstance(done.exception, UserError)
    assert not Path("net.yaml").exists()
