"""What holds for every network's books, whatever its spec says."""

from __future__ import annotations

import copy
from typing import Any

import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from strategies import plan_of, plans, spec_data
from torch.utils.flop_counter import FlopCounterMode

from resgen import build_module, cost
from resgen.cost import Cost
from resgen.cost.conventions import CONVENTIONS
from resgen.plan import Plan
from resgen.proof import prove
from resgen.proof.measure import measure
from resgen.report.rows import rows, total

quick = settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
traced = settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck))


@quick
@given(plans(), st.sampled_from(("stage", "block", "layer")), st.sampled_from(sorted(CONVENTIONS)))
def test_rows_add_up_to_the_total(plan: Plan, by: str, convention: str) -> None:
    rule = CONVENTIONS[convention].macs
    found = rows(plan, by, rule)
    books = Cost()
    for row in found:
        books = books.plus(row.books)
    assert books == cost(plan) == total(plan).books
    assert sum(row.macs for row in found) == total(plan, rule).macs


@quick
@given(spec_data())
def test_costs_grow_with_width_depth_and_input(data: dict[str, Any]) -> None:
    small = cost(plan_of(data))
    deeper, wider, larger = copy.deepcopy(data), copy.deepcopy(data), copy.deepcopy(data)
    for stage in deeper["stages"]:
        stage["depth"] += 1
    for stage in wider["stages"]:
        stage["width"] *= 2
    larger["input"]["size"] *= 2
    for grown in (deeper, wider):
        books = cost(plan_of(grown))
        assert books.params > small.params
        assert books.macs > small.macs
    books = cost(plan_of(larger))
    assert books.params == small.params
    assert books.macs > small.macs


@quick
@given(spec_data(), spec_data())
def test_costs_do_not_depend_on_what_was_computed_before(
    one: dict[str, Any], other: dict[str, Any]
) -> None:
    first = cost(plan_of(one))
    cost(plan_of(other))
    assert cost(plan_of(one)) == first


@quick
@given(plans(plain_words=True))
def test_a_shortcut_adds_its_own_layers_and_nothing_else(plan: Plan) -> None:
    whole, twin = cost(plan), cost(plan.plain())
    added = [row for row in rows(plan, "block") if row.name.endswith(" shortcut")]
    assert whole.params - twin.params == sum(row.books.params for row in added)
    assert whole.macs - twin.macs == sum(row.books.macs for row in added)


@traced
@given(plans())
def test_the_proof_holds_layer_by_layer(plan: Plan) -> None:
    proof = prove(plan, build_module(plan))
    assert [check.text for check in proof.checks if not check.holds] == []


@traced
@given(plans())
def test_torch_counts_the_same_on_the_meta_device(plan: Plan) -> None:
    with torch.device("meta"):
        module, image = build_module(plan).eval(), torch.empty(1, *plan.input)
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        module(image)
    assert counter.get_total_flops() == cost(plan).flops


@traced
@given(plans())
def test_measuring_leaves_the_module_as_it_was(plan: Plan) -> None:
    module = build_module(plan).train()
    list(module.modules())[-1].eval()  # modes are restored one by one
    before = {name: tensor.clone() for name, tensor in module.state_dict().items()}
    buffers = [name for name, _ in module.named_buffers()]
    modes = [part.training for part in module.modules()]
    measure(module, plan)
    after = module.state_dict()
    assert list(after) == list(before)
    assert all(torch.equal(after[name], before[name]) for name in before)
    assert [name for name, _ in module.named_buffers()] == buffers
    assert [part.training for part in module.modules()] == modes
    for part in module.modules():
        assert not part._forward_hooks
        assert not part._forward_pre_hooks
        assert not part._backward_hooks
