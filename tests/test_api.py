"""The Python functions: a network in any form, typed; whatever else is one sentence."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

import resgen
from resgen.errors import UserError

NAME = "digits/resnet20"
PLAN = resgen.resolve(resgen.load_spec(NAME))
TAKE_NETWORKS: dict[str, Callable[[Any], Any]] = {
    "resolve": resgen.resolve,
    "cost": resgen.cost,
    "emit_source": resgen.emit_source,
    "build_module": lambda network: str(resgen.build_module(network)),
    "measure": lambda network: resgen.measure(resgen.build_module(PLAN), network),
    "prove": resgen.prove,
    "draw": resgen.draw,
    "load_weights": lambda network: resgen.load_weights(
        resgen.build_module(PLAN), network, resgen.build_module(PLAN).state_dict()
    ),
}


@pytest.mark.parametrize("name", TAKE_NETWORKS)
def test_a_network_is_taken_in_any_form(name: str, tmp_path: Path) -> None:
    function, expected = TAKE_NETWORKS[name], TAKE_NETWORKS[name](PLAN)
    path = tmp_path / "net.yaml"
    path.write_text("name: resnet20\nextends: cifar/resnet20\ninput: {channels: 1, size: 8}\n")
    keys = {"name": "resnet20", "extends": "cifar/resnet20", "input": {"channels": 1, "size": 8}}
    for form in (NAME, resgen.load_spec(NAME), path, str(path), keys):
        assert function(form) == expected, form


@pytest.mark.parametrize("name", TAKE_NETWORKS)
@pytest.mark.parametrize(
    ("value", "kind"), [(None, "NoneType"), (5, "int"), (b"resnet50", "bytes"), ([NAME], "list")]
)
def test_what_is_no_network_is_told_what_is(name: str, value: object, kind: str) -> None:
    with pytest.raises(TypeError) as caught:
        TAKE_NETWORKS[name](value)
    assert str(caught.value) == (
        "a network is given as a Plan, a Spec, a path, a shipped name or the keys of a spec, "
        f"not as {kind}"
    )


@pytest.mark.parametrize("value", [None, 5, PLAN], ids=["none", "int", "plan"])
def test_load_spec_says_what_it_takes(value: Any) -> None:
    with pytest.raises(TypeError, match="a spec is given as a path, a shipped name or its keys"):
        resgen.load_spec(value)


def test_keys_given_in_python_are_checked_as_those_of_a_file() -> None:
    good = resgen.load_spec(NAME).model_dump(mode="json", exclude_unset=True, exclude={"extends"})
    assert resgen.load_spec(good).name == "resnet20"
    with pytest.raises(UserError) as caught:
        resgen.load_spec({**good, "stages": [{"depth": 1, "widht": 16}]})
    assert str(caught.value) == "spec: stages[0].widht: unknown key; did you mean width?"
    with pytest.raises(UserError, match="must be a word"):
        resgen.load_spec({**good, 1: 2})  # type: ignore[dict-item]


def test_measure_says_what_a_module_is_and_which_images_it_takes() -> None:
    with pytest.raises(TypeError) as wrong:
        resgen.measure("resnet50", PLAN)  # type: ignore[arg-type]
    assert str(wrong.value) == "what is measured is a torch module, not a str"
    with pytest.raises(UserError) as other:
        resgen.measure(resgen.build_module(PLAN), "cifar/resnet20")
    assert str(other.value).startswith(
        "resnet20: an image of 3x32x32 does not go through the module: "
    )


def test_a_copy_with_other_keys_is_checked() -> None:
    spec = resgen.load_spec("resnet50")
    assert resgen.resolve(spec.model_copy(update={"name": "mine"})).name == "mine"
    smaller = spec.model_copy(update={"input": {"channels": 3, "size": 64}})
    assert resgen.resolve(smaller).input == (3, 64, 64)
    wide = [{"depth": 1, "width": 64}]
    other = spec.model_copy(update={"stages": wide, "depth": None})
    assert resgen.resolve(other).stages[0].output[0] == 64
    for update, sentence in (
        ({"classes": -1}, "spec: classes: must be at least 0 (got -1)"),
        ({"clases": 10}, "spec: clases: unknown key; did you mean classes?"),
        (
            {"stages": [{"depth": 1, "width": 66}]},
            "spec: stages[0].width: must be divisible by bottleneck_ratio 4 (got 66)",
        ),
    ):
        with pytest.raises(UserError) as caught:
            spec.model_copy(update=update)
        assert str(caught.value) == sentence


@pytest.mark.parametrize("name", ["resnet50", "regnety_002", "ecaresnet50d_pruned", NAME])
def test_a_copy_with_the_same_keys_is_the_same_network(name: str) -> None:
    spec = resgen.load_spec(name)
    copy = spec.model_copy(update={"classes": spec.classes})
    assert resgen.resolve(copy) == resgen.resolve(spec)
    assert copy.model_dump() == spec.model_dump()
    # It is still known where the keys were written.
    assert str(copy.mistake("no", "name")) == str(spec.mistake("no", "name"))


PUBLIC = """
import importlib, pkgutil
import resgen

before = {name: getattr(resgen, name) for name in resgen.__all__}
for module in pkgutil.walk_packages(resgen.__path__, "resgen."):
    if module.name not in ("resgen.source.parts", "resgen.__main__"):
        importlib.import_module(module.name)
for name in resgen.__all__:
    assert getattr(resgen, name) is before[name], name
for turn in range(2):
    spec = resgen.load_spec("digits/resnet20")
    plan = resgen.resolve(spec)
    module = resgen.build_module(plan)
    assert isinstance(spec, resgen.Spec) and isinstance(plan, resgen.Plan)
    books = resgen.cost(plan)
    assert isinstance(books, resgen.Cost)
    assert "class ResNet20" in resgen.emit_source(plan)
    assert sum(resgen.measure(module, plan).macs.values()) == books.macs
print("all of them, twice")
"""


def test_public_names_stay_what_they_are_whatever_is_imported(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", PUBLIC], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.stdout == "all of them, twice\n", done.stderr


def specs(tmp_path: Path) -> dict[str, Any]:
    """digits/resnet20 in every form that can be trained, fitted and drawn from."""
    path = tmp_path / "net.yaml"
    path.write_text("name: resnet20\nextends: cifar/resnet20\ninput: {channels: 1, size: 8}\n")
    keys = {"name": "resnet20", "extends": "cifar/resnet20", "input": {"channels": 1, "size": 8}}
    return {
        "name": NAME, "spec": resgen.load_spec(NAME), "path": path, "text": str(path), "keys": keys,
    }  # fmt: skip


def test_fit_takes_a_spec_in_any_form_and_numbers_as_people_write_them(tmp_path: Path) -> None:
    found = {key: resgen.fit(form, params="100k") for key, form in specs(tmp_path).items()}
    assert len({(fit.multiplier, fit.books) for fit in found.values()}) == 1
    assert found["name"] == resgen.fit(NAME, params=100_000)
    assert resgen.cost(found["keys"].data) == found["keys"].books
    for targets in ({}, {"macs": "1M", "params": "1M"}):
        with pytest.raises(UserError, match="give one target"):
            resgen.fit(NAME, **targets)
    with pytest.raises(UserError, match="params lots: must be a number with one of the units"):
        resgen.fit(NAME, params="lots")


def test_sample_takes_a_space_in_any_form(tmp_path: Path) -> None:
    keys = {"name": "space", "extends": "cifar/resnet20", "classes": {"from": 2, "to": 900}}
    path = tmp_path / "space.yaml"
    path.write_text("name: space\nextends: cifar/resnet20\nclasses: {from: 2, to: 900}\n")
    drawn = [resgen.sample(each, draws=20, seed=1) for each in (keys, path, str(path))]
    assert drawn[0] == drawn[1] == drawn[2]
    assert len(drawn[0]) == 20
    most = sorted(each.books.params for each in drawn[0])[10]
    within = resgen.sample(keys, draws=20, seed=1, max_params=most)
    assert within == [each for each in drawn[0] if each.books.params <= most]
    with pytest.raises(UserError, match=r"^spec: nothing to sample"):
        resgen.sample({**keys, "classes": 5}, draws=1)
    with pytest.raises(TypeError, match="not as Plan"):
        resgen.sample(PLAN, draws=1)  # type: ignore[arg-type]


def test_training_takes_specs_in_any_form_and_comes_to_the_commands_bits(tmp_path: Path) -> None:
    forms, short = specs(tmp_path), ["length=2 steps", "batch=32"]
    ends = {
        key: resgen.train(form, out=tmp_path / key, changes=short, quiet=True)
        for key, form in forms.items()
    }
    command = [
        *(sys.executable, "-m", "resgen", "train", NAME, "--quiet", "--out", str(tmp_path / "run")),
        *(word for each in short for word in ("--set", each)),
        *("--threads", str(torch.get_num_threads())),
    ]
    subprocess.run(command, check=True, capture_output=True)
    theirs = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").open()]
    for key, (end,) in ends.items():
        assert isinstance(end, resgen.Result)
        ours = [json.loads(line) for line in (tmp_path / key / "metrics.jsonl").open()]
        for word in ("step", "rate", "train_loss", "heldout_loss", "heldout_error"):
            assert [row[word] for row in ours] == [row[word] for row in theirs], (key, word)
        assert end.last_error == theirs[-1]["heldout_error"]
    module = resgen.build_module(NAME)
    report = resgen.load_weights(module, NAME, tmp_path / "name")
    assert not report.missing


def test_training_takes_several_networks_and_seeds_and_goes_on(tmp_path: Path) -> None:
    both = ["digits/plain20", NAME]
    asked: dict[str, Any] = {
        "out": tmp_path / "runs", "seeds": [1, 2], "changes": ["length=2 steps"], "quiet": True,
    }  # fmt: skip
    ends = resgen.train(both, **asked)
    assert [(end.name, end.seed) for end in ends] == [
        ("plain20", 1), ("plain20", 2), ("resnet20", 1), ("resnet20", 2),
    ]  # fmt: skip
    with pytest.raises(UserError, match="--resume"):
        resgen.train(both, **asked)
    assert resgen.train(both, **asked, start="resume") == ends
    with pytest.raises(TypeError, match="not as Plan"):
        resgen.train(PLAN, out=tmp_path / "plan")  # type: ignore[arg-type]


def test_what_is_not_there_is_no_attribute() -> None:
    with pytest.raises(AttributeError, match="module 'resgen' has no attribute 'trian'"):
        resgen.trian  # noqa: B018
