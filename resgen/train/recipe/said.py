"""A recipe's augmentation and loss in words."""

from __future__ import annotations

from resgen.train.recipe.keys import Augment, Loss

_LOSSES = {"cross-entropy": "cross-entropy", "binary": "binary cross-entropy, the classes' mean"}


def augmentation(augment: Augment) -> str:
    """What is drawn anew for each training image, in the order it is applied."""
    area = f"{100 * augment.min_area:g} %"
    told = {
        f"trained at {augment.size}x{augment.size}": augment.size is not None,
        f"crops of the image padded by {augment.pad}": augment.crop == "pad",
        f"random-resized crops of {area} of the area or more": augment.crop == "random-resized",
        "horizontal flips": augment.flip == "horizontal",
        "bicubic scaling": augment.interpolation == "bicubic",
        f"randaugment ({augment.random_ops} operations of magnitude {augment.random_magnitude:g} "
        f"+- {augment.random_noise:g}, each with probability {augment.random_probability:g})": (
            augment.random == "randaugment"
        ),
        "trivialaugment": augment.random == "trivialaugment",
        f"{100 * augment.erase:g} % of the images erased in part": augment.erase > 0,
        f"mixup {augment.mixup:g}": augment.mixup > 0,
        f"cutmix {augment.cutmix:g}": augment.cutmix > 0,
        f"{augment.repeats} copies of an image in a batch": augment.repeats > 1,
    }
    return ", ".join(words for words, holds in told.items() if holds) or "none"


def loss(kind: Loss) -> str:
    """What is made small."""
    told = {
        _LOSSES[kind.kind]: True,
        f"label smoothing {kind.label_smoothing:g}": kind.label_smoothing > 0,
        f"mixed labels whole above {kind.threshold}": kind.threshold is not None,
    }
    return ", ".join(words for words, holds in told.items() if holds)
