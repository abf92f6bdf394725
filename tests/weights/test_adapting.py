"""The first convolution for other channels, against timm; a classifier that does not fit."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from timm.models import adapt_input_conv
from torch import Tensor

from resgen.errors import UserError
from resgen.plan import resolve
from resgen.source.module import build_module
from resgen.spec import load_spec
from resgen.weights import init_from, load_weights
from resgen.weights.loading import adapted_channels


@pytest.mark.parametrize("channels", [1, 2, 4, 5, 9, 12])
def test_a_convolution_is_adapted_as_timm_does(channels: int) -> None:
    weight = torch.randn(8, 3, 7, 7)
    theirs = adapt_input_conv(channels, weight)
    assert torch.equal(adapted_channels(weight, channels), theirs)


def test_grey_sees_what_colour_saw() -> None:
    weight, image = torch.randn(8, 3, 7, 7, dtype=torch.float64), torch.randn(1, 1, 9, 9).double()
    colour = torch.nn.functional.conv2d(image.expand(-1, 3, -1, -1), weight)
    grey = torch.nn.functional.conv2d(image, adapted_channels(weight, 1))
    assert torch.allclose(colour, grey)
    back = adapted_channels(adapted_channels(weight, 1), 3)  # and a grey one for colour
    assert torch.allclose(torch.nn.functional.conv2d(image.expand(-1, 3, -1, -1), back), colour)


def weights(*overrides: str) -> dict[str, Tensor]:
    torch.manual_seed(1)
    return build_module(resolve(load_spec("cifar/resnet20", overrides))).state_dict()


@pytest.mark.parametrize("channels", [1, 4])
def test_a_file_for_colour_starts_a_network_for_other_channels(
    channels: int, tmp_path: Path
) -> None:
    path = tmp_path / "colour.pth"
    torch.save(weights(), path)
    plan = resolve(load_spec("cifar/resnet20", [f"input.channels={channels}"]))
    module = build_module(plan)
    with pytest.raises(UserError, match=r"conv1\.weight is \(16, 3, 3, 3\) there"):
        init_from(module, plan, path)
    report = init_from(module, plan, path, channels="adapt")
    expected = adapt_input_conv(channels, weights()["conv1.weight"])
    assert torch.equal(module.conv1.weight, expected)
    assert torch.equal(module.fc.weight, weights()["fc.weight"])
    assert report.adapted == (("conv1.weight", 3, channels),)
    how = "summed" if channels == 1 else "repeated and scaled"
    assert f"; conv1.weight {how} from 3 channels to {channels}" in report.text()


def test_another_kernel_is_another_network() -> None:
    plan = resolve(load_spec("resnet18"))
    theirs = build_module(plan).state_dict()
    theirs["conv1.weight"] = torch.zeros(64, 1, 3, 3)
    with pytest.raises(UserError, match="the file is of another network"):
        load_weights(build_module(plan), plan, theirs, channels="adapt")


def test_a_classifier_is_kept_where_it_fits_and_new_where_not() -> None:
    same, other = (resolve(load_spec("cifar/resnet20", more)) for more in ([], ["classes=3"]))
    report = load_weights(module := build_module(same), same, weights(), head="auto")
    assert torch.equal(module.fc.weight, weights()["fc.weight"])
    assert (report.fresh, report.classes, report.channels) == ((), 10, 3)
    module = build_module(other)
    before = module.fc.weight.clone()
    report = load_weights(module, other, weights(), head="auto")
    assert torch.equal(module.fc.weight, before)
    assert torch.equal(module.conv1.weight, weights()["conv1.weight"])
    assert report.text() == (
        f"loaded {len(weights()) - 2} tensors, names read as they are; a new classifier "
        "(fc.weight, fc.bias), not the file's of 10 classes"
    )


def test_a_classifier_is_new_where_the_file_has_none_and_left_out_of_a_backbone() -> None:
    plan = resolve(load_spec("cifar/resnet20"))
    backbone = {name: each for name, each in weights().items() if not name.startswith("fc.")}
    with pytest.raises(UserError, match=r"has nothing for fc\.weight"):
        load_weights(build_module(plan), plan, backbone)
    report = load_weights(build_module(plan), plan, backbone, head="auto")
    assert report.text().endswith("; a new classifier (fc.weight, fc.bias)")
    bare = resolve(load_spec("cifar/resnet20", ["classes=0"]))
    report = load_weights(build_module(bare), bare, weights(), head="auto")
    assert len(report.loaded) == len(backbone)


def test_what_is_wrong_besides_the_classifier_is_refused_all_the_same() -> None:
    plan = resolve(load_spec("cifar/resnet20", ["classes=3"]))
    theirs = weights()
    del theirs["layer2.0.conv1.weight"]
    with pytest.raises(UserError, match=r"has nothing for layer2\.0\.conv1\.weight"):
        load_weights(build_module(plan), plan, theirs, head="auto")
