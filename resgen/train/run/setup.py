"""Everything a run is made of, gathered before its first step."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from resgen.train.data.feed import Feed
from resgen.train.data.images import Data
from resgen.train.data.order import Order
from resgen.train.device.engine import Engine
from resgen.train.device.processes import World
from resgen.train.recipe import Recipe
from resgen.train.recipe.rate import Rate
from resgen.train.run.network import Network
from resgen.train.run.settings import Settings
from resgen.train.run.start import Start


def titled(name: str, settings: Settings) -> str:
    """What a run is called beside the others of its command: `plain20`, `plain20 (seed 1)`."""
    return f"{name} (seed {settings.seed})" if settings.seeds else name


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
    start: Start | None = None
    """The weights to begin from; none where it goes on from a checkpoint."""

    @property
    def title(self) -> str:
        """The network's name; of several seeds also which."""
        return titled(self.network.name, self.settings)

    @property
    def rate(self) -> Rate:
        """The schedule over this run's epochs."""
        return Rate(self.recipe, self.order.steps)
