"""The words of paths: what each row is called, what it takes, what its options are.

One table, which reading, documentation and the JSON Schema are made from.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from resgen.spec.norms import ACTS, NORM_KINDS
from resgen.spec.values import (
    PADDING,
    RATE,
    ROUND,
    SIZE,
    STRIDE,
    SWITCH,
    TIMES,
    WIDTH,
    Kind,
    count,
    either,
    number,
    pair,
    word,
)

CONVOLUTION_KINDS = ("plain", "standardized", "scaled")
JOINS = ("sum", "concat", "product", "shake")
TAKES = ("all", "slices")
CARRIES = ("none", "sum", "chain")


class Word(NamedTuple):
    """A row word: what it takes, its options, and what it does in a line.

    alone: whether it may stand without an argument.
    """

    says: str
    takes: Kind | None = None
    options: Mapping[str, Kind] = {}
    alone: bool = False


_SLIDES = {"stride": STRIDE, "padding": PADDING}
_POOLS = {
    "stride": count(1, 64, words=("stage",)),
    "padding": either(count(0, 512), "same"),
    "ceil": SWITCH,
}
_ROUNDED = {"round": ROUND}
_ACT = word(*ACTS, free=True)
_SHARE = number(0, 1, named=False)
ROWS: dict[str, Word] = {
    "conv": Word(
        "A convolution. Keeps the width where none is said; an odd kernel keeps the size at "
        "stride 1, an even one says its `padding`. `over: channels`: along the channels of a "
        "1x1 image, one filter.",
        SIZE,
        {
            "width": WIDTH,
            **_SLIDES,
            "dilation": pair(count(1, 1024, words=("stage",))),
            "groups": either(WIDTH, "stage", "depthwise"),
            "bias": SWITCH,
            "weight": word(*CONVOLUTION_KINDS),
            "over": word("channels"),
            **_ROUNDED,
        },
    ),
    "norm": Word(
        "The setting's norm, or another; behind `flatten` its one-dimensional form.",
        word(*NORM_KINDS),
        {
            "groups": WIDTH,
            "group_width": WIDTH,
            "share": number(0, 1, named=False),
            "eps": number(0, 1, named=False),
        },
        alone=True,
    ),
    "act": Word(
        "The setting's activation, or another; a definition's parameter may say which.",
        _ACT,
        {"slope": _SHARE},
        alone=True,
    ),
    "max-pool": Word("The largest value of each window.", count(1, 1023), _POOLS),
    "avg-pool": Word(
        "The mean of each window; `{avg-pool: stage, stride: stage}` is nothing where the "
        "stage does not stride.",
        count(1, 1023, words=("stage",)),
        {**_POOLS, "count_padding": SWITCH},
    ),
    "global-pool": Word("The mean of each channel: an image of 1x1.", alone=True),
    "flatten": Word("An image as one vector.", alone=True),
    "linear": Word(
        "A linear layer; `classes` is nothing in a network of 0 classes.",
        WIDTH,
        {"bias": SWITCH, **_ROUNDED},
    ),
    "dropout": Word("Elements zeroed at a rate, in training.", RATE),
    "scale": Word(
        "A factor; learned where it says `per: channel` or `per: all`, with `bias` if wanted.",
        number(),
        {"per": word("channel", "all"), "bias": SWITCH},
    ),
    "shuffle": Word("Channels of so many groups interleaved (ShuffleNet).", WIDTH),
    "upsample": Word("Each pixel so many times in both directions.", count(2, 64)),
    "space-to-depth": Word("Squares of so many pixels a side as channels.", count(2, 64)),
    "blur": Word("A fixed binomial 3x3 filter (Zhang 2019).", count(3, 3), {"stride": STRIDE}),
    "shift": Word("The image moved up and left by so many pixels, zeros behind.", count(1, 64)),
    "pad": Word("A border of zeros.", count(1, 1023)),
    "squeeze-excitation": Word(
        "x times gate(W2 act(W1 mean(x))), squeezed to a width (Hu et al. 2018); the gate is a "
        "sigmoid where none is said.",
        WIDTH,
        {**_ROUNDED, "bias": SWITCH, "activation": _ACT, "gate": _ACT},
    ),
    "efficient-attention": Word(
        "x times sigmoid(w * mean(x)), w of so many channels (Wang et al. 2020); `width`: a "
        "kernel grown with the width.",
        either(count(1, 1023), "width"),
    ),
    "channel-attention": Word(
        "x times sigmoid(f(mean(x)) + f(max(x))), f(z) = W2 act(W1 z), squeezed to a width (CBAM, "
        "Woo et al. 2018).",
        WIDTH,
        {**_ROUNDED, "bias": SWITCH, "activation": _ACT},
    ),
    "spatial-attention": Word(
        "x times sigmoid(norm(w * [max(x), mean(x)])), max and mean over the channels, w so many "
        "pixels a side (CBAM, Woo et al. 2018).",
        count(1, 1023),
    ),
    "global-context": Word(
        "x plus W2 act(norm(W1 c)), squeezed to a width, c the mean of the pixels weighted by "
        "softmax(w x) (GCNet, Cao et al. 2019); `fuse: scale`: x times its sigmoid.",
        WIDTH,
        {**_ROUNDED, "activation": _ACT, "fuse": word("add", "scale")},
    ),
    "attention-pool": Word(
        "An image as a vector of so many numbers: the mean attends to itself and every pixel, "
        "with learned positions (CLIP, Radford et al. 2021); a head of 64 channels where `heads` "
        "is not said.",
        WIDTH,
        {"heads": WIDTH},
    ),
    "branches": Word(
        "Paths side by side; `[]` is the input itself. With `times`, one path so many times."
    ),
    "split": Word(
        "Where a projection leaves; `{split: all}`: the identity, too.", word("all"), alone=True
    ),
    "add": Word("Where the shortcut joins, as the `shortcut` setting says.", alone=True),
}
BRANCH_SAYS = (
    ("join", "sum", "Added: the same channels, and one size or 1x1; so by default."),
    ("join", "concat", "One behind the other along the channels: one image size."),
    ("join", "product", "Multiplied: the same shape, 1 channel or 1x1. Gates are products."),
    ("join", "shake", "Added with random weights in training, averaged else (Gastaldi 2017)."),
    (
        "join",
        "{select: {ratio: 0.5}}",
        "Added with weights of a softmax over the branches, from the mean of their sum squeezed "
        "to `ratio` (rounded to `divisor`, at least `least`): selective kernels, split attention.",
    ),
    ("take", "all", "Every branch takes the whole input; so by default."),
    ("take", "slices", "Equal shares of the channels."),
    ("take", "[in / 4, rest]", "Shares by number."),
    ("carry", "sum", "Each also gets what the one before puts out (Res2Net)."),
    ("carry", "chain", "Each gets only what the one before puts out (VoVNet)."),
    ("times", "32", "One path so many times."),
)
BRANCH_OPTIONS = ("join", "take", "carry", "times")
SELECT: Mapping[str, Kind] = {
    "ratio": number(0, 1025),
    "divisor": count(1, 1024),
    "least": count(),
    "bias": SWITCH,
}
"""Options of `join: {select: ...}`: the squeezed width, at least so much, its biases."""
PARAMETER = either(WIDTH, "stage", *ACTS)
USE: Mapping[str, Kind] = {"times": TIMES}
_FREE = frozenset(["activation", "gate", "fuse", "heads"])
"""Options of rows that nobody takes for rows: definitions and parameters may be called so."""
RESERVED = (
    frozenset(["name", "with", "path", "kind", "stage", "depthwise", *BRANCH_OPTIONS])
    | {option for row in ROWS.values() for option in row.options}
) - _FREE
