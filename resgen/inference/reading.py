"""Image files -> images as a network takes them, one by one; what cannot be read is a sentence."""

from __future__ import annotations

from collections.abc import Iterator
from math import prod

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from resgen.errors import UserError
from resgen.train.data import workers
from resgen.train.data.crossing import crossing, room
from resgen.train.data.decoding import WAY_OUT, decode
from resgen.train.data.images import Stored
from resgen.train.data.preparing import Preparation

FEW = 64
"""Images for which starting processes takes longer than it saves."""


class _Pictures(Dataset[Tensor | str]):
    """Number -> image, or what is wrong with its file."""

    def __init__(self, files: Stored, preparation: Preparation) -> None:
        self.files, self.preparation = files, preparation

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, number: int) -> Tensor | str:
        try:
            picture = decode(self.files[number], self.preparation.mode)
        except UserError as error:
            return str(error).removesuffix(f"; {WAY_OUT}")
        return self.preparation.picture(picture)


def read(
    files: Stored, preparation: Preparation, *, batch: int, processes: int, beside: int = 1
) -> Iterator[list[Tensor | str]]:
    """Batches of images in the order of their files; a sentence for each that is none.

    Processes to decode with; how many read on this machine beside each other.
    """
    image = 4 * preparation.channels * prod(preparation.size)
    plan = crossing(image, batch, processes if len(files) > FEW else 0, room(beside))
    loader = DataLoader(
        _Pictures(files, preparation),
        batch_size=plan.images,
        collate_fn=_together,
        num_workers=plan.processes,
        prefetch_factor=plan.ahead or None,
        worker_init_fn=workers.deaf,
    )
    with workers.ended(loader, "try fewer --workers"):
        with workers.born():
            iterator = iter(loader)
        waiting: list[Tensor | str] = []
        for pictures, sentences in iterator:
            # What has crossed is let go: a batch may be more than there is room for.
            good = iter(pictures.clone() if plan.processes else pictures)
            waiting += [next(good) if each is None else each for each in sentences]
            while len(waiting) >= batch:
                yield waiting[:batch]
                waiting = waiting[batch:]
        if waiting:
            yield waiting


def _together(items: list[Tensor | str]) -> tuple[Tensor, list[str | None]]:
    """The images as one tensor, which crosses at once; for each item None or its sentence."""
    pictures = [item for item in items if isinstance(item, Tensor)]
    stacked = torch.stack(pictures) if pictures else torch.empty(0)
    return stacked, [item if isinstance(item, str) else None for item in items]
