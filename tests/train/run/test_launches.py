"""What a training step calls besides forward and backward: few kernels, and no wait for the host.

On a GPU each call is a kernel that the host starts, or a list of tensors done by one. Counted are
torch's calls on the CPU, with the path that a GPU takes; and on tensors that say they lie on a
GPU and hold nothing, so that whatever asks for a number fails.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode

from resgen.train.data.feed import Batch, MemoryFeed, Piece
from resgen.train.device.engine import Engine
from resgen.train.device.processes import World
from resgen.train.recipe.average import Average
from resgen.train.recipe.optimizers import build
from resgen.train.run import runs
from resgen.train.run import trainer as trainer_module
from resgen.train.run.counting import Count
from resgen.train.run.loop import Stepper
from resgen.train.run.network import load
from resgen.train.run.trainer import Trainer
from tests.training import recipe

KINDS = ("sgd", "adamw", "lamb")
FREE = (
    "detach", "view", "t", "select", "slice", "expand", "unbind", "alias", "empty", "device",
    "permute", "unsqueeze", "_record_function_enter_new", "_record_function_exit",
)  # fmt: skip
"""Calls that start no kernel."""
WAITS = ("_local_scalar_dense", "is_nonzero", "item", "nonzero", "masked_select", "equal")


class Calls(TorchDispatchMode):
    """Every call that reaches a device, by its name."""

    def __init__(self, *, fused: bool = True) -> None:
        super().__init__()
        self.names: Counter[str] = Counter()
        self.crossings: list[str] = []
        self.fused = fused

    def __torch_dispatch__(self, function: Any, _: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = function._schema.name.partition("::")[2]
        self.names[name] += 1
        if "_fused" in name and not self.fused:  # torch knows no empty tensors there
            return None
        result = function(*args, **(kwargs or {}))
        devices = {each.device.type for each in (*args, result)
                   if isinstance(each, torch.Tensor) and each.dim()}  # fmt: skip
        if len(devices) > 1:
            self.crossings.append(name)
        return result

    @property
    def launches(self) -> int:
        return sum(count for name, count in self.names.items() if name not in FREE)

    @property
    def waits(self) -> dict[str, int]:
        return {name: count for name, count in self.names.items() if name in WAITS}


@pytest.fixture
def as_on_a_gpu(cpu: Engine, monkeypatch: pytest.MonkeyPatch) -> Engine:
    """The CPU, read from as seldom as a GPU and with its fused optimizers."""
    monkeypatch.setattr(Engine, "asynchronous", property(lambda _: True))
    return cpu


def fused(optimizer: torch.optim.Optimizer) -> torch.optim.Optimizer:
    for group in optimizer.param_groups:
        if "fused" in group:
            group.update(fused=True, foreach=False)
    return optimizer


def batch() -> Batch:
    return Batch(torch.zeros(4, 1, 8, 8), torch.zeros(4, dtype=torch.int64))


def step_of(spec: str, engine: Engine, **keys: Any) -> Calls:
    """The calls of a step and of the average after it, without those of the first step."""
    chosen = recipe(batch=4, **{"ema": {"decay": 0.9}, **keys})
    module = load(spec).module(0)
    optimizer = fused(build(module, chosen.optimizer, device=engine.device))
    stepper = Stepper.of(module, optimizer, recipe=chosen, engine=engine, world=World())
    average = Average(module, 0.9)
    calls = Calls()
    assert stepper(iter([batch()]), step=0, rate=0.1)
    with calls:
        assert stepper(iter([batch()]), step=1, rate=0.1)
        average.follow()
    return calls


def bare(spec: str) -> int:
    """Forward, loss and backward, which any loop has."""
    module, (images, labels) = load(spec).module(0), batch()
    with Calls() as calls:
        torch.autograd.backward(F.cross_entropy(module(images), labels))
    return calls.launches


@pytest.mark.parametrize("clip", [None, 1.0])
@pytest.mark.parametrize(("kind", "most"), [("sgd", 45), ("adamw", 50), ("lamb", 110)])
def test_a_step_calls_as_little_for_a_deep_network_as_for_a_small_one(
    as_on_a_gpu: Engine, kind: str, most: int, clip: float | None
) -> None:
    optimizer = {"kind": kind, "lr": 0.01, "weight_decay": 0.02, "decay": "weights"}
    specs = ("digits/resnet20", "digits/resnet56")
    calls = [step_of(spec, as_on_a_gpu, optimizer=optimizer, clip=clip) for spec in specs]
    beside = [each.launches - bare(spec) for each, spec in zip(calls, specs, strict=True)]
    assert beside[0] == beside[1] <= most
    assert not any(each.waits for each in calls)


def test_counting_sees_a_wait_and_a_call_for_each_parameter(
    as_on_a_gpu: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    few = step_of("digits/resnet20", as_on_a_gpu)

    def follow(average: Average) -> None:
        for mine in average.module.parameters():
            mine.data.mul_(0.9)
        float(next(average.module.parameters()).detach().sum())

    monkeypatch.setattr(Average, "follow", follow)
    many = step_of("digits/resnet20", as_on_a_gpu)
    assert many.launches > few.launches + 50
    assert many.waits == {"_local_scalar_dense": 1}


def test_a_run_waits_for_no_step_between_its_looks(
    job: Callable[..., runs.Job], as_on_a_gpu: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The trainer's own part of a step, too, with the images made beforehand."""
    monkeypatch.setattr(trainer_module, "LOOK_EVERY", 4)
    steps = Trainer._steps_of_epoch
    waits: dict[int, dict[str, int]] = {}

    def counted(trainer: Trainer) -> Iterator[int]:
        taken = steps(trainer)
        fused(trainer.stepper.optimizer)
        while True:
            with Calls() as calls:
                step = next(taken, None)
            if step is None:
                return
            waits[step] = calls.waits
            yield step

    made = job(recipe_={"length": "1 epochs", "ema": {"decay": 0.9}, "clip": 1.0})
    ready = [batch() for _ in range(20)]

    def train(feed: object, pieces: Iterator[Piece]) -> Iterator[Batch]:
        return iter(ready)

    monkeypatch.setattr(MemoryFeed, "train", train)
    monkeypatch.setattr(Trainer, "_steps_of_epoch", counted)
    runs.train(made)
    assert [step for step, found in waits.items() if found] == [4, 8]


def test_an_update_on_a_gpu_asks_it_for_nothing(cpu: Engine) -> None:
    device = torch.device("cuda", 0)
    engine = Engine(device, "bf16", "contiguous", "off")
    # A tensor of this mode holds no numbers: whatever reads one raises.
    with FakeTensorMode(), torch.device(device):
        for kind in KINDS:
            module = nn.Sequential(*(nn.Linear(8, 8) for _ in range(5)))
            chosen = recipe(optimizer={"kind": kind, "lr": 0.1, "weight_decay": 0.1}, clip=1.0)
            optimizer = build(module, chosen.optimizer, device=device)
            count = Count.zero(device, 100)
            stepper = Stepper.of(
                module, optimizer, recipe=chosen, engine=engine, world=World(), count=count
            )
            for step in range(2):
                for parameter in module.parameters():
                    parameter.grad = torch.zeros_like(parameter)
                loss, labels = torch.zeros(()), torch.zeros(4, dtype=torch.int64)
                with Calls(fused=False) as calls:
                    stepper._update(loss, step)
                    count.add(loss, torch.zeros(4, 100), labels)
            assert (calls.waits, calls.crossings) == ({}, [])
            assert calls.names["_fused_adamw_" if kind == "adamw" else f"_fused_{kind}_"] == (
                kind != "lamb"
            )
