"""Which process of many this one is, from the variables of torchrun or of a SLURM job step."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass

from resgen.errors import UserError

PORT = 29500
"""Where the first process listens, unless MASTER_PORT says otherwise."""


@dataclass(frozen=True)
class Place:
    """A process's number among `size` processes, and among those of its machine."""

    rank: int = 0
    local_rank: int = 0
    local_size: int = 1
    size: int = 1

    @property
    def first(self) -> bool:
        """Whether this process prints and writes."""
        return self.rank == 0


def placed(env: Mapping[str, str] = os.environ) -> Place:
    """This process's place. Raises UserError with the first variable that is missing or wrong."""
    slurm = "RANK" not in env and "SLURM_PROCID" in env and env.get("SLURM_NTASKS", "1") != "1"
    if "RANK" in env:
        names = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE")
    elif slurm:
        names = ("SLURM_PROCID", "SLURM_NTASKS", "SLURM_LOCALID", "SLURM_NTASKS_PER_NODE")
    elif env.get("WORLD_SIZE", "1") != "1":
        raise UserError(
            f"WORLD_SIZE is {env['WORLD_SIZE']} and RANK is not set: start with torchrun, or set "
            "RANK in each process"
        )
    else:
        return Place()
    size = _number(env, names[1], at_least=1)
    rank = _number(env, names[0], below=(names[1], size))
    local_size = _number(env, names[3], at_least=1, default="1")
    within = (names[3], local_size) if names[3] in env else None
    local_rank = _number(env, names[2], below=within, default="0")
    if size > 1:
        if not env.get("MASTER_ADDR"):
            raise UserError(_alone(size) if slurm else _without_address(names, size))
        _number(env, "MASTER_PORT", at_least=1, below=("the number of ports", 65536), default="1")
    return Place(rank, local_rank, local_size, size)


def port(env: Mapping[str, str] = os.environ) -> int:
    """Where the first process listens: of a SLURM job, unless it is said, at a port of its own."""
    if "MASTER_PORT" in env:
        return int(env["MASTER_PORT"])
    job = env.get("SLURM_JOB_ID", "") if "RANK" not in env else ""
    return 20000 + int(job) % 10000 if job.isdecimal() else PORT


def _alone(size: int) -> str:
    """For tasks of SLURM that do not know of each other: each would write the same folder."""
    return (
        f"SLURM_NTASKS is {size} and MASTER_ADDR is not set: the {size} tasks would train the same "
        'run each by itself; export MASTER_ADDR=$(scontrol show hostnames "$SLURM_JOB_NODELIST" | '
        "head -n 1) before srun, or run a single task with srun --ntasks 1"
    )


def _without_address(names: tuple[str, ...], size: int) -> str:
    return (
        f"{names[1]} is {size} and MASTER_ADDR is not set: it names the machine of {names[0]} 0, "
        "as 127.0.0.1; torchrun sets it"
    )


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
