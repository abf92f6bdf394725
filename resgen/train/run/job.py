"""What to train, on what, how; and each network made ready for its first step."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from resgen.tensors import checkpoint
from resgen.train.data import sources
from resgen.train.data.feed import Feed, Making, MemoryFeed
from resgen.train.data.images import Data, Images, Wanted
from resgen.train.data.order import Order, shares
from resgen.train.device import machine
from resgen.train.device.engine import Engine
from resgen.train.device.processes import World
from resgen.train.recipe import Recipe
from resgen.train.run import start
from resgen.train.run.network import Network
from resgen.train.run.settings import Settings
from resgen.train.run.setup import Setup
from resgen.version import __version__


@dataclass(frozen=True)
class Job:
    """What to train, on what, how."""

    networks: Sequence[Network]
    recipe: Recipe
    data: Wanted
    settings: Settings
    engine: Engine
    world: World

    def each(self) -> Iterator[tuple[Job, Network]]:
        """Its runs: every network with every seed, those of a network one after another."""
        for network in self.networks:
            for seed in self.settings.seeds or (self.settings.seed,):
                yield replace(self, settings=replace(self.settings, seed=seed)), network

    def folder(self, network: Network) -> Path:
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
            "name": job.data.name, "heldout": job.data.heldout,
            "download": job.data.download, "bad_images": job.data.bad_images,
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


def made_ready(job: Job, network: Network, loaded: dict[Wanted, Data]) -> Setup:
    """All that a network's run is made of; data that are `loaded` are not read again."""
    network.frozen(job.recipe)
    begun = _goes_on(job, network)
    first = None if begun else start.find(network, job.settings, job.data.download)
    wanted, recipe = network.wanted(job.data), job.recipe
    if wanted not in loaded:
        # On the device once, however many runs there are.
        loaded[wanted] = sources.load(wanted, job.world).to(job.engine.device)
    data = loaded[wanted]
    if begun and _normalised_before(job, data):
        last = job.folder(network) / checkpoint.LAST
        data = start.kept(last).of(data, network.channels)
    elif first is not None:
        _fetch(job, network, first)
        data = start.normalised(data, first, network, job.settings)
    order = Order(len(data.train), recipe.batch, job.settings.seed, recipe.augment.repeats)
    shares(recipe.batch, processes=job.world.size, pieces=recipe.accumulate)
    network.check_batch(recipe.batch, job.world.size * recipe.accumulate)
    feed = _feed(job, data, order, network)
    return Setup(
        network, recipe, data, feed, order, job.engine, job.world, job.settings,
        job.folder(network), first,
    )  # fmt: skip


def _goes_on(job: Job, network: Network) -> bool:
    """Whether it goes on from a checkpoint, and takes no weights from elsewhere."""
    return job.settings.goes_on and (job.folder(network) / checkpoint.LAST).exists()


def _normalised_before(job: Job, data: Data) -> bool:
    """Whether a run goes on with its checkpoint's mean and deviation, and not with the data's own.

    Of files they are those of some images, and were ImageNet's in runs of earlier versions; which
    files they are is known by their names.
    """
    settings = job.settings
    weights = settings.init_from is not None and settings.normalize == "weights"
    return weights or not isinstance(data.train, Images)


def _fetch(job: Job, network: Network, first: start.Start) -> None:
    """Brings published weights to this machine, by one of its processes, and looks at them."""
    if not first.published:
        return
    if job.data.download == "allowed" and job.world.local_rank > 0:
        job.world.wait()
    start.fetch(network, job.settings)
    if job.data.download == "allowed" and job.world.local_rank == 0:
        job.world.wait()
    network.check_weights(first.path, job.settings.head)


def _feed(job: Job, data: Data, order: Order, network: Network) -> Feed:
    making = Making.of(
        data, recipe=job.recipe.augment, order=order, channels=network.channels,
        size=network.size, train_size=network.train_size, device=job.engine.device,
        layout=job.engine.memory_format,
    )  # fmt: skip
    if isinstance(data.train, Images):
        return MemoryFeed.of(data, making)
    workers = job.settings.workers
    workers = machine.workers(job.world.cpus) if workers is None else workers
    if job.settings.decode == "gpu":
        from resgen.train.data.gpufeed import GpuFeed, nvjpeg

        return GpuFeed(data, making, threads=workers, decoder=nvjpeg(job.engine.device))
    from resgen.train.data.filefeed import FileFeed

    return FileFeed(data, making, processes=workers, beside=job.world.local_size)
