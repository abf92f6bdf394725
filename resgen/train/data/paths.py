"""Paths in one buffer: what a million files are called, in two tensors and no million objects."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor


@dataclass(frozen=True)
class Paths:
    """Paths that begin alike. Processes that decode images share the tensors."""

    prefix: str
    text: Tensor
    """The bytes of what follows the prefix in each, one behind the other."""
    ends: Tensor
    """int64: where each one ends."""

    @classmethod
    def of(cls, prefix: str, names: Iterable[str]) -> Paths:
        """The paths `prefix + name`."""
        text, ends = bytearray(), []
        for name in names:
            text += os.fsencode(name)
            ends.append(len(text))
        # torch takes no buffer of no bytes.
        joined = torch.from_numpy(np.frombuffer(bytes(text), np.uint8).copy())
        return cls(prefix, joined, torch.tensor(ends, dtype=torch.int64))

    def __len__(self) -> int:
        return len(self.ends)

    def name(self, number: int) -> str:
        """What follows the prefix."""
        if not 0 <= number < len(self):
            raise IndexError(number)
        start = int(self.ends[number - 1]) if number else 0
        return os.fsdecode(self.text[start : int(self.ends[number])].numpy().tobytes())

    def __getitem__(self, number: int) -> str:
        return self.prefix + self.name(number)

    def names(self) -> Iterator[str]:
        """All of them, without the prefix."""
        text, start = self.text.numpy().tobytes(), 0
        for end in self.ends.tolist():
            yield os.fsdecode(text[start:end])
            start = end

    def __iter__(self) -> Iterator[str]:
        return (self.prefix + name for name in self.names())
