"""What the command line asked of a run, beyond network, recipe and data."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal


@dataclass(frozen=True)
class Settings:
    """A training command's settings, the same for all its networks."""

    out: Path
    seed: int = 0
    seeds: tuple[int, ...] = ()
    """All seeds of the command, each a run of its own; none where there is `seed` alone."""
    start: Literal["new", "resume", "auto", "force"] = "new"
    """What to do with a folder that holds a run: refuse it, continue it, or replace it.

    `auto` continues it, and starts one where there is none.
    """
    save_minutes: float = 10.0
    """Minutes between checkpoints within an epoch."""
    batch: Literal["recipe", "auto"] = "recipe"
    """`auto` cuts the recipe's batch into as many pieces as the memory needs."""
    workers: int | None = None
    """Processes that decode images; as many as there are processors to spare where None."""
    sync_bn: Literal["off", "on"] = "off"
    recompute: Literal["off", "blocks"] = "off"
    """`blocks` keeps only block inputs in memory and computes the rest anew (checkpointing)."""
    tensorboard: Literal["off", "on"] = "off"
    init_from: Path | None = None
    """Weights to start from, in place of a draw: a file, a run, or `reference`."""
    head: Literal["auto", "keep", "drop"] = "auto"
    """`drop` leaves the classifier of `init_from` out, `auto` one that does not fit."""
    normalize: Literal["weights", "data"] = "weights"
    """By which mean and deviation: those of the images `init_from` was trained on, or the data's.
    """
    voice: Literal["full", "quiet"] = "full"
    command: str = ""
    recipe: str = ""
    """The recipe's name and what was changed of it."""
    overrides: tuple[str, ...] = ()
    """What was typed over the specs, which the networks have in them."""
    notes: tuple[str, ...] = ()
    """What is unusual about the changes."""

    @property
    def goes_on(self) -> bool:
        """Whether a run that is there is taken up."""
        return self.start in ("resume", "auto")

    @property
    def way_on(self) -> str:
        """How a run that was stopped is taken up again, in a sentence's end."""
        again = "the same command goes on"
        return again if self.start == "auto" else "go on with --resume"
