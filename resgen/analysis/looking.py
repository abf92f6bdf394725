"""What is looked at: a source's network, a fixed choice of its images, and how it is computed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from resgen.errors import UserError
from resgen.inference.answers import batches
from resgen.inference.subject import Subject, Which, chosen
from resgen.inference.trained import Trained
from resgen.inference.verdict import as_judged
from resgen.train.data.seeds import generator
from resgen.train.device import engine as engines
from resgen.train.device.engine import Engine

IMAGES = 512


@dataclass(frozen=True)
class Asked:
    """On which images a trained network is looked at; what is None follows from its checkpoint."""

    images: int = IMAGES
    data: str | None = None
    split: Which = "auto"
    """`auto`: the held-out images of a run's own data; of others the test images first."""
    batch: int | None = None
    workers: int = 0
    download: str = "never"
    precision: str = "auto"
    """`auto`: errors as the run measured them, all other figures in fp32."""


def placed(engine: Engine | None, precision: str = "auto") -> Engine:
    """The engine asked for, or this machine's; in fp32 unless another precision is asked for."""
    if engine is None:
        word = "fp32" if precision == "auto" else precision
        return engines.choose(precision=word, compile="off")
    return Engine(
        engine.device, "fp32" if precision == "auto" else engine.precision, engine.layout, "off"
    )


def judging(engine: Engine | None, trained: Trained, precision: str) -> Engine:
    """The engine for errors: in the precision that the run measured its own in."""
    return as_judged(placed(engine, precision), trained, precision)


def subject(trained: Trained, asked: Asked) -> Subject:
    """The images: so many of the split, drawn once and for all, in their order.

    A folder's files stand class by class, so that its first ones would be of one class.
    Raises UserError where there are none.
    """
    which: Which = asked.split
    if which == "auto" and asked.data is None:
        which = "heldout"
    found = chosen(trained, asked.data, which, download=asked.download)
    count = len(found.images)
    if count > asked.images:
        order = torch.randperm(count, generator=generator(0, "analysis"))
        found = found._replace(images=found.images.pick(order[: asked.images].sort().values))
    return found


def pictures(
    trained: Trained, shown: Subject, asked: Asked, engine: Engine
) -> Iterator[tuple[Tensor, Tensor]]:
    """(images as the network takes them, labels), both on the device, batch for batch.

    Raises UserError for a file that cannot be read.
    """
    size = asked.batch or trained.batch
    for inputs, labels, failed in batches(shown.images, trained, size, engine, asked.workers):
        if failed:
            raise UserError(f"{failed[0]}; repair it, or take it out of the folder")
        yield inputs, labels.to(engine.device)
