"""Whatever path is drawn: costed, emitted, run, measured by two counters, trained, exported."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, Phase, given, settings
from torch import nn

from resgen import build_module, cost
from resgen.cost.memory import training_step
from resgen.errors import UserError
from resgen.plan import Plan, plan_of
from resgen.proof import prove
from resgen.report.rows import rows
from resgen.source.file import emit_source
from tests.paths import networks


def drawn(examples: int) -> settings:
    """So many draws, the same in every run."""
    return settings(
        max_examples=examples,
        database=None,
        deadline=None,
        derandomize=True,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )


def planned(data: dict[str, Any]) -> Plan | None:
    """The Plan of a draw; None where its numbers do not divide."""
    try:
        return plan_of(data)
    except UserError as error:
        assert "divisible" in str(error) or "slices" in str(error), error
        return None


@drawn(300)
@given(networks())
def test_any_path_is_proved_and_its_gradients_reach_every_parameter(data: dict[str, Any]) -> None:
    plan = planned(data)
    if plan is None:
        return
    module = build_module(plan)
    assert [check.text for check in prove(plan, module).checks if not check.holds] == []
    assert sum(p.numel() for p in module.parameters()) == cost(plan).params
    scores = module.train()(torch.randn(2, *plan.input))
    nn.functional.cross_entropy(scores, torch.tensor([0, 1])).backward()
    assert [name for name, p in module.named_parameters() if p.grad is None] == []


@drawn(40)
@given(networks())
def test_any_path_adds_up_and_what_autograd_keeps_is_foretold(data: dict[str, Any]) -> None:
    plan = planned(data)
    if plan is None:
        return
    whole = cost(plan)
    for by in ("stage", "block", "layer"):
        found = rows(plan, by)
        assert sum(row.books.params for row in found) == whole.params
        assert sum(row.books.macs for row in found) == whole.macs
        assert sum(row.books.residual_adds for row in found) == whole.residual_adds
    twin = cost(plan.plain())
    assert twin.residual_adds == 0
    assert twin.macs <= whole.macs
    assert abs(_kept(plan) / training_step(plan, 2).kept - 1) < 0.02


def _kept(plan: Plan) -> int:
    """Bytes that autograd holds between forward and backward, the weights' own aside."""
    module = build_module(plan).train()
    own = {p.untyped_storage().data_ptr() for p in (*module.parameters(), *module.buffers())}
    held: dict[int, torch.Tensor] = {}

    def pack(tensor: torch.Tensor) -> torch.Tensor:
        if (key := tensor.untyped_storage().data_ptr()) not in own and tensor.numel():
            held[key] = tensor
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        scores = module(torch.randn(2, *plan.input))
        loss = nn.functional.cross_entropy(scores, torch.tensor([0, 1]))
    total = sum(tensor.untyped_storage().nbytes() for tensor in held.values())
    assert loss.requires_grad
    return total


def test_emitted_files_run_in_a_fresh_interpreter(tmp_path: Path) -> None:
    """Files that need only torch, and say what they cost: as many parameters as the books."""
    found: dict[str, int] = {}

    @drawn(25)
    @given(networks())
    def write(data: dict[str, Any]) -> None:
        plan = planned(data)
        if plan is not None:
            name = f"net{len(found)}"
            (tmp_path / f"{name}.py").write_text(emit_source(plan, features=len(found) % 2 == 0))
            found[name] = cost(plan).params

    write()
    script = (
        "import importlib, json, sys, torch\n"
        "seen = {}\n"
        "for name in sys.argv[1:]:\n"
        "    file = importlib.import_module(name)\n"
        "    module = getattr(file, file.__all__[0])().eval()\n"
        "    size = [int(n) for n in file.__doc__.split(': ')[1].split(' ')[0].split('x')]\n"
        "    assert module(torch.zeros(2, *size)).shape == (2, 5)\n"
        "    seen[name] = sum(p.numel() for p in module.parameters())\n"
        "assert 'resgen' not in sys.modules\n"
        "print(json.dumps(seen))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, *found], cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == found
    assert max(len(line) for path in tmp_path.glob("*.py")
               for line in path.read_text().splitlines()) <= 88  # fmt: skip


@pytest.mark.slow
def test_any_path_exports() -> None:
    @drawn(8)
    @given(networks())
    def export(data: dict[str, Any]) -> None:
        plan = planned(data)
        if plan is None:
            return
        module = build_module(plan).eval()
        x = torch.randn(2, *plan.input)
        exported = torch.export.export(module, (x,))
        assert torch.allclose(exported.module()(x), module(x), rtol=1e-4, atol=1e-5)

    export()
