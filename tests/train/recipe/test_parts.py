"""Whose rate is whose, against timm; what is frozen, and what is left to do on the way back."""

from __future__ import annotations

import pytest
import timm
import timm.optim

from resgen.cost import cost
from resgen.errors import UserError
from resgen.plan import resolve
from resgen.spec import load_spec
from resgen.train.recipe.groups import Group, groups
from resgen.train.recipe.keys import Optimizer
from resgen.train.recipe.parts import frozen, trained
from resgen.train.run.network import load


def told(found: list[Group]) -> dict[str, tuple[float, float]]:
    """Parameter -> its share of the rate, and its weight decay."""
    return {name: (group.scale, group.weight_decay) for group in found for name in group.names}


@pytest.mark.parametrize("name", ["resnet18", "resnet50", "seresnet50"])
@pytest.mark.parametrize("decay", [0.9, 0.65])
def test_layer_decay_is_timms(name: str, decay: float) -> None:
    theirs = timm.create_model(name)
    names = {parameter: key for key, parameter in theirs.named_parameters()}
    expected = {
        names[parameter]: (group["lr_scale"], group["weight_decay"])
        for group in timm.optim.param_groups_layer_decay(
            theirs, weight_decay=0.05, layer_decay=decay
        )
        for parameter in group["params"]
    }
    network = load(name)
    chosen = Optimizer(lr=0.1, weight_decay=0.05, decay="weights", layer_decay=decay)
    mine = told(groups(network.parameters, chosen, network.parts))
    assert mine.keys() == expected.keys()
    for key, (scale, weight_decay) in mine.items():
        assert scale == pytest.approx(expected[key][0], rel=1e-12), key
        assert weight_decay == expected[key][1]
    assert len({scale for scale, _ in mine.values()}) == resolve(load_spec(name)).blocks + 2


def test_the_head_has_a_rate_of_its_own() -> None:
    network = load("cifar/resnet20")
    plain = Optimizer(lr=0.1)
    assert [g.scale for g in groups(network.parameters, plain, network.parts)] == [1.0]
    two = groups(network.parameters, Optimizer(lr=0.1, head_rate=10), network.parts)
    assert [(group.title, group.scale) for group in two] == [
        ("backbone, all parameters", 1.0), ("head, all parameters", 10.0)
    ]  # fmt: skip
    assert two[1].names == ("fc.weight", "fc.bias")
    both = Optimizer(lr=0.1, head_rate=10, layer_decay=0.5)
    scales = told(groups(network.parameters, both, network.parts))
    assert scales["fc.bias"][0] == 10
    assert scales["layer3.2.conv2.weight"][0] == 0.5
    assert scales["conv1.weight"][0] == 0.5**10


@pytest.mark.parametrize(
    ("wanted", "prefixes"),
    [
        (["stem"], ("conv1.", "bn1.")),
        (["stem", "layer1"], ("conv1.", "bn1.", "layer1.")),
        (["backbone"], ("conv1.", "bn1.", "layer")),
        (["head"], ("fc.",)),
        (["layer2.0", "layer1.1.bn1"], ("layer2.0.", "layer1.1.bn1.")),
        (["layer1"], ("layer1.",)),
    ],
)
def test_a_name_freezes_what_lies_in_it(wanted: list[str], prefixes: tuple[str, ...]) -> None:
    network = load("resnet18")
    still = frozen(wanted, network.parts, network.name)
    names = [name for name, _ in network.parameters]
    assert {n for n in names if still.holds(n)} == {n for n in names if n.startswith(prefixes)}
    left = trained(network.parameters, still)
    grouped = told(groups(left, Optimizer(lr=0.1, layer_decay=0.5), network.parts))
    assert grouped.keys() == {n for n in names if not n.startswith(prefixes)}


def test_layer1_is_not_layer10() -> None:
    network = load("cifar/resnet56")
    still = frozen(["layer1.1"], network.parts, network.name)
    assert still.holds("layer1.1.conv1.weight")
    assert not still.holds("layer1.10.conv1.weight")


def test_a_name_the_network_does_not_have_is_refused_and_so_is_all_of_it() -> None:
    network = load("resnet18")
    with pytest.raises(UserError) as caught:
        frozen(["stem", "layer5"], network.parts, network.name)
    assert str(caught.value) == (
        "freeze: layer5 is nothing that resnet18 trains; it has stem, layer1, layer2, layer3, "
        "layer4, head and backbone, and blocks and layers by their names, as layer1.0"
    )
    with pytest.raises(UserError, match="nothing is left to train"):
        frozen(["backbone", "head"], network.parts, network.name)


def test_the_way_back_is_as_long_as_what_is_trained() -> None:
    network = load("resnet18")
    books = cost(resolve(load_spec("resnet18")))
    parts = network.parts
    assert sum(part.macs for part in parts.row) == books.macs
    assert frozen([], parts, "").backward_macs(parts) == 2 * books.macs
    probe = frozen(["backbone"], parts, "")
    assert probe.leading(parts) == 1 + 8
    assert probe.backward_macs(parts) == 2 * books.linear
    # Frozen behind what is trained: its inputs' gradient is needed still.
    behind = frozen(["head"], parts, "")
    assert behind.leading(parts) == 0
    assert behind.backward_macs(parts) == 2 * books.conv + books.linear
