"""Steps against hand-written ones, divergence, and evaluation."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from timm.loss import BinaryCrossEntropy
from torch import nn
from torchvision.ops import sigmoid_focal_loss

import resgen
from resgen.errors import CheckFailed, Diverged
from resgen.tensors import checkpoint
from resgen.train.data import sources
from resgen.train.data.feed import Batch
from resgen.train.data.images import Images, Wanted
from resgen.train.device.engine import Engine
from resgen.train.device.processes import World
from resgen.train.recipe.keys import Loss
from resgen.train.recipe.optimizers import Lamb, build
from resgen.train.run import loop, metrics, runs
from resgen.train.run.loop import Stepper
from resgen.train.run.network import Network
from tests.training import recipe

Make = Callable[..., runs.Job]


def linear() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Flatten(), nn.Linear(12, 5))


def batch(count: int = 10) -> Batch:
    rng = torch.Generator().manual_seed(1)
    images = torch.randn(count, 3, 2, 2, generator=rng)
    return Batch(images, torch.randint(5, (count,), generator=rng))


def stepped(cpu: Engine, batches: list[Batch], **changes: Any) -> nn.Module:
    chosen = recipe(batch=10, **changes)
    module = linear()
    optimizer = build(module, chosen.optimizer, device=cpu.device)
    stepper = Stepper.of(module, optimizer, recipe=chosen, engine=cpu, world=World())
    for step in range(2):
        assert stepper(iter(batches), step=step, rate=0.1)
    return module


def test_two_steps_are_two_lines_of_plain_sgd(cpu: Engine) -> None:
    trained = stepped(cpu, [batch()], optimizer={"lr": 9.0, "momentum": 0.9, "weight_decay": 0.01})
    module, (images, labels) = linear(), batch()
    velocity = [torch.zeros_like(p) for p in module.parameters()]
    for _ in range(2):
        loss = F.cross_entropy(module(images), labels)
        gradients = torch.autograd.grad(loss, list(module.parameters()))
        with torch.no_grad():
            for p, v, g in zip(module.parameters(), velocity, gradients, strict=True):
                v.mul_(0.9).add_(g + 0.01 * p)
                p.sub_(0.1 * v)
    for mine, theirs in zip(trained.parameters(), module.parameters(), strict=True):
        assert torch.allclose(mine, theirs, atol=1e-6)


@pytest.mark.parametrize("sizes", [(5, 5), (7, 3), (4, 3, 3)])
def test_accumulated_pieces_of_any_sizes_make_the_whole_batchs_step(
    cpu: Engine, sizes: tuple[int, ...]
) -> None:
    whole = stepped(cpu, [batch()])
    images, labels = batch()
    parts = zip(images.split(sizes), labels.split(sizes), strict=True)
    pieces = stepped(cpu, [Batch(*part) for part in parts], accumulate=len(sizes))
    for mine, theirs in zip(whole.parameters(), pieces.parameters(), strict=True):
        assert torch.allclose(mine, theirs, atol=1e-6)


def test_clipping_bounds_the_step(cpu: Engine) -> None:
    still = {"lr": 1.0, "momentum": 0.0}
    before = linear()
    after = stepped(cpu, [batch()], clip=1e-3, optimizer=still)
    moved = sum(
        float(((p - q) ** 2).detach().sum())
        for p, q in zip(after.parameters(), before.parameters(), strict=True)
    )
    assert moved**0.5 == pytest.approx(2 * 0.1 * 1e-3, rel=0.01)


def test_binary_loss_is_the_classes_mean_of_binary_cross_entropies() -> None:
    images, labels = batch()
    logits = linear()(images)
    ours = loop.summed_loss(logits, labels, Loss(kind="binary"))
    targets = F.one_hot(labels, 5).float()
    # Focal loss with gamma 0 and no alpha is the binary cross-entropy.
    theirs = sigmoid_focal_loss(logits, targets, alpha=-1, gamma=0, reduction="sum")
    assert torch.allclose(ours, theirs / 5)


@pytest.mark.parametrize("threshold", [None, 0.0, 0.2, 0.6])
def test_mixed_labels_above_the_threshold_count_wholly_as_in_timm(threshold: float | None) -> None:
    images, labels = batch()
    logits = linear()(images)
    one, other = F.one_hot(labels, 5).float(), F.one_hot((labels + 1) % 5, 5).float()
    mixed = 0.7 * one + 0.3 * other
    ours = loop.summed_loss(logits, mixed, Loss(kind="binary", threshold=threshold))
    theirs = BinaryCrossEntropy(smoothing=0.0, target_threshold=threshold)(logits, mixed)
    assert torch.allclose(ours, 10 * theirs)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_bad_loss_stops_before_the_weights_are_touched(
    job: Make, value: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    call = Stepper.__call__

    def poisoned(stepper: Stepper, batches: Any, *, step: int, rate: float) -> bool:
        if step == 15:
            images, labels = next(batches)
            before = [p.clone() for p in stepper.module.parameters()]
            broken = Batch(images * value, labels)
            fine = call(stepper, iter([broken]), step=step, rate=rate)
            after = list(stepper.module.parameters())
            assert all(torch.equal(p, q) for p, q in zip(before, after, strict=True))
            return fine
        return call(stepper, batches, step=step, rate=rate)

    monkeypatch.setattr(Stepper, "__call__", poisoned)
    chosen = job()
    with pytest.raises(Diverged) as caught:
        runs.train(chosen)
    text = str(caught.value)
    assert "became NaN or infinite in step 16 at rate 0.0" in text
    assert (
        f"the weights were not touched, the last good checkpoint is {chosen.settings.out}" in text
    )
    assert caught.value.exit_code == 3
    state = checkpoint.load(chosen.settings.out / "last.pt")
    assert state["step"] == 11
    assert all(torch.isfinite(value).all() for value in state["model"].values())


def test_weights_that_are_no_numbers_are_never_saved(
    job: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    update = Stepper._update

    def overflowing(stepper: Stepper, loss: torch.Tensor, step: int) -> bool:
        fine = update(stepper, loss, step)
        if step == 21:  # the run's last: no later step stumbles over it
            with torch.no_grad():
                next(stepper.module.parameters())[0] = float("inf")
        return fine

    monkeypatch.setattr(Stepper, "_update", overflowing)
    made = job()
    with pytest.raises(Diverged, match=r"tiny: conv1\.weight became NaN or infinite by step 22 at"):
        runs.train(made)
    # The first epoch's checkpoint stays; its weights are numbers.
    state = checkpoint.load(made.settings.out / "last.pt")
    assert state["step"] == 11
    assert all(bool(value.isfinite().all()) for value in state["model"].values())


def test_a_rate_far_too_high_names_the_first_bad_layer(job: Make) -> None:
    wild = {"lr": 1e30, "momentum": 0.0}
    constant = {"kind": "constant"}
    with pytest.raises(Diverged, match=r"in step \d+ at rate 1e\+30; the first bad layer is \w+"):
        runs.train(job(recipe_={"optimizer": wild, "schedule": constant}))


def test_a_network_whose_proof_fails_is_not_trained(
    job: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    chosen = job()
    monkeypatch.setattr(Network, "prove", lambda *_: [(True, "a"), (False, "books differ")])
    with pytest.raises(CheckFailed, match="tiny: not trained, as its proof fails: books differ"):
        runs.train(chosen)
    assert not metrics.read(chosen.settings.out)


def test_rows_hold_what_a_figure_needs(job: Make) -> None:
    chosen = job()
    (result,) = runs.train(chosen)
    rows = metrics.read(chosen.settings.out)
    assert [row["epoch"] for row in rows] == [1, 2]
    assert [row["step"] for row in rows] == [11, 22]
    assert set(rows[0]) == {
        "epoch", "step", "rate", "train_loss", "train_error", "heldout_loss", "heldout_error",
        "images_per_second", "data_wait", "seconds",
    }  # fmt: skip
    assert result.last_error == rows[-1]["heldout_error"]
    names = {path.name for path in chosen.settings.out.iterdir()}
    assert names >= {
        "spec.yaml", "recipe.yaml", "environment.json", "metrics.jsonl", "last.pt", "previous.pt",
        "best.pt", "result.json", "curves.png",
    }  # fmt: skip


def test_held_out_error_is_counted_by_hand(job: Make) -> None:
    chosen = job(recipe_={"batch": 101})  # 360 images in batches of 101: the last one is short
    runs.train(chosen)
    state = checkpoint.load(chosen.settings.out / "last.pt")
    module = resgen.build_module(str(chosen.settings.out / "spec.yaml"))
    module.load_state_dict(state["model"])
    module.eval()
    data = sources.load(Wanted(channels=1, size=(8, 8)))
    assert isinstance(data.heldout, Images)
    images = (data.heldout.pixels.float() / 255 - data.mean[0]) / data.std[0]
    with torch.no_grad():
        wrong = (module(images).argmax(1) != data.heldout.labels).sum()
    assert metrics.read(chosen.settings.out)[-1]["heldout_error"] == int(wrong) / 360


def test_warmup_by_error_ends_when_the_error_is_low_enough(job: Make) -> None:
    schedule = {"kind": "constant", "warmup_until_error": 0.5, "warmup_from": 0.1}
    chosen = job(recipe_={"length": "12 epochs", "schedule": schedule, "augment": {}})
    runs.train(chosen)
    rows = metrics.read(chosen.settings.out)
    for before, row in pairwise(rows):
        warm = before["train_error"] < 0.5 or before["rate"] == 0.05
        assert row["rate"] == pytest.approx(0.05 if warm else 0.005)
    assert rows[-1]["rate"] == 0.05


@pytest.mark.parametrize("kind", ["sgd", "adamw", "lamb"])
def test_on_an_asynchronous_device_the_update_is_dropped_without_waiting(
    cpu: Engine, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    monkeypatch.setattr(Engine, "asynchronous", property(lambda _: True))
    chosen = recipe(batch=10)
    module = linear()
    # The CPU has fused optimizers too; they read the same mark.
    optimizer: torch.optim.Optimizer = {
        "sgd": lambda: torch.optim.SGD(module.parameters(), 0.1, momentum=0.9, fused=True),
        "adamw": lambda: torch.optim.AdamW(module.parameters(), 0.1, fused=True),
        "lamb": lambda: Lamb(module.parameters(), 0.1, weight_decay=0.1),
    }[kind]()
    stepper = Stepper.of(module, optimizer, recipe=chosen, engine=cpu, world=World())
    stepper(iter([batch()]), step=0, rate=0.1)
    assert int(stepper.first_bad) == -1
    before = [p.clone() for p in module.parameters()]
    images, labels = batch()
    stepper(iter([Batch(images * float("nan"), labels)]), step=1, rate=0.1)
    stepper(iter([batch()]), step=2, rate=0.1)
    assert int(stepper.first_bad) == 1
    assert all(torch.equal(p, q) for p, q in zip(before, module.parameters(), strict=True))
