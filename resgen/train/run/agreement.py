"""What runs and processes must have in common: the first difference between two, by its name."""

from __future__ import annotations

from typing import Any

from resgen.errors import UserError
from resgen.train.device.processes import World
from resgen.train.run.differing import differences


def agree(world: World, facts: dict[str, Any]) -> None:
    """Refuses where processes were started with other facts than the first; all come here.

    Without it another seed trains on in silence, and another length leaves one of them waiting.
    """
    everyone = world.gather(facts)
    for rank, theirs in enumerate(everyone):
        for where, first, its in differences(everyone[0], theirs):
            raise UserError(
                f"process {rank} has {where} {its} and process 0 has {first}: "
                "all must be started with the same command, on the same data and versions"
            )
