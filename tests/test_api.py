"""The Python functions: a network in any form, typed; whatever else is one sentence."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

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
