"""Two records as plain values -> where they differ, by the names a user knows."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from resgen.errors import UserError

if TYPE_CHECKING:
    from resgen.train.device.processes import World


def differences(one: Any, other: Any, path: str = "") -> Iterator[tuple[str, Any, Any]]:
    """(where, one's value, the other's) for each plain value that is not the same in both."""
    if isinstance(one, dict) and isinstance(other, dict):
        for key in dict.fromkeys([*one, *other]):
            where = f"{path}.{key}" if path else str(key)
            yield from differences(one.get(key), other.get(key), where)
    elif isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        for number, (mine, its) in enumerate(zip(one, other, strict=True)):
            yield from differences(mine, its, f"{path}[{number}]")
    elif one != other:
        yield path, one, other


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
