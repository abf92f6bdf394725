"""The experiments that are shipped: every network at every scale resolves, every name is known."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from resgen.cost import cost
from resgen.cost.budget import amount
from resgen.experiment.measures import KINDS
from resgen.experiment.model import Experiment, Member, Scale
from resgen.plan import Plan, resolve
from resgen.search.fit import fit
from resgen.spec import load_spec
from resgen.spec.assigning import set_values
from resgen.spec.reading import read_model
from resgen.spec.shipped import root
from resgen.train.recipe import read_recipe

FILES = sorted((root() / "experiments").glob("*.yaml"))
NAMES = [path.stem for path in FILES]


@cache
def shipped(name: str) -> Experiment:
    """The experiment of a name."""
    return read_model(Experiment, root() / "experiments" / f"{name}.yaml")


def scales() -> Iterator[tuple[str, str, Scale]]:
    """(experiment, scale's name, scale) of all."""
    for name in NAMES:
        yield from ((name, scale, found) for scale, found in shipped(name).scales.items())


def plan_of(member: Member) -> Plan:
    """The network, scaled where it is to be."""
    spec = load_spec(member.spec, member.with_)
    if member.fit is None:
        return resolve(spec)
    assert member.fit.macs is not None
    found = fit(spec, amount(member.fit.macs, "--macs"), by=member.fit.by)
    return resolve(load_spec({**found.data}))


def trained(scale: Scale, network: str) -> str:
    """What makes a run another one, but for its seed: network, recipe, what it begins as."""
    member = scale.networks[network]
    recipe = set_values(read_recipe(scale.recipe), (*scale.set_, *member.set_))
    begins = "" if member.deepens is None else trained(scale, member.deepens)
    made = plan_of(member)
    layers = [(name, repr(layer.op), layer.output) for name, layer in made.named_layers()]
    shortcuts = [(name, repr(block.shortcut)) for name, block in made.named_blocks()]
    return json.dumps([recipe.model_dump(mode="json"), layers, shortcuts, begins], default=str)


def test_the_set_is_all_there() -> None:
    assert NAMES == [
        "construction", "convergence", "degradation", "depth-or-width", "identity", "orders",
        "responses", "shortcuts",
    ]  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_each_is_on_two_scales_of_five_seeds(name: str) -> None:
    found = shipped(name).scales
    assert [(found[s].data, found[s].seeds) for s in ("digits", "cifar10")] == [
        ("digits", 5), ("cifar10", 5)
    ]  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_what_is_expected_drawn_and_published_is_of_networks_that_are_there(name: str) -> None:
    found = shipped(name)
    expected = {n for each in found.expect for n in (each.of, each.than) if n is not None}
    drawn = {network for names in found.series.values() for network in names}
    for scale in ("digits", "cifar10"):
        assert expected | drawn <= found.scales[scale].networks.keys()
    titles = {kind.title for kind in KINDS.values()}
    for figure in found.published:
        assert figure.network in found.scales["cifar10"].networks
        assert figure.what in titles
        assert 0 < figure.value < 1, "errors are fractions"


@pytest.mark.parametrize(("name", "scale"), [(name, scale) for name, scale, _ in scales()])
def test_every_network_resolves_and_every_recipe_can_be_changed_so(name: str, scale: str) -> None:
    found = shipped(name).scales[scale]
    plans = {network: plan_of(member) for network, member in found.networks.items()}
    size = (1, 8, 8) if found.data == "digits" else (3, 32, 32)
    assert {plan.input for plan in plans.values()} == {size}
    for network, member in found.networks.items():
        set_values(read_recipe(found.recipe), (*found.set_, *member.set_))
        if member.deepens is not None:
            assert plans[member.deepens].weighted_layers < plans[network].weighted_layers
    if name == "depth-or-width":
        for times in ("4x", "16x"):
            wide, deep = (cost(plans[f"{way}-{times}"]).macs for way in ("wide", "deep"))
            assert wide == pytest.approx(deep, rel=0.08), "a budget is the same both ways"


def test_plain_and_residual_twins_have_the_same_cost() -> None:
    for _, _, scale in scales():
        for network in scale.networks:
            twin = network.replace("plain", "resnet")
            if network.startswith("plain") and twin in scale.networks:
                plain, residual = (cost(plan_of(scale.networks[n])) for n in (network, twin))
                assert (plain.params, plain.macs) == (residual.params, residual.macs)


def test_the_110_layers_of_the_paper_begin_slowly() -> None:
    # Section 4.2: a rate of 0.01 until the training error is below 80 %.
    for name in ("degradation", "responses", "identity"):
        scale = shipped(name).scales["cifar10"]
        for network, member in scale.networks.items():
            recipe = set_values(read_recipe(scale.recipe), (*scale.set_, *member.set_))
            warm = recipe.schedule.warmup_until_error
            assert warm == (0.8 if network.endswith("110") else None)
            assert recipe.length == set_values(recipe, ["length=64000 steps"]).length


def test_published_figures_are_the_papers() -> None:
    # He et al. 2015, table 6, and He et al. 2016, tables 1 and 2, in %.
    assert _published("degradation") == {
        "resnet20": 8.75, "resnet32": 7.51, "resnet44": 7.17, "resnet56": 6.97, "resnet110": 6.43,
    }  # fmt: skip
    assert _published("orders") == {
        "original": 6.61, "bn-after-add": 8.17, "relu-before-add": 7.84, "relu-preact": 6.71,
        "preact": 6.37,
    }  # fmt: skip
    assert _published("shortcuts") == {
        "identity": 6.61, "scaled": 12.35, "gated": 8.7, "gated-shortcut-0": 12.86,
        "gated-shortcut": 6.91, "projection-all": 12.22,
    }  # fmt: skip


def _published(name: str) -> dict[str, float]:
    return {
        p.network: round(100 * p.value, 4) for p in shipped(name).published if p.data == "cifar10"
    }


def test_the_digits_set_is_as_many_runs_as_the_documents_say() -> None:
    different = {
        trained(shipped(name).scales["digits"], network)
        for name in NAMES
        for network in shipped(name).scales["digits"].networks
    }
    named = sum(len(shipped(name).scales["digits"].networks) for name in NAMES)
    assert (named, len(different)) == (55, 33)


def test_the_decay_of_the_responses_digits_is_the_papers() -> None:
    # Section 4.2: 64,000 steps at 0.1, from 32,000 and 48,000 on a tenth each, decay 1e-4.
    from resgen.train.recipe.rate import Rate

    scale = shipped("responses").scales["digits"]
    recipe = set_values(read_recipe(scale.recipe), scale.set_)
    rate = Rate(recipe, 1437 // recipe.batch)
    total = sum(map(rate, range(rate.total))) * recipe.optimizer.weight_decay
    assert total == pytest.approx(1e-4 * (32_000 * 0.1 + 16_000 * 0.01 + 16_000 * 0.001), rel=0.05)


def test_the_short_scale_is_the_one_of_two_hours() -> None:
    scale = shipped("degradation").scales["cifar10-short"]
    assert scale.recipe == "cifar-short"
    assert scale.set_ == ("optimizer.lr=0.1", "length=3 epochs")
    assert scale.seeds == 3
    assert {network: member.spec for network, member in scale.networks.items()} == {
        each: f"cifar/{each}" for each in ("plain20", "resnet20", "plain56", "resnet56")
    }


def test_files_are_of_the_shipped_folder() -> None:
    assert all(isinstance(path, Path) and path.read_text().endswith("\n") for path in FILES)
