"""What a command asks for: networks, a recipe, data, and how the runs are to be made."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from resgen.train.data.images import Wanted
from resgen.train.device.engine import Engine
from resgen.train.device.processes import World
from resgen.train.recipe import Recipe
from resgen.train.run.network import Network
from resgen.train.run.settings import Settings
from resgen.version import __version__


@dataclass(frozen=True)
class Job:
    """What to train, on what, how: a command."""

    networks: Sequence[Network]
    recipe: Recipe
    wanted: Wanted
    settings: Settings
    engine: Engine
    world: World

    def each(self) -> Iterator[tuple[Job, Network]]:
        """Its runs: every network with every seed, those of a network one after another."""
        for network in self.networks:
            for seed in self.settings.seeds or (self.settings.seed,):
                yield replace(self, settings=replace(self.settings, seed=seed)), network

    def folder_of(self, network: Network) -> Path:
        """OUT, of several networks OUT/NAME; of several seeds a folder `seed-N` in it."""
        settings = self.settings
        out = settings.out if len(self.networks) == 1 else settings.out / network.name
        return out / f"seed-{settings.seed}" if settings.seeds else out


def facts(job: Job) -> dict[str, Any]:
    """What all processes must have been started with, by the names a user knows."""
    settings, engine = job.settings, job.engine
    return {
        "resgen": __version__,
        "torch": torch.__version__,
        "network": [network.spec for network in job.networks],
        "recipe": job.recipe.model_dump(mode="json"),
        "data": {
            "name": job.wanted.name, "heldout": job.wanted.heldout,
            "download": job.wanted.download, "bad_images": job.wanted.bad_images,
        },
        "seed": list(settings.seeds) or settings.seed,
        "start": settings.start,
        "batch": settings.batch,
        "sync_bn": settings.sync_bn,
        "recompute": settings.recompute,
        "init_from": str(settings.init_from),
        "head": settings.head,
        "normalize": settings.normalize,
        "device": engine.device.type,
        "precision": engine.precision,
        "layout": engine.layout,
    }  # fmt: skip
