"""One process of many: who it is, and the few sums and questions that all answer together."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any, NoReturn, cast

import torch
import torch.distributed as dist
from torch import Tensor

from resgen.errors import UserError
from resgen.train.device import meeting

TIMEOUT = timedelta(minutes=5)
"""How long a process waits for the others' tensors before it takes them for dead."""
PORT = "29500"
"""Where the first process listens, unless MASTER_PORT says otherwise."""
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
        _done(dist.all_reduce(found, dist.ReduceOp.MAX, group=self.hosts, async_op=True))
        return [int(number) for number in found]

    def gather(self, facts: Any) -> list[Any]:
        """Every process's plain values, in the order of their ranks."""
        everyone = [facts] * self.size
        if self.size > 1:
            self.wait()
            dist.all_gather_object(everyone, facts, group=self.hosts)
        return everyone

    def wait(self) -> None:
        """Until all processes are here."""
        if self.size > 1:
            _done(dist.barrier(group=self.hosts, async_op=True))

    def refuse(self, sentence: str) -> NoReturn:
        """Ends all processes for what all of them have found; the first one says it."""
        if self.first:
            raise UserError(sentence)
        # Launchers end all processes when one ends; the first must have spoken before.
        time.sleep(1)
        raise SystemExit(UserError.exit_code)


def _done(work: Any) -> None:
    """Waits for the others as Python does, so that a signal is answered meanwhile."""
    pause = 0.0
    while not work.is_completed():
        time.sleep(pause)
        pause = min(pause + 1e-4, 0.02)
    work.wait()


def placed(env: Mapping[str, str] = os.environ) -> World:
    """This process's place, from the variables of torchrun or of a SLURM job step.

    Raises UserError with the first variable that is missing or wrong.
    """
    if "RANK" in env:
        names = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE")
    elif "SLURM_PROCID" in env and "MASTER_ADDR" in env and env.get("SLURM_NTASKS", "1") != "1":
        names = ("SLURM_PROCID", "SLURM_NTASKS", "SLURM_LOCALID", "SLURM_NTASKS_PER_NODE")
    elif env.get("WORLD_SIZE", "1") != "1":
        raise UserError(
            f"WORLD_SIZE is {env['WORLD_SIZE']} and RANK is not set: start with torchrun, or set "
            "RANK in each process"
        )
    else:
        return World()
    size = _number(env, names[1], at_least=1)
    rank = _number(env, names[0], below=(names[1], size))
    local_size = _number(env, names[3], at_least=1, default="1")
    within = (names[3], local_size) if names[3] in env else None
    local_rank = _number(env, names[2], below=within, default="0")
    if size > 1:
        if not env.get("MASTER_ADDR"):
            raise UserError(
                f"{names[1]} is {size} and MASTER_ADDR is not set: it names the machine of "
                f"{names[0]} 0, as 127.0.0.1; torchrun sets it"
            )
        _number(env, "MASTER_PORT", at_least=1, below=("the number of ports", 65536), default=PORT)
    return World(rank=rank, local_rank=local_rank, local_size=local_size, size=size)


def _number(
    env: Mapping[str, str], name: str, *,
    at_least: int = 0, below: tuple[str, int] | None = None, default: str | None = None,
) -> int:  # fmt: skip
    text = env.get(name, default)
    if text is None:
        raise UserError(f"{name} is not set: the launcher of several processes sets it")
    if not text.isdecimal() or int(text) < at_least:
        raise UserError(f"{name} {text}: must be a whole number of at least {at_least}")
    if below is not None and int(text) >= below[1]:
        raise UserError(f"{name} {text}: must be below {below[0]}, which is {below[1]}")
    return int(text)


@contextmanager
def joined(device: torch.device) -> Iterator[World]:
    """Joins the process group, and leaves it at the end."""
    world = placed()
    if world.size == 1:
        yield world
        return
    os.environ.setdefault("MASTER_PORT", PORT)
    store = meeting.meet(world.rank, world.size)
    with _others_lost():
        dist.init_process_group(
            "nccl" if device.type == "cuda" else "gloo",
            store=store,
            rank=world.rank,
            world_size=world.size,
            timeout=TIMEOUT,
        )
        try:
            hosts = dist.new_group(backend="gloo", timeout=PATIENCE)
            yield replace(world, hosts=cast(dist.ProcessGroup, hosts))
        finally:
            dist.destroy_process_group()


@contextmanager
def _others_lost() -> Iterator[None]:
    """A process whose peers are gone says so, wherever it was waiting for them."""
    try:
        yield
    except RuntimeError as error:
        if not (isinstance(error, dist.DistError) or "gloo" in str(error)):
            raise
        raise UserError(
            "another process of this run ended, or cannot be reached: its own sentence says why; "
            "what was saved is there for --resume"
        ) from None
