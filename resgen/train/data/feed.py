"""(step, share of the batch) -> normalised images and labels on the device."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import torch
from torch import Tensor

from resgen.train.data import augment
from resgen.train.data.images import Data, Images
from resgen.train.data.order import Order
from resgen.train.data.preparing import normalised
from resgen.train.recipe.keys import Augment


class Batch(NamedTuple):
    """Images as the network takes them, and labels: class numbers, or shares of classes."""

    images: Tensor
    labels: Tensor


class Piece(NamedTuple):
    """A share of one step's batch."""

    step: int
    share: range


class Feed(Protocol):
    """Where batches come from: memory, or files. What it draws moves no generator of others'."""

    def open(self) -> AbstractContextManager[None]:
        """Where batches are asked for; whatever helps to make them ends with it."""
        ...

    def train(self, pieces: Iterable[Piece]) -> Iterator[Batch]:
        """An augmented batch for each piece."""
        ...

    def still(self, which: str, indices: Iterable[Tensor]) -> Iterator[Batch]:
        """The images of a split as they are, a batch for each tensor of indices."""
        ...


@dataclass(frozen=True)
class MemoryFeed:
    """The whole set as uint8 on the device; any batch can be made again from its step alone."""

    splits: dict[str, Images]
    recipe: Augment
    order: Order
    classes: int
    channels: int
    size: tuple[int, int]
    train_size: tuple[int, int]
    mean: Tensor
    std: Tensor
    layout: torch.memory_format

    @classmethod
    def of(
        cls, data: Data, *, recipe: Augment, order: Order, channels: int,
        size: tuple[int, int], train_size: tuple[int, int], device: torch.device,
        layout: torch.memory_format,
    ) -> MemoryFeed:  # fmt: skip
        """The data's images moved to the device."""
        found = {"train": data.train, "heldout": data.heldout, "test": data.test}
        splits = {
            name: split.to(device) for name, split in found.items() if isinstance(split, Images)
        }
        mean, std = (
            torch.tensor(values, device=device)[:, None, None] * 255
            for values in (data.mean, data.std)
        )
        return cls(
            splits, recipe, order, len(data.classes), channels, size, train_size, mean, std, layout
        )  # fmt: skip

    def open(self) -> AbstractContextManager[None]:
        """Nothing has to end."""
        return nullcontext()

    def train(self, pieces: Iterable[Piece]) -> Iterator[Batch]:
        """An augmented batch for each piece."""
        for piece in pieces:
            yield self._augmented(piece)

    def still(self, which: str, indices: Iterable[Tensor]) -> Iterator[Batch]:
        """The images of a split as they are, a batch for each tensor of indices."""
        images = self.splits[which]
        for chosen in indices:
            chosen = chosen.to(images.labels.device)
            yield Batch(self._normalised(images.pixels[chosen], self.size), images.labels[chosen])

    def _augmented(self, piece: Piece) -> Batch:
        source, recipe = self.splits["train"], self.recipe
        device = source.labels.device
        draws = augment.Draws(self.order.seed, piece.step, self.order.batch, piece.share, device)
        indices = self.order.indices(piece.step)[piece.share.start : piece.share.stop]
        indices = indices.to(device, non_blocking=True)
        labels = source.labels[indices]
        images = augment.crop_and_flip(source.pixels, indices, recipe, draws)
        if recipe.random != "none":
            images = augment.random_ops(images, recipe, draws)
        if recipe.crop == "random-resized":
            images = augment.resized_crop(images.float(), self.train_size, recipe, draws)
        images = self._normalised(images, self.train_size)
        if recipe.erase:
            images = augment.erase(images, recipe.erase, draws)
        if recipe.mixup or recipe.cutmix:
            images, labels = augment.mix(images, labels, self.classes, recipe, draws)
        return Batch(images, labels)

    def _normalised(self, pixels: Tensor, size: tuple[int, int]) -> Tensor:
        """(x - mean) / std a channel, resized, grey spread to colour."""
        return normalised(
            pixels, self.mean, self.std, size=size, channels=self.channels, layout=self.layout
        )
