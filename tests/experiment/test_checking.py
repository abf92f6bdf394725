"""An experiment's file: what is wrong with it is said with its place, and which scale is meant."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from resgen.errors import UserError
from resgen.experiment import checking, planning
from tests.experiments import CPU, KEYS, SCALE

NETWORKS = SCALE["networks"]


def refused(path: str, choice: planning.Choice = planning.Choice()) -> list[str]:
    with pytest.raises(UserError) as found:
        planning.plan(path, choice, Path("experiments"), CPU)
    assert found.value.exit_code == 2
    assert not Path("experiments").exists()
    return [line.removeprefix(f"{path}:") for line in found.value.lines]


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"clam": "x"}, "clam: unknown key; did you mean claim?"),
        ({"expect": []}, "expect: must have at least 1 entries"),
        ({"expect": [{**KEYS["expect"][0], "is": "abve"}]}, "did you mean above?"),
        ({"expect": [{**KEYS["expect"][0], "of": "wid"}]},
         "expect[0].of: no scale has a network wid; did you mean wide?"),
        ({"expect": [{**KEYS["expect"][0], "to": 0.1}]}, "names either `than`, a network, or `to`"),
        ({"series": {"a": ["small", "wde"]}},
         "series.a[1]: no scale has a network wde; did you mean wide?"),
        ({"seeds": 0}, "scales.digits.seeds: must be at least 1 (got 0)"),
        ({"networks": {}}, "scales.digits.networks: must have at least 1 entries"),
        ({"networks": {**NETWORKS, "a b": "small.yaml"}},
         "networks.a b: a name is letters, digits and ._+-"),
        ({"networks": {**NETWORKS, "x": {"spec": "small.yaml", "wth": []}}},
         "networks.x.wth: unknown key; did you mean with?"),
        ({"networks": {**NETWORKS, "x": "resnt50"}},
         "networks.x.spec: resnt50: no such file, and no spec of this name is shipped"),
        ({"networks": {**NETWORKS, "x": {"spec": "small.yaml", "with": ["ordr=preact"]}}},
         "networks.x.spec: --with ordr=preact: ordr: unknown key; did you mean order?"),
        ({"networks": {**NETWORKS, "x": {"spec": "small.yaml", "with": ["stages[1].stride=16"]}}},
         "networks.x.spec: "),
        ({"networks": {**NETWORKS, "x": {"spec": "small.yaml", "with": ["classes=7"]}}},
         "networks.x.spec: digits has 10 classes and the network 7"),
        ({"networks": {**NETWORKS, "x": {"spec": "small.yaml", "set": ["optimizer.lrr=1"]}}},
         "networks.x.set: --set optimizer.lrr=1: optimizer.lrr: unknown key"),
        ({"networks": {**NETWORKS, "x": {"spec": "small.yaml", "fit": {"by": "width"}}}},
         "networks.x.spec: fit: give one target, macs or params"),
        ({"networks": {**NETWORKS, "x": {"spec": "small.yaml", "deepens": "smal"}}},
         "networks.x.deepens: this scale has no network smal; did you mean small?"),
        ({"networks": {**NETWORKS, "x": {"spec": "small.yaml", "deepens": "x"}}},
         "networks.x.deepens: x begins as x; one of them must be trained from scratch"),
        ({"networks": {**NETWORKS, "x": {"spec": "small.yaml", "deepens": "y"},
                       "y": {"spec": "small.yaml", "deepens": "x"}}},
         "networks.x.deepens: x begins as y begins as x;"),
        ({"recipe": "shrt"}, "scales.digits.recipe: shrt: no such file, and no recipe"),
        ({"set": ["lenght=1 epochs"]}, "scales.digits.set: --set lenght=1 epochs: lenght: unknown"),
    ],
)  # fmt: skip
def test_a_mistake_is_said_with_its_place(
    experiment: Callable[..., str], changes: dict[str, Any], says: str
) -> None:
    lines = refused(experiment(**changes))
    found = [line for line in lines if says in line]
    assert found, lines
    line, column = found[0].split(":")[:2]
    assert int(line) > 1
    assert int(column) >= 1


def test_every_network_that_is_wrong_is_named(experiment: Callable[..., str]) -> None:
    lines = refused(experiment(networks={**NETWORKS, "x": "nothing", "y": "nowhere"}))
    assert [line.split(": ")[1] for line in lines] == [
        "scales.digits.networks.x.spec", "scales.digits.networks.y.spec",
    ]  # fmt: skip


def test_a_change_that_was_typed_is_no_mistake_of_the_file(experiment: Callable[..., str]) -> None:
    lines = refused(experiment(), planning.Choice(changes=("batch=none",)))
    assert [line.partition(":")[0] for line in lines] == ["--set batch=none"]


SCALES = {"digits": SCALE, "cifar": {**SCALE, "data": "cifar10"}}


@pytest.mark.parametrize(
    ("scales", "name", "data", "meant"),
    [
        (SCALES, None, None, "digits"),
        (SCALES, "cifar", None, "cifar"),
        (SCALES, None, "cifar10:here", "cifar"),
        (SCALES, "digits", "synthetic", "digits"),
        ({"mine": SCALE}, None, None, "mine"),
    ],
)
def test_the_scale_that_is_meant(
    experiment: Callable[..., str], scales: Any, name: str | None, data: str | None, meant: str
) -> None:
    source = checking.read(experiment(scales=copy.deepcopy(scales)))
    assert source.scale(name, data)[0] == meant


@pytest.mark.parametrize(
    ("choice", "says"),
    [
        ({"scale": "digts"}, "--scale digts: no such scale; did you mean digits?"),
        ({"data": "cifar100"}, "--data cifar100: width has no scale for cifar100, only digits"),
        ({"scale": "digits", "data": "cifar10:nowhere"},
         "--data cifar10:nowhere: there is no nowhere"),
        ({"scale": "digits", "data": "cifar10"}, "cifar10 has 3 channels and the network takes 1"),
    ],
)  # fmt: skip
def test_a_scale_or_data_that_are_not_there(
    experiment: Callable[..., str], choice: Any, says: str
) -> None:
    assert any(says in line for line in refused(experiment(), planning.Choice(**choice)))


def test_none_of_several_scales_is_taken_by_guess(experiment: Callable[..., str]) -> None:
    path = experiment(scales={"a": copy.deepcopy(SCALE), "b": copy.deepcopy(SCALE)})
    assert "say which --scale: a, b" in refused(path)[0]


def test_a_network_that_only_another_scale_has_is_said_to_be_untested(
    experiment: Callable[..., str],
) -> None:
    small = {**copy.deepcopy(SCALE), "networks": {"small": "small.yaml"}}
    path = experiment(scales={"digits": small, "large": copy.deepcopy(SCALE)})
    found = planning.plan(path, planning.Choice(), Path("experiments"), CPU)
    assert found.notes == ("digits has no network wide: what is expected of it is not tested here",)
    assert {each.network for each in found.planned} == {"small"}
