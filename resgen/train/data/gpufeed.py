"""JPEG files decoded on the GPU that trains, by nvJPEG: what is coded crosses, and no pixels.

Order, rectangles and all else are those of the other feeds. Pixels are not: nvJPEG rounds in
another way than libjpeg, and scaling is in floating point there.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from itertools import islice

import torch
from torch import Tensor

from resgen.errors import UserError
from resgen.train.data.cropping import Plan, together
from resgen.train.data.decoding import as_pixels, decode
from resgen.train.data.feed import Batch, Making, Piece
from resgen.train.data.images import Data, Encoded, Files
from resgen.train.data.jpegs import Jpeg, opened

_AHEAD = 3
"""Batches whose files are read before they are needed."""

Decoder = Callable[[list[Tensor], str, torch.device], list[Tensor]]
"""(what is coded, GRAY or RGB, device) -> pixels (C, H, W) there. Raises RuntimeError."""


def nvjpeg(device: torch.device) -> Decoder:
    """torchcodec's. Raises UserError where it cannot be."""
    if device.type != "cuda":
        raise UserError(f"--decode gpu: needs a CUDA device (this run is on {device})")
    try:
        from torchcodec.decoders import decode_jpeg
    except (ImportError, OSError, RuntimeError) as error:
        reason = str(error).partition("\n")[0]
        raise UserError(
            f"--decode gpu: needs torchcodec ({reason}): pip install 'resgen[nvjpeg]'"
        ) from None
    return lambda contents, mode, place: list(decode_jpeg(contents, mode=mode, device=place))


class GpuFeed:
    """Batches from files that threads read and the device decodes."""

    def __init__(self, data: Data, making: Making, *, threads: int, decoder: Decoder) -> None:
        self.making, self.threads, self.decoder = making, max(1, threads), decoder
        self.files = {name: each for name, each in data.splits.items() if isinstance(each, Files)}

    def open(self) -> AbstractContextManager[None]:
        """Nothing has to end: threads last as long as the batches are asked for."""
        return nullcontext()

    def train(self, pieces: Iterable[Piece]) -> Iterator[Batch]:
        """An augmented batch for each piece."""
        pieces, cutting = list(pieces), self.making.cutting
        batches = self._batches("train", map(cutting.indices, pieces))
        for piece, (pictures, labels) in zip(pieces, batches, strict=True):
            plans = cutting.drawn(piece) or [cutting.to_train] * len(pictures)
            yield self.making.moving(piece, _cut(pictures, plans), labels)

    def still(self, which: str, indices: Iterable[Tensor]) -> Iterator[Batch]:
        """The images of a split as they are, a batch for each tensor of indices."""
        for pictures, labels in self._batches(which, indices):
            plans = [self.making.cutting.to_test] * len(pictures)
            yield self.making.still(_cut(pictures, plans), labels)

    def _batches(
        self, split: str, wanted: Iterable[Tensor]
    ) -> Iterator[tuple[list[Tensor], Tensor]]:
        """(pictures of any size, labels) on the device."""
        files, device, wanted = self.files[split], self.making.device, iter(wanted)
        mode = "L" if files.channels == 1 else "RGB"
        pool = ThreadPoolExecutor(self.threads)

        def asked(indices: Tensor) -> tuple[Tensor, list[Future[Jpeg | Tensor]]]:
            return indices, [pool.submit(_read, files[each], mode) for each in indices.tolist()]

        try:
            ahead = deque(map(asked, islice(wanted, _AHEAD)))
            while ahead:
                indices, reading = ahead.popleft()
                pictures = self._decoded([each.result() for each in reading], mode)
                ahead.extend(map(asked, islice(wanted, 1)))
                yield pictures, files.labels[indices].to(device, non_blocking=True)
        finally:
            pool.shutdown(cancel_futures=True)

    def _decoded(self, read: list[Jpeg | Tensor], mode: str) -> list[Tensor]:
        device, colours = self.making.device, "GRAY" if mode == "L" else "RGB"
        coded = [each for each in read if isinstance(each, Jpeg)]
        # torch warns of bytes that it could write to, and of these there are copies to spare.
        contents = [torch.frombuffer(bytearray(each.content), dtype=torch.uint8) for each in coded]
        try:
            there = self.decoder(contents, colours, device) if coded else []
        except RuntimeError:  # it does not say which: damaged, or of a kind it does not know
            there = [each.pixels(mode).to(device, non_blocking=True) for each in coded]
        decoded = iter(there)
        return [
            next(decoded) if isinstance(each, Jpeg) else each.to(device, non_blocking=True)
            for each in read
        ]


def _read(picture: str | Encoded, mode: str) -> Jpeg | Tensor:
    """What is coded where the device can decode it, else the pixels."""
    jpeg = opened(picture)
    if jpeg is None:
        return as_pixels(decode(picture, mode))
    known = jpeg.channels is not None and (mode == "RGB" or jpeg.channels == 1)
    return jpeg if known else jpeg.pixels(mode)


def _cut(pictures: Sequence[Tensor], plans: Sequence[Plan]) -> Tensor:
    return together(
        [plan(*each.shape[1:])(each) for plan, each in zip(plans, pictures, strict=True)]
    )
