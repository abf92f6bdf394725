"""What makes a run this one and no other, and where it and its images lie, as plain values."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from resgen.errors import UserError
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
