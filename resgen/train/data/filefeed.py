"""Images decoded and cut to size by worker processes, for sets too large to hold in memory."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager
from functools import partial
from typing import Any, NamedTuple

from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from resgen.errors import UserError
from resgen.train.data import workers
from resgen.train.data.cropping import together
from resgen.train.data.decoding import as_pixels, decode
from resgen.train.data.feed import Batch, Cutting, Making, Piece
from resgen.train.data.images import Data, Files
from resgen.train.data.seeds import generator


class Asked(NamedTuple):
    """A batch to make: a split's images by number, for training those of a piece."""

    split: str
    images: list[int]
    piece: Piece | None = None


class _Pictures(Dataset[tuple[Tensor, Tensor] | str]):
    """Asked -> (uint8 images of the network's size, labels), or the sentence of what went wrong."""

    def __init__(self, files: dict[str, Files], cutting: Cutting) -> None:
        self.files, self.cutting = files, cutting

    def __getitem__(self, asked: Asked) -> tuple[Tensor, Tensor] | str:
        files = self.files[asked.split]
        mode = "L" if files.channels == 1 else "RGB"
        try:
            pictures = [
                cut(as_pixels(decode(files.paths[number], mode)))
                for number, cut in zip(asked.images, self._cuts(asked), strict=True)
            ]
        except UserError as error:
            return str(error)
        return together(pictures), files.labels[asked.images]

    def _cuts(self, asked: Asked) -> list[Callable[[Tensor], Tensor]]:
        """For each image what makes it one of the network's size."""
        cutting = self.cutting
        if asked.piece is None:
            return [cutting.to_test] * len(asked.images)
        # An image's numbers follow from its step and place, whichever worker makes it.
        numbers = cutting.numbers(asked.piece)
        if numbers is None:
            return [cutting.to_train] * len(asked.images)
        return [partial(cutting.boxed, numbers=each) for each in numbers]


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

    def __init__(self, data: Data, making: Making, *, processes: int) -> None:
        self.making = making
        found = {"train": data.train, "heldout": data.heldout, "test": data.test}
        files = {name: split for name, split in found.items() if isinstance(split, Files)}
        self.wanted = _Wanted()
        self.turn = 0
        self.loader = DataLoader(
            _Pictures(files, making.cutting),
            sampler=self.wanted,
            batch_size=None,
            collate_fn=_as_it_is,
            num_workers=processes,
            persistent_workers=processes > 0,
            prefetch_factor=4 if processes else None,
            pin_memory=making.device.type == "cuda",
            worker_init_fn=workers.deaf,
            # Of its own: what it draws for its workers must not move the network's dropout.
            generator=generator(making.cutting.order.seed, "loader"),
        )

    def open(self) -> AbstractContextManager[None]:
        """Where batches are asked for; the workers end with it."""
        return workers.ended(self.loader)

    def train(self, pieces: Iterable[Piece]) -> Iterator[Batch]:
        """An augmented batch for each piece."""
        pieces = list(pieces)
        loaded = self._loaded(
            Asked("train", self.making.cutting.indices(piece).tolist(), piece) for piece in pieces
        )
        for piece, (images, labels) in zip(pieces, loaded, strict=True):
            yield self.making.moving(piece, images, labels)

    def still(self, which: str, indices: Iterable[Tensor]) -> Iterator[Batch]:
        """The images of a split as they are, a batch for each tensor of indices."""
        for images, labels in self._loaded([Asked(which, each.tolist()) for each in indices]):
            yield self.making.still(images, labels)

    def _loaded(self, batches: Iterable[Asked]) -> Iterator[Batch]:
        self.turn += 1
        turn, self.wanted.batches = self.turn, batches
        with workers.born():
            iterator = iter(self.loader)
        for loaded in iterator:
            assert turn == self.turn, "the loader makes one sequence of batches at a time"
            if isinstance(loaded, str):
                raise UserError(loaded)
            yield Batch(*(part.to(self.making.device, non_blocking=True) for part in loaded))
