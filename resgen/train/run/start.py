"""What a run starts from: published or own weights, and how their images were normalised."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from resgen.tensors import checkpoint
from resgen.tensors.formats import read_any
from resgen.train.data.folder import IMAGENET
from resgen.train.data.images import Data, Wanted
from resgen.train.run.network import Network, load_all
from resgen.train.run.outlook import known
from resgen.train.run.settings import Settings
from resgen.weights import LoadReport, reference

IMAGENET_CLASSES = 1000
"""ImageNet's, of 2012; its larger sets have more."""


class Statistics(NamedTuple):
    """The mean and deviation of each channel that weights were trained with, and whose they are."""

    mean: tuple[float, ...]
    std: tuple[float, ...]
    whose: str

    def of(self, data: Data, channels: int) -> Data:
        """The data with these in place of their own, as many as the network's channels."""
        mean, std = (_spread(each, channels, data.train.channels) for each in self[:2])
        return replace(data, mean=mean, std=std)

    def text(self) -> str:
        """One line, with the way to the data's own."""
        mean, std = (", ".join(f"{value:.3g}" for value in each) for each in self[:2])
        return (
            f"images normalised as {self.whose}: mean {mean}, deviation {std} "
            "(--normalize data: as the data's own)"
        )


def _spread(values: tuple[float, ...], channels: int, data: int) -> tuple[float, ...]:
    """One a channel of the network; where there are other numbers of them, the mean of all."""
    if len(values) == channels:
        return values
    return (sum(values) / len(values),) * data


class Start(NamedTuple):
    """A file of weights, what it is called, and the statistics of its images if it tells them."""

    path: Path
    title: str
    statistics: Statistics | None
    published: bool = False


def find(network: Network, settings: Settings, download: str) -> Start | None:
    """The weights that a network is to start from, which may still have to be fetched.

    Raises UserError where they cannot be had, or are not the network's.
    """
    source = settings.init_from
    if source is None:
        return None
    if not reference.is_reference(source):
        report = network.check_weights(source, settings.head)
        return Start(source, str(source), _statistics(source, report))
    found = reference.published(source, network.references, network.name)
    reference.require(found, download)
    return Start(
        found.path, found.title, Statistics(found.mean, found.std, f"{found.title}, was"), True
    )


def fetch(network: Network, settings: Settings) -> None:
    """Brings the weights that `find` has found, where they are not here."""
    source = settings.init_from
    if source is not None and reference.is_reference(source):
        reference.fetch(reference.published(source, network.references, network.name))


def _statistics(source: Path, report: LoadReport) -> Statistics | None:
    """Those that a file of ours carries, or ImageNet's where its classes may be."""
    metadata = read_any(source)[1]
    if metadata is not None and (data := metadata.data) is not None:
        return Statistics(tuple(data["mean"]), tuple(data["std"]), f"{data['name']} was there")
    imagenet = report.classes is None or report.classes >= IMAGENET_CLASSES
    if imagenet and report.channels in (None, 3):
        return Statistics(*IMAGENET, "ImageNet was, whose weights these are taken for")
    return None


def kept(path: Path) -> Statistics:
    """Those that a run goes on with: its last checkpoint's."""
    data = checkpoint.load(path)["data"]
    return Statistics(tuple(data["mean"]), tuple(data["std"]), "before")


def normalised(data: Data, start: Start | None, network: Network, settings: Settings) -> Data:
    """The data as the weights' images were normalised, unless their own statistics are wanted."""
    if start is None or start.statistics is None or settings.normalize == "data":
        return data
    return start.statistics.of(data, network.channels)


def lines(start: Start, settings: Settings) -> list[str]:
    """What is said of the images' statistics."""
    if settings.normalize == "data":
        return ["images normalised by the data's own mean and deviation"]
    if start.statistics is None:
        return [
            "images normalised by the data's own mean and deviation: the file says none, and its "
            "classes are not ImageNet's"
        ]
    return [start.statistics.text()]


def told(network: Network, settings: Settings, data: Wanted) -> list[str]:
    """What `--plan` says of the weights. Raises UserError where training would."""
    start = find(network, settings, data.download)
    if start is None:
        return []
    if not checkpoint.file_of(start.path).exists():  # a reference that is to be fetched
        return [
            "",
            f"{network.name} starts from {start.title}, fetched first",
            *_in(start, settings),
        ]
    report = network.check_weights(start.path, settings.head)
    first = f"{network.name} starts from {start.title}: {report.text()}"
    return ["", first, *_in(start, settings)]


def _in(start: Start, settings: Settings) -> list[str]:
    return [f"  {line}" for line in lines(start, settings)]


def for_data(
    specs: Sequence[str], networks: list[Network], overrides: Sequence[str], data: Wanted,
    train_side: int | None,
) -> tuple[list[Network], tuple[str, ...]]:  # fmt: skip
    """The networks with as many classes as the data, each with a note where it had others.

    For who starts from weights: a classifier for the data's classes is what they then want.
    Classes that were typed stay.
    """
    if any(each.partition("=")[0].strip() == "classes" for each in overrides):
        return networks, ()
    notes, found = [], []
    for spec, network in zip(specs, networks, strict=True):
        facts = known(network.wanted(data))
        if facts.classes != network.classes:
            notes.append(
                f"{network.name}: {facts.classes:,} classes in place of {network.classes:,}, as "
                f"{facts.name} has them"
            )
            more = (*overrides, f"classes={facts.classes}")
            network = load_all([spec], overrides=more, train_side=train_side)[0]
        found.append(network)
    return found, tuple(notes)
