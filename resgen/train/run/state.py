"""The changing part of a run: weights, optimizer, counts, generators, and the step to take next."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn.utils import get_total_norm
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from resgen.errors import UserError
from resgen.tensors import checkpoint
from resgen.train.data.seeds import derive
from resgen.train.device.engine import Engine
from resgen.train.recipe import optimizers
from resgen.train.run.loop import Clock, Count
from resgen.train.run.network import written_out
from resgen.train.run.setup import Setup


class State:
    """Everything the next step depends on, and what has been counted in this epoch."""

    def __init__(self, setup: Setup, module: nn.Module) -> None:
        recipe, engine = setup.recipe, setup.engine
        if setup.settings.sync_bn == "on":
            module = nn.SyncBatchNorm.convert_sync_batchnorm(module)  # type: ignore[no-untyped-call]
        self.setup = setup
        self.module = module
        self.average = (
            AveragedModel(
                module,
                multi_avg_fn=get_ema_multi_avg_fn(recipe.ema.decay),  # type: ignore[no-untyped-call]
                use_buffers=True,
            )
            if recipe.ema
            else None
        )
        self.optimizer = optimizers.build(module, recipe.optimizer, device=engine.device)
        self.step = 0
        self.warm = recipe.schedule.warmup_until_error is None
        self.best: tuple[float, int] = (float("inf"), 0)
        """The least held-out error and the step it was measured at."""
        self.count = Count.zero(engine.device)
        """Over this epoch."""
        self.window = Count.zero(engine.device)
        """What `count` was when the training error was last looked at for the warm-up's end."""
        self.clock = Clock()

    @property
    def judged(self) -> nn.Module:
        """What is evaluated: the averaged weights where they are kept."""
        return self.module if self.average is None else self.average.module

    @property
    def in_epoch(self) -> int:
        """Steps taken in this epoch; at its end, all of them."""
        return (self.step - 1) % self.setup.order.steps + 1

    def end_epoch(self) -> None:
        """Starts counting anew."""
        self.count.sums.zero_()
        self.window.sums.zero_()
        self.clock = Clock()

    def finite(self) -> bool:
        """Whether every weight is a number; waits for the device."""
        return bool(torch.isfinite(get_total_norm([p.detach() for p in self.module.parameters()])))

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
            "step": self.step,
            "warm": self.warm,
            "best": list(self.best),
            "count": self.count.sums.clone(),
            "window": self.window.sums.clone(),
            "clock": [self.clock.seconds, self.clock.waited],
            "model": self.module.state_dict(),
            "average": self.average.state_dict() if self.average is not None else None,
            "optimizer": self.optimizer.state_dict(),
            "random": random_states(self.setup.engine),
        }  # fmt: skip

    def save(self, *, best: bool = False) -> None:
        """Writes a checkpoint; all processes come here, the first one writes."""
        world = self.setup.world
        mine = self.count.sums.clone()
        # One process's file must hold the images that all have counted.
        world.sum(self.count.sums)
        if world.first:
            checkpoint.save(self.plain(), self.setup.folder, best=best)
        self.count.sums.copy_(mine)
        world.wait()

    def restore(self, saved: dict[str, Any]) -> None:
        """Continues from a checkpoint. Raises UserError where it is of another run."""
        same_run(saved, self.plain(), self.setup.folder / checkpoint.LAST)
        self.module.load_state_dict(saved["model"])
        if self.average is not None:
            self.average.load_state_dict(saved["average"])
        self.optimizer.load_state_dict(saved["optimizer"])
        self.step, self.warm = saved["step"], saved["warm"]
        self.best = (float(saved["best"][0]), int(saved["best"][1]))
        share = 1.0 if self.setup.world.first else 0.0
        self.count.sums.copy_(saved["count"] * share)
        self.window.sums.copy_(saved["window"] * share)
        self.clock = Clock(*saved["clock"])
        restore_random(saved["random"], self.setup.engine)


def identity(setup: Setup) -> dict[str, Any]:
    """What tells a run from others, as plain values."""
    return {
        "name": setup.network.name,
        "network": setup.network.spec,
        "recipe": setup.recipe.model_dump(mode="json"),
        "data": {
            "name": setup.data.name, "classes": list(setup.data.classes),
            "mean": list(setup.data.mean), "std": list(setup.data.std),
            "train": len(setup.data.train), "heldout": len(setup.data.heldout),
        },
        "seed": setup.settings.seed,
        "total": setup.rate.total,
    }  # fmt: skip


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


def same_run(saved: dict[str, Any], mine: dict[str, Any], path: Path) -> None:
    """Raises UserError where a checkpoint is of another network, recipe, data set or seed."""
    saved = {**saved, "network": written_out(saved["network"])}
    for key in ("network", "data", "seed", "recipe", "total"):
        for where, before, now in _differences(saved[key], mine[key], key):
            raise UserError(
                f"{path}: of another run: {where} was {before} there and is {now} here; "
                "resume with the same command, or start anew with another --out"
            )


def _differences(before: Any, now: Any, path: str) -> Iterator[tuple[str, Any, Any]]:
    if isinstance(before, dict) and isinstance(now, dict):
        for key in dict.fromkeys([*before, *now]):
            yield from _differences(before.get(key), now.get(key), f"{path}.{key}")
    elif before != now:
        yield path, before, now
