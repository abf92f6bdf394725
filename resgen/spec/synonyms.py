"""What others call what has another name here: keys, words and rows.

The names are those of torchvision, timm, pycls, Keras, detectron2 and the papers. They are
compared without case, hyphens, underscores and spaces. A name that means one thing here and
another there is left out: a guess that is wrong is worse than none.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

Beside = Mapping[str, object]
Saying = str | Callable[[object, Beside], str]
"""`ratio` (the key itself), `input: {size: $224}` (the key with its value; $ stands for what was
written, or an example), `!...` (a sentence that holds wherever the key stands), or a function of
the value and what stands beside it."""


class Meant(NamedTuple):
    """What an unknown key stands for: the key of it that is known there, and how that is said."""

    key: str
    text: str

    @property
    def hint(self) -> str:
        """The end of a sentence."""
        return f"; {self.text}" if not self.key else f"; did you mean {self.text}?"


def squashed(word: str) -> str:
    """A name without case, hyphens, underscores, dots and spaces."""
    return re.sub(r"[-_. ]", "", word.lower())


def meant_key(
    word: str, known: Iterable[str], value: object = None, beside: Beside | None = None
) -> Meant | None:
    """The first of the known keys that others call so, if any is."""
    keys = set(known)
    for saying in _KEYS.get(squashed(word), ()):
        text = saying if isinstance(saying, str) else saying(value, beside or {})
        if text.startswith("!"):
            return Meant("", text[1:])
        key = re.split(r"[:.,]", text)[0]
        if key in keys:
            return Meant(key, re.sub(r"\$([\w.]+)", lambda found: _plain(value, found[1]), text))
    return None


def meant_word(word: str, known: Iterable[str]) -> str:
    """The known word that others call so, if any is."""
    words = list(known)
    same = [each for each in words if squashed(each) == squashed(word)]
    return next((each for each in (*same, *_WORDS.get(squashed(word), ())) if each in words), "")


def meant_row(word: str) -> str:
    """The row that others call so, as it is written here; nothing where there is none."""
    return _ROWS.get(squashed(word), "")


def _plain(value: object, example: str) -> str:
    if isinstance(value, str) and re.fullmatch(r"[\w.]{1,20}", value):
        return value
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return f"{value:g}" if is_number and abs(value) < 10**6 else example  # type: ignore[arg-type]


def _number(value: object) -> float:
    """A number above 0, or 0 for anything else."""
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return float(value) if is_number and 0 < value < 10**6 else 0  # type: ignore[operator,arg-type]


def _switch(on: str, off: str) -> Saying:
    return lambda value, beside: off if value is False or value == 0 else on


def _inverse(before: str, example: str, after: str = "") -> Saying:
    """The same share, said the other way round."""

    def said(value: object, beside: Beside) -> str:
        given = _number(value)
        return f"{before}{1 / given if given else float(example):.6g}{after}"

    return said


def _reduced(before: str, after: str = "") -> Saying:
    """A reduction of 16 is a ratio of 1/16."""

    def said(value: object, beside: Beside) -> str:
        given = _number(value) or 16
        return f"{before}{1 / given if given >= 1 else given:.6g}{after}"

    return said


def _survival(value: object, beside: Beside) -> str:
    given = _number(value)
    return f"drop_path: {1 - given:.6g}" if 0 < given <= 1 else "drop_path"


def _base_width(value: object, beside: Beside) -> str:
    """torchvision's width / 4 * base / 64 * groups channels inside a bottleneck."""
    base, groups = _number(value), _number(beside.get("groups", beside.get("cardinality", 1)))
    return f"bottleneck_ratio: {256 / (base * groups):.6g}" if base and groups else ""


_STAGES = "stages: a list with a mapping for each, as {depth: 3, width: 256}"
_TRAINING = "!a spec says nothing of training; a recipe does (resgen train --recipe)"
_SE, _IN_SE = "attention: {kind: se, ", "}"


def _spread(table: Mapping[str, tuple[Saying, ...]]) -> dict[str, tuple[Saying, ...]]:
    return {alias: says for aliases, says in table.items() for alias in aliases.split()}


_KEYS = _spread({
    # The whole network.
    "numclasses nclasses nclass nbclasses numlabels numoutputs noutputs": ("classes",),
    "base parent inherits inherit basedon": ("extends",),
    "type variant method": ("kind",),
    "definitions": ("define",),
    "imgsize imagesize inputsize inputresolution resolution size": (
        "input: {size: $224}", "size", "augment: {size: $224}",
    ),
    "inchans inchannels inputchannels": ("input: {channels: $3}", "channels"),
    "inputshape": ("input: {channels: 3, size: 224}",),
    # Stages.
    "layers depths numblocks nblocks numlayers nlayers repeats numrepeats units numunits": (
        _STAGES, "depth",
    ),
    "blocks widths stagewidths": (_STAGES,),
    "planes outchannels outplanes filters numfilters nfilters": (_STAGES, "width"),
    "channels": ("input: {channels: $3}", "width"),
    "strides": (_STAGES.replace("256}", "256, stride: 2}"), "stride"),
    "downsample": (
        lambda value, beside: "stride: 2" if value is True else "stride",
        "shortcut: projection (or a stage's stride)",
    ),
    "stage": ("stages",),
    # The stem.
    "stemwidth stemchannels inplanes initplanes": ("stem.width", "width"),
    "stemtype": ("stem.kind", "kind"),
    "deepstem": ("stem: {kind: deep}",),
    "maxpool stempool": ("stem.pool", "pool"),
    # Blocks.
    "blocktype blockfn": ("block",),
    "shortcuttype skip skipconnection residual": ("shortcut",),
    "expansion": ("bottleneck_ratio",),
    "bottleratio botmul": (_inverse("bottleneck_ratio: ", "4"),),
    "midplanes midchannels innerwidth hiddenwidth": ("mid_width",),
    "cardinality numgroups ngroups": ("groups",),
    "groupsize": ("group_width",),
    "basewidth widthpergroup": (_base_width,),
    "preact preactivation": (_switch("order: preact", "order: original"),),
    "normlayer normtype normalization normalisation": ("norm",),
    "bn batchnorm usebn usebatchnorm": (_switch("norm: batch", "norm: none"),),
    "actlayer acttype act activationfn activationlayer nonlinearity": ("activation",),
    "se usese squeezeexcitation squeezeexcite selayer": (
        _switch("attention: se", "attention: none"),
    ),
    "eca useeca": (_switch("attention: eca", "attention: none"),),
    "attn attnlayer attnkind attentiontype": ("attention", "kind"),
    "reduction reductionratio sereduction": (
        _reduced("ratio: "), _reduced(_SE + "ratio: ", _IN_SE),
    ),
    "seratio rdratio": ("ratio: $0.25", _SE + "ratio: $0.25}"),
    "rddivisor": ("divisor", _SE + "divisor: $8}"),
    "convbias usebias": ("bias",),
    "weightstandardization ws stdconv": ("convolution: standardized", "weight: standardized"),
    "zeroinitresidual zeroinitlast zerogamma zeroinitlastbn": (
        _switch("zero_init: last", "zero_init: none"),
    ),
    "avgdown": (_switch("projection: avgpool-conv", "projection: conv"),),
    "aalayer antialiasing blurpool": (_switch("antialias: blur", "antialias: none"),),
    "replacestridewithdilation dilated": ("output_stride",),
    "dilation dilations": (
 "output_stride",
        "!dilations come of output_stride, at the top"),
    "dilationrate": ("dilation",),
    "kernelsize ksize kernel": ("kernel", "!a kernel is a row's value, as {conv: 3}"),
    # Regularization.
    "dropout droprate dropoutrate": (
        "head: {dropout: $0.2} before the linear layer, drop_path: $0.2 for whole blocks, or a row "
        "{dropout: $0.2} in a block's path",
        "dropout", "rate",
        "!dropout before the linear layer is the head's; in a block's path it is a row, "
        "as {dropout: 0.2}",
    ),
    "stochasticdepth stochasticdepthprob stochasticdepthrate dropconnect dropconnectrate "
    "droppathrate": ("drop_path", "!stochastic depth is drop_path, at the top"),
    "survivalprob": (_survival,),
    "headdropout": ("head: {dropout: $0.2}",),
    "numfeatures": ("head: {width: $1024}",),
    # Recipes.
    "lr learningrate baselr initlr": ("lr", "optimizer: {lr: $0.1}", _TRAINING),
    "wd weightdecay": ("weight_decay", "optimizer: {weight_decay: $0.0001}", _TRAINING),
    "momentum": ("momentum", "optimizer: {momentum: $0.9}", _TRAINING),
    "nesterov": ("momentum_kind: nesterov", "optimizer: {momentum_kind: nesterov}", _TRAINING),
    "opt optim optimizer": ("optimizer", _TRAINING),
    "epochs numepochs maxepochs": ("length: $90 epochs", _TRAINING),
    "steps maxsteps numsteps iterations maxiters": ("length: $64000 steps", _TRAINING),
    "batch batchsize": ("batch", _TRAINING),
    "accumulationsteps gradaccum gradaccumsteps accumsteps": ("accumulate",),
    "scheduler lrscheduler lrschedule sched": ("schedule", _TRAINING),
    "warmup warmupepochs": ("warmup: $5 epochs", "schedule: {warmup: $5 epochs}", _TRAINING),
    "warmupsteps": ("warmup: $500 steps", "schedule: {warmup: $500 steps}", _TRAINING),
    "milestones": ("schedule: {kind: step, milestones: [30 epochs, 60 epochs]}",),
    "gamma": ("factor",),
    "labelsmoothing smoothing": ("label_smoothing", "loss: {label_smoothing: $0.1}", _TRAINING),
    "mixup mixupalpha": ("mixup", "augment: {mixup: $0.2}", _TRAINING),
    "cutmix cutmixalpha": ("cutmix", "augment: {cutmix: $1.0}", _TRAINING),
    "randomerasing reprob": ("erase", "augment: {erase: $0.25}"),
    "randaugment": ("random: randaugment", "augment: {random: randaugment}"),
    "hflip horizontalflip": ("flip: horizontal", "augment: {flip: horizontal}"),
    "augmentation augmentations transforms": ("augment",),
    "clipgrad gradclip clipnorm maxgradnorm": ("clip",),
    "modelema emadecay": ("ema: {decay: $0.9999}",),
    "criterion": ("loss",),
    "seed": ("!the seed is an option: resgen train --seed",),
})  # fmt: skip

_WORDS: dict[str, tuple[str, ...]] = {
    alias: tuple(words.split())
    for aliases, words in {
        # Activations.
        "swish": "silu", "hswish": "hardswish", "hsigmoid": "hardsigmoid", "logistic": "sigmoid",
        "lrelu leaky": "leaky-relu", "parametricrelu": "prelu",
        # Norms.
        "bn batchnorm batchnorm2d batchnormalization": "batch", "gn groupnorm": "group",
        "ln layernorm layernorm2d": "layer", "grn": "response",
        "frozenbn frozenbatchnorm frozenbatchnorm2d": "frozen",
        # Blocks and their settings.
        "resnet50 resnet101 resnet152 bottleneckblock bottleneckv1 resnext50 resnext": "bottleneck",
        "resnet18 resnet34 basicblock basicblockv1": "basic",
        "conv1x1 1x1 downsample optionb": "projection conv", "optiona zeropad": "identity",
        "optionc": "projection-all", "off no": "none", "highway": "gated",
        "squeezeexcitation squeezeexcite squeezeandexcitation seblock selayer semodule": "se",
        "efficientchannelattention ecalayer ecamodule": "eca",
        "preactivation fullpreactivation resnetv2": "preact", "postactivation postact": "original",
        "avgpool avgdown": "avgpool-conv", "ws weightstandardized standardised": "standardized",
        "7x7 imagenet": "conv7x7-pool", "conv7x7maxpool": "conv7x7-pool", "cifar": "conv3x3",
        "maxpool": "max", "blurpool": "blur",
        "concatenate cat": "concat", "plus": "sum", "mul multiply": "product",
        # Recipes.
        "cosineannealing cosineannealinglr cosinedecay": "cosine", "multistep multisteplr": "step",
        "onecyclelr": "one-cycle", "bce binarycrossentropy": "binary",
        "ce softmax": "cross-entropy",
        "hflip": "horizontal", "randomresizedcrop": "random-resized",
        "randaug": "randaugment", "trivialaugmentwide": "trivialaugment",
    }.items()
    for alias in aliases.split()
}  # fmt: skip

_ROWS: dict[str, str] = {
    alias: row
    for aliases, row in {
        "depthwise dwconv depthwiseconv depthwiseconv2d": "{conv: 3, groups: depthwise}",
        "conv2d convolution": "conv", "conv1x1 pointwise": "{conv: 1}", "conv3x3": "{conv: 3}",
        "conv7x7": "{conv: 7}", "relu activation": "act",
        "sigmoid": "{act: sigmoid}", "gelu": "{act: gelu}", "silu swish": "{act: silu}",
        "hardswish hswish": "{act: hardswish}", "leakyrelu lrelu": "{act: leaky-relu}",
        "bn batchnorm batchnorm2d batchnormalization": "norm",
        "layernorm ln": "{norm: layer}", "groupnorm gn": "{norm: group}", "grn": "{norm: response}",
        "maxpool maxpool2d": "max-pool", "avgpool avgpool2d averagepool": "avg-pool",
        "gap globalpool globalavgpool globalaveragepool adaptiveavgpool2d": "global-pool",
        "fc dense": "linear", "concat concatenate cat": "{branches: [...], join: concat}",
        "residual shortcut skip": "add", "sum": "{branches: [...]}",
        "se squeezeexcite": "squeeze-excitation", "eca": "efficient-attention",
        "gc": "global-context", "attnpool": "attention-pool",
        "cbam": "channel-attention and spatial-attention",
        "layerscale": "{scale: 1e-6, per: channel}", "pixelunshuffle": "space-to-depth",
        "channelshuffle": "shuffle", "blurpool": "{blur: 3}", "zeropad zeropad2d": "pad",
    }.items()
    for alias in aliases.split()
}  # fmt: skip
