"""What stands between convolutions: norms and activations, and the keys each kind has."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field, model_validator

from resgen.spec.parts import Keys, broken, refuse_foreign

ACTS = (
    "relu", "relu6", "silu", "gelu", "leaky-relu", "elu", "hardswish", "hardsigmoid", "sigmoid",
    "tanh", "mish", "prelu", "threshold",
)  # fmt: skip
NORM_KINDS = (
    "batch", "group", "layer", "response", "frozen", "instance", "instance-batch",
    "filter-response", "evonorm-b0", "evonorm-s0",
)  # fmt: skip
NO_SCALE = ("none", "frozen", "instance-batch")
"""Norms without a scale of their own that is trained."""

_GROUPED = ("group", "evonorm-s0")


class Norm(Keys):
    """Normalization; a word alone is its kind."""

    owners: ClassVar[dict[str, tuple[str, ...]]] = {
        "groups": _GROUPED,
        "group_width": _GROUPED,
        "share": ("instance-batch",),
        "eps": tuple(kind for kind in NORM_KINDS if kind != "response"),
    }

    kind: Literal[(*NORM_KINDS, "none")] = Field(  # type: ignore[valid-type]
        description="Batch norm, group norm, layer norm over the channels of each pixel "
        "(ConvNeXt), global response norm (ConvNeXt V2), or none (convolutions then have biases). "
        "`frozen`: a batch norm that nothing trains (detectron2). `instance-batch`: instance norm "
        "for the first channels, batch norm for the rest (IBN-Net, Pan et al. 2018). "
        "`filter-response`: by the root mean square of each channel, with `activation: threshold` "
        "(Singh and Krishnan 2020). `evonorm-b0`, `evonorm-s0` (Liu et al. 2020) have their "
        "activation in them: they stand for the `act` right behind, too; where none is, they are "
        "a factor and a bias.",
        examples=["batch"],
    )
    groups: int | None = Field(
        None,
        ge=1,
        description="`group`, `evonorm-s0`: groups a layer; 32 by default.",
        examples=[32],
    )
    group_width: int | None = Field(
        None,
        ge=1,
        description="`group`, `evonorm-s0`: channels a group, in place of `groups`.",
        examples=[16],
    )
    share: float | None = Field(
        None,
        gt=0,
        lt=1,
        description="`instance-batch`: the share of the channels under instance norm, rounded "
        "down; a half by default.",
        examples=[0.25],
    )
    eps: float | None = Field(
        None,
        gt=0,
        le=1,
        description="What is added to a variance; 1e-5 by default, 1e-6 for a layer norm of images "
        "(1.001e-5 in Keras's ResNets, 1e-3 in TensorFlow's EfficientNets).",
        examples=[0.001],
    )

    @model_validator(mode="after")
    def _own_keys_only(self) -> Norm:
        refuse_foreign(self, "norm")
        if self.groups is not None and self.group_width is not None:
            raise broken("groups and group_width say the same thing; keep one", "group_width")
        return self


class Activation(Keys):
    """The activation; a word alone is its kind."""

    owners: ClassVar[dict[str, tuple[str, ...]]] = {"slope": ("leaky-relu", "prelu")}

    kind: Literal[ACTS] = Field(  # type: ignore[valid-type]
        description="The function. `prelu` (He et al. 2015) and `threshold` (max(x, t), Singh and "
        "Krishnan 2020) learn a number a channel, each place its own.",
        examples=["silu"],
    )
    slope: float | None = Field(
        None,
        ge=0,
        lt=1,
        description="`leaky-relu`: the slope below zero, 0.01 by default. `prelu`: what it starts "
        "at, 0.25 by default.",
        examples=[0.1],
    )

    @model_validator(mode="after")
    def _own_keys_only(self) -> Activation:
        refuse_foreign(self, "activation")
        return self
