"""One process of many: who it is, and the few sums and questions that all answer together."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from datetime import timedelta
from typing import Any, TypeVar, cast

import torch
import torch.distributed as dist
from torch import Tensor

from resgen.train.device import machine
from resgen.train.device.place import Place
from resgen.train.device.voice import Lost, Voice

_Made = TypeVar("_Made")

TIMEOUT = timedelta(minutes=5)
"""How long a process waits for the others' tensors before it takes them for dead."""
PATIENCE = timedelta(hours=2)
"""How long the hosts wait for each other: one of them may be downloading."""


@dataclass(frozen=True)
class World(Place):
    """A process among `size` processes. Every method is called by all of them."""

    cpus: int | None = None
    """Processors that are this process's share of its machine; None where it is alone."""
    hosts: dist.ProcessGroup | None = None
    """Over which the processes talk without their devices, so that none waits for its own."""
    here: dist.ProcessGroup | None = None
    """Of those, the ones of its machine; None where it is alone there."""

    def sum(self, tensor: Tensor) -> Tensor:
        """The sum over all processes, in place."""
        if self.size > 1:
            dist.all_reduce(tensor)
        return tensor

    def copy_first(self, tensors: Iterable[Tensor]) -> None:
        """Gives every process the first one's values."""
        if self.size > 1:
            for tensor in tensors:
                dist.broadcast(tensor, src=0)

    def largest(self, *numbers: int) -> list[int]:
        """The largest of all processes' first numbers, of their second, ..."""
        if self.size == 1:
            return list(numbers)
        found = torch.tensor(numbers, dtype=torch.int64)
        _done(dist.all_reduce(found, dist.ReduceOp.MAX, group=self.hosts, async_op=True))
        return [int(number) for number in found]

    def gather(self, facts: Any) -> list[Any]:
        """Every process's plain values, in the order of their ranks."""
        everyone = [facts] * self.size
        if self.size > 1:
            self.wait()
            dist.all_gather_object(everyone, facts, group=self.hosts)
        return everyone

    def once(self, make: Callable[[], _Made]) -> _Made:
        """What the first process of each machine makes; the others of it get a copy."""
        if self.here is None:
            return make()
        made: list[Any] = [make() if self.local_rank == 0 else None]
        _done(dist.barrier(group=self.here, async_op=True))
        dist.broadcast_object_list(made, dist.get_global_rank(self.here, 0), group=self.here)
        return cast(_Made, made[0])

    def wait(self) -> None:
        """Until all processes are here."""
        if self.size > 1:
            _done(dist.barrier(group=self.hosts, async_op=True))


def _done(work: Any) -> None:
    """Waits for the others as Python does, so that a signal is answered meanwhile."""
    pause = 0.0
    while not work.is_completed():
        time.sleep(pause)
        pause = min(pause + 1e-4, 0.02)
    work.wait()


@contextmanager
def joined(device: torch.device, voice: Voice) -> Iterator[World]:
    """Joins the process group of those who have met, and leaves it at the end."""
    place = voice.place
    if place.size == 1:
        yield World()
        return
    voice.ready()
    with _others_lost():
        dist.init_process_group(
            "nccl" if device.type == "cuda" else "gloo",
            store=voice.store,
            rank=place.rank,
            world_size=place.size,
            timeout=TIMEOUT,
        )
        try:
            hosts = dist.new_group(backend="gloo", timeout=PATIENCE)
            yield _settled(World(**asdict(place), hosts=cast(dist.ProcessGroup, hosts)))
        except BaseException as error:
            voice.claim(error)
            raise
        finally:
            dist.destroy_process_group()


def _settled(world: World) -> World:
    """The same with what the machines themselves say of who is where; launchers may not."""
    everyone = [machine.Bound(*each) for each in world.gather(tuple(machine.bound()))]
    here = [rank for rank, each in enumerate(everyone) if each[0] == everyone[world.rank][0]]
    group = None
    if len(here) > 1:
        made = dist.new_group(
            here, backend="gloo", timeout=PATIENCE, use_local_synchronization=True
        )  # fmt: skip
        group = cast(dist.ProcessGroup, made)
    return replace(
        world, local_rank=here.index(world.rank), local_size=len(here),
        cpus=machine.share(world.rank, everyone), here=group,
    )  # fmt: skip


@contextmanager
def _others_lost() -> Iterator[None]:
    """A process whose peers are gone says so, wherever it was waiting for them."""
    try:
        yield
    except RuntimeError as error:
        if not (isinstance(error, dist.DistError) or "gloo" in str(error)):
            raise
        raise Lost(
            "another process of this run ended without a word, or cannot be reached: it may have "
            "been killed, for want of memory or with its machine; what was saved is there to go "
            "on from"
        ) from None
