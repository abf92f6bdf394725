"""Checkpoints as a run writes them, to be written soundly, or forged with the right hash."""

from __future__ import annotations

import copy
import random
from pathlib import Path
from typing import Any

import numpy as np
import torch

from resgen.tensors import checkpoint


def whole(step: int = 1) -> dict[str, Any]:
    """Every key of a checkpoint, of a network of one weight and one batch norm."""
    weights = {
        "w": torch.arange(5000, dtype=torch.float32) * step,
        "bn.running_var": torch.ones(3),
        "bn.num_batches_tracked": torch.tensor(step),
    }
    version, words, gauss = random.Random(0).getstate()
    numpy: dict[str, Any] = np.random.RandomState(0).get_state(legacy=False)
    return {
        "name": "x",
        "network": {"name": "x"},
        "recipe": {"accumulate": 1},
        "data": {"name": "digits", "train": 8},
        "files": None,
        "judged": {"data": "digits", "crop": None, "precision": "fp32"},
        "seed": 0,
        "step": step,
        "total": 10,
        "warm": True,
        "best": [0.5, step],
        "count": torch.zeros(3, dtype=torch.float64),
        "window": torch.zeros(3, dtype=torch.float64),
        "clock": [1.5, 0.25],
        "model": weights,
        "average": None,
        "optimizer": {
            "state": {0: {"momentum_buffer": torch.zeros(5000)}},
            "param_groups": [{"lr": 0.1, "params": [0]}],
        },
        "random": {
            "python": [version, list(words), gauss],
            "numpy": {**numpy, "state": {**numpy["state"], "key": numpy["state"]["key"].tolist()}},
            "torch": torch.Generator().get_state(),
            "cuda": None,
        },
    }


def averaged() -> dict[str, Any]:
    """A checkpoint of a run that keeps an average, which is one more than its weights."""
    state = whole()
    inner = {f"module.{name}": value + 1 for name, value in state["model"].items()}
    return {**state, "average": {"n_averaged": torch.tensor(4), **inner}}


ABSENT = object()


def changed(state: dict[str, Any], key: str, value: Any) -> dict[str, Any]:
    """The state with another value at a dotted key, or without it."""
    state = copy.deepcopy(state)
    holder: Any = state
    *outer, last = (int(part) if part.isdigit() else part for part in key.split("/"))
    for part in outer:
        holder = holder[part]
    if value is ABSENT:
        del holder[last]
    else:
        holder[last] = value
    return state


def seal(state: dict[str, Any], path: Path, *, form: Any = checkpoint.FORMAT) -> None:
    """Writes a state, whatever it holds, under the hash of its content."""
    payload = {"format": form, **state}
    payload["sha256"] = checkpoint.digest(payload)
    torch.save(payload, path)
