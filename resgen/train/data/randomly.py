"""RandAugment and TrivialAugment: which operations, how strong, on which images of a batch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, NamedTuple

import torch
from torch import Tensor

from resgen.train.data.draws import Draws
from resgen.train.data.operations import OPERATIONS, Surround
from resgen.train.recipe.keys import Augment

Amount = Callable[[Tensor, Tensor, int], Tensor]
"""(strength in [0, 1], -1 or 1, pixels a side) -> an operation's amount, for each image."""
_LEVELS = 10
"""RandAugment's strengths, as its recipes write them: m7 is 7 of 10."""
_BINS = 30
"""TrivialAugment's strengths above none."""


def _none(strength: Tensor, _: Tensor, __: int) -> Tensor:
    return strength


def _enhanced(strength: Tensor, sign: Tensor, _: int) -> Tensor:
    return (1 + 0.9 * strength * sign).clamp(min=0.1)


def _factor(strength: Tensor, sign: Tensor, _: int) -> Tensor:
    return 1 + 0.99 * strength * sign


def _signed(most: float) -> Amount:
    return lambda strength, sign, _: most * strength * sign


class Kind(NamedTuple):
    """A set of operations, drawn from equally often, with the amount of each."""

    operations: dict[str, Amount]
    sampling: Literal["bilinear", "nearest"]


RANDAUGMENT = Kind(
    {
        "autocontrast": _none,
        "equalize": _none,
        "invert": _none,
        "rotate": _signed(30),
        "posterize": lambda strength, _, __: 4 - (4 * strength).floor(),
        "solarize": lambda strength, _, __: 256 - (256 * strength).floor(),
        "color": _enhanced,
        "contrast": _enhanced,
        "brightness": _enhanced,
        "sharpness": _enhanced,
        "shear-x": _signed(0.3),
        "shear-y": _signed(0.3),
        "translate-x": lambda strength, sign, side: 0.45 * strength * sign * side,
        "translate-y": lambda strength, sign, side: 0.45 * strength * sign * side,
        "solarize-add": lambda strength, _, __: (110 * strength).floor(),
    },
    "bilinear",
)
"""timm's set whose every operation is stronger the higher its magnitude (`inc1`)."""
TRIVIALAUGMENT = Kind(
    {
        "identity": _none,
        "shear-x": _signed(0.99),
        "shear-y": _signed(0.99),
        "translate-x": lambda strength, sign, _: (32 * strength).floor() * sign,
        "translate-y": lambda strength, sign, _: (32 * strength).floor() * sign,
        "rotate": _signed(135),
        "brightness": _factor,
        "color": _factor,
        "contrast": _factor,
        "sharpness": _factor,
        "posterize": lambda strength, _, __: (8 - 6 * strength).round(),
        "solarize": lambda strength, _, __: 255 * (1 - strength),
        "autocontrast": _none,
        "equalize": _none,
    },
    "nearest",
)
"""The wide set of Mueller and Hutter 2021."""


class Layer(NamedTuple):
    """For each image an operation's number, whether it is applied, its strength and sign."""

    number: Tensor
    applied: Tensor
    strength: Tensor
    sign: Tensor


def _randaugment(recipe: Augment, draws: Draws) -> list[Layer]:
    """Cubuk et al. 2020 as timm has it: each operation is left out at times, and has noise."""
    return [
        Layer(
            (draws.uniform(f"operation {i}") * len(RANDAUGMENT.operations)).long(),
            draws.uniform(f"applied {i}") < recipe.random_probability,
            (recipe.random_magnitude + recipe.random_noise * draws.normal(f"noise {i}").double())
            .clamp(0, _LEVELS) / _LEVELS,
            _sign(draws, i),
        )
        for i in range(recipe.random_ops)
    ]  # fmt: skip


def _trivialaugment(_: Augment, draws: Draws) -> list[Layer]:
    """One operation an image, of a strength that is uniform."""
    number = (draws.uniform("operation 0") * len(TRIVIALAUGMENT.operations)).long()
    strength = (draws.uniform("strength") * (_BINS + 1)).floor().double() / _BINS
    return [Layer(number, torch.ones_like(number, dtype=torch.bool), strength, _sign(draws, 0))]


def _sign(draws: Draws, layer: int) -> Tensor:
    return 1 - 2 * (draws.uniform(f"sign {layer}") < 0.5).double()


_KINDS = {
    "randaugment": (RANDAUGMENT, _randaugment),
    "trivialaugment": (TRIVIALAUGMENT, _trivialaugment),
}


def random_ops(images: Tensor, recipe: Augment, draws: Draws, fill: Tensor) -> Tensor:
    """Each image by operations of its own; those that share one are changed together.

    `fill` (C,) bytes are what RandAugment shows beyond an image's edge, TrivialAugment black.
    """
    kind, drawn = _KINDS[recipe.random]
    if kind.sampling == "nearest":
        fill = torch.zeros_like(fill)
    surround, done = Surround(fill, kind.sampling), images.clone()
    for layer in drawn(recipe, draws):
        for number, (name, amount) in enumerate(kind.operations.items()):
            # Found on the CPU, where the draws are: the device is not waited for.
            places = (layer.applied & (layer.number == number)).nonzero().flatten()
            if not len(places):
                continue
            side = images.shape[3 if name.endswith("-x") else 2]
            amounts = amount(layer.strength[places], layer.sign[places], side)
            there = places.to(images.device, non_blocking=True)
            amounts = amounts.to(images.device, non_blocking=True)
            changed = OPERATIONS[name](done.index_select(0, there), amounts, surround)
            done.index_copy_(0, there, changed)
    return done
