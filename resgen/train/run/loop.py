"""w <- w - rate(step) * gradient(step), and what is counted on the way."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel
from torch.nn.utils import clip_grads_with_norm_, get_total_norm

from resgen.train.data.feed import Batch
from resgen.train.device.engine import Engine
from resgen.train.device.processes import World
from resgen.train.device.scaling import Scaling
from resgen.train.recipe import Recipe
from resgen.train.recipe.keys import Loss
from resgen.train.recipe.optimizers import set_rate
from resgen.train.run.counting import Count


def summed_loss(logits: Tensor, labels: Tensor, recipe: Loss) -> Tensor:
    """The loss summed over a batch's images, in float32; a binary one is its classes' mean.

    With a threshold a label is smoothed first, as in timm.
    """
    logits = logits.float()
    if recipe.kind == "cross-entropy":
        return F.cross_entropy(
            logits, labels, label_smoothing=recipe.label_smoothing, reduction="sum"
        )
    classes = logits.shape[1]
    shares = labels if labels.dim() > 1 else F.one_hot(labels, classes)
    targets = shares * (1 - recipe.label_smoothing) + recipe.label_smoothing / classes
    if recipe.threshold is not None:
        targets = targets > recipe.threshold
    summed = F.binary_cross_entropy_with_logits(logits, targets.float(), reduction="sum")
    return summed / classes


def called(module: nn.Module, engine: Engine, world: World) -> nn.Module:
    """What steps call; evaluation and the search for a bad layer keep the bare module."""
    if world.size > 1:
        ids = [engine.device] if engine.device.type == "cuda" else None
        # No layer in training reads a buffer that steps change, so none has to be the same in
        # all processes: where they are judged, `judge` gives all of them the first one's.
        module = DistributedDataParallel(
            module, device_ids=ids, broadcast_buffers=False, gradient_as_bucket_view=True
        )
    return engine.called(module)


@dataclass(frozen=True)
class Stepper:
    """One optimizer step: forward, backward, check, update."""

    module: nn.Module
    """What is called: the network, perhaps compiled, perhaps under DistributedDataParallel."""
    optimizer: torch.optim.Optimizer
    recipe: Recipe
    engine: Engine
    world: World
    count: Count
    first_bad: Tensor
    """The first step whose loss or gradient was not finite; -1 while there is none."""
    scaling: Scaling | None = None
    """Of fp16, where a step may be left out and the run go on."""

    @classmethod
    def of(
        cls, module: nn.Module, optimizer: torch.optim.Optimizer, *,
        recipe: Recipe, engine: Engine, world: World, count: Count | None = None,
        scaling: Scaling | None = None,
    ) -> Stepper:  # fmt: skip
        """A stepper that adds to `count`, or to a count of its own, and has seen nothing bad."""
        first_bad = torch.full((), -1, dtype=torch.int64, device=engine.device)
        count = count or Count.zero(engine.device)
        if engine.precision == "fp16" and scaling is None:
            scaling = Scaling(engine.device)
        return cls(module, optimizer, recipe, engine, world, count, first_bad, scaling)

    def __call__(self, batches: Iterator[Batch], *, step: int, rate: float) -> bool:
        """Trains on the next `accumulate` batches; false where the update was refused.

        The gradient is that of the mean loss over the global batch, whatever its pieces'
        sizes: each piece's loss is divided by the global batch, and what
        DistributedDataParallel divides by the processes is multiplied back.
        On an asynchronous device the refusal shows later, in `first_bad`.
        """
        set_rate(self.optimizer, rate)
        self.optimizer.zero_grad(set_to_none=True)
        scale = self.world.size / self.recipe.batch
        total = torch.zeros((), device=self.engine.device)
        for piece in range(self.recipe.accumulate):
            images, labels = next(batches)
            with self._sums_at(piece):
                self.engine.begin_pass()
                with self.engine.autocast():
                    logits = self.module(images)
                loss = summed_loss(logits, labels, self.recipe.loss)
                mean = loss * scale
                torch.autograd.backward(self.scaling.up(mean) if self.scaling else mean)
            total += loss.detach()
            self.count.add(loss.detach(), logits.detach(), labels)
        return self._update(total, step)

    def _sums_at(self, piece: int) -> AbstractContextManager[None]:
        """Gradients travel between processes once a step: with its last piece."""
        last = piece == self.recipe.accumulate - 1
        if isinstance(self.module, DistributedDataParallel) and not last:
            return cast(AbstractContextManager[None], self.module.no_sync())
        return nullcontext()

    def _update(self, loss: Tensor, step: int) -> bool:
        if self.scaling:
            self.scaling.down(self.optimizer)
            loss = self.world.sum(loss)
        parameters = [p for group in self.optimizer.param_groups for p in group["params"]]
        norm = get_total_norm([p.grad for p in parameters if p.grad is not None])
        if self.recipe.clip is not None:
            clip_grads_with_norm_(parameters, self.recipe.clip, norm)
        # The norm is that of the summed gradients, so all processes judge alike.
        bad = ~torch.isfinite(norm)
        if self.world.size == 1 or self.scaling:
            bad |= ~torch.isfinite(loss)
        lost = self.scaling.judged(bad, loss) if self.scaling else bad
        if self.engine.asynchronous:
            first = lost & (self.first_bad < 0)
            self.first_bad.copy_(torch.where(first, step, self.first_bad))
            # Fused optimizers read this mark on the device and leave everything as it is.
            mark = bad | (self.first_bad >= 0)
            self.optimizer.found_inf = mark.float()  # type: ignore[attr-defined]
        elif bad:
            if lost:
                self.first_bad.fill_(step)
            return not lost
        self.optimizer.step()
        return True


def first_bad_layer(module: nn.Module, batch: Batch, recipe: Recipe, engine: Engine) -> str:
    """The name of the first layer that puts out a NaN or infinity, or where it arises."""
    found: list[str] = []
    hooks = []

    def watch(name: str) -> None:
        def hook(_: nn.Module, __: object, output: object) -> None:
            if not found and isinstance(output, Tensor) and not torch.isfinite(output).all():
                found.append(name)

        hooks.append(modules[name].register_forward_hook(hook))

    modules = dict(module.named_modules())
    for name, layer in modules.items():
        if not list(layer.children()):
            watch(name)
    with torch.no_grad(), engine.autocast():
        logits = module(batch.images)
    for hook in hooks:
        hook.remove()
    if found:
        return f"the first bad layer is {found[0]}"
    if not torch.isfinite(summed_loss(logits, batch.labels, recipe.loss)):
        return "every layer is finite; the loss is not"
    return "the outputs are finite; a gradient is not"


class Clock:
    """Seconds spent training, and the share of them spent waiting for data."""

    def __init__(self, seconds: float = 0.0, waited: float = 0.0) -> None:
        self.seconds, self.waited = seconds, waited
        self._since = time.perf_counter()

    def timed(self, batches: Iterator[Batch]) -> Iterator[Batch]:
        """The same batches, with the wait for each added up."""
        while True:
            start = time.perf_counter()
            batch = next(batches, None)
            self.waited += time.perf_counter() - start
            if batch is None:
                return
            yield batch

    def start(self) -> None:
        """Starts counting."""
        self._since = time.perf_counter()

    def stop(self) -> None:
        """Adds the time since `start`."""
        self.seconds += time.perf_counter() - self._since
        self._since = time.perf_counter()

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Within it no time is counted: what is done there is no training."""
        self.stop()
        yield
        self.start()
