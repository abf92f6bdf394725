"""What a checkpoint must hold besides weights, and which run it is of."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch

from resgen.errors import UserError
from resgen.train.engine import Engine
from resgen.train.seeds import derive


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
