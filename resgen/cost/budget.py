"""Amounts as people write them (`25M`, `4.1G`, `24GiB`), and the budgets made of them."""

from __future__ import annotations

import re
from fractions import Fraction
from typing import NamedTuple

from resgen.errors import CheckFailed, UserError
from resgen.words import memory, short

COUNTS = {"": 1, "k": 10**3, "K": 10**3, "M": 10**6, "G": 10**9, "B": 10**9, "T": 10**12}
MEMORY = {"": 1, "B": 1} | {
    unit: 2**power
    for letter, power in (("K", 10), ("M", 20), ("G", 30), ("T", 40))
    for unit in (letter, f"{letter}B", f"{letter}iB")
}
"""Of memory: a device of 24 GB has 24 GiB, and so 24G, 24GB and 24GiB are one amount."""
BYTES = {
    "": 1, "B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12,
    "KiB": 2**10, "MiB": 2**20, "GiB": 2**30, "TiB": 2**40,
}  # fmt: skip
"""Of what moves, in a second."""


def amount(text: str, option: str, *, units: dict[str, int] = COUNTS) -> int:
    """25M -> 25000000, 24GiB -> 25769803776; rounded down to a whole number.

    Raises UserError, naming the option, for anything else.
    """
    found = re.fullmatch(r"\s*([0-9][0-9_,]*\.?[0-9]*(?:[eE][0-9]{1,2})?)\s*([A-Za-z]*)\s*", text)
    example = "4.1G" if units is COUNTS else "1.5TB" if units is BYTES else "24GiB"
    unit = "" if found is None else found[2]
    if units is MEMORY:
        unit = next((each for each in units if each.lower() == unit.lower()), unit)
    if found is None or unit not in units:
        known = ", ".join(each for each in units if each)
        raise UserError(
            f"{option} {text}: must be a number with one of the units {known}, like {example}"
        )
    count = int(Fraction(re.sub("[_,]", "", found[1])) * units[unit])
    if count < 1:
        raise UserError(f"{option} {text}: must be more than 0, like {example}")
    return count


class Budget(NamedTuple):
    """The most a network may have; None where it does not matter."""

    params: int | None = None
    macs: int | None = None
    activations: int | None = None
    memory: int | None = None

    @classmethod
    def written(
        cls,
        *,
        params: str | None = None,
        macs: str | None = None,
        activations: str | None = None,
        memory: str | None = None,
    ) -> Budget:
        """The limits as people write them, of --max-params, --max-macs, ... Raises UserError."""
        counts = {"params": params, "macs": macs, "activations": activations}
        return cls(
            **{
                name: amount(text, f"--max-{name}")
                for name, text in counts.items()
                if text is not None
            },
            memory=None if memory is None else amount(memory, "--max-memory", units=MEMORY),
        )

    def over(self, params: int, macs: int, activations: int, peak: int) -> list[str]:
        """By how much each limit is exceeded, in words."""
        lines = []
        for what, have, most in (
            ("params", params, self.params),
            ("MACs", macs, self.macs),
            ("activations", activations, self.activations),
        ):
            if most is not None and have > most:
                lines.append(
                    f"{have:,} {what}, {have - most:,} ({short(have - most)}) over the "
                    f"{most:,} of --max-{what.lower()}"
                )
        if self.memory is not None and peak > self.memory:
            lines.append(
                f"{memory(peak)} at the peak of a training step, {memory(peak - self.memory)} "
                f"over the {memory(self.memory)} of --max-memory"
            )
        return lines


def enforce(found: list[tuple[str, list[str]]]) -> None:
    """Raises CheckFailed with every network that is over, and by how much."""
    lines = [f"{name}: {line}" for name, over in found for line in over]
    if lines:
        raise CheckFailed("over budget: " + "\nover budget: ".join(lines))
