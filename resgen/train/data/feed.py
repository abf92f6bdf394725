"""(step, share of the batch) -> normalised images and labels on the device."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple, Protocol

import torch
from torch import Tensor

from resgen.train.data.augment import augmented
from resgen.train.data.cropping import (
    NUMBERS,
    Cut,
    Plan,
    Size,
    middle,
    random_resized,
    together,
    whole_or_middle,
)
from resgen.train.data.draws import Draws
from resgen.train.data.images import Data, Images
from resgen.train.data.order import Order
from resgen.train.data.preparing import Normal
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
class Cutting:
    """Pictures of any size -> bytes of the network's; what is drawn follows from step and place."""

    recipe: Augment
    order: Order
    size: Size
    """That is tested on."""
    train_size: Size

    def draws(self, piece: Piece) -> Draws:
        """What is drawn for a piece."""
        return Draws(self.order.seed, piece.step, self.order.batch, piece.share)

    def indices(self, piece: Piece) -> Tensor:
        """A piece's images, by number."""
        return self.order.indices(piece.step)[piece.share.start : piece.share.stop]

    def drawn(self, piece: Piece) -> list[Plan]:
        """The random-resized crop of each picture of a piece; of a recipe without, none."""
        recipe = self.recipe
        if recipe.crop != "random-resized":
            return []
        numbers = self.draws(piece).uniform("box", NUMBERS).tolist()
        return [
            partial(
                random_resized, size=self.train_size, numbers=each, min_area=recipe.min_area,
                interpolation=recipe.interpolation,
            )
            for each in numbers
        ]  # fmt: skip

    def to_train(self, height: int, width: int) -> Cut:
        """What is done to a picture that is trained on where nothing is drawn: its middle."""
        return middle(height, width, self.train_size, 1.0, self.recipe.interpolation)

    def to_test(self, height: int, width: int) -> Cut:
        """What is done to a picture that is tested on."""
        recipe = self.recipe
        return whole_or_middle(height, width, self.size, recipe.test_crop, recipe.interpolation)


@dataclass(frozen=True)
class Making:
    """What every feed does: bytes of the network's size -> batches, on the device."""

    cutting: Cutting
    normal: Normal
    classes: int
    device: torch.device

    @classmethod
    def of(
        cls, data: Data, *, recipe: Augment, order: Order, channels: int, size: Size,
        train_size: Size, device: torch.device, layout: torch.memory_format,
    ) -> Making:  # fmt: skip
        """By the data's mean and deviation, for a network's input."""
        normal = Normal.of(data.mean, data.std, channels=channels, device=device, layout=layout)
        return cls(Cutting(recipe, order, size, train_size), normal, len(data.classes), device)

    def moving(self, piece: Piece, images: Tensor, labels: Tensor) -> Batch:
        """As the network is trained on them."""
        cutting = self.cutting
        return Batch(
            *augmented(
                images, labels, recipe=cutting.recipe, draws=cutting.draws(piece),
                normal=self.normal, classes=self.classes,
            )
        )  # fmt: skip

    def still(self, images: Tensor, labels: Tensor) -> Batch:
        """As it is tested on them."""
        return Batch(self.normal(images), labels)


@dataclass(frozen=True)
class MemoryFeed:
    """The whole set as uint8 on the device; any batch can be made again from its step alone."""

    splits: dict[str, Images]
    making: Making

    @classmethod
    def of(cls, data: Data, making: Making) -> MemoryFeed:
        """The data's images moved to the device."""
        splits = {
            name: split.to(making.device)
            for name, split in data.splits.items()
            if isinstance(split, Images)
        }
        return cls(splits, making)

    def open(self) -> AbstractContextManager[None]:
        """Nothing has to end."""
        return nullcontext()

    def train(self, pieces: Iterable[Piece]) -> Iterator[Batch]:
        """An augmented batch for each piece."""
        for piece in pieces:
            yield self._augmented(piece)

    def still(self, which: str, indices: Iterable[Tensor]) -> Iterator[Batch]:
        """The images of a split as they are, a batch for each tensor of indices."""
        for chosen in indices:
            images, labels = self._picked(which, chosen)
            cut = self.making.cutting.to_test(*images.shape[-2:])
            yield self.making.still(cut(images), labels)

    def _augmented(self, piece: Piece) -> Batch:
        cutting = self.making.cutting
        images, labels = self._picked("train", cutting.indices(piece))
        size = images.shape[-2:]
        if plans := cutting.drawn(piece):
            made = together([plan(*size)(each) for plan, each in zip(plans, images, strict=True)])
        else:
            made = cutting.to_train(*size)(images)
        return self.making.moving(piece, made, labels)

    def _picked(self, which: str, indices: Tensor) -> Batch:
        split = self.splits[which]
        indices = indices.to(split.labels.device, non_blocking=True)
        # Channels last, as the images lie in memory: each is copied in one piece.
        rows = split.pixels.permute(0, 2, 3, 1).index_select(0, indices)
        return Batch(rows.permute(0, 3, 1, 2), split.labels[indices])
