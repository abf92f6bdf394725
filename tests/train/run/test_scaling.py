"""fp16: the scale of its gradients against torch's own loop, its skipped steps, its checkpoint."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.amp import GradScaler

from resgen.errors import Diverged, UserError
from resgen.tensors import checkpoint
from resgen.train.data.feed import Batch
from resgen.train.device.engine import Engine
from resgen.train.device.processes import World
from resgen.train.device.scaling import Scaling
from resgen.train.recipe.optimizers import Lamb, build
from resgen.train.run import metrics, runs
from resgen.train.run.loop import Stepper
from resgen.train.run.metrics import without_times
from tests.train.run.test_launches import Calls
from tests.train.run.test_resume import StopAt, assert_equal_bits
from tests.training import recipe

Make = Callable[..., runs.Job]
BAD = (0, 1, 7)


@pytest.fixture
def fp16(cpu: Engine) -> Engine:
    return replace(cpu, precision="fp16")


@pytest.fixture
def on_fp16(job: Make, fp16: Engine) -> Make:
    return lambda *words, **keys: replace(job(*words, **keys), engine=fp16)


def linear() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Flatten(), nn.Linear(12, 5))


def batches(steps: int, bad: tuple[int, ...] = BAD) -> Iterator[Batch]:
    """Of some the gradients are too large for fp16 at the scale, and the loss is not."""
    for step in range(steps):
        rng = torch.Generator().manual_seed(step)
        images = torch.randn(10, 3, 2, 2, generator=rng)
        labels = torch.randint(5, (10,), generator=rng)
        yield Batch(images * 1e3 if step in bad else images, labels)


def written_out(module: nn.Module, optimizer: torch.optim.Optimizer, steps: int) -> GradScaler:
    scaler = GradScaler("cpu")
    for images, labels in batches(steps):
        optimizer.zero_grad()
        with torch.autocast("cpu", torch.float16):
            logits = module(images)
        scaler.scale(F.cross_entropy(logits.float(), labels)).backward()
        scaler.unscale_(optimizer)
        nn.utils.clip_grad_norm_(module.parameters(), 0.5)
        scaler.step(optimizer)
        scaler.update()
    return scaler


@pytest.mark.parametrize("device", ["cpu", "as a gpu"])
@pytest.mark.parametrize("kind", ["sgd", "adamw"])
def test_steps_are_those_of_torchs_scaler(
    fp16: Engine, kind: str, device: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine, theirs = linear(), linear()
    chosen = recipe(batch=10, clip=0.5, optimizer={"kind": kind, "lr": 0.1, "weight_decay": 0.0})
    made = build(mine, chosen.optimizer, device=fp16.device)
    if device == "as a gpu":
        monkeypatch.setattr(Engine, "asynchronous", property(lambda _: True))
        how: Any = {"fused": True}
        made = {
            "sgd": lambda: torch.optim.SGD(mine.parameters(), 0.1, momentum=0.9, **how),
            "adamw": lambda: torch.optim.AdamW(mine.parameters(), 0.1, weight_decay=0.0, **how),
        }[kind]()
        for weight in mine.parameters() if kind == "sgd" else ():
            made.state[weight]["momentum_buffer"] = torch.zeros_like(weight)
    other: torch.optim.Optimizer = {
        "sgd": lambda: torch.optim.SGD(theirs.parameters(), 0.1, momentum=0.9),
        "adamw": lambda: torch.optim.AdamW(theirs.parameters(), 0.1, weight_decay=0.0),
    }[kind]()
    stepper = Stepper.of(mine, made, recipe=chosen, engine=fp16, world=World())
    with Calls() as calls:
        for step, each in enumerate(batches(12)):
            assert stepper(iter([each]), step=step, rate=0.1)
    if device == "as a gpu":
        assert not calls.waits
    scaler = written_out(theirs, other, 12)
    assert stepper.scaling is not None
    assert stepper.scaling.plain() == {
        "scale": scaler.get_scale(), "steady": 4, "skipped": len(BAD)
    }  # fmt: skip
    assert scaler.get_scale() == 65536 / 8
    assert int(stepper.first_bad) == -1
    for one, two in zip(mine.parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(one, two)


def test_lamb_keeps_weights_and_moments_where_a_step_is_left_out() -> None:
    weight = nn.Parameter(torch.randn(4, 3))
    made = Lamb([weight], 0.1, weight_decay=0.1)
    weight.grad = torch.randn(4, 3)
    made.step()
    state = made.state[weight]
    before = [each.clone() for each in (weight.detach(), state["m"], state["v"])]
    weight.grad = torch.full((4, 3), float("nan"))
    made.found_inf = torch.ones(())
    made.step()
    for one, two in zip(before, (weight.detach(), state["m"], state["v"]), strict=True):
        assert torch.equal(one, two)


@pytest.mark.parametrize("asynchronous", [False, True])
def test_a_gradient_that_no_scale_helps_is_a_divergence(
    fp16: Engine, asynchronous: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Engine, "asynchronous", property(lambda _: asynchronous))
    module = linear()
    chosen = recipe(batch=10)
    optimizer = torch.optim.SGD(module.parameters(), 0.1, fused=True)
    next(module.parameters()).register_hook(lambda gradient: gradient * float("inf"))
    stepper = Stepper.of(module, optimizer, recipe=chosen, engine=fp16, world=World())
    fine = [
        stepper(iter([each]), step=step, rate=0.1) for step, each in enumerate(batches(20, bad=()))
    ]
    # 65,536 is halved to 0.5 by 17 steps, after which it is no matter of the scale.
    assert int(stepper.first_bad) == (17 if asynchronous else 19)
    assert fine == ([True] * 20 if asynchronous else [True] * 17 + [False] * 3)


def test_a_loss_that_is_not_finite_is_a_divergence_at_once(fp16: Engine) -> None:
    module = linear()
    optimizer = torch.optim.SGD(module.parameters(), 0.1)
    chosen = recipe(batch=10)
    stepper = Stepper.of(module, optimizer, recipe=chosen, engine=fp16, world=World())
    (images, labels), *_ = batches(1, bad=())
    assert stepper(iter([Batch(images, labels)]), step=0, rate=0.1)
    assert not stepper(iter([Batch(images * 1e30, labels)]), step=1, rate=0.1)
    assert int(stepper.first_bad) == 1


def overflowing(monkeypatch: pytest.MonkeyPatch, steps: tuple[int, ...]) -> None:
    """Gradients of these steps that are too large for fp16 on their way."""
    call, up = Stepper.__call__, Scaling.up
    now = [0]

    def counted(stepper: Stepper, batches: Any, *, step: int, rate: float) -> bool:
        now[0] = step
        return call(stepper, batches, step=step, rate=rate)

    monkeypatch.setattr(Stepper, "__call__", counted)
    monkeypatch.setattr(
        Scaling, "up",
        lambda scaling, loss: up(scaling, loss) * (float("inf") if now[0] in steps else 1.0),
    )  # fmt: skip


def test_a_run_saves_its_scale_and_goes_on_with_it(
    on_fp16: Make, job: Make, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    overflowing(monkeypatch, (2, 3, 9))
    runs.train(on_fp16("whole", voice="full"))
    assert "3 steps so far left out, to find the scale of fp16's" in capsys.readouterr().err
    with monkeypatch.context() as patch:
        stop = StopAt(7, patch)
        patch.setattr(runs, "Stop", lambda: stop)
        with pytest.raises(BaseException, match="stopped after step 7 of 22"):
            runs.train(on_fp16("cut"))
    cut = on_fp16("cut", start="resume")
    saved = checkpoint.load(cut.settings.out / "last.pt")
    assert saved["scaling"] == {"scale": 65536.0 / 4, "steady": 3, "skipped": 2}
    runs.train(cut)
    states = [checkpoint.load(cut.settings.out.with_name(name) / "last.pt")
              for name in ("whole", "cut")]  # fmt: skip
    assert_equal_bits(*states)
    assert states[0]["scaling"] == states[1]["scaling"]
    rows = [without_times(metrics.read(cut.settings.out.with_name(name)))
            for name in ("whole", "cut")]  # fmt: skip
    assert rows[0] == rows[1]
    assert [row["skipped_steps"] for row in rows[0]] == [3, 3]


def test_a_run_goes_on_in_another_precision_and_back(on_fp16: Make, job: Make) -> None:
    whole = {"length": "1 epochs"}
    runs.train(on_fp16(recipe_=whole))
    state = checkpoint.load(on_fp16().settings.out / "last.pt")
    assert state["scaling"]["skipped"] == 0
    for make in (job, on_fp16):
        made = make(recipe_=whole, start="resume")
        (made.settings.out / "result.json").unlink()
        runs.train(made)


def test_a_run_that_diverges_in_fp16_says_where(
    on_fp16: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    overflowing(monkeypatch, tuple(range(2, 22)))
    with pytest.raises(Diverged, match=r"in step 20 at rate .*; the outputs are finite; a grad"):
        runs.train(on_fp16())


@pytest.mark.parametrize(
    "forged", [{}, {"scale": 0.0, "steady": 0, "skipped": 0}, {"scale": 1.0, "steady": -1}, 3]
)
def test_a_forged_scale_is_refused(on_fp16: Make, forged: Any) -> None:
    runs.train(on_fp16(recipe_={"length": "1 steps"}))
    out = on_fp16().settings.out
    state = checkpoint.load(out / "last.pt")
    checkpoint.save({**state, "scaling": forged}, out)
    with pytest.raises(UserError, match="its scaling must be fp16's scale and the steps left out"):
        runs.train(on_fp16(recipe_={"length": "1 steps"}, start="resume"))


def test_fused_momentum_is_none_before_the_first_step_that_is_taken() -> None:
    """torch takes memory for it at the first step, and leaves it so where that is dropped."""
    mine, theirs = linear(), linear()
    chosen = recipe(optimizer={"lr": 0.1, "momentum": 0.9})
    device = torch.device("cpu")
    plain = build(theirs, chosen.optimizer, device=device)
    made = build(mine, chosen.optimizer, device=device)
    for group in made.param_groups:
        group["fused"] = True
    from resgen.train.recipe import optimizers

    optimizers.restore(made, made.state_dict())
    for dropped in (True, False, False):
        for one, two in zip(mine.parameters(), theirs.parameters(), strict=True):
            one.grad = torch.full_like(one, 0.5 + dropped)
            two.grad = torch.full_like(two, 0.5)
        made.found_inf = torch.tensor(float(dropped))  # type: ignore[attr-defined]
        garbage = [torch.full_like(each, 1e9) for each in mine.parameters()]
        del garbage  # what memory taken anew is likely to hold
        made.step()
        if not dropped:
            plain.step()
    for one, two in zip(mine.parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(one, two)
