"""What the names of pytorchcv's networks say: a name -> the keys of its size.

The depth, the width and the classes that a name stands for; what a family's blocks have in
common is in pytorchcv_families.py.
"""

from __future__ import annotations

import itertools
import re
from typing import Any

Keys = dict[str, Any]


def merged(base: Any, more: Any) -> Any:
    """Mappings key by key, lists entry by entry; else the second."""
    if isinstance(base, dict) and isinstance(more, dict):
        return base | {k: merged(base[k], v) if k in base else v for k, v in more.items()}
    if isinstance(base, list) and isinstance(more, list):
        return [merged(*pair) for pair in itertools.zip_longest(base, more, fillvalue={})]
    return more


# Blocks a stage, by weighted layers.
BASIC = {
    10: (1, 1, 1, 1), 12: (2, 1, 1, 1), 14: (2, 2, 1, 1), 16: (2, 2, 2, 1), 18: (2, 2, 2, 2),
    26: (3, 3, 3, 3), 34: (3, 4, 6, 3),
}  # fmt: skip
BOTTLENECK = {
    14: (1, 1, 1, 1), 26: (2, 2, 2, 2), 38: (3, 3, 3, 3), 50: (3, 4, 6, 3), 101: (3, 4, 23, 3),
    152: (3, 8, 36, 3), 200: (3, 24, 36, 3), 269: (3, 30, 48, 8),
}  # fmt: skip
SENET = {16: 14, 28: 26, 40: 38, 52: 50, 103: 101, 154: 152}  # two layers of the stem more


def found(pattern: str, name: str) -> tuple[str | None, ...]:
    """What a pattern says of a name."""
    match = re.search(pattern, name)
    if match is None:
        raise ValueError(f"{name}: no name of this family")
    return match.groups()


def staged(depths: Any, widths: Any) -> list[Keys]:
    """Stages that halve the image, but for the first."""
    rows = [{"depth": d, "width": w, "stride": 2} for d, w in zip(depths, widths, strict=True)]
    rows[0].pop("stride")
    return rows


def whole(stages: list[Keys]) -> Keys:
    """What networks for ImageNet have in common, around their stages."""
    return {
        "input": {"size": 224},
        "stem": {"kind": "conv7x7-pool", "width": 64},
        "shortcut": "projection",
        "stages": stages,
        "classes": 1000,
    }


def bottlenecks(blocks: int) -> Keys:
    """ResNet-50 and its like."""
    stages = staged(BOTTLENECK[blocks], (256, 512, 1024, 2048))
    return whole(stages) | {"block": "bottleneck"}


def imagenet(name: str) -> Keys:
    """resnetbc26b: bottlenecks, strided in the 3x3; resnet18_wd2: half as wide but at its end."""
    bottleneck, blocks_, in_3x3, times, over = found(r"(bc)?(\d+)(b?)(?:_w(\d?)d(\d))?$", name)
    blocks = int(blocks_ or 0)
    if bottleneck or blocks >= 50:
        return bottlenecks(blocks) | ({} if in_3x3 else {"stride_at": "1x1"})
    part = int(times or 1) / int(over or 1)
    stages = staged(BASIC[blocks], [int(w * part) for w in (64, 128, 256, 512)])
    if part < 1:
        stages[-1]["depth"] -= 1
        stages.append({"depth": 1, "width": 512})
    return merged(whole(stages), {"block": "basic", "stem": {"width": int(64 * part)}})


def cifar(name: str) -> Keys:
    """resnet164bn_cifar100: 18 bottlenecks a stage, 100 classes; so in the 1001 layers' too."""
    blocks, bottleneck, classes = found(r"(\d+)(bn)?_(?:cifar(\d+)|svhn)$", name)
    times = 4 if bottleneck or blocks == "1001" else 1
    depth = (int(blocks or 0) - 2) // (9 if times == 4 else 6)
    return {
        "input": {"size": 32},
        "stem": {"kind": "conv3x3", "width": 16},
        "block": "bottleneck" if times == 4 else "basic",
        "shortcut": "projection",
        "stages": staged([depth] * 3, [16 * times, 32 * times, 64 * times]),
        "classes": int(classes or 10),
    }


def cardinal(keys: Keys, groups: int, width: int) -> Keys:
    """Groups of so many channels in the first stage, of twice as many in the next."""
    first = keys["stages"][0]["width"]
    return keys | {"groups": groups, "bottleneck_ratio": first / (groups * width)}


def resnext(name: str) -> Keys:
    """resnext50_32x4d: 32 groups, of 4 channels in the first stage."""
    blocks, groups, width = (int(n or 0) for n in found(r"(\d+)_(\d+)x(\d+)d$", name))
    return cardinal(bottlenecks(blocks), groups, width)


def resnext_cifar(name: str) -> Keys:
    """resnext29_32x4d_cifar10: three stages of 256, 512 and 1,024 channels."""
    groups, width = (int(n or 0) for n in found(r"_(\d+)x(\d+)d_", name))
    blocks = re.sub(r"_\d+x\d+d", "bn", name)
    return cardinal(merged(cifar(blocks), WIDE_STAGES), groups, width)


WIDE_STAGES: Keys = {
    "stem": {"width": 64},
    "stages": [{"width": 256}, {"width": 512}, {"width": 1024}],
}


def senet(name: str) -> Keys:
    """senet154: the first 1x1 half as wide as the 3x3, of 64 groups; else of 32."""
    blocks = int(found(r"(\d+)$", name)[0] or 0)
    keys = cardinal(bottlenecks(SENET[blocks]), 64 if blocks == 154 else 32, 4)
    for stage in keys["stages"]:
        stage["first_width"] = int(stage["width"] / keys["bottleneck_ratio"]) // 2
    return keys


def wrn_cifar(name: str) -> Keys:
    """wrn28_10_cifar10: ten times as wide; its depth counts the projections of two stages."""
    blocks, times = (int(n or 0) for n in found(r"wrn(\d+)_(\d+)_", name))
    keys = cifar(re.sub(r"wrn\d+_\d+", f"wrn{blocks - 2}", name))
    return keys | {"stages": staged([(blocks - 4) // 6] * 3, [16 * times, 32 * times, 64 * times])}


def pyramid(keys: Keys, alpha: int, first: int, times: int) -> Keys:
    """Widths that grow by alpha in equal steps from block to block, in multiples of `times`."""
    total, done, stages = sum(stage["depth"] for stage in keys["stages"]), 0, []
    for stage in keys["stages"]:
        start, done = done, done + stage.pop("depth")
        widths = [times * round(first + alpha * n / total) for n in range(start + 1, done + 1)]
        stages.append(stage | {"width": widths[-1], "blocks": [{"width": w} for w in widths]})
    return keys | {"stages": stages, "block": "pyramid-bottleneck" if times == 4 else "pyramid"}


def pyramidnet(name: str) -> Keys:
    """pyramidnet101_a360: 360 / 33 channels more in each block, four times that put out."""
    blocks, alpha = (int(n or 0) for n in found(r"(\d+)_a(\d+)", name))
    return pyramid(bottlenecks(blocks), alpha, 64, 4)


def pyramidnet_cifar(name: str) -> Keys:
    """pyramidnet164_a270_bn_cifar10: bottlenecks."""
    alpha, bottleneck = found(r"_a(\d+)(_bn)?_", name)
    keys = cifar(re.sub(r"_a\d+(_bn)?", "bn" if bottleneck else "", name))
    return pyramid(keys, int(alpha or 0), 16, 4 if bottleneck else 1)


def regnet(name: str) -> Keys:
    """regnety032: the line of the table, with attention in the Ys."""
    depth, w0, wa, wm, group_width = REGNETS[name]
    keys = bottlenecks(50) | {"stem": {"kind": "conv3x3-s2", "width": 32}, "bottleneck_ratio": 1}
    keys["regnet"] = {"depth": depth, "w0": w0, "wa": wa, "wm": wm, "group_width": group_width}
    del keys["stages"]
    attention = {"ratio": 0.25, "ratio_of": "input", "divisor": 1, "position": "3x3"}
    return keys | ({"attention": {"kind": "se", **attention}} if name[6] == "y" else {})


# Radosavovic et al. 2020: blocks, first width, slope, ratio, channels a group.
REGNETS = {
    "regnetx002": (13, 24, 36.44, 2.49, 8), "regnetx004": (22, 24, 24.48, 2.54, 16),
    "regnetx006": (16, 48, 36.97, 2.24, 24), "regnetx008": (16, 56, 35.73, 2.28, 16),
    "regnetx016": (18, 80, 34.01, 2.25, 24), "regnetx032": (25, 88, 26.31, 2.25, 48),
    "regnetx040": (23, 96, 38.65, 2.43, 40), "regnetx064": (17, 184, 60.83, 2.07, 56),
    "regnetx080": (23, 80, 49.56, 2.88, 120), "regnetx120": (19, 168, 73.36, 2.37, 112),
    "regnetx160": (22, 216, 55.59, 2.1, 128), "regnetx320": (23, 320, 69.86, 2.0, 168),
    "regnety002": (13, 24, 36.44, 2.49, 8), "regnety004": (16, 48, 27.89, 2.09, 8),
    "regnety006": (15, 48, 32.54, 2.32, 16), "regnety008": (14, 56, 38.84, 2.4, 16),
    "regnety016": (27, 48, 20.71, 2.65, 24), "regnety032": (21, 80, 42.63, 2.66, 24),
    "regnety040": (22, 96, 31.41, 2.24, 64), "regnety064": (25, 112, 33.22, 2.27, 72),
    "regnety080": (17, 192, 76.82, 2.19, 56), "regnety120": (19, 168, 73.36, 2.37, 112),
    "regnety160": (18, 200, 106.23, 2.48, 112), "regnety320": (20, 232, 115.89, 2.53, 232),
}  # fmt: skip


def last_of_two_stages(name: str) -> Keys:
    """ibnb_resnet50: an instance norm behind the addition of two stages' last blocks."""
    keys = bottlenecks(int(found(r"(\d+)$", name)[0] or 0))
    for stage in keys["stages"][:2]:
        stage["blocks"] = [{}] * (stage.pop("depth") - 1) + [{"block": "normed-after"}]
    return keys


def wrn(name: str) -> Keys:
    """wrn50_2: twice as wide in a block."""
    blocks, times = (int(n or 0) for n in found(r"wrn(\d+)_(\d+)$", name))
    return bottlenecks(blocks) | {"bottleneck_ratio": 4 / times}


def resnesta(name: str) -> Keys:
    """resnestabc26: bottlenecks; a wide stem and large images in the deep ones."""
    keys = imagenet(f"{name}b")
    blocks, basic = int(found(r"(\d+)$", name)[0] or 0), keys["block"] == "basic"
    first = {"first": {"block": "basic-pooled" if basic else "pooled"}}
    keys = merged(keys, {"stages": [{}, first, first, first]})
    keys |= (
        {"block": "basic-split"} if basic else {"block": "split-attention", "bottleneck_ratio": 4}
    )
    keys["input"] = {"size": {200: 256, 269: 320}.get(blocks, 224)}
    return merged(keys, {"stem": {"width": 128 if blocks >= 101 else 64}})


def in_3x3(name: str) -> Keys:
    """ibn_resnet50, cbam_resnet50: strided in the 3x3, which no b in the name says."""
    return imagenet(f"{name}b")
