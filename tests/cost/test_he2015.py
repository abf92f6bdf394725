"""The networks of He et al. 2015, to the integer."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from resgen import build_module, cost, load_spec, measure, resolve
from resgen.cost import shortcut_costs
from resgen.plan import Plan, elements
from resgen.proof import prove
from resgen.spec import Spec

GOLDEN = {
    row["name"]: row
    for row in json.loads((Path(__file__).parents[1] / "golden" / "networks.json").read_text())
}
SHIPPED = {
    **{f"cifar/resnet{d}": f"cifar_resnet{d}_A" for d in (20, 32, 44, 56, 110, 1202)},
    **{f"cifar/plain{d}": f"cifar_plain{d}" for d in (20, 32, 44, 56)},
    **{f"imagenet/resnet{d}": f"imagenet_resnet{d}_B" for d in (18, 34)},
    **{f"imagenet/resnet{d}": f"imagenet_resnet{d}_B_v1.5" for d in (50, 101, 152)},
    **{f"imagenet/plain{d}": f"imagenet_plain{d}" for d in (18, 34)},
}


def changed(name: str, **keys: Any) -> Plan:
    """A shipped network with some keys given another value."""
    data = load_spec(name).model_dump(mode="json", exclude_unset=True)
    return resolve(Spec.model_validate({**data, **keys}))


@pytest.mark.parametrize(("name", "row"), SHIPPED.items(), ids=SHIPPED.keys())
def test_closed_form_equals_the_golden_integers(name: str, row: str) -> None:
    golden = GOLDEN[row]
    plan = resolve(load_spec(name))
    books, shortcuts = cost(plan), shortcut_costs(plan)
    assert books.params == golden["params"]
    assert books.macs == golden["macs_conv_linear_only"]
    assert books.residual_adds == golden["residual_adds"]
    assert books.norm == golden["fvcore_by_op"]["batch_norm"]
    assert plan.weighted_layers == golden["weighted_layers_main_path"]
    assert shortcuts.identity == golden["shortcuts"]["identity"]
    assert shortcuts.identity_padded == golden["shortcuts"].get("identity_padded", 0)
    assert shortcuts.projection == golden["shortcuts"]["projection"]
    assert shortcuts.none == golden["shortcuts"]["none"]
    assert shortcuts.params == golden["shortcuts"]["projection_params"]
    assert shortcuts.macs == golden["shortcuts"]["projection_macs"]


# ResNet-1202's trace alone takes half a minute; the closed form above covers it.
@pytest.mark.parametrize("name", [n for n in SHIPPED if "1202" not in n])
def test_the_module_measures_as_the_golden_integers(name: str) -> None:
    import torch

    golden = GOLDEN[SHIPPED[name]]
    plan = resolve(load_spec(name))
    with torch.device("meta"):
        module = build_module(plan)
    seen = measure(module.to_empty(device="cpu"), plan)
    assert sum(elements(shape) for shape in seen.parameters.values()) == golden["params"]
    assert sum(seen.macs.values()) == golden["macs_conv_linear_only"]
    assert sum(seen.norms.values()) == golden["fvcore_by_op"]["batch_norm"]
    assert seen.by_operator["conv"] == golden["fvcore_by_op"]["conv"]
    assert seen.by_operator["linear"] == golden["fvcore_by_op"]["linear"]
    assert sum(map(sum, seen.additions.values())) == golden["residual_adds"]
    assert seen.witness == golden["macs_conv_linear_only"]
    proof = prove(plan, module)
    assert proof.ok, [check.text for check in proof.checks if not check.holds]


@pytest.mark.slow
def test_resnet1202_proves_itself() -> None:
    plan = resolve(load_spec("cifar/resnet1202"))
    proof = prove(plan, build_module(plan))
    assert proof.ok, [check.text for check in proof.checks if not check.holds]


def test_the_depth_in_each_name_is_that_of_the_main_path() -> None:
    for name in SHIPPED:
        depth = int(re.findall(r"\d+", name)[-1])
        assert resolve(load_spec(name)).weighted_layers == depth
        assert load_spec(name).depth == depth


def test_identity_shortcuts_add_no_parameter_and_no_mac() -> None:
    plain, residual = (cost(resolve(load_spec(f"cifar/{n}56"))) for n in ("plain", "resnet"))
    assert residual.params == plain.params == 853_018
    assert residual.macs == plain.macs == 125_485_696
    assert (plain.residual_adds, residual.residual_adds) == (0, 258_048)


def test_projections_add_exactly_what_they_are() -> None:
    identity = cost(resolve(load_spec("cifar/resnet56")))
    projection = cost(changed("cifar/resnet56", shortcut="projection"))
    assert projection.params - identity.params == 2_752 == 16 * 32 + 2 * 32 + 32 * 64 + 2 * 64
    assert projection.macs - identity.macs == 262_144 == 16 * 16 * 16 * 32 + 8 * 8 * 32 * 64


def test_option_c_of_resnet50_is_1_76_times_option_a() -> None:
    a, c = (
        cost(changed("resnet50", shortcut=word, stride_at="1x1"))
        for word in ("identity", "projection-all")
    )
    assert a.params == GOLDEN["imagenet_resnet50_A_v1"]["params"] == 22_780_456
    assert c.params == GOLDEN["imagenet_resnet50_C_v1"]["params"] == 40_128_552


def test_v1_and_v1_5_differ_in_macs_alone() -> None:
    v1, v15 = (cost(changed("resnet50", stride_at=word)) for word in ("1x1", "3x3"))
    assert (v1.macs, v15.macs) == (3_857_973_248, 4_089_184_256)
    assert v1.params == v15.params == 25_557_032


def test_every_stage_of_resnet34_computes_as_much_in_an_inner_block() -> None:
    """Section 3.3, rule (ii): half the map, twice the filters, the same time."""
    from resgen.cost.books import cost_of_block

    plan = resolve(load_spec("resnet34"))
    inner = [cost_of_block(stage.runs[-1].block).macs for stage in plan.stages]
    assert inner == [2 * 9 * 64**2 * 56**2] * 4 == [231_211_008] * 4
