"""Everything a run is made of, gathered before its first step."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from resgen.train.data import Data
from resgen.train.distributed import World
from resgen.train.engine import Engine
from resgen.train.feed import Feed
from resgen.train.network import Network
from resgen.train.order import Order
from resgen.train.recipe import Recipe
from resgen.train.schedule import Rate
from resgen.train.settings import Settings


@dataclass(frozen=True)
class Setup:
    """Nothing in it changes while the run goes on."""

    network: Network
    recipe: Recipe
    data: Data
    feed: Feed
    order: Order
    engine: Engine
    world: World
    settings: Settings
    folder: Path

    @property
    def rate(self) -> Rate:
        """The schedule over this run's epochs."""
        return Rate(self.recipe, self.order.steps)
