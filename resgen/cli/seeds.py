"""`--seed 0,1,2` and `--seeds 3`: with what a network is trained, once each."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from typer import Option

from resgen.errors import UserError
from resgen.words import listed


@dataclass(frozen=True)
class Seeds:
    """What weights, order and augmentation are drawn from."""

    PANEL = "Seeds"

    seed: Annotated[
        list[str] | None,
        Option(
            metavar="N[,N...]",
            help="Weights, order, augmentation follow it; several, as 0,1,2, are a run each.",
            show_default="0",
        ),
    ] = None
    seeds: Annotated[
        int | None, Option(help="So many runs of each network: seeds 0, 1, ...", min=1, max=1000)
    ] = None

    def chosen(self, specs: list[str]) -> tuple[int, ...]:
        """The seeds of the command. Raises UserError for what is none."""
        if self.seeds is not None:
            return tuple(range(self.seeds))
        typed = ",".join(self.seed or ["0"])
        bare = [each for each in specs if each.isdecimal() and not Path(each).exists()]
        if self.seed and bare:
            raise UserError(
                f"--seed {' '.join([typed, *bare])}: write several seeds with commas, "
                f"--seed {','.join([typed, *bare])}"
            )
        found = [each.strip() for each in typed.split(",")]
        for each in found:
            if not re.fullmatch(r"[0-9]{1,18}", each):
                raise UserError(
                    f"--seed {typed}: {each or 'nothing'} is no seed; give whole numbers from 0, "
                    "several as 0,1,2"
                )
        seeds = tuple(map(int, found))
        for seed in seeds:
            if seeds.count(seed) > 1:
                raise UserError(f"--seed {typed}: {seed} stands there twice; each is one run")
        return seeds


def in_a_name(seeds: Sequence[int]) -> str:
    """The seeds in a run folder's name: `0`, `seeds-0-to-2`."""
    if len(seeds) == 1:
        return str(seeds[0])
    return "seeds-" + listed(seeds).replace(", ", "-").replace(" ", "-")
