"""pytorchcv's residual families as specs: a few keys a family, merged over what a name says."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from pytorchcv_sizes import (
    Keys,
    cifar,
    imagenet,
    in_3x3,
    last_of_two_stages,
    merged,
    pyramidnet,
    pyramidnet_cifar,
    regnet,
    resnesta,
    resnext,
    resnext_cifar,
    senet,
    wrn,
    wrn_cifar,
)


class Family(NamedTuple):
    """size: a network's name -> the keys of its size. keys: what all its networks say."""

    size: Callable[[str], Keys]
    keys: Keys = {}  # noqa: RUF012 - never written to


def spec_of(family: Family, name: str) -> Keys:
    """The keys of one network, as `resgen.load_spec` takes them."""
    return merged(merged({"name": name}, family.size(name)), family.keys)


# What the blocks of a family have in common.
SE: Keys = {"attention": {"kind": "se", "ratio": 0.0625, "divisor": 1}}
DEEP: Keys = {"stem": {"kind": "deep"}}
DEEP128: Keys = {"stem": {"kind": "deep", "width": 128}}
CONV_NORM = [{"conv": 3, "width": 16}, "norm"]
PREACT: Keys = {"order": "preact", "stem": {"first_activation": "both"}}
PREACT_CIFAR: Keys = {"order": "preact", "stem": {"first_activation": "block"}}
IBN: Keys = {
    "define": {
        "ibn": [
            {"conv": 1, "width": "mid"}, {"norm": "instance-batch"}, "act",
            {"conv": 3, "stride": "stage", "groups": "stage"}, "norm", "act",
            {"conv": 1, "width": "out"}, "norm", "add", "act",
        ]
    },
    "block": "ibn",
    "stages": [{}, {}, {}, {"block": "bottleneck"}],
}  # fmt: skip
IBN_B: Keys = {
    "define": {
        "normed-after": [
            {"conv": 1, "width": "mid"}, "norm", "act", {"conv": 3, "stride": "stage"}, "norm",
            "act", {"conv": 1, "width": "out"}, "norm", "add", {"norm": "instance"}, "act",
        ]
    },
    "bottleneck_ratio": 4,
    "stem": [{"conv": 7, "width": 64, "stride": 2}, {"norm": "instance"}, "act",
             {"max-pool": 3, "stride": 2}],
}  # fmt: skip
PYRAMID: Keys = {
    "define": {
        "pyramid": [
            "norm", {"conv": 3, "width": "out", "stride": "stage"}, "norm", "act", {"conv": 3},
            "norm", "add",
        ],
        "pyramid-bottleneck": [
            "norm", {"conv": 1, "width": "out / 4"}, "norm", "act", {"conv": 3, "stride": "stage"},
            "norm", "act", {"conv": 1, "width": "out"}, "norm", "add",
        ],
    },
    "shortcut": "identity-pooled",
    "head": ["norm", "act", "global-pool", "flatten", {"linear": "classes"}],
}  # fmt: skip
RESNEST: Keys = {
    "stem": {"kind": "deep"},
    "define": {
        # one convolution of two groups, weights over its halves
        "splat": [
            {"conv": 3, "width": "2 * here", "groups": 2}, "norm", "act", "halves",
        ],
        "halves": [{
            "branches": [[], []],
            "take": "slices",
            "join": {"select": {"ratio": 0.5, "divisor": 1, "least": 32, "bias": True}},
        }],
        "split-attention": [
            {"conv": 1, "width": "mid"}, "norm", "act", "splat", {"conv": 1, "width": "out"},
            "norm", "add", "act",
        ],
        "pooled": [
            {"conv": 1, "width": "mid"}, "norm", "act", "splat", {"avg-pool": 3, "stride": "stage"},
            {"conv": 1, "width": "out"}, "norm", "add", "act",
        ],
        "basic-split": [
            {"conv": 3, "width": "out"}, "norm", "act",
            {"conv": 3, "width": "2 * here", "groups": 2}, "norm", "halves", "add", "act",
        ],
        "basic-pooled": [
            {"conv": 3, "width": "out"}, "norm", "act", {"avg-pool": 3, "stride": "stage"},
            {"conv": 3, "width": "2 * here", "groups": 2}, "norm", "halves", "add", "act",
        ],
    },
    "projection": "avgpool-conv",
}  # fmt: skip

# The plain residual networks: 295 of them.
PLAIN: dict[str, Family] = {
    "resnet": Family(imagenet),
    "preresnet": Family(imagenet, PREACT),
    "resnext": Family(resnext),
    "seresnet": Family(imagenet, SE),
    "sepreresnet": Family(imagenet, SE | PREACT),
    "seresnext": Family(resnext, SE),
    "senet": Family(senet, SE | DEEP128 | {"projection": "conv3x3", "head": {"dropout": 0.2}}),
    "resneta": Family(imagenet, DEEP | {"projection": "avgpool-conv"}),
    "resnetd": Family(imagenet, DEEP128 | {"output_stride": 8}),
    "resnesta": Family(resnesta, RESNEST),
    "ibnresnet": Family(in_3x3, IBN | {"bottleneck_ratio": 4}),
    "ibnresnext": Family(resnext, IBN),
    "ibnbresnet": Family(last_of_two_stages, IBN_B),
    "regnet": Family(regnet),
    "pyramidnet": Family(pyramidnet, PYRAMID),
    "wrn": Family(wrn, {"norm": "none"}),
    "resnet_cifar": Family(cifar),
    "preresnet_cifar": Family(cifar, PREACT_CIFAR),
    "resnext_cifar": Family(resnext_cifar),
    "seresnet_cifar": Family(cifar, SE),
    "sepreresnet_cifar": Family(cifar, SE | PREACT | {"head": {"final_activation": "none"}}),
    "pyramidnet_cifar": Family(pyramidnet_cifar, PYRAMID | {"stem": CONV_NORM}),
    "wrn_cifar": Family(wrn_cifar, PREACT_CIFAR),
}
