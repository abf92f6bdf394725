"""seed + purpose + place -> a stream of its own: all randomness is a function of the step."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch


def derive(seed: int, *parts: str | int) -> int:
    """A 63-bit seed for one purpose, independent of every other purpose's.

    Order, augmentation and dropout of a step depend on nothing but the run's seed
    and the step, which makes a resumed run repeat the uninterrupted one.
    """
    text = "/".join(map(str, (seed, *parts)))
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big") >> 1


def generator(seed: int, *parts: str | int, device: torch.device | str = "cpu") -> torch.Generator:
    """A torch generator started at `derive(seed, *parts)`."""
    import torch

    return torch.Generator(device).manual_seed(derive(seed, *parts))


@contextmanager
def drawn_apart(seed: int, *parts: str | int) -> Iterator[None]:
    """For code that draws from torch's own CPU generator: it stands at `derive(seed, *parts)`.

    Afterwards it is where it was before. Other devices' generators, from which a network's
    dropout draws, stay as they are; `torch.manual_seed` would move them all.
    """
    import torch

    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(derive(seed, *parts))
        yield
