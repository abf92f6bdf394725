"""Every key of a recipe does what it says: a run with it against a loop written out in torch.

The loop has the same first weights and the same images of each step, and all else of its own:
rates, groups, other people's optimizers and losses, averages, statistics, errors. Keys of
`augment` are held by the tests of the feeds, which give both the same batches.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from copy import deepcopy
from dataclasses import replace
from itertools import pairwise
from math import cos, pi
from typing import Any

import pytest
import timm.optim
import torch
import torch.nn.functional as F
from pydantic import BaseModel
from timm.loss import BinaryCrossEntropy
from torch import Tensor, nn

from resgen.tensors import checkpoint
from resgen.train.data import sources
from resgen.train.data.images import Data, Images, Wanted
from resgen.train.data.order import Order
from resgen.train.recipe import Recipe, keys
from resgen.train.recipe.keys import Augment
from resgen.train.run import metrics, runs
from tests.training import recipe

Make = Callable[..., runs.Job]
Rate = Callable[[int], float]
"""step -> a factor of lr."""

BASE: dict[str, Any] = {
    "length": "5 steps", "batch": 64, "augment": {}, "schedule": {},
    "optimizer": {"lr": 0.05, "momentum": 0.9, "weight_decay": 1e-4},
}  # fmt: skip
SYNTHETIC = Wanted("synthetic", heldout=203)
"""Not as many held-out images as test images, so that no error is by chance the other's."""
ADAM = {"kind": "adamw", "lr": 0.01, "weight_decay": 0.1}
LAMB = {"kind": "lamb", "lr": 0.02, "weight_decay": 0.1}


def constant(_: int) -> float:
    return 1.0


SGD = BASE["optimizer"]
CASES: dict[str, tuple[dict[str, Any], Rate]] = {
    "nothing": ({}, constant),
    "length": ({"length": "7 steps"}, constant),
    "batch": ({"batch": 48}, constant),
    "accumulate": ({"accumulate": 3}, constant),
    "optimizer.lr": ({"optimizer": SGD | {"lr": 0.2}}, constant),
    "optimizer.momentum": ({"optimizer": SGD | {"momentum": 0.5}}, constant),
    "optimizer.momentum_kind": ({"optimizer": SGD | {"momentum_kind": "nesterov"}}, constant),
    "optimizer.weight_decay": ({"optimizer": SGD | {"weight_decay": 0.1}}, constant),
    "optimizer.decay": ({"optimizer": SGD | {"weight_decay": 0.1, "decay": "weights"}}, constant),
    "optimizer.head_rate": ({"optimizer": SGD | {"head_rate": 5.0}}, constant),
    "optimizer.layer_decay": ({"optimizer": SGD | {"layer_decay": 0.4}}, constant),
    "optimizer.kind": ({"optimizer": ADAM}, constant),
    "optimizer.betas": ({"optimizer": ADAM | {"betas": [0.5, 0.8]}}, constant),
    "lamb": ({"optimizer": LAMB}, constant),
    "lamb's betas": ({"optimizer": LAMB | {"betas": [0.5, 0.8], "decay": "weights"}}, constant),
    "schedule.kind": ({"schedule": {"kind": "linear"}}, lambda step: 1 - step / 5),
    "schedule.final": (
        {"schedule": {"kind": "cosine", "final": 0.3}},
        lambda step: 0.3 + 0.7 * (1 + cos(pi * step / 5)) / 2,
    ),
    "schedule.milestones": (
        {"schedule": {"kind": "step", "milestones": ["2 steps", "4 steps"]}},
        lambda step: (1.0, 1.0, 0.1, 0.1, 0.01)[step],
    ),
    "schedule.factor": (
        {"schedule": {"kind": "step", "milestones": ["3 steps"], "factor": 0.5}},
        lambda step: 0.5 if step >= 3 else 1.0,
    ),
    "schedule.warmup": (
        {"schedule": {"warmup": "4 steps"}}, lambda step: min(1.0, step / 4)
    ),
    "schedule.warmup_from": (
        {"schedule": {"warmup": "2 steps", "warmup_from": 0.5}},
        lambda step: (0.5, 0.75, 1.0, 1.0, 1.0)[step],
    ),
    "one-cycle": (
        {"schedule": {"kind": "one-cycle", "warmup": "2 steps", "warmup_from": 0.1}},
        lambda step: (0.1, 0.55, 1.0, 0.5, 0.0)[step],
    ),
    "schedule.warmup_until_error": (
        {"schedule": {"warmup_until_error": 0.01, "warmup_from": 0.2}}, lambda _: 0.2
    ),
    "loss.kind": ({"loss": {"kind": "binary"}}, constant),
    "loss.label_smoothing": ({"loss": {"label_smoothing": 0.3}}, constant),
    "binary and smooth": ({"loss": {"kind": "binary", "label_smoothing": 0.3}}, constant),
    "loss.threshold": (
        {"loss": {"kind": "binary", "label_smoothing": 0.9, "threshold": 0.5}}, constant
    ),
    "ema.decay": ({"ema": {"decay": 0.2}}, constant),
    "clip": ({"clip": 0.2}, constant),
    "precise_bn": ({"precise_bn": 3}, constant),
    "precise_bn in pieces": ({"precise_bn": 2, "accumulate": 4}, constant),
    "precise_bn of an average": ({"precise_bn": 2, "ema": {"decay": 0.2}}, constant),
    "freeze": ({"freeze": ["stem", "layer1"]}, constant),
}  # fmt: skip
DESCRIBES = {"description"}


def all_keys(model: type[BaseModel], before: str = "") -> Iterator[str]:
    inner = {"optimizer": keys.Optimizer, "schedule": keys.Schedule, "loss": keys.Loss,
             "ema": keys.Ema, "augment": Augment}  # fmt: skip
    for name in model.model_fields:
        if not before and name in inner:
            yield from all_keys(inner[name], f"{name}.")
        else:
            yield f"{before}{name}"


def test_every_key_is_in_the_table() -> None:
    ours = {key for key in all_keys(Recipe) if not key.startswith("augment.")}
    assert ours == (CASES.keys() & ours) | DESCRIBES


# ---- the loop, written out


def normal(split: Any, data: Data) -> Tensor:
    assert isinstance(split, Images)
    mean, std = (255 * torch.tensor(each) for each in (data.mean, data.std))
    return (split.pixels.float() - mean) / std


def parts_of(batch: Tensor, pieces: int) -> list[Tensor]:
    edges = [len(batch) * piece // pieces for piece in range(pieces + 1)]
    return [batch[low:high] for low, high in pairwise(edges)]


def optimizer_of(module: nn.Module, chosen: keys.Optimizer) -> torch.optim.Optimizer:
    """A group for each tensor, in other people's optimizers."""
    depths = ("conv1", "layer1", "layer2", "fc")
    groups = []
    for name, each in module.named_parameters():
        if not each.requires_grad:
            continue
        part = name.split(".")[0].replace("bn1", "conv1")
        scale = chosen.head_rate if part == "fc" else 1.0
        scale *= chosen.layer_decay ** (3 - depths.index(part))
        plain = chosen.decay == "weights" and each.dim() < 2
        decay = 0.0 if plain else chosen.weight_decay
        groups.append({"params": [each], "weight_decay": decay, "lr": scale, "scale": scale})
    if chosen.kind == "adamw":
        return torch.optim.AdamW(groups, betas=chosen.betas)
    if chosen.kind == "lamb":
        return timm.optim.Lamb(groups, betas=chosen.betas, max_grad_norm=None)
    nesterov = chosen.momentum_kind == "nesterov"
    return torch.optim.SGD(groups, momentum=chosen.momentum, nesterov=nesterov)


def loss_of(logits: Tensor, labels: Tensor, chosen: keys.Loss) -> Tensor:
    """The mean over images."""
    smooth = chosen.label_smoothing
    if chosen.kind == "binary":
        loss = BinaryCrossEntropy(smoothing=smooth, target_threshold=chosen.threshold)
        return loss(logits, labels)  # type: ignore[no-any-return]
    logs = logits.log_softmax(1)
    own = logs.gather(1, labels[:, None]).squeeze(1)
    return -((1 - smooth) * own + smooth * logs.mean(1)).mean()


def measure(module: nn.Module, images: list[Tensor]) -> None:
    """Each batch norm's statistics: the mean over these of the mean and of the variance."""
    norms = [each for each in module.modules() if isinstance(each, nn.BatchNorm2d)]
    seen: dict[nn.Module, list[tuple[Tensor, Tensor]]] = {norm: [] for norm in norms}

    def watch(norm: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        (x,) = inputs
        seen[norm].append((x.mean((0, 2, 3)), x.var((0, 2, 3))))

    hooks = [norm.register_forward_pre_hook(watch) for norm in norms]
    module.train()
    with torch.no_grad():
        for each in images:
            module(each)
    for hook, norm in zip(hooks, norms, strict=True):
        hook.remove()
        assert norm.running_mean is not None
        assert norm.running_var is not None
        means, variances = zip(*seen[norm], strict=True)
        norm.running_mean.copy_(torch.stack(means).mean(0))
        norm.running_var.copy_(torch.stack(variances).mean(0))


def judged(module: nn.Module, images: Tensor, labels: Tensor) -> tuple[float, float]:
    module.eval()
    with torch.no_grad():
        logits = module(images)
    error = float((logits.argmax(1) != labels).float().mean())
    return float(F.cross_entropy(logits, labels)), error


def written_out(chosen: Recipe, module: nn.Module, rate: Rate, data: Data) -> dict[str, Any]:
    """A run of less than an epoch; what it ends with."""
    images, labels = normal(data.train, data), data.train.labels
    order = Order(len(images), chosen.batch, 0)
    frozen = [getattr(module, name) for part in chosen.freeze
              for name in {"stem": ("conv1", "bn1")}.get(part, (part,))]  # fmt: skip
    for each in frozen:
        each.requires_grad_(False)
    optimizer = optimizer_of(module, chosen.optimizer)
    average = deepcopy(module)
    losses, errors = [], []
    for step in range(round(chosen.length.amount)):
        module.train()
        for each in frozen:
            each.eval()
        for group in optimizer.param_groups:
            group["lr"] = chosen.optimizer.lr * rate(step) * group["scale"]
        optimizer.zero_grad()
        for part in parts_of(order.indices(step), chosen.accumulate):
            logits = module(images[part])
            loss = loss_of(logits, labels[part], chosen.loss) * len(part) / chosen.batch
            loss.backward()
            losses.append(float(loss.detach()))
            errors.append(int((logits.argmax(1) != labels[part]).sum()))
        if chosen.clip is not None:
            nn.utils.clip_grad_norm_(module.parameters(), chosen.clip)
        optimizer.step()
        if chosen.ema is not None:
            decay = min(chosen.ema.decay, (1 + step) / (10 + step))
            for mine, new in zip(
                average.state_dict().values(), module.state_dict().values(), strict=True
            ):
                if mine.is_floating_point():
                    mine.copy_(decay * mine + (1 - decay) * new)
    used = module if chosen.ema is None else average
    if chosen.precise_bn:
        measure(used, [
            images[part]
            for step in range(chosen.precise_bn)
            for part in parts_of(order.indices(step), chosen.accumulate)
        ])  # fmt: skip
    assert data.test is not None
    heldout = judged(used, normal(data.heldout, data), data.heldout.labels)
    return {
        "weights": used.state_dict(),
        "train": (sum(losses) / len(losses) * chosen.accumulate,
                  sum(errors) / len(losses) * chosen.accumulate / chosen.batch),
        "heldout": heldout,
        "test": judged(used, normal(data.test, data), data.test.labels)[1],
        "rate": chosen.optimizer.lr * rate(round(chosen.length.amount) - 1),
    }  # fmt: skip


@pytest.fixture(scope="module")
def data() -> Data:
    return sources.load(replace(SYNTHETIC, channels=1, size=(8, 8), classes=10))


@pytest.mark.parametrize("key", CASES)
def test_a_run_with_a_key_is_the_loop_written_out(job: Make, data: Data, key: str) -> None:
    changes, rate = CASES[key]
    made = job(recipe_={**BASE, **changes}, data=SYNTHETIC)
    (result,) = runs.train(made)
    state = checkpoint.load(made.settings.out / "last.pt")
    (row,) = metrics.read(made.settings.out)

    def expected(which: dict[str, Any], factor: Rate) -> dict[str, Any]:
        return written_out(recipe(**{**BASE, **which}), made.networks[0].module(0), factor, data)

    wanted = expected(changes, rate)
    # Adam divides small gradients by themselves, and so their rounding.
    apart = 2e-4 if made.recipe.optimizer.kind == "sgd" else 4e-3
    mine = checkpoint.weights_for_use(state)
    for name, value in wanted["weights"].items():
        if value.is_floating_point():
            torch.testing.assert_close(mine[name], value, rtol=0, atol=apart)
    for split in ("train", "heldout"):
        loss, error = wanted[split]
        assert row[f"{split}_loss"] == pytest.approx(loss, rel=2e-3)
        assert row[f"{split}_error"] == pytest.approx(error, abs=0.012)
    assert (result.train_error, result.last_error) == (row["train_error"], row["heldout_error"])
    # The test images are others than the held-out ones, and their error is another.
    assert result.test_error == pytest.approx(wanted["test"], abs=0.012)
    assert result.test_error != result.last_error
    assert row["rate"] == pytest.approx(wanted["rate"])
    # Without the key the loop comes to something else.
    if key != "nothing":
        plain = expected({}, constant)["weights"]
        assert any(not torch.allclose(plain[name], mine[name], rtol=0, atol=2 * apart)
                   for name in plain)  # fmt: skip


# ---- what no single step shows


def test_the_best_checkpoint_is_that_of_the_least_error(
    job: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    from resgen.train.run import trainer
    from resgen.train.run.counting import Means

    errors = iter([0.5, 0.2, 0.4, 0.2, 0.3])
    monkeypatch.setattr(
        trainer, "judge",
        lambda _, __, which: Means(1.0, next(errors) if which == "heldout" else 0.9),
    )  # fmt: skip
    made = job(recipe_={**BASE, "batch": 512, "length": "5 epochs"}, data=SYNTHETIC)
    (result,) = runs.train(made)
    assert (result.best_error, result.best_epoch, result.last_error) == (0.2, 2, 0.3)
    assert result.test_error == 0.9
    best, last = (checkpoint.load(made.settings.out / name) for name in ("best.pt", "last.pt"))
    assert (best["step"], last["step"]) == (4, 10)


def test_order_and_weights_follow_the_seed(job: Make) -> None:
    def start(out: str, seed: int) -> tuple[Tensor, Tensor]:
        made = job(out, recipe_={**BASE, "length": "1 steps"}, data=SYNTHETIC, seed=seed)
        rate = made.recipe.model_copy(update={"optimizer": {"lr": 1e-30, "weight_decay": 0.0}})
        runs.train(replace(made, recipe=rate))
        (row,) = metrics.read(made.settings.out)
        weights = checkpoint.load(made.settings.out / "last.pt")["model"]["conv1.weight"]
        return weights, torch.tensor(row["train_loss"])

    zero, again, one = start("zero", 0), start("again", 0), start("one", 1)
    assert torch.equal(zero[0], again[0])
    assert torch.equal(zero[1], again[1])
    assert not torch.equal(zero[0], one[0])
    assert not torch.equal(zero[1], one[1])
    orders = [Order(1024, 64, seed).indices(0) for seed in (0, 0, 1)]
    assert torch.equal(orders[0], orders[1])
    assert not torch.equal(orders[0], orders[2])


@pytest.mark.parametrize(("minutes", "saved"), [(0.0, [0, 1, 2, 3, 4, 5]), (10.0, [0, 5])])
def test_a_checkpoint_is_written_as_often_as_asked(
    job: Make, monkeypatch: pytest.MonkeyPatch, minutes: float, saved: list[int]
) -> None:
    seen: list[int] = []
    save = checkpoint.save

    def watched(state: dict[str, Any], *more: Any, **how: Any) -> Any:
        seen.append(state["step"])
        return save(state, *more, **how)

    monkeypatch.setattr(checkpoint, "save", watched)
    runs.train(job(recipe_=BASE, data=SYNTHETIC, save_minutes=minutes))
    assert seen == saved


def test_what_a_run_is_too_short_for_is_noted(
    job: Make, capsys: pytest.CaptureFixture[str]
) -> None:
    schedule = {"kind": "step", "milestones": ["2 steps", "3 epochs", "90 steps"],
                "warmup": "8 steps"}  # fmt: skip
    runs.train(job(recipe_={**BASE, "schedule": schedule}, data=SYNTHETIC, voice="full"))
    err = " ".join(capsys.readouterr().err.split())
    assert (
        "note: schedule.warmup 8 steps is not over within the run's 5 steps: the rate ends at 0.5 "
        "of lr" in err
    )
    assert "note: schedule.milestones 3 epochs, 90 steps: not reached within the run's 5" in err
