"""Image files -> images as a network takes them, one by one; what cannot be read is a sentence."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from resgen.errors import UserError
from resgen.train.data import workers
from resgen.train.data.decoding import WAY_OUT, decode
from resgen.train.data.preparing import Preparation

FEW = 64
"""Images for which starting processes takes longer than it saves."""


class _Pictures(Dataset[Tensor | str]):
    """Number -> image, or what is wrong with its file."""

    def __init__(self, paths: Sequence[str], preparation: Preparation) -> None:
        self.paths, self.preparation = paths, preparation

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, number: int) -> Tensor | str:
        try:
            picture = decode(self.paths[number], self.preparation.mode)
        except UserError as error:
            return str(error).removesuffix(f"; {WAY_OUT}")
        return self.preparation.picture(picture)


def read(
    paths: Sequence[str], preparation: Preparation, *, batch: int, processes: int
) -> Iterator[list[Tensor | str]]:
    """Batches of images in the order of their paths; a sentence for each that is none."""
    processes = processes if len(paths) > FEW else 0
    loader = DataLoader(
        _Pictures(paths, preparation),
        batch_size=batch,
        collate_fn=list,
        num_workers=processes,
        prefetch_factor=2 if processes else None,
        worker_init_fn=workers.deaf,
    )
    with workers.ended(loader, "try fewer --workers"):
        with workers.born():
            iterator = iter(loader)
        yield from iterator
