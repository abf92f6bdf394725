"""Everything a run is made of, gathered before its first step."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from resgen.tensors import checkpoint
from resgen.train.data import sources
from resgen.train.data.feed import Feed, Making, MemoryFeed
from resgen.train.data.images import Data, Images, Wanted
from resgen.train.data.order import Order, shares
from resgen.train.device import machine
from resgen.train.recipe.rate import Rate
from resgen.train.run import start
from resgen.train.run.job import Job
from resgen.train.run.network import Network
from resgen.train.run.start import Start


@dataclass(frozen=True, kw_only=True)
class Setup(Job):
    """One run of a job, with its images. Nothing in it changes while the run goes on."""

    network: Network
    data: Data
    feed: Feed
    order: Order
    folder: Path
    start: Start | None = None
    """The weights to begin from; none where it goes on from a checkpoint."""

    @property
    def title(self) -> str:
        """What it is called beside the others of its command: `plain20`, `plain20 (seed 1)`."""
        name, settings = self.network.name, self.settings
        return f"{name} (seed {settings.seed})" if settings.seeds else name

    @property
    def rate(self) -> Rate:
        """The schedule over this run's epochs."""
        return Rate(self.recipe, self.order.steps)


def made_ready(job: Job, network: Network, loaded: dict[Wanted, Data]) -> Setup:
    """All that a network's run is made of; data that are `loaded` are not read again."""
    network.frozen(job.recipe)
    begun = _goes_on(job, network)
    first = None if begun else start.find(network, job.settings, job.wanted.download)
    wanted, recipe = network.wanted(job.wanted), job.recipe
    if wanted not in loaded:
        # On the device once, however many runs there are.
        loaded[wanted] = sources.load(wanted, job.world).to(job.engine.device)
    data = loaded[wanted]
    if begun and _normalised_before(job, data):
        last = job.folder_of(network) / checkpoint.LAST
        data = start.kept(last).of(data, network.channels)
    elif first is not None:
        _fetch(job, network, first)
        data = start.normalised(data, first, network, job.settings)
    order = Order(len(data.train), recipe.batch, job.settings.seed, recipe.augment.repeats)
    shares(recipe.batch, processes=job.world.size, pieces=recipe.accumulate)
    network.check_batch(recipe.batch, job.world.size * recipe.accumulate)
    feed = _feed(job, data, order, network)
    return Setup(
        **vars(job), network=network, data=data, feed=feed, order=order, start=first,
        folder=job.folder_of(network),
    )  # fmt: skip


def _goes_on(job: Job, network: Network) -> bool:
    """Whether it goes on from a checkpoint, and takes no weights from elsewhere."""
    return job.settings.goes_on and (job.folder_of(network) / checkpoint.LAST).exists()


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
    if job.wanted.download == "allowed" and job.world.local_rank > 0:
        job.world.wait()
    start.fetch(network, job.settings)
    if job.wanted.download == "allowed" and job.world.local_rank == 0:
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
