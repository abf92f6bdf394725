"""A trained network over images -> for each image its best classes and its loss."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from resgen.errors import CheckFailed, UserError
from resgen.inference.reading import read
from resgen.inference.trained import Trained
from resgen.train.data.images import Images, Split
from resgen.train.device.engine import Engine
from resgen.train.device.processes import World
from resgen.train.run.counting import TOP, best_classes


class Answers(NamedTuple):
    """For each image the true class, the best ones, best first, and the loss."""

    truth: list[int]
    best: list[list[int]]
    loss: list[float]
    seconds: float
    """Of the whole pass, reading included, in the slowest process."""
    unread: tuple[str, ...] = ()
    """What was left out, a sentence each."""


def answers(
    trained: Trained, images: Split, *, batch: int, engine: Engine, world: World,
    processes: int, bad_images: str = "refuse",
) -> Answers:  # fmt: skip
    """Each image is looked at once: image i by process i mod size.

    Raises UserError for an image that cannot be read, unless those are to be skipped, and
    CheckFailed where the network puts out what is no number.
    """
    module = trained.module(engine)
    mine = torch.arange(world.rank, len(images), world.size)
    part = images.pick(mine)
    truth: list[int] = []
    best: list[list[int]] = []
    loss: list[float] = []
    unread: list[str] = []
    start = time.perf_counter()
    with torch.inference_mode():
        # Of fewer images than processes the last processes have none.
        made = batches(part, trained, batch, engine, processes, world.local_size)
        made = made if len(part) else iter(())
        for inputs, labels, failed in made:
            if failed and bad_images == "refuse":
                raise UserError(f"{failed[0]}; repair it, or leave such out: --skip-bad-images")
            unread += failed
            if len(labels):
                logits = outputs(module, inputs, engine, trained)
                truth += labels.tolist()
                best += ranked(logits, TOP)
                loss += F.cross_entropy(logits, labels.to(logits.device), reduction="none").tolist()
    found = Answers(truth, best, loss, time.perf_counter() - start, tuple(unread))
    return _together(world.gather(found._asdict()) if world.size > 1 else [found._asdict()])


def outputs(module: nn.Module, inputs: Tensor, engine: Engine, trained: Trained) -> Tensor:
    """The network's logits in float32.

    Raises CheckFailed where one is no number, and UserError where memory runs out.
    """
    try:
        with engine.autocast():
            logits: Tensor = module(inputs)
        logits = logits.float()
    except RuntimeError as error:  # torch.OutOfMemoryError, or the CPU allocator's
        if "memory" not in str(error):
            raise
        raise UserError(
            f"{trained.label}: {len(inputs)} images at a time do not fit into memory; "
            "give a smaller --batch"
        ) from None
    if not bool(torch.isfinite(logits).all()):
        raise CheckFailed(
            f"{trained.label}: puts out NaN or infinity in {engine.precision}; "
            "try --precision fp32, or another checkpoint"
        )
    return logits


def ranked(logits: Tensor, top: int) -> list[list[int]]:
    """The classes of each image's largest logits, best first.

    Of equal ones, which bf16 has many of, the first is argmax's, as in training.
    """
    rows: list[list[int]] = best_classes(logits, top).tolist()
    return rows


def batches(
    images: Split, trained: Trained, batch: int, engine: Engine, processes: int, beside: int = 1
) -> Iterator[tuple[Tensor, Tensor, list[str]]]:
    """(images on the device, labels, what could not be read)."""
    prepared, layout = trained.preparation, engine.memory_format
    if isinstance(images, Images):
        for pixels, labels in zip(
            torch.split(images.pixels, batch), torch.split(images.labels, batch), strict=True
        ):
            yield prepared.batch(pixels.to(engine.device), layout), labels, []
        return
    loaded = read(images, prepared, batch=batch, processes=processes, beside=beside)
    for items, labels in zip(loaded, torch.split(images.labels, batch), strict=True):
        good = [i for i, item in enumerate(items) if isinstance(item, Tensor)]
        pictures = [item for item in items if isinstance(item, Tensor)]
        failed = [item for item in items if isinstance(item, str)]
        yield on_device(pictures, engine), labels[good], failed


def on_device(pictures: list[Tensor], engine: Engine) -> Tensor:
    """The images as one tensor, as the device wants it; an empty one of none."""
    if not pictures:
        return torch.empty(0)
    stacked = torch.stack(pictures).to(engine.device)
    return stacked.contiguous(memory_format=engine.memory_format)


def _together(parts: list[dict[str, object]]) -> Answers:
    """The processes' answers as one."""
    each = [Answers(**part) for part in parts]  # type: ignore[arg-type]
    if len(each) == 1:
        return each[0]
    rows = [row for part in each for row in zip(part.truth, part.best, part.loss, strict=True)]
    return Answers(
        [row[0] for row in rows], [row[1] for row in rows], [row[2] for row in rows],
        max(part.seconds for part in each), tuple(line for part in each for line in part.unread),
    )  # fmt: skip
