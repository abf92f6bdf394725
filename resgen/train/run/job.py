"""What a command asks for: networks, a recipe, data, and how the runs are to be made."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import torch

from resgen.train.data.images import Wanted
from resgen.train.device.engine import Engine
from resgen.train.device.processes import World
from resgen.train.recipe import Recipe
from resgen.train.run.network import Network
from resgen.version import __version__


@dataclass(frozen=True)
class Settings:
    """A training command's settings, the same for all its networks."""

    out: Path
    seed: int = 0
    seeds: tuple[int, ...] = ()
    """All seeds of the command, each a run of its own; none where there is `seed` alone."""
    start: Literal["new", "resume", "auto", "force"] = "new"
    """What to do with a folder that holds a run: refuse it, continue it, or replace it.

    `auto` continues it, and starts one where there is none.
    """
    save_minutes: float = 10.0
    """Minutes between checkpoints within an epoch."""
    batch: Literal["recipe", "auto"] = "recipe"
    """`auto` cuts the recipe's batch into as many pieces as the memory needs."""
    workers: int | None = None
    """Processes that decode images; as many as there are processors to spare where None."""
    sync_bn: Literal["off", "on"] = "off"
    recompute: Literal["off", "blocks"] = "off"
    """`blocks` keeps only block inputs in memory and computes the rest anew (checkpointing)."""
    tensorboard: Literal["off", "on"] = "off"
    init_from: Path | None = None
    """Weights to start from, in place of a draw: a file, a run, or `reference`."""
    head: Literal["auto", "keep", "drop"] = "auto"
    """`drop` leaves the classifier of `init_from` out, `auto` one that does not fit."""
    normalize: Literal["weights", "data"] = "weights"
    """By which mean and deviation: those of the images `init_from` was trained on, or the data's.
    """
    voice: Literal["full", "quiet"] = "full"
    command: str = ""
    recipe: str = ""
    """The recipe's name and what was changed of it."""
    overrides: tuple[str, ...] = ()
    """What was typed over the specs, which the networks have in them."""
    notes: tuple[str, ...] = ()
    """What is unusual about the changes."""

    @property
    def goes_on(self) -> bool:
        """Whether a run that is there is taken up."""
        return self.start in ("resume", "auto")

    @property
    def way_on(self) -> str:
        """How a run that was stopped is taken up again, in a sentence's end."""
        again = "the same command goes on"
        return again if self.start == "auto" else "go on with --resume"


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
