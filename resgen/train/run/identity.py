"""What makes a run this one and no other, and where it and its images lie, as plain values."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from resgen.errors import UserError
from resgen.tensors.dense import shown
from resgen.train.data.images import Data
from resgen.train.data.preparing import Preparation
from resgen.train.data.roster import same_files
from resgen.train.recipe import Recipe
from resgen.train.run.differing import differences
from resgen.train.run.network import written_out
from resgen.train.run.setup import Setup


def data_facts(data: Data) -> dict[str, Any]:
    """What tells a data set from another, as plain values."""
    return {
        "name": data.name, "classes": list(data.classes),
        "train": len(data.train), "heldout": len(data.heldout),
        "mean": list(data.mean), "std": list(data.std),
    }  # fmt: skip


def judged(setup: Setup) -> dict[str, Any]:
    """Where a run's images lie and how they are judged, for who judges its weights again."""
    augment = setup.recipe.augment
    return {
        "data": setup.data.place,
        "crop": augment.test_crop,
        "interpolation": augment.interpolation,
        "small": Preparation.small,
        "precision": setup.engine.precision,
    }


def identity(setup: Setup) -> dict[str, Any]:
    """What tells a run from others, as plain values."""
    return {
        "name": setup.network.name,
        "network": setup.network.spec,
        "recipe": setup.recipe.model_dump(mode="json"),
        "data": data_facts(setup.data),
        "seed": setup.settings.seed,
        "total": setup.rate.total,
    }  # fmt: skip


def completed(saved: dict[str, Any]) -> dict[str, Any]:
    """The recipe of a checkpoint with the keys that came later, at what they do by themselves."""
    try:
        return Recipe.model_validate(saved).model_dump(mode="json")
    except ValueError:
        return saved


def same_run(
    saved: dict[str, Any], mine: dict[str, Any], files: torch.Tensor | None, path: Path
) -> None:
    """Raises UserError where a checkpoint is of another network, recipe, data set or seed.

    `files` are the names of this run's images: where one is gone its name says more than that
    there is one less.
    """
    saved = {
        **saved, "network": written_out(saved["network"]), "recipe": completed(saved["recipe"])
    }  # fmt: skip
    # What a recipe says of itself changes nothing.
    said = saved["recipe"] | {"description": mine["recipe"]["description"]}
    saved = {**saved, "recipe": said}
    for key in ("network", "data", "seed", "recipe", "total"):
        if key == "data" and saved["data"]["name"] == mine["data"]["name"]:
            same_files(saved.get("files"), files, path)
        for where, before, now in differences(saved[key], mine[key], key):
            raise UserError(
                f"{path}: of another run: {where} was {before} there and is {now} here; "
                "resume with the same command, or start anew with another --out"
            )


# ---- its tensors


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
