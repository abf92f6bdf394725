"""What is timed, and what is not: on the CPU with networks of a few layers."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from resgen import load_spec, resolve
from resgen.cost import cost
from resgen.cost.memory import training_step
from resgen.timing import bench as benches
from resgen.timing import cases as made
from resgen.timing import forms, memory, peaks
from resgen.timing.cases import MODES, Case, cases, contenders, module_of, step_of
from tests.timed import CPU, GPU, motor, plan, run


def test_cases_are_every_network_in_every_mode_at_every_batch_and_precision() -> None:
    found = cases(contenders([plan(), plan(name="b")]), list(MODES), [2, 8], ["fp32", "bf16"])
    said = [str(case) for case in found]
    assert len(said) == len(set(said)) == 2 * 2 * (1 + 2 + 2)
    assert [case.batch for case in found if case.mode == "latency"] == [1] * 4


def test_a_network_given_twice_is_two_contenders() -> None:
    labels = [each.label for each in contenders([plan(), plan(name="b"), plan(), plan()])]
    assert labels == ["tiny", "b", "tiny #2", "tiny #3"]


def test_operations_are_two_a_mac_and_of_training_those_of_the_way_back_too() -> None:
    (contender,) = contenders([resolve(load_spec("resnet18"))])
    macs, first = cost(contender.plan).macs, 118_013_952
    assert Case(contender, "inference", 4, "fp32").flops == 2 * 4 * macs
    assert Case(contender, "training", 4, "fp32").flops == 2 * 4 * (3 * macs - first)


@pytest.mark.parametrize("device", ["cpu", GPU])
@pytest.mark.parametrize("mode", MODES)
def test_a_step_leaves_the_weights_and_no_gradients(mode: str, device: str) -> None:
    on = motor(device)
    (contender,) = contenders([plan()])
    module = module_of(contender.plan, on)
    before = {name: each.clone() for name, each in module.named_parameters()}
    step = step_of(Case(contender, mode, 2, "fp32"), module, on)
    step.ready()
    step.call()
    assert module.training == MODES[mode].trains
    for name, each in module.named_parameters():
        assert torch.equal(each, before[name])
        assert each.grad is None


def test_a_training_step_is_forward_backward_and_an_update(monkeypatch: pytest.MonkeyPatch) -> None:
    (contender,) = contenders([plan()])
    module = module_of(contender.plan, CPU)
    step = step_of(Case(contender, "training", 2, "bf16"), module, CPU)
    seen: list[torch.Tensor] = []
    called: list[str] = []
    module.register_forward_hook(lambda m, given, out: seen.append(out))
    weights = list(module.parameters())
    for each in weights:
        each.register_hook(lambda gradient: called.append("gradient"))
    real = torch.optim.SGD.step
    monkeypatch.setattr(
        torch.optim.SGD, "step", lambda self: (called.append("update"), real(self))[1]
    )
    step.ready()
    step.call()
    assert seen[0].dtype == torch.bfloat16
    assert seen[0].shape == (2, 4)
    assert called == ["gradient"] * len(weights) + ["update"]


def test_images_have_the_layout_and_inference_no_gradients() -> None:
    (contender,) = contenders([plan()])
    module = module_of(contender.plan, CPU)
    seen: list[torch.Tensor] = []
    module.register_forward_hook(lambda m, given, out: seen.extend((*given, out)))
    step = step_of(Case(contender, "inference", 2, "fp32"), module, CPU)
    step.call()
    assert seen[0].is_contiguous(memory_format=torch.channels_last)
    assert seen[1].is_inference()


@pytest.mark.parametrize("device", ["cpu", GPU])
def test_what_stands_is_weights_buffers_momentum_images_and_labels(device: str) -> None:
    on = motor(device)
    (contender,) = contenders([plan()])
    module = module_of(contender.plan, on)
    weights = cost(contender.plan).params * 4
    held = sum(each.numel() * each.element_size() for each in module.buffers())
    step = step_of(Case(contender, "training", 2, "fp32"), module, on)
    assert step.standing == weights + held + 2 * 3 * 64 * 4 + 2 * 8
    step.call()
    assert step.standing == 2 * weights + held + 2 * 3 * 64 * 4 + 2 * 8


@pytest.mark.parametrize("device", ["cpu", GPU])
def test_the_peak_above_a_step_has_what_it_makes(device: str) -> None:
    on = motor(device)
    size = 2**27

    def call() -> None:
        torch.ones(size, dtype=torch.uint8, device=on.device)

    call()
    above = memory.peak_above(call, on)
    if above is None:
        pytest.skip("nobody counts here")
    assert 0.95 * size < above < 1.25 * size
    small = memory.peak_above(lambda: None, on)
    assert small is not None
    assert small < size / 16


@pytest.mark.gpu
def test_the_peak_of_a_training_step_is_near_the_closed_form() -> None:
    on = motor("cuda")
    found = run(resolve(load_spec("cifar/resnet20")), motor=on, modes=["training"], batches=[256])
    (result,) = found.results
    assert result.peak == pytest.approx(
        training_step(result.case.contender.plan, 256).peak, rel=0.3
    )


def test_what_does_not_fit_gets_a_row_and_the_others_go_on(monkeypatch: pytest.MonkeyPatch) -> None:
    real = made.step_of

    def step(case: Case, *rest: Any) -> made.Step:
        if case.contender.label == "b" and case.batch == 4:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB")
        return real(case, *rest)

    monkeypatch.setattr(benches, "step_of", step)
    found = run(plan(), plan(name="b"), rounds=1)
    failed = {str(each.case): each.failed for each in found.results if each.failed}
    assert failed == {
        f"b, {mode}, batch 4, fp32": "does not fit into memory"
        for mode in ("inference", "training")
    }
    assert all(each.seconds for each in found.results if not each.failed)
    assert "b: does not fit into memory" in forms.render(found, "table")


def test_what_the_system_would_grant_and_not_have_is_refused_beforehand(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    need = memory.foreseen(plan(), 4, "fp32", trains=True)
    monkeypatch.setattr(benches, "free_memory", lambda device: need - 1)
    found = run(plan(), modes=["training"], rounds=1)
    assert [bool(each.failed) for each in found.results] == [False, True]
    assert found.results[1].failed.startswith("does not fit into memory: about")


def test_a_batch_too_small_for_its_norm_gets_a_row() -> None:
    found = run(plan(head=["global-pool", "norm"]), modes=["training"], batches=[1], rounds=1)
    assert [each.failed for each in found.results] == [
        "a batch norm sees one value a channel: needs a larger batch"
    ]


def test_any_other_error_is_no_row(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any) -> made.Step:
        raise RuntimeError("shapes cannot be multiplied")

    monkeypatch.setattr(benches, "step_of", broken)
    with pytest.raises(RuntimeError, match="shapes cannot be multiplied"):
        run(plan())


@pytest.mark.parametrize("device", ["cpu", GPU])
def test_peaks_are_measured(device: str) -> None:
    found = peaks.measured(motor(device), ["fp32", "bf16"], scale=0.02)
    assert found.device
    assert found.bytes > 0
    assert set(found.flops) == {"fp32", "bf16"}
    assert all(each > 0 for each in found.flops.values())
