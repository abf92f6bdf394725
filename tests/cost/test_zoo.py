"""Every network of the literature in specs/ costs what its reference costs, to the integer."""

from __future__ import annotations

import functools
import itertools
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from resgen.cost import cost, shortcut_costs
from resgen.errors import UserError
from resgen.plan import Plan, resolve
from resgen.spec import Spec, load_spec, shipped

HERE = Path(__file__).parents[1]


def references(file: str) -> dict[str, dict[str, Any]]:
    rows = json.loads((HERE / "golden" / file).read_text())
    return {f"{row['source']}:{row['name']}": row for row in rows}


GOLDEN = references("networks.json")
# More of torchvision 0.29 and timm 1.0.31: parameters of their modules, MACs by torch's own
# counter at their input size.
LIBRARIES = references("libraries.json")
# Networks whose specs say paths: of torchvision, of timm and of others' code by the same counter,
# of papers (three forms of ResNeXt, a wide network with dropout) by their formulas.
LIBRARIES |= references("paths.json")
NAMES = shipped.names()
SPECS = {name: load_spec(name) for name in NAMES}
SPEC_OF = {ref: name for name, spec in SPECS.items() for ref in spec.reference}

# A trace runs the network: these are left to the closed form, or to a patient machine.
MEASURED_MACS, MEASURED_PARAMS, MEASURED_BLOCKS = 4 * 10**9, 10**8, 200
SLOW_MACS = 16 * 10**9


@functools.cache
def plan_of(name: str) -> Plan:
    return resolve(SPECS[name])


@pytest.mark.parametrize("reference", GOLDEN)
def test_closed_form_equals_the_reference(reference: str) -> None:
    golden, plan = GOLDEN[reference], plan_of(SPEC_OF[reference])
    books, shortcuts = cost(plan), shortcut_costs(plan)
    assert list(plan.input) == golden["input_size"]
    assert plan.classes == golden["num_classes"]
    assert books.params == golden["params"]
    assert books.macs == golden["macs_conv_linear_only"]
    expected = golden["shortcuts"]
    assert shortcuts.identity == expected["identity"]
    assert shortcuts.projection == expected["projection"]
    assert shortcuts.none == expected["none"]
    assert shortcuts.params == expected["projection_params"]
    assert shortcuts.macs == expected["projection_macs"]
    if "residual_adds" in golden:
        assert books.residual_adds == golden["residual_adds"]
    if "weighted_layers_main_path" in golden:
        assert plan.weighted_layers == golden["weighted_layers_main_path"]
    if "fvcore_by_op" in golden:
        counted = golden["fvcore_by_op"]
        assert books.norm == counted.get("batch_norm", 0) + counted.get("group_norm", 0)
        if "linear" in counted:
            assert books.conv == counted["conv"]
            assert books.linear == counted["linear"]
        else:  # timm writes these classifiers as 1x1 convolutions
            assert books.macs == counted["conv"]


@pytest.mark.parametrize("reference", LIBRARIES)
def test_closed_form_equals_the_library(reference: str) -> None:
    golden, plan = LIBRARIES[reference], plan_of(SPEC_OF[reference])
    assert list(plan.input) == golden["input_size"]
    assert plan.classes == golden["num_classes"]
    assert cost(plan).params == golden["params"]
    assert cost(plan).macs == golden["macs_conv_linear_only"]


@pytest.mark.parametrize("reference", [r for r in GOLDEN if "regnet" in r])
def test_a_regnet_is_its_stages_written_out(reference: str) -> None:
    golden, spec = GOLDEN[reference], SPECS[SPEC_OF[reference]]
    stages = [
        {"depth": depth, "width": width, "mid_width": mid, "groups": groups, "stride": 2}
        for depth, width, mid, groups in zip(
            *(golden[key] for key in ("stages", "widths", "mid_widths", "groups")), strict=True
        )
    ]
    data = spec.model_dump(mode="json", exclude_unset=True)
    for key in ("regnet", "bottleneck_ratio", "group_width"):
        data.pop(key, None)
    explicit = resolve(Spec.model_validate({**data, "stages": stages}))
    assert explicit == resolve(spec)


def _measured(slow: bool) -> list[Any]:
    chosen = []
    for name in NAMES:
        books, blocks = cost(plan_of(name)), plan_of(name).blocks
        quick = books.macs <= MEASURED_MACS and blocks <= MEASURED_BLOCKS
        if books.params <= MEASURED_PARAMS and books.macs <= SLOW_MACS and quick is not slow:
            chosen.append(name)
    return chosen


@pytest.mark.parametrize("name", _measured(slow=False))
def test_the_proof_holds(name: str) -> None:
    _prove(name)


@pytest.mark.slow
@pytest.mark.parametrize("name", _measured(slow=True))
def test_the_proof_holds_for_the_large(name: str) -> None:
    _prove(name)


def _prove(name: str) -> None:
    import torch

    from resgen.proof import prove
    from resgen.source.module import build_module

    with torch.device("meta"):
        module = build_module(plan_of(name))
    proof = prove(plan_of(name), module.to_empty(device="cpu"))
    assert [check.text for check in proof.checks if not check.holds] == []


def test_every_reference_is_shipped_once() -> None:
    given = [ref for spec in SPECS.values() for ref in spec.reference]
    assert len(given) == len(set(given))
    assert set(given) == GOLDEN.keys() | LIBRARIES.keys()


@pytest.mark.parametrize("name", NAMES)
def test_a_shipped_spec_has_a_reference_or_extends_one_that_has(name: str) -> None:
    document = SPECS[name]._document
    assert document is not None
    if SPECS[name].reference:
        return
    assert SPECS[document.data["extends"]].reference


@pytest.mark.parametrize("name", NAMES)
def test_a_shipped_spec_is_named_as_its_file_and_names_its_schema(name: str) -> None:
    path = shipped.root() / f"{name}.yaml"
    first, text = path.read_text().splitlines()[0], path.read_text()
    schema = first.removeprefix("# yaml-language-server: $schema=")
    assert (path.parent / schema).resolve() == shipped.schema_file("spec")
    assert SPECS[name].name == name.rpartition("/")[2]
    # A few lines, or one a block where blocks have widths of their own; and its definitions.
    blocks = [stage.blocks for stage in SPECS[name].stages if stage.blocks]
    inside = text.partition("define:\n")[2].splitlines()
    defined = len(list(itertools.takewhile(lambda line: line.startswith(" "), inside)))
    most = 45 if SPECS[name].define else 25
    assert len(text.splitlines()) - defined <= most + sum(len(each) for each in blocks)


@pytest.mark.parametrize("name", ["resnet18", "resnet34", "resnet50", "resnet101", "resnet152"])
def test_the_usual_names_are_unambiguous(name: str) -> None:
    assert shipped.find("spec", name) == shipped.root() / "imagenet" / f"{name}.yaml"


@pytest.mark.parametrize(
    ("name", "spec"),
    [
        ("regnetx_016", "regnet/regnet_x_1_6gf"),
        ("cifar_resnet20_C", "cifar/resnet20-projection-all"),
    ],
)
def test_another_name_of_a_network_leads_to_it(name: str, spec: str) -> None:
    with pytest.raises(UserError) as caught:
        load_spec(name)
    assert str(caught.value) == f"{name}: no spec of this name is shipped; the network is {spec}"


def test_resolving_and_costing_the_zoo_leaves_torch_alone() -> None:
    code = (
        "import sys\n"
        "from resgen.spec import shipped\n"
        "from resgen.cost import cost\n"
        "from resgen import load_spec\n"
        "from resgen import resolve\n"
        "for name in shipped.names():\n"
        "    cost(resolve(load_spec(name)))\n"
        "assert 'torch' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
