"""The changing part of a run: weights, optimizer, counts, generators, and the step to take next."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn.utils import get_total_norm

from resgen.errors import Diverged, UserError
from resgen.tensors import checkpoint
from resgen.train.data.seeds import derive
from resgen.train.device.engine import Engine
from resgen.train.device.scaling import Scaling
from resgen.train.recipe import optimizers
from resgen.train.recipe.average import Average
from resgen.train.run.counting import Count
from resgen.train.run.identity import identity, judged, same_run, same_tensors
from resgen.train.run.loop import Clock
from resgen.train.run.setup import Setup


class State:
    """Everything the next step depends on, and what has been counted in this epoch."""

    def __init__(self, setup: Setup, module: nn.Module) -> None:
        recipe, engine = setup.recipe, setup.engine
        if setup.settings.sync_bn == "on":
            module = nn.SyncBatchNorm.convert_sync_batchnorm(module)  # type: ignore[no-untyped-call]
        self.setup = setup
        self.module = module
        self.average = Average(module, recipe.ema.decay) if recipe.ema else None
        self.scaling = Scaling(engine.device) if engine.precision == "fp16" else None
        self.optimizer = optimizers.build(
            module, recipe.optimizer, setup.network.parts, device=engine.device
        )
        self.step = 0
        self.warm = recipe.schedule.warmup_until_error is None
        self.best: tuple[float, int] = (float("inf"), 0)
        """The least held-out error and the step it was measured at."""
        self.count = Count.zero(engine.device, setup.network.classes)
        """Of this process, over this epoch."""
        self.window = Count.zero(engine.device, setup.network.classes)
        """What all processes had counted when the warm-up's end was last looked for."""
        self.clock = Clock()

    @property
    def judged(self) -> nn.Module:
        """What is evaluated: the averaged weights where they are kept."""
        return self.module if self.average is None else self.average.module

    @property
    def rate(self) -> float:
        """The schedule's, in the last step."""
        return optimizers.rate_of(self.optimizer)

    @property
    def in_epoch(self) -> int:
        """Steps taken in this epoch; at its end, all of them."""
        return (self.step - 1) % self.setup.order.steps + 1

    def end_epoch(self) -> None:
        """Starts counting anew."""
        for count in (self.count, self.window):
            count.sums = Count.zero(count.sums.device, self.setup.network.classes).sums
        self.clock = Clock()

    def counted(self) -> Count:
        """What all processes have counted in this epoch."""
        return Count(self.setup.world.sum(self.count.sums.clone()))

    def tensors(self) -> Iterator[tuple[str, torch.Tensor]]:
        """Everything that steps change, each with what it is called in a sentence."""
        yield from self.module.state_dict().items()
        if self.average is not None:
            for name, value in self.average.module.state_dict().items():
                yield f"the average of {name}", value
        names: dict[Any, str] = {value: name for name, value in self.module.named_parameters()}
        for parameter, kept in self.optimizer.state.items():
            for key, value in kept.items():
                if isinstance(value, torch.Tensor):
                    yield f"the optimizer's {key} of {names[parameter]}", value

    def bad(self) -> str | None:
        """The first tensor that holds a NaN or infinity; waits for the device."""
        found = {name: value for name, value in self.tensors() if value.is_floating_point()}
        # One number for all: a GPU would have to be waited for at each of them.
        if torch.isfinite(get_total_norm([value.detach() for value in found.values()])):
            return None
        # The norm alone may be too large a number.
        return next((name for name, value in found.items() if not value.isfinite().all()), None)

    def refuse_bad(self) -> None:
        """Raises Diverged where a weight, an average or the optimizer holds what is no number."""
        bad, settings = self.bad(), self.setup.settings
        if not self.setup.world.largest(bad is not None)[0]:
            return
        bad = bad or "a weight of another process"
        if self.step == 0:
            raise UserError(
                f"{settings.init_from or self.setup.network.name}: {bad} holds a NaN or infinity; "
                "nothing can be trained from it"
            )
        raise Diverged(
            f"{self.setup.title}: {bad} became NaN or infinite by step {self.step} at rate "
            f"{self.rate:.4g}, its gradient being finite; the last good checkpoint is "
            f"{self.setup.folder / checkpoint.LAST}"
        )

    def before_step(self) -> Callable[[], None]:
        """What takes back a step that stops between its pieces: its counts and statistics."""
        pieces = self.setup.recipe.accumulate
        changed = [self.count.sums, *self.module.buffers()] if pieces > 1 else []
        old = [tensor.clone() for tensor in changed]

        def take_back() -> None:
            for tensor, value in zip(changed, old, strict=True):
                tensor.copy_(value)

        return take_back

    def plain(self) -> dict[str, Any]:
        """Tensors and plain values, with what tells this run from others."""
        return {
            **identity(self.setup),
            "files": self.setup.data.files,
            "judged": judged(self.setup),
            "step": self.step,
            "warm": self.warm,
            "best": list(self.best),
            "count": self.count.sums.clone(),
            "window": self.window.sums.clone(),
            "clock": [self.clock.seconds, self.clock.waited],
            "model": self.module.state_dict(),
            "average": self.average.state_dict() if self.average else None,
            "scaling": self.scaling.plain() if self.scaling else None,
            "optimizer": self.optimizer.state_dict(),
            "random": random_states(self.setup.engine),
        }  # fmt: skip

    def save(self, *, best: bool = False) -> None:
        """Writes a checkpoint; all processes come here, the first one writes.

        Raises Diverged, and leaves the checkpoint that is there, where something is no number.
        """
        self.refuse_bad()
        world = self.setup.world
        # A row for each process: added up here, the sums could differ in their last bit from
        # those of a run that went on.
        counts = self.count.sums.new_zeros(world.size, len(self.count.sums))
        counts[world.rank] = self.count.sums
        world.sum(counts)
        if world.first:
            checkpoint.save({**self.plain(), "count": counts}, self.setup.folder, best=best)
        world.wait()

    def restore(self, saved: dict[str, Any]) -> None:
        """Continues from a checkpoint. Raises UserError where it is of another run."""
        mine, path = self.plain(), self.setup.folder / checkpoint.LAST
        world = self.setup.world
        same_run(saved, mine, mine["files"], path)
        same_tensors(saved, mine, self.optimizer, path)
        self.module.load_state_dict(saved["model"])
        if self.average:
            self.average.load_state_dict(saved["average"])
        if self.scaling and saved.get("scaling"):  # a run may go on in another precision
            self.scaling.restore(saved["scaling"])
        optimizers.restore(self.optimizer, saved["optimizer"])
        self.step, self.warm = saved["step"], saved["warm"]
        self.best = (float(saved["best"][0]), int(saved["best"][1]))
        counts = by_process(saved["count"])
        # Earlier runs did not count top-5 errors: an epoch begun so is ended so.
        for count in (self.count, self.window):
            count.sums = count.sums[: counts.shape[1]].clone()
        counts = counts[:, : len(self.count.sums)]
        if len(counts) == world.size:
            self.count.sums.copy_(counts[world.rank])
        else:
            self.count.sums.copy_(counts.sum(0) * world.first)
        self.window.sums.copy_(saved["window"][: len(self.window.sums)])
        if not counts[:, 2].any():
            self.end_epoch()
        self.clock = Clock(*saved["clock"])
        restore_random(saved["random"], self.setup.engine)
        if (bad := self.bad()) is not None:
            raise UserError(
                f"{path}: {bad} holds a NaN or infinity; go on from an older checkpoint, or start "
                "anew with another --out"
            )


def by_process(count: torch.Tensor) -> torch.Tensor:
    """The sums that a checkpoint holds, a row for each process; earlier ones hold one row."""
    return count.reshape(-1, count.shape[-1])


def start_random(seed: int) -> None:
    """Starts Python's, NumPy's and torch's generators anew, each at a value of its own."""
    random.seed(derive(seed, "python"))
    np.random.seed(derive(seed, "numpy") % 2**32)
    torch.manual_seed(derive(seed, "torch"))


def random_states(engine: Engine) -> dict[str, Any]:
    """The states of Python's, NumPy's, torch's and CUDA's generators as plain values."""
    version, words, gauss = random.getstate()
    numpy: dict[str, Any] = np.random.get_state(legacy=False)
    cuda = engine.device.type == "cuda"
    return {
        "python": [version, list(words), gauss],
        "numpy": {**numpy, "state": {**numpy["state"], "key": numpy["state"]["key"].tolist()}},
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state(engine.device) if cuda else None,
    }


def restore_random(states: dict[str, Any], engine: Engine) -> None:
    """Sets all generators to saved states."""
    version, words, gauss = states["python"]
    random.setstate((version, tuple(words), gauss))
    numpy = states["numpy"]
    key = np.array(numpy["state"]["key"], np.uint32)
    np.random.set_state({**numpy, "state": {**numpy["state"], "key": key}})
    torch.set_rng_state(states["torch"])
    if states["cuda"] is not None and engine.device.type == "cuda":
        torch.cuda.set_rng_state(states["cuda"], engine.device)
