"""`--plan`: a run told in advance: data, recipe, the schedule's corners, groups, cost, memory."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import ceil, prod
from textwrap import wrap
from typing import NamedTuple

from resgen.train.data.facts import UNKNOWN, Facts, check, fixed, split_name
from resgen.train.data.images import Wanted
from resgen.train.data.order import Order, shares
from resgen.train.device import compiling
from resgen.train.recipe import Recipe
from resgen.train.recipe.groups import groups
from resgen.train.recipe.parts import trained
from resgen.train.recipe.rate import Rate
from resgen.train.recipe.said import augmentation, loss
from resgen.train.run.network import Network
from resgen.words import COLUMNS, hung, joined, memory


def known(wanted: Wanted) -> Facts:
    """What is known of a data set without reading its images. Raises UserError."""
    kind, _ = split_name(wanted.name)
    if kind not in UNKNOWN:
        return fixed(kind, wanted)
    from resgen.train.data import sources

    return sources.known(wanted)


def _groups(network: Network, recipe: Recipe) -> list[str]:
    """One line for each parameter group, and one for what is frozen."""
    sizes = {name: prod(shape) for name, shape in network.parameters}

    def line(title: str, names: Sequence[str], more: str) -> str:
        count = sum(sizes[name] for name in names)
        return f"{title}: {len(names)} tensors, {count:,} parameters, {more}"

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


class Run(NamedTuple):
    """The size of a run: what it is expected to take is made of these."""

    steps: int
    judged: int
    """Held-out images evaluated in all, over all epochs."""


def outlook(
    networks: Sequence[Network], recipe: Recipe, data: Wanted, *,
    title: str = "", precision: str = "auto", compile: str = "auto",
    expected: Callable[[Network, Run], str] | None = None,
) -> str:  # fmt: skip
    """The whole plan as text, in 80 columns. Raises UserError where training would.

    `title` says which recipe it is; `expected` is a sentence on the time a network takes.
    """
    for network in networks:
        wanted = network.wanted(data)
        facts = known(wanted)
        check(facts, wanted)
        order = Order(facts.train, recipe.batch, 0, recipe.augment.repeats)
        shares(recipe.batch, processes=1, pieces=recipe.accumulate)
        network.check_batch(recipe.batch, recipe.accumulate)
    rate = Rate(recipe, order.steps)
    lines = [
        *(hung("recipe", title) if title else ()),
        *wrap(recipe.description, COLUMNS),
        "",
        *hung(
            "data",
            f"{data.name}: {facts.train:,} training images, batch {recipe.batch}, "
            f"{rate.epoch_steps:,} steps an epoch",
        ),
        *hung("", f"{facts.heldout:,} held-out images, {facts.classes:,} classes"),
        *hung("length", f"{rate.total:,} steps = {rate.total / rate.epoch_steps:.4g} epochs"),
        *hung("augment", augmentation(recipe.augment)),
        *hung("loss", loss(recipe.loss)),
        "",
        f"schedule ({recipe.schedule.kind})",
        "       step    epoch        rate",
    ]
    for step, value, why in rate.changes():
        lines.append(f"  {step:9,}  {step / rate.epoch_steps:7.2f}  {value:10.4g}  {why}")
    lines += [each for note in rate.out_of_reach() for each in _indented(f"note: {note}")]
    run = Run(rate.total, ceil(rate.total / rate.epoch_steps) * facts.heldout)
    for network in networks:
        # A backward pass costs two forward passes: gradients of inputs and of weights.
        back = network.frozen(recipe).backward_macs(network.parts)
        macs = (network.train_macs + back) * recipe.batch * rate.total
        image = f"3 x {network.train_macs:,} MACs"
        if recipe.freeze:
            image = f"{network.train_macs:,} + {back:,} MACs (forward, and back)"
        told = [
            *_groups(network, recipe),
            f"{recipe.batch * rate.total:,} images at {image}: "
            f"{macs:.4g} MACs, {2 * macs:.4g} FLOPs",
            _memory(network, recipe, precision),
            *_compiled(network, recipe, run, compile),
            *([expected(network, run)] if expected is not None else ()),
        ]
        lines += ["", f"{network.name}, {recipe.optimizer.kind}"]
        lines += [each for line in told for each in _indented(line)]
    return "\n".join(lines)


def _memory(network: Network, recipe: Recipe, precision: str) -> str:
    """The closed form of a step's peak, in the precision asked for, or in both."""
    images = ceil(recipe.batch / recipe.accumulate)
    state, freeze = recipe.optimizer.state, recipe.freeze
    each = [
        f"{memory(network.step_bytes(images, kind, state, freeze))} in {kind}"
        for kind in (("fp32", "bf16") if precision == "auto" else (precision,))
    ]
    return f"memory: about {', '.join(each)} a step of {images} images at a time"


def _compiled(network: Network, recipe: Recipe, run: Run, compile: str) -> list[str]:
    """What a run on CUDA does about compiling, where that is left to it."""
    word, why = compiling.advised(network.work(recipe, run.steps))
    return [f"on CUDA {compiling.told(word, why)}"] if compile == "auto" else []


def _indented(line: str) -> list[str]:
    return wrap(
        line, COLUMNS, initial_indent="  ", subsequent_indent="    ",
        break_long_words=False, break_on_hyphens=False,
    )  # fmt: skip
