"""What the names of more of pytorchcv's networks say: a name -> the keys of its size."""

from __future__ import annotations

import re
from typing import Any

from pytorchcv_sizes import BOTTLENECK, Keys, cifar, found, imagenet, merged, staged, whole


def cub(name: str) -> Keys:
    """resnetbc14b_cub: 200 classes of birds."""
    return imagenet(name.removesuffix("_cub")) | {"classes": 200}


def shaken(name: str) -> Keys:
    """shakeshakeresnet26_2x32d_cifar10: two branches, of 32 channels in the first stage."""
    width = int(found(r"_2x(\d+)d", name)[0] or 0)
    keys = cifar(re.sub(r"_2x\d+d", "", name))
    return merged(keys, {"stages": [{"width": width << stage} for stage in range(3)]})


def shake_dropped(name: str) -> Keys:
    """shakedropresnet20_cifar10: each block's main path kept at a rate that falls to a half."""
    keys = cifar(name)
    del keys["block"]
    blocks = 3 * keys["stages"][0]["depth"]
    for number, stage in enumerate(keys["stages"]):
        first = number * stage["depth"] + 1
        kept = [1 - 0.5 * n / blocks for n in range(first, first + stage["depth"])]
        stage["blocks"] = [{"block": {"kind": "shake-drop", "kept": rate}} for rate in kept]
    return keys


def drn(name: str) -> Keys:
    """drnc26, drnd22: dilated in place of strided; D has single convolutions at its ends."""
    kind, blocks_ = found(r"drn(c|d)(\d+)", name)
    blocks = int(blocks_ or 0)
    depths = BOTTLENECK[{22: 26, 26: 26, 105: 101}.get(blocks, 50)]
    times = 4 if blocks > 50 else 1
    plain = {"block": "single"} if kind == "d" else {"block": "basic", "shortcut": "none"}
    small = plain if kind == "d" else {"block": "basic"}
    stages = [{"depth": 1, "width": 16} | small, {"depth": 1, "width": 32, "stride": 2} | small]
    stages += staged(depths, [times * width for width in (64, 128, 256, 512)])
    stages[2]["stride"] = 2
    for stage, dilation in zip(stages[4:6], (2, 4), strict=True):
        del stage["stride"]
        stage["dilation"] = dilation
    stages += [
        {"depth": 1, "width": 512, "dilation": 2} | plain,
        {"depth": 1, "width": 512} | plain,
    ]
    return whole(stages) | {"block": "basic" if times == 1 else "bottleneck"}


def darknet(name: str) -> Keys:
    """darknet19: 3x3 convolutions, every other one of a longer row 1x1, a pool between rows."""
    rows, narrow = DARKNETS[name.removeprefix("darknet").strip("_")]
    stages = []
    for row in rows[1:]:
        words = ["conv1" if len(row) > 1 and n % 2 == narrow else "conv3" for n in range(len(row))]
        stages += [{"depth": 1, "width": w, "block": b} for w, b in zip(row, words, strict=True)]
        stages[-len(row)] |= {"stride": 2, "before": HALVES}
    last = ["act"] if name == "darknet_ref" else []
    return whole(stages) | {
        "stem": [{"conv": 3, "width": rows[0][0]}, "norm", "act"],
        "head": [{"conv": 1, "width": "classes", "bias": True}, *last, "global-pool", "flatten"],
    }


HALVES = [{"max-pool": 2, "stride": "stage", "padding": 0}]
# Rows of widths, and which of a longer row's convolutions are 1x1: the even or the odd ones.
DARKNETS = {
    "ref": ([[16], [32], [64], [128], [256], [512], [1024]], 0),
    "tiny": ([[16], [32], [16, 128, 16, 128], [32, 256, 32, 256], [64, 512, 64, 512, 128]], 0),
    "19": (
        [
            [32], [64], [128, 64, 128], [256, 128, 256], [512, 256, 512, 256, 512],
            [1024, 512, 1024, 512, 1024],
        ],
        1,
    ),
}  # fmt: skip


def dirac(name: str) -> Keys:
    """diracnet18v2: an activation and a convolution, no shortcut, no norm."""
    depths = (4, 4, 4, 4) if "18" in name else (6, 8, 12, 6)
    return whole(pooled(depths, (64, 128, 256, 512)))


def pooled(depths: tuple[int, ...], widths: tuple[int, ...]) -> list[Keys]:
    """Stages behind max pools of 2x2, but for the first."""
    rows = staged(depths, widths)
    return [rows[0], *({**row, "before": HALVES} for row in rows[1:])]


def vgg(name: str) -> Keys:
    """bn_vgg16b: the configuration of 16 layers with batch norms, and biases beside them."""
    batch, blocks, bias = found(r"(bn_)?vgg(\d+)(b?)$", name)
    depths = {"11": (0, 1, 2, 2, 2), "13": (1, 2, 2, 2, 2), "16": (1, 2, 3, 3, 3)}
    stages = pooled(depths.get(str(blocks), (1, 2, 4, 4, 4)), (64, 128, 256, 512, 512))
    stages = stages if stages[0]["depth"] else stages[1:]
    norm = {} if batch else {"norm": "none"}
    return whole(stages) | norm | ({"bias": True} if bias else {})


def vovnet(name: str) -> Keys:
    """vovnet27s: half as wide; a stage's first block is without a shortcut."""
    depths = {"27": (1, 1, 1, 1), "39": (1, 1, 2, 2), "57": (1, 1, 4, 3)}[name[6:8]]
    over = 2 if name.endswith("s") else 1
    stages = staged(depths, [width // over for width in (256, 512, 768, 1024)])
    for stage, width in zip(stages, (128, 160, 192, 224), strict=True):
        stage["block"] = {"kind": "one-shot", "each": width // over}
        stage["shortcut"] = "none"
        if stage["depth"] > 1:
            stage |= {"shortcut": "identity", "first": {"shortcut": "none"}}
    for stage in stages[1:]:
        stage["before"] = [{"max-pool": 3, "stride": "stage", "padding": 0, "ceil": True}]
    return {key: value for key, value in whole(stages).items() if key != "shortcut"}


def dense(keys: Keys, depths: tuple[int, ...], growth: int, first: int) -> Keys:
    """Blocks that put their channels beside what came in; half as many pass between stages."""
    stages, width = [], first
    for number, depth in enumerate(depths):
        widths = [width + growth * n for n in range(1, depth + 1)]
        stage = {"width": widths[-1], "blocks": [{"width": each} for each in widths]}
        stages.append(stage | ({"stride": 2, "before": "transition"} if number else {}))
        width = widths[-1] // 2
    return keys | {"block": {"kind": "dense", "growth": growth}, "stages": stages}


def densenet(name: str) -> Keys:
    """densenet161: 48 channels a block, 32 in the others."""
    blocks = found(r"(\d+)$", name)[0] or ""
    last = {"121": (24, 16), "161": (36, 24), "169": (32, 32), "201": (48, 32)}[blocks]
    growth = 48 if blocks == "161" else 32
    keys = dense(whole([]), (6, 12, *last), growth, 2 * growth)
    return merged(keys, {"stem": {"width": 2 * growth}})


def ibn_densenet(name: str) -> Keys:
    """ibn_densenet121: batch norm over 3/5 of the channels in every third block of three stages."""
    keys = densenet(name)
    for stage in keys["stages"][:3]:
        for block in stage["blocks"][::3]:
            entered = block["width"] - keys["block"]["growth"]
            mixed = {"kind": "mixed-dense", "batch": 3 * entered // 5}
            block["block"] = keys["block"] | mixed
    return keys


def densenet_cifar(name: str) -> Keys:
    """densenet100_k12_bc_cifar10: 12 channels a block, through 48 of a 1x1."""
    growth, narrowed = found(r"_k(\d+)(_bc)?_", name)
    blocks = int(found(r"(\d+)_k", name)[0] or 0)
    keys = cifar(re.sub(r"\d+_k\d+(_bc)?", "8", name))
    k, depth = int(growth or 0), (blocks - 4) // (6 if narrowed else 3)
    keys = dense(keys, (depth,) * 3, k, 2 * k) | {"stem": [{"conv": 3, "width": 2 * k}]}
    return keys if narrowed else merged(keys, {"block": {"kind": "simple-dense"}})


def ror(name: str) -> Keys:
    """ror3_56_cifar10: one block of everything, three stages inside it, each inside a shortcut."""
    keys = cifar(re.sub(r"ror3_(\d+)", "8", name))
    count = (int(found(r"ror3_(\d+)", name)[0] or 0) - 8) // 6
    stages: list[Any] = []
    for width in (16, 32, 64):
        units = [*[{"unit": {"w": width}}, "act"] * (count - 1), {"unit": {"w": width}}]
        shortcut = [{"conv": 1, "width": width}, "norm"]
        stages += [
            {"branches": [shortcut, units]},
            "act",
            {"max-pool": 2, "stride": 2, "padding": 0},
        ]
    shortcut = [{"conv": 1, "width": "out", "stride": "stage"}, "norm"]
    block = [{"branches": [shortcut, stages[:-2]]}, "act"]
    return keys | {"block": block, "stages": [{"depth": 1, "width": 64, "stride": 4}]}


def squeezenext(name: str) -> Keys:
    """sqnxt23v5_w3d2: other depths, half as wide again."""
    times, over = (int(n or 1) for n in found(r"_w(\d+)(?:d(\d+))?$", name))
    first, *widths, last = (n * times // over for n in (64, 32, 64, 128, 256, 128))
    stages = staged((2, 4, 14, 1) if "v5" in name else (6, 6, 8, 1), widths)
    stages[0]["first"] = {"block": {"kind": "unit", "d": 4}}
    for stage in stages[1:]:
        stage["first"] = {"block": {"kind": "unit", "d": 1}}
    stem = [
        {"conv": 7, "width": first, "stride": 2, "padding": 1}, "norm", "act",
        {"max-pool": 3, "stride": 2, "padding": 0, "ceil": True},
    ]  # fmt: skip
    head = [{"conv": 1, "width": last}, "norm", "act", "global-pool", "flatten",
            {"linear": "classes"}]  # fmt: skip
    return whole(stages) | {"stem": stem, "head": head}


def dla(name: str) -> Keys:
    """dla60xc: trees of up to three levels, grouped 3x3 convolutions, compact widths."""
    blocks, grouped, compact = found(r"dla(\d+)(x2?|)(c?)$", name)
    levels = {"60": (1, 2, 3, 1), "102": (1, 3, 4, 1), "169": (2, 3, 5, 1)}
    widths = (64, 64, 128, 256) if compact else (128, 256, 512, 1024)
    widths = (64, 128, 256, 512) if blocks == "34" else widths
    unit = {"x": "grouped", "x2": "wide"}.get(str(grouped), "narrow")
    unit = "plain" if blocks == "34" else unit
    stages = staged([1] * 4, widths)
    stages[0]["stride"] = 2
    before = 32
    for stage, level in zip(stages, levels.get(str(blocks), (1, 2, 2, 1)), strict=True):
        down = f"{unit}-down" if stage["width"] != before else f"{unit}-down-same"
        branches = chain(level, unit, down)
        halved = {"branches": [["half"], [branches]], "join": "concat"}
        stage["block"] = [branches if stage is stages[0] else halved, "root"]
        before = stage["width"]
    return whole(stages) | {"shortcut": "identity"}


def chain(level: int, unit: str, first: str) -> Keys:
    """A tree's branches, each behind the one before: a smaller tree, then its leaves in a row."""
    start = [first] if level == 1 else [chain(level - 1, unit, first), "root"]
    rest = [[chain(each, unit, unit), "root"] for each in range(level - 2, 0, -1)]
    leaves = [[unit]] * (1 if level == 1 else 2)
    return {"branches": [start, *rest, *leaves], "carry": "chain", "join": "concat"}


def mobile(name: str) -> Keys:
    """mobilenetv2b_wd2: half as wide; b without the first block's 1x1 convolution."""
    plain, times_, over_ = found(r"v2(b?)_w(\d?)d?(\d?)$", name)
    times, over = (int(times_ or 1), int(over_)) if over_ else (1, 1)
    widths = [width * times // over for width in (16, 24, 32, 64, 96, 160, 320)]
    stages = staged((1, 2, 3, 4, 3, 3, 1), widths)
    del stages[4]["stride"], stages[6]["stride"]
    stages[0]["block"] = "separable" if plain else "unexpanded"
    stem = [{"conv": 3, "width": 32 * times // over, "stride": 2}, "norm", "act"]
    return whole(stages) | {"stem": stem, "shortcut": "identity-same"}
