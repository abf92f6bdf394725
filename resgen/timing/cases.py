"""What is timed: a network in a mode, at a batch and a precision, as a step that can be repeated.

Images are drawn once and lie on the device; weights are those a training would begin from. What
reading and augmenting images takes is no part of it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from resgen.cost.memory import training_step
from resgen.plan import Plan
from resgen.source.module import build_module
from resgen.timing.memory import standing
from resgen.train.device.engine import Engine

Call = Callable[[], None]


class Contender(NamedTuple):
    """A network by the name it has in the tables, which no other has."""

    label: str
    plan: Plan


class Mode(NamedTuple):
    """How a network is run. batch: the only one it is run at; single: whether each call is timed
    by itself, and not so many in a row.
    """

    trains: bool
    says: str
    batch: int | None = None
    single: bool = False


MODES = {
    "latency": Mode(False, "a forward pass of one image, each waited for", batch=1, single=True),
    "inference": Mode(False, "a forward pass in evaluation, without gradients"),
    "training": Mode(True, "forward, cross-entropy, backward, and an update by SGD with momentum"),
}


class Case(NamedTuple):
    """One thing that is timed."""

    contender: Contender
    mode: str
    batch: int
    precision: str

    def __str__(self) -> str:
        return f"{self.contender.label}, {self.mode}, batch {self.batch}, {self.precision}"

    @property
    def flops(self) -> int:
        """2 MACs of a step: of forward, and where it trains of backward, over the batch."""
        plan = self.contender.plan
        step = training_step(plan, 1)
        backward = step.backward_macs if MODES[self.mode].trains else 0
        return 2 * self.batch * (step.forward_macs + backward)


def contenders(plans: Sequence[Plan]) -> list[Contender]:
    """The networks; one that is there again is `name #2`, and should be as fast as the first."""
    names = [plan.name for plan in plans]
    counts = [names[: index + 1].count(name) for index, name in enumerate(names)]
    return [
        Contender(f"{plan.name} #{count}" if count > 1 else plan.name, plan)
        for plan, count in zip(plans, counts, strict=True)
    ]


def cases(
    found: Sequence[Contender],
    modes: Sequence[str],
    batches: Sequence[int],
    precisions: Sequence[str],
) -> list[Case]:
    """All of them, a table after another: by mode, precision and batch, the networks in each."""
    return [
        Case(contender, mode, batch, precision)
        for mode in modes
        for precision in precisions
        for batch in ([MODES[mode].batch or 0] if MODES[mode].batch else batches)
        for contender in found
    ]


@dataclass(frozen=True)
class Step:
    """A case on the device: what is called, and what it holds between two calls."""

    call: Call
    ready: Call
    """Brings the module into the case's mode; untimed, before calls in a row."""
    held: Callable[[], Iterator[Tensor]] = field(repr=False)

    @property
    def standing(self) -> int:
        """Bytes of weights, buffers, optimizer state and images."""
        return standing(self.held())


def module_of(plan: Plan, engine: Engine) -> nn.Module:
    """The network as a training with seed 0 would begin with it, on the device."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        module = build_module(plan)
    return module.to(engine.device, memory_format=engine.memory_format)  # type: ignore[call-overload, no-any-return]


def step_of(case: Case, module: nn.Module, engine: Engine) -> Step:
    """The step of a case, of a module that all cases of its network share.

    A step leaves the weights as they were: the rate of its update is 0, which is computed all the
    same. It ends without gradients, so that every step begins alike.
    """
    engine = replace(engine, precision=case.precision)  # type: ignore[arg-type]
    plan, trains = case.contender.plan, MODES[case.mode].trains
    generator = torch.Generator(engine.device).manual_seed(0)
    images = torch.randn(case.batch, *plan.input, device=engine.device, generator=generator)
    images = images.contiguous(memory_format=engine.memory_format)
    called: nn.Module = (
        torch.compile(module, dynamic=False) if engine.compile == "on" else module  # type: ignore[assignment]
    )
    own = [*module.parameters(), *module.buffers(), images]

    def ready() -> None:
        module.train(trains)

    if not trains:

        def infer() -> None:
            with torch.inference_mode(), engine.autocast():
                called(images)

        return Step(infer, ready, lambda: iter(own))
    labels = torch.arange(case.batch, device=engine.device) % plan.head[-1].output[0]
    fused = True if engine.device.type == "cuda" else None
    optimizer = torch.optim.SGD(
        module.parameters(), 0.0, momentum=0.9, weight_decay=1e-4, fused=fused
    )

    def train() -> None:
        with engine.autocast():
            scores = called(images)
        loss: Any = F.cross_entropy(scores.float(), labels)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)

    def held() -> Iterator[Tensor]:
        yield from (*own, labels)
        for state in optimizer.state.values():
            yield from (each for each in state.values() if isinstance(each, Tensor))

    return Step(train, ready, held)
