"""A training recipe: how to train, whatever the network. Read from YAML, frozen, torch-free."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import (
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    WithJsonSchema,
    model_validator,
)

from resgen.spec.checked import Checked
from resgen.spec.mistakes import show
from resgen.spec.reading import read_model

_UNITS = {"epoch": "epochs", "epochs": "epochs", "step": "steps", "steps": "steps", "%": "%"}


class Span(NamedTuple):
    """A stretch of training with its unit: `30 epochs`, `64000 steps`, or `10 %` of the whole."""

    amount: float
    unit: Literal["epochs", "steps", "%"]

    def steps(self, *, epoch: int, total: int = 0) -> int:
        """The stretch in optimizer steps, with `epoch` steps an epoch and `total` in all."""
        scale = {"epochs": epoch, "steps": 1, "%": total / 100}[self.unit]
        return round(self.amount * scale)

    def __str__(self) -> str:
        # Every digit, and no exponent: what is written here is read again.
        return f"{Decimal(repr(self.amount)):f} {self.unit}".replace(".0 ", " ")


def _read_span(value: Any) -> Any:
    if isinstance(value, Span):
        return value
    match = re.fullmatch(_SPAN, value) if isinstance(value, str) else None
    if match is None:
        raise ValueError(
            f"must be a number with its unit, as 30 epochs, 64000 steps or 10 % (got {show(value)})"
        )
    if float(match[1]) > MAX_AMOUNT:
        raise ValueError(f"may be at most {MAX_AMOUNT:,} (got {show(value)})")
    return Span(float(match[1]), _UNITS[match[2]])  # type: ignore[arg-type]


MAX_AMOUNT = 10**12
_SPAN = r"\s*([0-9]+(?:\.[0-9]+)?)\s*(epochs?|steps?|%)\s*"
Stretch = Annotated[
    Span,
    BeforeValidator(_read_span),
    PlainSerializer(Span.__str__, return_type=str, when_used="json"),
    WithJsonSchema({"type": "string", "pattern": f"^{_SPAN}$"}),
]
Fraction = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[float, Field(gt=0)]
NotNegative = Annotated[float, Field(ge=0)]


def _one_as_list(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


_NAME = {"type": "string"}
_ONE_OR_SEVERAL = WithJsonSchema({"anyOf": [_NAME, {"type": "array", "items": _NAME}]})


class _Strict(Checked):
    model_config = ConfigDict(use_attribute_docstrings=True)


class Optimizer(_Strict):
    """w <- w - rate * direction, the direction by `kind`."""

    kind: Literal["sgd", "adamw", "lamb"] = "sgd"
    """LAMB is Adam's direction at a length set by each tensor's own norm."""
    lr: Positive
    """The rate that the schedule's factors multiply."""
    momentum: Annotated[float, Field(ge=0, lt=1)] = 0.9
    """Of sgd."""
    momentum_kind: Literal["heavy-ball", "nesterov"] = "heavy-ball"
    """Of sgd."""
    betas: Annotated[tuple[Fraction, Fraction], Field(strict=False)] = (0.9, 0.999)
    """Of adamw and lamb."""
    weight_decay: NotNegative = 0.0
    """Joins the gradient in sgd, the direction in lamb; is apart from both in adamw."""
    decay: Literal["all", "weights"] = "all"
    """`weights` leaves norms and biases undecayed; the early papers decay all."""
    head_rate: Positive = 1.0
    """The rate of what comes after the last stage, as a multiple of lr."""
    layer_decay: Annotated[float, Field(gt=0, le=1)] = 1.0
    """A part's rate as a share of the next one's: stem, each block, head (Bao et al. 2021)."""

    @property
    def state(self) -> Literal["sgd", "momentum", "adamw"]:
        """What it keeps of each weight, as `resgen summarize --optimizer` calls it."""
        if self.kind == "sgd":
            return "momentum" if self.momentum else "sgd"
        return "adamw"  # LAMB keeps Adam's two moments


class Schedule(_Strict):
    """rate(step) = lr x factor(step): a warm-up, then a curve by `kind`."""

    kind: Literal["constant", "step", "cosine", "one-cycle", "linear"] = "constant"
    """What the rate does after the warm-up."""
    warmup: Stretch | None = None
    """How long the rate rises to lr: in a straight line, or for one-cycle half a cosine."""
    warmup_from: Fraction = 0.0
    """Where the warm-up starts, as a fraction of lr."""
    warmup_until_error: Annotated[float, Field(gt=0, lt=1)] | None = None
    """He 2015, section 4.2: `warmup_from` x lr until the training error is below this."""
    milestones: Annotated[tuple[Stretch, ...], Field(strict=False)] = ()
    """Of step: where the rate is multiplied by `factor`."""
    factor: Annotated[float, Field(gt=0, lt=1)] = 0.1
    """Of step."""
    final: Fraction = 0.0
    """Where cosine, one-cycle and linear end, as a fraction of lr."""

    @model_validator(mode="after")
    def _words_that_go_together(self) -> Schedule:
        if self.milestones and self.kind != "step":
            raise ValueError(f"milestones belong to kind step, not to {self.kind}")
        if self.kind == "step" and not self.milestones:
            raise ValueError("kind step needs milestones, as [32000 steps, 48000 steps]")
        if self.kind == "one-cycle" and self.warmup is None:
            raise ValueError("kind one-cycle needs warmup: where its peak lies, as 30 %")
        if self.warmup is not None and self.warmup_until_error is not None:
            raise ValueError("warmup and warmup_until_error exclude each other")
        if self.warmup_until_error is not None and self.warmup_from == 0:
            raise ValueError("warmup_until_error needs warmup_from above 0")
        return self


class Augment(_Strict):
    """What is drawn anew for each image at each step."""

    crop: Literal["none", "pad", "random-resized"] = "none"
    """A window of the padded image, or a rectangle of random area and shape, resized."""
    pad: Annotated[int, Field(ge=1, le=64)] = 4
    """Pixels of zero padding on each side before a crop of the old size."""
    min_area: Annotated[float, Field(gt=0, le=1)] = 0.08
    """The smallest part of the image a random-resized crop takes."""
    flip: Literal["none", "horizontal"] = "none"
    """Half of the images are mirrored."""
    interpolation: Literal["bilinear", "bicubic"] = "bilinear"
    """How images are scaled, for training and for testing."""
    random: Literal["none", "randaugment", "trivialaugment"] = "none"
    """Random operations of each image: timm's RandAugment, or one operation of any strength."""
    random_ops: Annotated[int, Field(ge=1, le=8)] = 2
    """Of randaugment: operations drawn for an image; timm's n."""
    random_magnitude: Annotated[float, Field(ge=0, le=10)] = 9.0
    """Of randaugment: their strength, of 10; timm's m, all operations growing with it (inc1)."""
    random_noise: NotNegative = 0.5
    """Of randaugment: the normal deviation of the strength, for each operation; timm's mstd."""
    random_probability: Fraction = 0.5
    """Of randaugment: the probability that a drawn operation is applied; timm's p."""
    erase: Fraction = 0.0
    """The probability that a rectangle of an image is blanked (random erasing)."""
    mixup: NotNegative = 0.0
    """Alpha of mixup's Beta distribution; 0 for none."""
    cutmix: NotNegative = 0.0
    """Alpha of cutmix's Beta distribution; with mixup, each batch takes one of the two."""
    repeats: Annotated[int, Field(ge=1, le=64)] = 1
    """Copies of an image in a batch, each changed differently (repeated augmentation)."""
    size: Annotated[int, Field(ge=1, le=4096)] | None = None
    """Side of the images trained on, where it is not the network's own; tested at that."""
    test_crop: Annotated[float, Field(gt=0, le=1)] = 0.875
    """The centre part of the short side that is tested on, of images larger than the network's."""


class Loss(_Strict):
    """Cross-entropy over the classes, or one binary cross-entropy a class (their mean)."""

    kind: Literal["cross-entropy", "binary"] = "cross-entropy"
    """One softmax over the classes, or a sigmoid for each."""
    label_smoothing: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """The share of a label that is spread over all classes."""
    threshold: Annotated[float, Field(ge=0, lt=1)] | None = None
    """Of binary: a class whose share of a mixed image is above it counts as wholly there."""

    @model_validator(mode="after")
    def _threshold_is_binary(self) -> Loss:
        if self.threshold is not None and self.kind != "binary":
            raise ValueError(f"threshold belongs to kind binary, not to {self.kind}")
        return self


class Ema(_Strict):
    """average <- decay x average + (1 - decay) x weights, after each step."""

    decay: Annotated[float, Field(gt=0, lt=1)]
    """Of the average, at each step."""


class Recipe(_Strict):
    """Everything about a training run that is not the network, the data or the machine."""

    description: str
    """What it is and where it is from."""
    length: Stretch
    """Of the whole run, in epochs or steps."""
    batch: Annotated[int, Field(ge=1, le=1_000_000)]
    """Images a step, over all processes and accumulations."""
    accumulate: Annotated[int, Field(ge=1, le=65_536)] = 1
    """Pieces a step's batch is computed in, one after another, to save memory."""
    optimizer: Optimizer
    """What turns gradients into steps."""
    schedule: Schedule = Schedule()
    """The rate over the run."""
    augment: Augment = Augment()
    """How training images are changed."""
    loss: Loss = Loss()
    """What is made small."""
    ema: Ema | None = None
    """An average of the weights, which is then what is evaluated."""
    clip: Positive | None = None
    """The largest norm of all gradients together."""
    precise_bn: Annotated[int, Field(ge=0, le=100_000)] = 0
    """Batches over which batch-norm statistics are measured anew before each evaluation."""
    freeze: Annotated[
        tuple[str, ...], Field(strict=False), BeforeValidator(_one_as_list), _ONE_OR_SEVERAL
    ] = ()
    """What stays as it is, batch norms' statistics too: stem, layer1, layer2.0, backbone, head."""

    @model_validator(mode="after")
    def _length_is_absolute(self) -> Recipe:
        if self.length.unit == "%":
            raise ValueError(f"length must be in epochs or steps (got {self.length})")
        if self.length.amount <= 0:
            raise ValueError(f"length must be greater than 0 (got {self.length})")
        return self


def far_changes(preset: Recipe, chosen: Recipe) -> list[str]:
    """A note for each of the optimizer's numbers at ten times the preset's, a tenth, or beyond."""
    notes = []
    for key in ("lr", "weight_decay"):
        before, now = getattr(preset.optimizer, key), getattr(chosen.optimizer, key)
        if before and now and not 0.1 < now / before < 10:
            notes.append(
                f"optimizer.{key} {now:g} is {now / before:g} times the recipe's {before:g}"
            )
    return notes


def read_recipe(path_or_name: str) -> Recipe:
    """The recipe of a file or a shipped name; `set_values` changes it. Raises UserError."""
    from resgen.spec.shipped import find

    return read_model(Recipe, find("recipe", path_or_name))
