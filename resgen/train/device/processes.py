"""One process of many: who it is, and the few sums and questions that all answer together."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import cast

import torch
import torch.distributed as dist
from torch import Tensor

from resgen.errors import UserError

TIMEOUT = timedelta(minutes=5)
"""How long a process waits for the others' tensors before it takes them for dead."""
PATIENCE = timedelta(hours=2)
"""How long the hosts wait for each other: one of them may be downloading."""


@dataclass(frozen=True)
class World:
    """A process's number among `size` processes. Every method is called by all of them."""

    rank: int = 0
    local_rank: int = 0
    local_size: int = 1
    size: int = 1
    hosts: dist.ProcessGroup | None = None
    """Over which the processes talk without their devices, so that none waits for its own."""

    @property
    def first(self) -> bool:
        """Whether this process prints and writes."""
        return self.rank == 0

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
        dist.all_reduce(found, dist.ReduceOp.MAX, group=self.hosts)
        return [int(number) for number in found]

    def wait(self) -> None:
        """Until all processes are here."""
        if self.size > 1:
            dist.barrier(group=self.hosts)


def placed() -> World:
    """This process's place, from the variables of torchrun or of a SLURM job step."""
    env = os.environ
    try:
        if "RANK" in env:
            return World(
                rank=int(env["RANK"]),
                local_rank=int(env.get("LOCAL_RANK", 0)),
                local_size=int(env.get("LOCAL_WORLD_SIZE", 1)),
                size=int(env.get("WORLD_SIZE", 1)),
            )
        if "SLURM_PROCID" in env and int(env.get("SLURM_NTASKS", 1)) > 1 and "MASTER_ADDR" in env:
            return World(
                rank=int(env["SLURM_PROCID"]),
                local_rank=int(env["SLURM_LOCALID"]),
                local_size=int(env.get("SLURM_NTASKS_PER_NODE", 1)),
                size=int(env["SLURM_NTASKS"]),
            )
    except (KeyError, ValueError) as error:
        raise UserError(f"the variables of the process launcher are incomplete: {error}") from None
    return World()


@contextmanager
def joined(device: torch.device) -> Iterator[World]:
    """Joins the process group, and leaves it at the end."""
    world = placed()
    if world.size == 1:
        yield world
        return
    os.environ.setdefault("MASTER_PORT", "29500")
    dist.init_process_group(
        "nccl" if device.type == "cuda" else "gloo",
        rank=world.rank,
        world_size=world.size,
        timeout=TIMEOUT,
    )
    try:
        hosts = dist.new_group(backend="gloo", timeout=PATIENCE)
        yield replace(world, hosts=cast(dist.ProcessGroup, hosts))
    finally:
        dist.destroy_process_group()
