"""More of pytorchcv's families as specs: attention, random depth, dense and plain networks."""

from __future__ import annotations

from typing import Any

from pytorchcv_families import SE, Family
from pytorchcv_other_sizes import (
    cub,
    darknet,
    densenet,
    densenet_cifar,
    dirac,
    dla,
    drn,
    ibn_densenet,
    mobile,
    ror,
    shake_dropped,
    shaken,
    squeezenext,
    vgg,
    vovnet,
)
from pytorchcv_sizes import Keys, cifar, imagenet, in_3x3, merged

CBAM: Keys = {"attention": "cbam"}
BAM: Keys = {
    "define": {
        # bottleneck attention (Park et al. 2018): x (1 + sigmoid(channels * places))
        "bam": [{"branches": [[], ["weights"]], "join": "product"}, "add"],
        "weights": [
            {"branches": [["channels"], ["places"]], "join": "product"}, {"act": "sigmoid"},
        ],
        "channels": [
            "global-pool", {"conv": 1, "width": "here / 16", "bias": True}, "norm", "act",
            {"conv": 1, "width": "16 * here", "bias": True},
        ],
        "places": [
            {"conv": 1, "width": "here / 16", "bias": True}, "norm", "act",
            {"conv": 3, "dilation": 4, "bias": True}, "norm", "act",
            {"conv": 3, "dilation": 4, "bias": True}, "norm", "act",
            {"conv": 1, "width": 1, "bias": True},
        ],
    },
    "stages": [{}, *[{"before": "bam"}] * 3],
}  # fmt: skip
FAST_SE: Keys = {"stages": [{"first": {"attention": {"kind": "se", "ratio": 1, "divisor": 1}}}] * 4}
SHAKE: Keys = {
    "define": {
        "shaken": [
            {"branches": [{"conv": 3, "width": "out", "stride": "stage"}, "norm", "act",
                          {"conv": 3}, "norm"], "times": 2, "join": "shake"},
            "add", "act",
        ],
        "halves": [
            {"branches": [
                [{"avg-pool": 1, "stride": "stage"}, {"conv": 1, "width": "out / 2"}],
                [{"shift": 1}, {"avg-pool": 1, "stride": "stage"}, {"conv": 1, "width": "out / 2"}],
            ], "join": "concat"},
            "norm",
        ],
    },
    "block": "shaken",
    "projection": "halves",
}  # fmt: skip
SHAKE_DROP: Keys = {
    "define": {
        "shake-drop": {"with": {"kept": 1}, "path": [
            {"conv": 3, "width": "out", "stride": "stage"}, "norm", "act", {"conv": 3}, "norm",
            {"scale": "kept"}, "add", "act",
        ]},
    },
}  # fmt: skip
SELECTIVE: Keys = {
    "define": {
        # selective kernels (Li et al. 2019)
        "selective": [
            {"conv": 1, "width": "mid"}, "norm", "act",
            {
                "branches": [
                    [{"conv": 3, "stride": "stage", "groups": 32}, "norm", "act"],
                    [{"conv": 3, "stride": "stage", "groups": 32, "dilation": 2}, "norm", "act"],
                ],
                "join": {"select": {"ratio": 0.0625, "divisor": 1, "least": 32}},
            },
            {"conv": 1, "width": "out"}, "norm", "add", "act",
        ],
    },
    "block": "selective",
    "bottleneck_ratio": 2,
}  # fmt: skip
DRN: Keys = {
    "stem": [{"conv": 7, "width": 16}, "norm", "act"],
    "define": {"single": [{"conv": 3, "width": "out", "stride": "stage"}, "norm", "act"]},
    "head": ["global-pool", {"conv": 1, "width": "classes", "bias": True}, "flatten"],
}
DARK: Keys = {
    "activation": {"kind": "leaky-relu", "slope": 0.1},
    "define": {
        "conv1": [{"conv": 1, "width": "out"}, "norm", "act"],
        "conv3": [{"conv": 3, "width": "out"}, "norm", "act"],
    },
    "shortcut": "none",
}
DARKNET53: Keys = {
    "extends": "csp/darknet53",
    "input": {"size": 224},
    "activation": {"kind": "leaky-relu", "slope": 0.1},
}
DIRAC: Keys = {
    "norm": "none",
    "stem": [{"conv": 7, "width": 64, "stride": 2}, {"max-pool": 3, "stride": 2}],
    "block": ["act", {"conv": 3, "width": "out"}],
    "shortcut": "none",
    "head": ["act", "global-pool", "flatten", {"linear": "classes"}],
}
VGG: Keys = {
    "stem": [{"conv": 3, "width": 64}, "norm", "act"],
    "block": [{"conv": 3, "width": "out"}, "norm", "act"],
    "shortcut": "none",
    "head": [
        {"max-pool": 2, "stride": 2, "padding": 0}, "flatten", {"linear": 4096}, "act",
        {"dropout": 0.5}, {"linear": 4096}, "act", {"dropout": 0.5}, {"linear": "classes"},
    ],
}  # fmt: skip
VOV: Keys = {
    "stem": [
        {"conv": 3, "width": 64, "stride": 2}, "norm", "act", {"conv": 3}, "norm", "act",
        {"conv": 3, "width": 128, "stride": 2}, "norm", "act",
    ],
    "define": {
        # one-shot aggregation (Lee et al. 2019)
        "one-shot": {"with": {"each": 128}, "path": [
            {"branches": [[], *[[{"conv": 3, "width": "each"}, "norm", "act"]] * 5],
             "carry": "chain", "join": "concat"},
            {"conv": 1, "width": "out"}, "norm", "act", "add",
        ]},
    },
}  # fmt: skip
NEW = ["norm", "act", {"conv": 1, "width": "4 * growth"}, "norm", "act",
       {"conv": 3, "width": "growth"}]  # fmt: skip
BATCH_THEN_INSTANCE = {
    "branches": [["norm"], [{"norm": "instance"}]], "take": ["batch", "rest"], "join": "concat",
}  # fmt: skip
DENSE: Keys = {
    "define": {
        # dense blocks (Huang et al. 2017)
        "dense": {"with": {"growth": 32}, "path": [{"branches": [[], NEW], "join": "concat"}]},
        "simple-dense": {"with": {"growth": 12}, "path": [
            {"branches": [[], ["norm", "act", {"conv": 3, "width": "growth"}]], "join": "concat"},
        ]},
        "transition": [
            "norm", "act", {"conv": 1, "width": "here / 2", "round": "down"},
            {"avg-pool": 2, "stride": "stage", "padding": 0},
        ],
    },
    "shortcut": "none",
    "head": ["norm", "act", "global-pool", "flatten", {"linear": "classes"}],
}  # fmt: skip
MIXED_DENSE: Keys = {
    "define": {
        "mixed-dense": {"with": {"growth": 32, "batch": 64}, "path": [
            {"branches": [[], [BATCH_THEN_INSTANCE, *NEW[1:]]], "join": "concat"},
        ]},
    },
}  # fmt: skip

ROR: Keys = {
    "define": {
        # residual networks of residual networks (Zhang et al. 2016)
        "unit": {"with": {"w": 16}, "path": [
            {"conv": 3, "width": "w"}, "norm", "act", {"conv": 3}, "norm", "add",
        ]},
    },
}  # fmt: skip
SQUEEZENEXT: Keys = {
    "define": {
        # Gholami et al. 2018; its projection and its last convolution have activations
        "unit": {"with": {"d": 2}, "path": [
            {"conv": 1, "width": "in / d", "stride": "stage"}, "norm", "act",
            {"conv": 1, "width": "here / 2"}, "norm", "act",
            {"conv": [1, 3], "width": "2 * here"}, "norm", "act", {"conv": [3, 1]}, "norm", "act",
            {"conv": 1, "width": "out"}, "norm", "act", "add", "act",
        ]},
    },
    "block": "unit",
    "projection": [{"conv": 1, "width": "out", "stride": "stage"}, "norm", "act"],
    "bias": True,
}  # fmt: skip

SEPARABLE = [{"conv": 3, "groups": "depthwise", "stride": "stage"}, {"conv": 1, "width": "out"}]
MOBILE: Keys = {
    "activation": "relu6",
    "define": {
        "separable": SEPARABLE,
        "unexpanded": [{"conv": 1}, *SEPARABLE],
        "inverted": [{"conv": 1, "width": "6 * in"}, *SEPARABLE],
    },
    "block": "inverted",
    "order": "linear",
    "head": [
        {"conv": 1, "width": 1280}, "norm", "act", "global-pool",
        {"conv": 1, "width": "classes", "bias": False}, "flatten",
    ],
}  # fmt: skip

# A residual unit's main path, and the units of deep layer aggregation (Yu et al. 2018) made of it.
MAIN_PATHS: dict[str, list[Any]] = {
    "plain": [{"conv": 3, "width": "out", "stride": 1}, "norm", "act", {"conv": 3}, "norm"],
    "narrow": [{"conv": 1, "width": "out / 2"}, "norm", "act", {"conv": 3, "stride": 1}, "norm",
               "act", {"conv": 1, "width": "out"}, "norm"],
    "grouped": [{"conv": 1, "width": "out"}, "norm", "act", {"conv": 3, "groups": 32, "stride": 1},
                "norm", "act", {"conv": 1}, "norm"],
    "wide": [{"conv": 1, "width": "2 * out"}, "norm", "act",
             {"conv": 3, "groups": 64, "stride": 1}, "norm", "act", {"conv": 1, "width": "out"},
             "norm"],
}  # fmt: skip
PROJECTED = ["half", {"conv": 1, "width": "out"}, "norm"]


def strided(path: list[Any]) -> list[Any]:
    """The same path where the stage strides."""
    return [row | {"stride": "stage"} if "stride" in row else row for row in path]


DLA: Keys = {
    "stem": [
        {"conv": 7, "width": 16}, "norm", "act", {"conv": 3}, "norm", "act",
        {"conv": 3, "width": 32, "stride": 2}, "norm", "act",
    ],
    "define": {
        "half": [{"max-pool": 2, "stride": "stage", "padding": 0}],
        "root": [{"conv": 1, "width": "out"}, "norm", "act"],
        **{word: [*path, "add", "act"] for word, path in MAIN_PATHS.items()},
        **{
            f"{word}-{down}": [{"branches": [shortcut, strided(path)]}, "act"]
            for word, path in MAIN_PATHS.items()
            for down, shortcut in (("down", PROJECTED), ("down-same", ["half"]))
        },
    },
    "head": ["global-pool", {"conv": 1, "width": "classes", "bias": True}, "flatten"],
}  # fmt: skip

OTHERS: dict[str, Family] = {
    "resnet_cub": Family(cub),
    "seresnet_cub": Family(cub, SE),
    "cbamresnet": Family(in_3x3, CBAM),
    "bamresnet": Family(in_3x3, BAM),
    "fastseresnet": Family(imagenet, FAST_SE),
    "resdropresnet_cifar": Family(cifar, {"drop_path": 0.5}),
    "shakedropresnet_cifar": Family(shake_dropped, SHAKE_DROP),
    "shakeshakeresnet_cifar": Family(shaken, SHAKE),
    "sknet": Family(in_3x3, SELECTIVE),
    "dla": Family(dla, DLA),
    "drn": Family(drn, DRN),
    "darknet": Family(darknet, DARK),
    "darknet53": Family(lambda name: {}, DARKNET53),
    "diracnetv2": Family(dirac, DIRAC),
    "densenet": Family(densenet, DENSE),
    "densenet_cifar": Family(densenet_cifar, DENSE),
    "ibndensenet": Family(ibn_densenet, merged(DENSE, MIXED_DENSE)),
    "mobilenetv2": Family(mobile, MOBILE),
    "ror_cifar": Family(ror, ROR),
    "squeezenext": Family(squeezenext, SQUEEZENEXT),
    "vgg": Family(vgg, VGG),
    "vovnet": Family(vovnet, VOV),
}
