"""Weights from files: every name accounted for, nothing left out silently."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import timm
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from resgen.errors import UserError
from resgen.plan import Plan, resolve
from resgen.source import emit_source
from resgen.source.module import build_module
from resgen.spec import Spec
from resgen.weights import KEY_MAPS, init_from, load_weights
from resgen.weights.keys import rename


def plan_of(**keys: Any) -> Plan:
    data: dict[str, Any] = {
        "name": "net",
        "input": {"channels": 3, "size": 8},
        "stem": {"kind": "conv3x3", "width": 4},
        "block": "basic",
        "shortcut": "projection",
        "stages": [{"depth": 1, "width": 8}],
        "classes": 5,
    }
    return resolve(Spec.model_validate({**data, **keys}))


def same(one: nn.Module, other: dict[str, Tensor]) -> bool:
    state = one.state_dict()
    return state.keys() == other.keys() and all(torch.equal(state[k], other[k]) for k in state)


@pytest.fixture
def weights() -> dict[str, Tensor]:
    torch.manual_seed(7)
    return build_module(plan_of()).state_dict()


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_a_file_gives_a_module_its_weights(
    suffix: str, weights: dict[str, Tensor], tmp_path: Path
) -> None:
    path = tmp_path / f"net{suffix}"
    save_file(weights, path) if suffix == ".safetensors" else torch.save(weights, path)
    module = build_module(plan_of())
    report = init_from(module, plan_of(), path)
    assert same(module, weights)
    assert set(report.loaded) == set(weights)
    assert report[2:5] == ((), (), ())


@pytest.mark.parametrize(
    "prefix", ["module.", "_orig_mod.", "module._orig_mod.", "_orig_mod.module."]
)
@pytest.mark.parametrize("holder", ["", "state_dict", "model"])
def test_wrappers_are_seen_through(
    prefix: str, holder: str, weights: dict[str, Tensor], tmp_path: Path
) -> None:
    wrapped: dict[str, Any] = {f"{prefix}{name}": value for name, value in weights.items()}
    content = {holder: wrapped, "epoch": 3} if holder else wrapped
    torch.save(content, tmp_path / "net.pth")
    module = build_module(plan_of())
    init_from(module, plan_of(), tmp_path / "net.pth")
    assert same(module, weights)


def test_a_compiled_module_takes_weights_too(weights: dict[str, Tensor]) -> None:
    module = torch.compile(build_module(plan_of()))
    load_weights(module, plan_of(), weights)
    assert same(module._orig_mod, weights)


def test_counters_of_batches_may_be_missing(weights: dict[str, Tensor]) -> None:
    old = {name: value for name, value in weights.items() if "num_batches" not in name}
    report = load_weights(build_module(plan_of()), plan_of(), old)
    assert report.missing == tuple(n for n in weights if "num_batches" in n)


REFUSED = {
    "another number of classes": (
        {"classes": 7},
        "f.pth: fc.weight is (5, 8) there and (7, 8) in net: another number of classes; "
        "--head drop starts the classifier anew",
    ),
    "another width": (
        {"stages": [{"depth": 1, "width": 12}]},
        "f.pth: layer1.0.conv1.weight is (8, 4, 3, 3) there and (12, 4, 3, 3) in net "
        "(15 more tensors differ): the file is of another network than net",
    ),
    "a deeper network": (
        {"stages": [{"depth": 2, "width": 8}]},
        "f.pth: has nothing for layer1.1.conv1.weight, layer1.1.bn1.weight, "
        "layer1.1.bn1.bias and 7 more",
    ),
    "no place for a shortcut": (
        {"shortcut": "none"},
        "f.pth: has layer1.0.downsample.0.weight, layer1.0.downsample.1.weight, "
        "layer1.0.downsample.1.bias and 3 more, for which net has no place",
    ),
    "a backbone": (
        {"classes": 0},
        "f.pth: has fc.weight, fc.bias, for which net has no place; "
        "--head drop leaves the classifier out",
    ),
}


@pytest.mark.parametrize(("keys", "sentence"), REFUSED.values(), ids=REFUSED.keys())
def test_what_does_not_fit_is_refused_and_changes_nothing(
    keys: dict[str, Any],
    sentence: str,
    weights: dict[str, Tensor],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    torch.save(weights, "f.pth")
    plan = plan_of(**keys)
    module = build_module(plan)
    before = {name: value.clone() for name, value in module.state_dict().items()}
    with pytest.raises(UserError) as caught:
        init_from(module, plan, Path("f.pth"))
    assert str(caught.value) == sentence
    assert same(module, before)


@pytest.mark.parametrize("classes", [0, 5, 7])
def test_a_dropped_head_keeps_its_own_weights(classes: int, weights: dict[str, Tensor]) -> None:
    plan = plan_of(classes=classes)
    module = build_module(plan)
    fresh = {name: value.clone() for name, value in module.state_dict().items()}
    report = load_weights(module, plan, weights, head="drop")
    assert report.unexpected == ("fc.weight", "fc.bias")
    for name, value in module.state_dict().items():
        assert torch.equal(value, fresh[name] if name.startswith("fc.") else weights[name])


def test_a_file_of_another_world_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    torch.save({"a": torch.zeros(1), "b": torch.zeros(1)}, "f.pth")
    with pytest.raises(UserError) as caught:
        init_from(build_module(plan_of()), plan_of(), Path("f.pth"))
    assert str(caught.value) == (
        "f.pth: none of its 2 names is one of net's: a, b there, "
        "conv1.weight, bn1.weight, bn1.bias and 19 more here"
    )


def test_weights_in_memory_are_checked_as_those_of_a_file(weights: dict[str, Tensor]) -> None:
    module = build_module(plan_of())
    before = {name: value.clone() for name, value in module.state_dict().items()}
    for value, reason in (
        (weights["fc.weight"].to(torch.int8), "is of torch.int8"),
        (weights["fc.weight"] * torch.nan, "is NaN or infinite in 40 of its 40 values"),
    ):
        with pytest.raises(UserError, match=f"^the weights: fc.weight {reason}"):
            load_weights(module, plan_of(), {**weights, "fc.weight": value})
    assert same(module, before)


def test_a_convolution_as_classifier_is_a_matrix() -> None:
    plan = plan_of(order="preact")
    module = build_module(plan)
    state = dict(module.state_dict())
    state["fc.weight"] = torch.arange(40.0).reshape(5, 8, 1, 1)
    load_weights(module, plan, state)
    assert torch.equal(module.fc.weight, torch.arange(40.0).reshape(5, 8))


@pytest.mark.parametrize(
    ("key_map", "theirs", "ours"),
    [
        ("as they are", "layer1.0.conv1.weight", "layer1.0.conv1.weight"),
        ("torchvision RegNet", "stem.1.running_var", "bn1.running_var"),
        (
            "torchvision RegNet",
            "trunk_output.block3.block3-11.f.b.0.weight",
            "layer3.11.conv2.weight",
        ),
        (
            "torchvision RegNet",
            "trunk_output.block1.block1-0.proj.1.bias",
            "layer1.0.downsample.1.bias",
        ),
        ("timm RegNet", "s2.b1.conv1.conv.weight", "layer2.0.conv1.weight"),
        ("timm RegNet", "s4.b12.se.fc2.bias", "layer4.11.se.fc2.bias"),
        ("timm RegNet", "final_conv.bn.weight", "head_bn.weight"),
        ("timm ResNetV2", "stages.0.blocks.2.norm3.weight", "layer1.2.bn3.weight"),
        (
            "timm ResNetV2",
            "stages.3.blocks.0.downsample.conv.weight",
            "layer4.0.downsample.0.weight",
        ),
        ("timm ResNetV2", "norm.running_mean", "final_bn.running_mean"),
    ],
)
def test_a_key_map_renames(key_map: str, theirs: str, ours: str) -> None:
    assert rename(theirs, KEY_MAPS[key_map]) == ours


def test_an_emitted_file_takes_a_librarys_weights(tmp_path: Path) -> None:
    """With nothing of resgen's around: torch.load and load_state_dict."""
    theirs = timm.create_model("resnet10t").eval()
    from resgen.spec import load_spec

    namespace: dict[str, Any] = {"__name__": "net"}
    exec(emit_source(resolve(load_spec("resnetd/resnet10t"))), namespace)
    ours = namespace["ResNet10T"]().eval()
    ours.load_state_dict(theirs.state_dict())
    images = torch.randn(1, 3, 64, 64)
    assert torch.equal(ours(images), theirs(images))


def test_names_that_do_not_agree_load_in_their_order_or_not_at_all() -> None:
    """MobileNetV2's file of torchvision, whose names are those of no resgen network."""
    plan = resolve(Spec.model_validate({**inverted(), "name": "mobile"}))
    module = build_module(plan)
    theirs = {f"features.{i}.{name}": value + 1 for i, (name, value) in enumerate(
        (n.rpartition(".")[2], v) for n, v in module.state_dict().items()
    )}  # fmt: skip
    before = [value.clone() for value in module.state_dict().values()]
    report = load_weights(module, plan, theirs)
    assert report.key_map == "in their order"
    after = module.state_dict()
    counted = [name for name in after if not name.endswith("num_batches_tracked")]
    assert set(report.loaded) == set(counted)
    for (name, now), then in zip(after.items(), before, strict=True):
        assert torch.equal(now, then + 1) == (name in counted)
    swapped = dict(theirs)
    first, second = list(theirs)[:2]
    swapped[first], swapped[second] = theirs[second], theirs[first]
    with pytest.raises(UserError, match="none of its"):
        load_weights(module, plan, swapped)


def inverted() -> dict[str, Any]:
    return {
        "input": {"size": 32},
        "stem": [{"conv": 3, "width": 8, "stride": 2}, "norm", "act"],
        "block": [{"conv": 1, "width": "6 * in"}, {"conv": 3, "groups": "depthwise",
                  "stride": "stage"}, {"conv": 1, "width": "out"}],
        "order": "linear",
        "shortcut": "identity-same",
        "stages": [{"depth": 1, "width": 16}, {"depth": 2, "width": 24, "stride": 2}],
        "classes": 10,
    }  # fmt: skip
