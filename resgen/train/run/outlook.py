"""`--plan`: a run told in advance: the schedule's corners, parameter groups, and the cost."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from pathlib import Path
from textwrap import wrap

from resgen.train.data.facts import Facts, check, fixed, split_name
from resgen.train.data.images import Wanted
from resgen.train.data.order import Order, shares
from resgen.train.recipe import Recipe
from resgen.train.recipe.groups import groups
from resgen.train.recipe.parts import trained
from resgen.train.recipe.rate import Rate
from resgen.train.run.network import Network
from resgen.words import joined


def known(wanted: Wanted) -> Facts:
    """What is known of a data set without reading its images. Raises UserError."""
    kind, path = split_name(wanted.name)
    if kind != "folder":
        return fixed(kind, wanted)
    from resgen.train.data import folder

    return folder.facts(Path(path), wanted)


def _groups(network: Network, recipe: Recipe) -> list[str]:
    """One line for each parameter group, and one for what is frozen."""
    sizes = {name: prod(shape) for name, shape in network.parameters}

    def line(title: str, names: Sequence[str], more: str) -> str:
        count = sum(sizes[name] for name in names)
        return f"  {title}: {len(names)} tensors, {count:,} parameters, {more}"

    still = network.frozen(recipe)
    found = groups(trained(network.parameters, still), recipe.optimizer, network.parts)
    lines = [
        line(
            group.title,
            group.names,
            f"weight decay {group.weight_decay:g}"
            + (f", rate x {group.scale:.4g}" if group.scale != 1 else ""),
        )
        for group in found
    ]
    if recipe.freeze:
        names = [name for name in sizes if still.holds(name)]
        lines.append(line("frozen", names, f"no gradient: {joined(recipe.freeze)}"))
    return lines


def outlook(networks: Sequence[Network], recipe: Recipe, data: Wanted) -> str:
    """The whole plan as text. Raises UserError where training would."""
    for network in networks:
        wanted = network.wanted(data)
        facts = known(wanted)
        check(facts, wanted)
    order = Order(facts.train, recipe.batch, 0, recipe.augment.repeats)
    shares(recipe.batch, processes=1, pieces=recipe.accumulate)
    rate = Rate(recipe, order.steps)
    lines = [
        *wrap(recipe.description, 80),
        "",
        f"{data.name}: {facts.train:,} training images, batch {recipe.batch}, "
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
        back = network.frozen(recipe).backward_macs(network.parts)
        macs = (network.train_macs + back) * recipe.batch * rate.total
        image = f"3 x {network.train_macs:,} MACs"
        if recipe.freeze:
            image = f"{network.train_macs:,} + {back:,} MACs (forward, and back)"
        lines += [
            "",
            f"{network.name}, {recipe.optimizer.kind}",
            *_groups(network, recipe),
            f"  {recipe.batch * rate.total:,} images at {image}: "
            f"{macs:.4g} MACs, {2 * macs:.4g} FLOPs",
        ]
    return "\n".join(lines)
