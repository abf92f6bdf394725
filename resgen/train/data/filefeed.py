"""Images decoded and augmented by worker processes, for sets too large to hold in memory."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager
from typing import NamedTuple

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset
from torchvision.transforms import v2

from resgen.errors import UserError
from resgen.train.data import augment, workers
from resgen.train.data.decoding import decode
from resgen.train.data.feed import Batch, Piece
from resgen.train.data.images import Data, Files
from resgen.train.data.order import Order
from resgen.train.data.preparing import middle, statistics
from resgen.train.data.seeds import drawn_apart, generator
from resgen.train.recipe.keys import Augment


class Key(NamedTuple):
    """One image to make: how, its number, and where in training it stands."""

    kind: str
    """`moving` as a training image is changed, or a split's name for its images as they are."""
    image: int
    step: int = 0
    place: int = 0


class _Pictures(Dataset[tuple[Tensor, int] | str]):
    """Key -> (uint8 image of the network's size, label), or the sentence of what went wrong."""

    def __init__(
        self, files: dict[str, Files], transforms: dict[str, v2.Transform], *,
        seed: int, channels: int,
    ) -> None:  # fmt: skip
        self.files, self.transforms, self.seed = files, transforms, seed
        self.mode = "L" if channels == 1 else "RGB"

    def __getitem__(self, key: Key) -> tuple[Tensor, int] | str:
        files = self.files[key.kind]
        try:
            picture = decode(files.paths[key.image], self.mode)
        except UserError as error:
            return str(error)
        # An image's draws follow from its step and place, whichever worker makes it.
        with drawn_apart(self.seed, "picture", key.step, key.place):
            return self.transforms[key.kind](picture), int(files.labels[key.image])


class _Keys:
    """What the loader makes next; it, and so its workers, live on from epoch to epoch."""

    def __init__(self) -> None:
        self.batches: Iterable[list[Key]] = ()

    def __iter__(self) -> Iterator[list[Key]]:
        return iter(self.batches)


def _together(items: list[tuple[Tensor, int] | str]) -> tuple[Tensor, Tensor] | str:
    for item in items:
        if isinstance(item, str):
            return item
    images, labels = zip(*items, strict=True)
    return torch.stack(images), torch.tensor(labels)


class FileFeed:
    """Batches from files: torchvision's transforms, then normalising and mixing on the device."""

    def __init__(
        self, data: Data, *, recipe: Augment, order: Order, channels: int,
        size: tuple[int, int], train_size: tuple[int, int], device: torch.device,
        layout: torch.memory_format, processes: int,
    ) -> None:  # fmt: skip
        self.recipe, self.order, self.device, self.layout = recipe, order, device, layout
        self.classes = len(data.classes)
        self.mean, self.std = (
            torch.tensor(statistics(channels, values), device=device)[:, None, None] * 255
            for values in (data.mean, data.std)
        )
        found = {"train": data.train, "heldout": data.heldout, "test": data.test}
        files = {name: split for name, split in found.items() if isinstance(split, Files)}
        transforms: dict[str, v2.Transform] = dict.fromkeys(files, _still(recipe, size))
        files["moving"], transforms["moving"] = files["train"], _moving(recipe, train_size)
        self.keys = _Keys()
        self.turn = 0
        self.loader = DataLoader(
            _Pictures(files, transforms, seed=order.seed, channels=channels),
            batch_sampler=self.keys,
            collate_fn=_together,
            num_workers=processes,
            persistent_workers=processes > 0,
            prefetch_factor=4 if processes else None,
            pin_memory=device.type == "cuda",
            worker_init_fn=workers.deaf,
            # Of its own: what it draws for its workers must not move the network's dropout.
            generator=generator(order.seed, "loader"),
        )

    def open(self) -> AbstractContextManager[None]:
        """Where batches are asked for; the workers end with it."""
        return workers.ended(self.loader)

    def train(self, pieces: Iterable[Piece]) -> Iterator[Batch]:
        """An augmented batch for each piece."""
        pieces = list(pieces)

        def keys(piece: Piece) -> list[Key]:
            indices = self.order.indices(piece.step).tolist()
            return [Key("moving", indices[place], piece.step, place) for place in piece.share]

        loaded = self._loaded(keys(piece) for piece in pieces)
        for piece, (images, labels) in zip(pieces, loaded, strict=True):
            draws = augment.Draws(
                self.order.seed, piece.step, self.order.batch, piece.share, self.device
            )
            if self.recipe.erase:
                images = augment.erase(images, self.recipe.erase, draws)
            if self.recipe.mixup or self.recipe.cutmix:
                images, labels = augment.mix(images, labels, self.classes, self.recipe, draws)
            yield Batch(images, labels)

    def still(self, which: str, indices: Iterable[Tensor]) -> Iterator[Batch]:
        """The images of a split as they are, a batch for each tensor of indices."""
        return self._loaded([[Key(which, i) for i in chosen.tolist()] for chosen in indices])

    def _loaded(self, batches: Iterable[list[Key]]) -> Iterator[Batch]:
        self.turn += 1
        turn, self.keys.batches = self.turn, batches
        with workers.born():
            iterator = iter(self.loader)
        for loaded in iterator:
            assert turn == self.turn, "the loader makes one sequence of batches at a time"
            if isinstance(loaded, str):
                raise UserError(loaded)
            images, labels = (part.to(self.device, non_blocking=True) for part in loaded)
            normal = (images.float() - self.mean) / self.std
            yield Batch(normal.contiguous(memory_format=self.layout), labels)


def _moving(recipe: Augment, size: tuple[int, int]) -> v2.Compose:
    """What a training image goes through."""
    steps: list[v2.Transform] = [v2.PILToTensor()]
    if recipe.crop == "random-resized":
        steps.append(v2.RandomResizedCrop(size, scale=(recipe.min_area, 1.0), antialias=True))
    else:
        steps += [v2.Resize(min(size), antialias=True), v2.CenterCrop(size)]
        if recipe.crop == "pad":
            steps.append(v2.RandomCrop(size, padding=recipe.pad))
    if recipe.flip == "horizontal":
        steps.append(v2.RandomHorizontalFlip())
    if recipe.random == "randaugment":
        steps.append(v2.RandAugment(recipe.random_ops, recipe.random_magnitude))
    elif recipe.random == "trivialaugment":
        steps.append(v2.TrivialAugmentWide())
    return v2.Compose(steps)


def _still(recipe: Augment, size: tuple[int, int]) -> v2.Compose:
    """What an image that is tested on goes through: its middle, at the network's size."""
    return v2.Compose([v2.PILToTensor(), middle(size, recipe.test_crop)])
