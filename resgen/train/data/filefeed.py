"""Images decoded and cut to size by worker processes, for sets too large to hold in memory.

A batch is made in pieces, by all workers together; how many are under way is bounded by bytes.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager
from itertools import chain, pairwise
from math import prod
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from resgen.errors import UserError
from resgen.train.data import workers
from resgen.train.data.cropping import together
from resgen.train.data.crossing import crossing, room
from resgen.train.data.feed import Batch, Cutting, Making, Piece
from resgen.train.data.images import Data, Files
from resgen.train.data.jpegs import cut_out
from resgen.train.data.seeds import generator


class Asked(NamedTuple):
    """What a worker makes at a time: a split's images by number, for training those of a piece."""

    split: str
    images: list[int]
    piece: Piece | None = None


class _Pictures(Dataset[Tensor | str]):
    """Asked -> uint8 images of the network's size, or the sentence of what went wrong."""

    def __init__(self, files: dict[str, Files], cutting: Cutting) -> None:
        self.files, self.cutting = files, cutting

    def __getitem__(self, asked: Asked) -> Tensor | str:
        files, cutting = self.files[asked.split], self.cutting
        mode = "L" if files.channels == 1 else "RGB"
        # What is drawn for an image follows from its step and place, whichever worker makes it.
        drawn = cutting.drawn(asked.piece) if asked.piece is not None else []
        plan = cutting.to_test if asked.piece is None else cutting.to_train
        smaller = files.smaller and asked.piece is not None
        try:
            pictures = [
                cut_out(files[number], mode, plan, smaller=smaller)
                for number, plan in zip(
                    asked.images, drawn or [plan] * len(asked.images), strict=True
                )
            ]
        except UserError as error:
            return str(error)
        return together(pictures)


class _Wanted:
    """What the loader makes next; it, and so its workers, live on from epoch to epoch."""

    def __init__(self) -> None:
        self.batches: Iterable[Asked] = ()

    def __iter__(self) -> Iterator[Asked]:
        return iter(self.batches)


def _as_it_is(made: Any) -> Any:
    return made


class FileFeed:
    """Batches from files: decoded and cut by workers, all else of them done on the device."""

    def __init__(
        self, data: Data, making: Making, *, processes: int, beside: int = 1
    ) -> None:  # fmt: skip
        """Processes to decode with; how many train on this machine beside each other."""
        self.making = making
        files = {name: split for name, split in data.splits.items() if isinstance(split, Files)}
        self.labels = {name: split.labels for name, split in files.items()}
        cutting = making.cutting
        image = data.train.channels * max(map(prod, (cutting.size, cutting.train_size)))
        self.crossing = crossing(image, cutting.order.batch, processes, room(beside))
        self.wanted = _Wanted()
        self.turn = 0
        self.loader = DataLoader(
            _Pictures(files, cutting),
            sampler=self.wanted,
            batch_size=None,
            collate_fn=_as_it_is,
            num_workers=self.crossing.processes,
            persistent_workers=self.crossing.processes > 0,
            prefetch_factor=self.crossing.ahead or None,
            pin_memory=making.device.type == "cuda",
            worker_init_fn=workers.deaf,
            # Of its own: what it draws for its workers must not move the network's dropout.
            generator=generator(cutting.order.seed, "loader"),
        )

    def open(self) -> AbstractContextManager[None]:
        """Where batches are asked for; the workers end with it."""
        return workers.ended(self.loader)

    def train(self, pieces: Iterable[Piece]) -> Iterator[Batch]:
        """An augmented batch for each piece."""
        pieces, indices = list(pieces), self.making.cutting.indices
        batches = self._batches("train", ((indices(piece), piece) for piece in pieces))
        for piece, (images, labels) in zip(pieces, batches, strict=True):
            yield self.making.moving(piece, images, labels)

    def still(self, which: str, indices: Iterable[Tensor]) -> Iterator[Batch]:
        """The images of a split as they are, a batch for each tensor of indices."""
        for images, labels in self._batches(which, ((each, None) for each in indices)):
            yield self.making.still(images, labels)

    def _batches(
        self, split: str, wanted: Iterable[tuple[Tensor, Piece | None]]
    ) -> Iterator[Batch]:
        """Bytes and labels on the device."""
        waiting: deque[Tensor] = deque()

        def asked() -> Iterator[Asked]:
            for indices, piece in wanted:
                waiting.append(indices)
                yield from self._parts(split, indices.tolist(), piece)

        loaded, device = self._loaded(asked()), self.making.device
        for first in loaded:
            indices = waiting.popleft()
            images = self._joined(first, loaded, len(indices))
            labels = self.labels[split][indices]
            if device.type == "cuda":
                labels = labels.pin_memory()
            yield Batch(images, labels.to(device, non_blocking=True))

    def _parts(self, split: str, images: list[int], piece: Piece | None) -> Iterator[Asked]:
        """A batch in as few pieces as may cross, as even as can be."""
        count = -(-len(images) // self.crossing.images)
        edges = [len(images) * part // count for part in range(count + 1)]
        for low, high in pairwise(edges):
            # What is drawn for an image follows from its place in the batch.
            part = piece and Piece(piece.step, piece.share[low:high])
            yield Asked(split, images[low:high], part)

    def _joined(self, first: Tensor, more: Iterator[Tensor], count: int) -> Tensor:
        """The pieces of a batch, each let go where it is copied."""
        device = self.making.device
        if len(first) == count:
            return first.to(device, non_blocking=True)
        rows = first.permute(0, 2, 3, 1)
        batch = torch.empty(count, *rows.shape[1:], dtype=rows.dtype, device=device)
        done = 0
        for part in chain((first,), more):
            batch[done : done + len(part)].copy_(part.permute(0, 2, 3, 1), non_blocking=True)
            done += len(part)
            if done == count:
                break
        return batch.permute(0, 3, 1, 2)

    def _loaded(self, asked: Iterable[Asked]) -> Iterator[Tensor]:
        self.turn += 1
        turn, self.wanted.batches = self.turn, asked
        with workers.born():
            iterator = iter(self.loader)
        for loaded in iterator:
            assert turn == self.turn, "the loader makes one sequence of batches at a time"
            if isinstance(loaded, str):
                raise UserError(loaded)
            yield loaded
