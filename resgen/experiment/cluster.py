"""Runs on a Ray cluster: each a task with its resources, which Ray gives to another worker where
one is lost; the run goes on from its checkpoint.

Every machine must see the folder of the runs, and the data, at the same path. Ray:
Moritz et al. 2018.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from resgen.errors import UserError
from resgen.experiment.running import Ended
from resgen.experiment.runs import LOG, Planned
from resgen.experiment.worker import perform

RETRIES = 5
"""Of a run whose worker is lost."""
ANSWER = 10.0
"""Seconds for a cluster to take a connection."""
PATIENCE = 60.0
"""Seconds for what is going on to be saved."""


def run(
    planned: Sequence[Planned], *, address: str | None, threads: int, device: str
) -> Iterator[Ended]:
    """Gives the runs to Ray, and each back as it ends; see `running.run`.

    address: the cluster's; None is the one that is there, or this machine alone.
    """
    ray = _ray()
    _join(ray, address)
    needs = _needs(ray, threads, device)
    task = ray.remote(_task).options(max_retries=RETRIES, **needs)
    refs: dict[Path, Any] = {}
    runs: dict[Any, Planned] = {}
    for each in planned:
        # What it begins from, where that has still to be run: Ray waits for it.
        first = refs.get(each.after.folder) if each.after is not None else None
        ref = task.remote(each, os.getcwd(), first)
        refs[each.folder], runs[ref] = ref, each
    going = list(runs)
    try:
        while going:
            ended, going = ray.wait(going)
            for ref in ended:
                yield Ended(runs[ref], _code(ray, ref))
    finally:
        for ref in going:
            ray.cancel(ref)
        if going:
            ray.wait(going, num_returns=len(going), timeout=PATIENCE)
        ray.shutdown()


def _ray() -> Any:
    try:
        import ray
    except ImportError:
        raise UserError("--on ray: Ray is not installed; pip install 'resgen[ray]'") from None
    return ray


def _join(ray: Any, address: str | None) -> None:
    try:
        host, _, port = (address or "").rpartition(":")
        if host and "://" not in host and port.isdecimal():
            # Ray itself asks for minutes where nobody listens.
            socket.create_connection((host, int(port)), timeout=ANSWER).close()
        ray.init(address=address, log_to_driver=False, logging_level="ERROR")
    except (OSError, OverflowError, ValueError, RuntimeError) as error:
        where = "" if address is None else f" --address {address}"
        why = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise UserError(f"--on ray{where}: no cluster answers: {why}") from None


def _needs(ray: Any, threads: int, device: str) -> dict[str, float]:
    """What a run declares: its threads on the CPU, or a GPU where there are any."""
    gpus = ray.cluster_resources().get("GPU", 0)
    if device.partition(":")[0] == "cuda" or (device == "auto" and gpus):
        return {"num_cpus": 1, "num_gpus": 1}
    return {"num_cpus": threads, "num_gpus": 0}


def _task(planned: Planned, folder: str, first: int | None) -> int | None:
    """A run in a process of Ray's; None where what it begins from came to no end."""
    if planned.after is not None and planned.after.standing.state != "finished":
        return None
    os.chdir(folder)
    return perform(planned.commands, planned.folder / LOG)


def _code(ray: Any, ref: Any) -> int | None:
    """The exit code of a task; 1 where it could not be had."""
    code: int | None = 1
    with suppress(ray.exceptions.RayError):
        code = ray.get(ref)
    return code
