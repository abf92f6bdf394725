"""With the same weights and running statistics, the outputs are timm's and torchvision's.

Equal means to the last bit. The exceptions: timm's pre-activation networks classify by a 1x1
convolution, ours by a matrix product, which adds the same products in another order; norms in
single operations (frozen, EvoNorm, filter response) add their bias in one rounding, not in two.
"""

from __future__ import annotations

import copy
import functools
from functools import partial
from typing import Any, NamedTuple

import pytest
import timm
import torch
import torchvision
from torch import nn
from torchvision.ops import FrozenBatchNorm2d

from resgen.plan import Plan, resolve
from resgen.source.module import build_module
from resgen.spec import Spec, load_spec
from resgen.weights import load_weights


class Case(NamedTuple):
    """A shipped spec, with some keys changed, and the network of a library it equals."""

    spec: str
    reference: str
    keys: dict[str, Any] = {}  # noqa: RUF012 - never written to
    options: dict[str, Any] = {}  # noqa: RUF012
    tolerance: float = 0.0

    def __str__(self) -> str:
        changes = [f"{key}={value}" for key, value in self.options.items()]
        return "-".join([self.reference, *changes])


SAME_NAMES = [
    Case("imagenet/resnet18", "torchvision:resnet18"),
    Case("imagenet/resnet34", "timm:resnet34"),
    Case("imagenet/resnet50", "torchvision:resnet50"),
    Case("imagenet/resnet26", "timm:resnet26"),
    Case("imagenet/resnet50_gn", "timm:resnet50_gn"),
    Case("resnext/resnext50_32x4d", "torchvision:resnext50_32x4d"),
    Case("resnext/resnext50d_32x4d", "timm:resnext50d_32x4d"),
    Case("wide/wide_resnet50_2", "torchvision:wide_resnet50_2"),
    Case("resnetd/resnet10t", "timm:resnet10t"),
    Case("resnetd/resnet34d", "timm:resnet34d"),
    Case("resnetd/resnet50c", "timm:resnet50c"),
    Case("resnetd/resnet50d", "timm:resnet50d"),
    Case("senet/seresnet18", "timm:seresnet18"),
    Case("senet/seresnet50", "timm:seresnet50"),
    Case("senet/seresnext26d_32x4d", "timm:seresnext26d_32x4d"),
    Case("senet/senet154", "timm:senet154"),
    Case("ecanet/ecaresnet26t", "timm:ecaresnet26t"),
    Case("ecanet/ecaresnet50d_pruned", "timm:ecaresnet50d_pruned"),
    Case("ecanet/ecaresnet101d_pruned", "timm:ecaresnet101d_pruned"),
    Case("ecanet/ecaresnetlight", "timm:ecaresnetlight"),
    Case("ecanet/ecaresnext26t_32x4d", "timm:ecaresnext26t_32x4d"),
    Case("resnetrs/resnetrs50", "timm:resnetrs50"),
    Case("resnetd/resnet50s", "timm:resnet50s"),
    Case("antialiased/resnetaa34d", "timm:resnetaa34d"),
    Case("antialiased/resnetblur18", "timm:resnetblur18"),
    Case("antialiased/resnetblur50d", "timm:resnetblur50d"),
    Case("antialiased/resnetaa50", "timm:resnetaa50"),
    Case("antialiased/resnetaa50d", "timm:resnetaa50d"),
    Case("antialiased/seresnetaa50d", "timm:seresnetaa50d"),
    *(
        Case("imagenet/resnet18", "timm:resnet18", {"activation": ours}, {"act_layer": theirs})
        for ours, theirs in (
            ("silu", "silu"),
            ("gelu", "gelu"),
            ("elu", "elu"),
            ("leaky-relu", "leaky_relu"),
            ("hardswish", "hard_swish"),
            ("relu6", "relu6"),
            ("mish", "mish"),
            ("hardsigmoid", "hard_sigmoid"),
            ({"kind": "leaky-relu", "slope": 0.1}, partial(nn.LeakyReLU, negative_slope=0.1)),
        )
    ),
    Case(
        "imagenet/resnet50",
        "torchvision:resnet50",
        {"norm": "frozen"},
        {"norm_layer": FrozenBatchNorm2d},
        tolerance=1e-5,
    ),
    *(
        Case(
            "imagenet/resnet18",
            "timm:resnet18",
            {"norm": {"kind": "batch", "eps": eps}},
            {"norm_layer": partial(nn.BatchNorm2d, eps=eps)},
        )
        for eps in (1.001e-5, 1e-3)
    ),
    Case("imagenet/resnet18", "timm:resnet18", {"output_stride": 16}, {"output_stride": 16}),
    Case("imagenet/resnet18", "timm:resnet18", {"output_stride": 8}, {"output_stride": 8}),
    Case("imagenet/resnet50", "timm:resnet50", {"output_stride": 8}, {"output_stride": 8}),
    Case("imagenet/resnet18", "timm:resnet18", {"classes": 0}, {"num_classes": 0}),
    Case(
        "imagenet/resnet18",
        "timm:resnet18",
        {"input": {"channels": 1, "size": 64}, "classes": 7},
        {"in_chans": 1, "num_classes": 7},
    ),
]
MAPPED_NAMES = [
    Case("regnet/regnet_x_400mf", "torchvision:regnet_x_400mf"),
    Case("regnet/regnet_x_400mf", "timm:regnetx_004_tv"),
    Case("regnet/regnet_y_400mf", "torchvision:regnet_y_400mf"),
    Case("regnet/regnet_y_800mf", "timm:regnety_008_tv"),
    Case("regnet/regnetx_004", "timm:regnetx_004"),
    Case("regnet/regnety_006", "timm:regnety_006"),
    Case("regnet/regnety_040_sgn", "timm:regnety_040_sgn"),
    Case("regnet/regnetv_040", "timm:regnetv_040"),
    Case("regnet/regnetv_064", "timm:regnetv_064"),
    Case("regnet/regnetz_005", "timm:regnetz_005"),
    Case("regnet/regnetz_040", "timm:regnetz_040"),
    Case("regnet/regnet_x_800mf", "torchvision:regnet_x_800mf"),
    Case("regnet/regnet_y_1_6gf", "torchvision:regnet_y_1_6gf"),
    Case("regnet/regnetz_040_h", "timm:regnetz_040_h"),
    Case("gcnet/gcresnet33ts", "timm:gcresnet33ts"),
    Case("gcnet/gcresnext26ts", "timm:gcresnext26ts"),
    Case("gcnet/gcresnet50t", "timm:gcresnet50t"),
    Case("senet/seresnet33ts", "timm:seresnet33ts"),
    Case("senet/seresnext26ts", "timm:seresnext26ts"),
    Case("preact/resnetv2_50d_gn", "timm:resnetv2_50d_gn", tolerance=1e-6),
    Case("preact/resnetv2_50d_evos", "timm:resnetv2_50d_evos", tolerance=1e-5),
    Case("preact/resnetv2_50d_frn", "timm:resnetv2_50d_frn", tolerance=1e-4),
    Case("preact/resnetv2_50t", "timm:resnetv2_50t", tolerance=1e-6),
    Case("preact/resnetv2_18", "timm:resnetv2_18", tolerance=1e-6),
    Case("preact/resnetv2_18d", "timm:resnetv2_18d", tolerance=1e-6),
    Case("preact/resnetv2_50d", "timm:resnetv2_50d", tolerance=1e-6),
    Case("bit/resnetv2_50x1_bit", "timm:resnetv2_50x1_bit", tolerance=1e-6),
]
LIBRARIES = {"timm": timm.create_model, "torchvision": torchvision.models.get_model}


def plan_of(case: Case) -> Plan:
    data = load_spec(case.spec).model_dump(mode="json", exclude_unset=True)
    data.pop("extends", None)
    return resolve(Spec.model_validate({**data, **case.keys}))


@functools.lru_cache(maxsize=1)
def library_module(case_: str) -> nn.Module:
    """The library's network with random weights, statistics and biases, in evaluation."""
    case = CASES[case_]
    library, _, name = case.reference.partition(":")
    module = LIBRARIES[library](name, **case.options).eval()
    random = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for key, value in module.state_dict().items():
            noise = torch.randn(value.shape, generator=random)
            if value.ndim > 1:
                value.copy_(noise * (2 / value[0].numel()) ** 0.5)
            elif key.endswith(("running_var", "weight")):
                value.copy_(0.5 + noise.abs())
            elif key.endswith(("running_mean", "bias")):
                value.copy_(0.1 * noise)
    return module


CASES = {str(case): case for case in SAME_NAMES + MAPPED_NAMES}


@pytest.mark.parametrize("case", CASES)
def test_outputs_are_the_librarys(case: str) -> None:
    reference, plan = library_module(case), plan_of(CASES[case])
    module = build_module(plan).eval()
    load_weights(module, plan, reference.state_dict())
    images = torch.randn(2, plan.input[0], 64, 64, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        ours, theirs = module(images), reference(images)
    assert torch.isfinite(theirs).all()
    assert theirs.std() > 0
    difference = (ours - theirs).abs().max() / theirs.abs().max()
    assert difference <= CASES[case].tolerance


@pytest.mark.parametrize("case", [str(case) for case in SAME_NAMES[:29]])
def test_the_librarys_weights_load_as_they_are(case: str) -> None:
    plan = plan_of(CASES[case])
    with torch.device("meta"):
        library, _, name = CASES[case].reference.partition(":")
        theirs = LIBRARIES[library](name).state_dict()
        ours = build_module(plan).state_dict()
    assert {k: v.shape for k, v in ours.items()} == {k: v.shape for k, v in theirs.items()}


@pytest.mark.parametrize("case", ["timm:resnet50d", "timm:regnety_006", "timm:resnetv2_18"])
def test_training_steps_are_the_librarys(case: str) -> None:
    """The same gradient of every parameter after one backward pass in training mode."""
    reference, plan = copy.deepcopy(library_module(case)).train(), plan_of(CASES[case])
    module = build_module(plan).train()
    load_weights(module, plan, reference.state_dict())
    images = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(1))
    for network in (module, reference):
        torch.nn.functional.cross_entropy(network(images), torch.tensor([1, 2])).backward()
    theirs = {name: p.grad for name, p in reference.named_parameters()}
    gradients = build_module(plan)
    load_weights(gradients, plan, {**reference.state_dict(), **theirs})
    ours = dict(module.named_parameters())
    for name, expected in gradients.named_parameters():
        scale = expected.abs().max()
        assert (ours[name].grad - expected).abs().max() <= 1e-4 * scale, name
