"""Image files -> the classes a trained network takes them for, with probabilities."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torchvision.datasets.folder import IMG_EXTENSIONS

from resgen.errors import UserError, one_line
from resgen.files import kind
from resgen.inference.answers import on_device, outputs, ranked
from resgen.inference.reading import read
from resgen.inference.trained import Trained
from resgen.train.device.engine import Engine
from resgen.words import hung


class Prediction(NamedTuple):
    """An image's classes, the likeliest first, or why it has none."""

    path: str
    classes: tuple[tuple[str, float], ...] = ()
    fault: str | None = None

    def data(self) -> dict[str, Any]:
        """As plain values."""
        return {
            "image": self.path,
            "predictions": [{"class": name, "probability": share} for name, share in self.classes],
        }

    def lines(self, indent: int) -> list[str]:
        """`7.png   7 98.1 %, 1 1.2 %`, in lines of at most 80 columns."""
        text = ", ".join(f"{one_line(name)} {100 * share:.1f} %" for name, share in self.classes)
        return hung(f"{one_line(self.path)}  ", text, indent)


def listed(paths: Sequence[Path]) -> list[str]:
    """The files that are meant: of a folder, all images in it and below, by name.

    Raises UserError for a folder without any.
    """
    found: list[str] = []
    for path in paths:
        if kind(path) != "folder":
            found.append(str(path))
            continue
        images = sorted(_below(str(path)))
        if not images:
            raise UserError(f"{path}: a folder without images, whose names end in {_ENDINGS}")
        found += images
    return found


_ENDINGS = " ".join(IMG_EXTENSIONS)


def _below(folder: str) -> Iterator[str]:
    # Links to folders are not followed: they may lead back.
    for place, _, names in os.walk(folder):
        yield from (os.path.join(place, n) for n in names if n.lower().endswith(IMG_EXTENSIONS))


def predictions(
    trained: Trained, paths: Sequence[str], *, top: int, batch: int, engine: Engine, processes: int
) -> Iterator[Prediction]:
    """One for each path, in their order, as they are made.

    Probabilities are a softmax's; of a network trained with one binary loss a class, each
    class has its own, and they need not add up to 1. Raises CheckFailed where the network puts
    out what is no number.
    """
    module = trained.module(engine)
    done = 0
    for items in read(paths, trained.preparation, batch=batch, processes=processes):
        pictures = [item for item in items if isinstance(item, Tensor)]
        with torch.inference_mode():
            rows = iter(_shares(module, pictures, engine, trained, top) if pictures else [])
        for item in items:
            path, done = paths[done], done + 1
            if isinstance(item, str):
                yield Prediction(path, fault=item)
            else:
                yield Prediction(path, next(rows))


def _shares(
    module: torch.nn.Module, pictures: list[Tensor], engine: Engine, trained: Trained, top: int
) -> list[tuple[tuple[str, float], ...]]:
    logits = outputs(module, on_device(pictures, engine), engine, trained)
    shares = logits.softmax(1) if trained.loss == "cross-entropy" else logits.sigmoid()
    # Of the logits: large ones have equal shares.
    return [
        tuple((trained.classes[number], row[number]) for number in numbers)
        for numbers, row in zip(ranked(logits, top), shares.tolist(), strict=True)
    ]
