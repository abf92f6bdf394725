"""A checkpoint's tensors against those of the run that is to go on from it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from resgen.errors import UserError
from resgen.tensors.dense import shown


def same_tensors(
    saved: Mapping[str, Any], mine: Mapping[str, Any], optimizer: torch.optim.Optimizer, path: Path
) -> None:
    """Raises UserError where weights or optimizer state have other names, shapes or kinds.

    The checkpoint is of this network and recipe already; a run does not write what differs.
    """
    for key in ("model", "average"):
        for what in _unlike(saved[key] or {}, mine[key] or {}):
            _refuse(path, f"its {key} {what}")
    parameters = [p for group in optimizer.param_groups for p in group["params"]]
    for what in _foreign(saved["optimizer"]["state"], parameters, _kept(optimizer)):
        _refuse(path, f"its optimizer {what}")


def _refuse(path: Path, reason: str) -> None:
    raise UserError(
        f"{path}: not written by this run, though its settings are the same: {reason}; take "
        "another copy of it, or start anew with another --out"
    )


def _unlike(saved: Mapping[str, Tensor], mine: Mapping[str, Tensor]) -> Iterator[str]:
    for name in dict.fromkeys([*mine, *saved]):
        if name not in saved:
            yield f"has nothing for {name}"
        elif name not in mine:
            yield f"has {shown(name)}, for which there is no place"
        elif (was := _kind(saved[name])) != (now := _kind(mine[name])):
            yield f"has {was} for {name}, which is {now}"


def _kind(value: Tensor) -> str:
    return f"{str(value.dtype).removeprefix('torch.')} {tuple(value.shape)}"


def _foreign(
    state: Mapping[int, Mapping[str, Any]], parameters: list[Tensor], kept: frozenset[str]
) -> Iterator[str]:
    """What an optimizer keeps of each parameter: numbers, and tensors of the parameter's shape."""
    for number, values in state.items():
        if not 0 <= number < len(parameters):
            yield f"keeps something of parameter {number}, and there are {len(parameters)}"
        elif values.keys() != kept:
            yield f"keeps {_list(values)} of parameter {number}, where {_list(kept)} is kept"
        else:
            shape = parameters[number].shape
            for name, value in values.items():
                if isinstance(value, Tensor) and value.dim() and value.shape != shape:
                    yield (
                        f"keeps {name} of {tuple(value.shape)} of parameter {number}, "
                        f"which is {tuple(shape)}"
                    )
    if state and len(state) != len(parameters):
        yield f"keeps something of {len(state)} of {len(parameters)} parameters"


def _list(names: Any) -> str:
    return ", ".join(sorted(shown(str(name)) for name in names)) or "nothing"


def _kept(optimizer: torch.optim.Optimizer) -> frozenset[str]:
    """What an optimizer of this kind keeps of a parameter, asked of one that took a step."""
    weight = torch.zeros(1, requires_grad=True)
    weight.grad = torch.zeros(1)
    group = {key: value for key, value in optimizer.param_groups[0].items() if key != "params"}
    kind: Any = type(optimizer)
    probe = kind([{**group, "params": [weight], "fused": None}], lr=0.0)
    probe.step()
    return frozenset(probe.state[weight])
