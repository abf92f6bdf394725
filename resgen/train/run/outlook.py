"""`--plan`: a run told in advance: the schedule's corners, parameter groups, and the cost."""

from __future__ import annotations

import os
from collections.abc import Sequence
from math import prod
from pathlib import Path
from textwrap import wrap

from resgen.errors import UserError
from resgen.train.recipe import Recipe
from resgen.train.recipe.groups import groups
from resgen.train.recipe.rate import Rate
from resgen.train.run.network import Network


def training_images(name: str, heldout: int | None) -> int:
    """How many images a data name trains on, without reading them."""
    kind, _, path = name.partition(":")
    fixed = {"digits": (1797, 360), "synthetic": (1280, 256)}
    fixed |= dict.fromkeys(("cifar10", "cifar100"), (50_000, 5_000))
    if kind in fixed:
        count, held = fixed[kind]
        return count - (heldout or held)
    train = Path(path) / "train"
    if kind != "folder" or not train.is_dir():
        raise UserError(f"--data {name}: no such data")
    count = sum(len(files) for _, _, files in os.walk(train))
    held = 0 if (Path(path) / "val").is_dir() else heldout or max(1, count // 10)
    return count - held


def _groups(network: Network, recipe: Recipe) -> list[str]:
    """One line for each parameter group."""
    sizes = {name: prod(shape) for name, shape in network.parameters}
    return [
        f"  {group.title}: {len(group.names)} tensors, "
        f"{sum(sizes[name] for name in group.names):,} parameters, "
        f"weight decay {group.weight_decay:g}"
        for group in groups(network.parameters, recipe.optimizer)
    ]


def outlook(networks: Sequence[Network], recipe: Recipe, *, data: str, images: int) -> str:
    """The whole plan as text."""
    if recipe.batch > images:
        raise UserError(f"a batch of {recipe.batch} is more than the {images} training images")
    rate = Rate(recipe, images // recipe.batch)
    lines = [
        *wrap(recipe.description, 80),
        "",
        f"{data}: {images:,} training images, batch {recipe.batch}, "
        f"{rate.epoch_steps:,} steps an epoch",
        f"length: {rate.total:,} steps = {rate.total / rate.epoch_steps:.4g} epochs",
        "",
        f"schedule ({recipe.schedule.kind})",
        "       step    epoch        rate",
    ]
    for step, value, why in rate.changes():
        lines.append(f"  {step:9,}  {step / rate.epoch_steps:7.2f}  {value:10.4g}  {why}")
    for network in networks:
        # A backward pass costs two forward passes: gradients of inputs and of weights.
        macs = 3 * network.train_macs * recipe.batch * rate.total
        lines += [
            "",
            f"{network.name}, {recipe.optimizer.kind}",
            *_groups(network, recipe),
            f"  {recipe.batch * rate.total:,} images at 3 x {network.train_macs:,} MACs: "
            f"{macs:.4g} MACs, {2 * macs:.4g} FLOPs",
        ]
    return "\n".join(lines)
