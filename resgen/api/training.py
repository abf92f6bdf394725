"""Networks and a recipe -> run folders."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

# Before the function of its name, which would be hidden where it is loaded later.
import resgen.train  # noqa: F401
from resgen.spec import Spec

if TYPE_CHECKING:
    from resgen.train.run.folder import Result

Trainable = Spec | str | os.PathLike[str] | Mapping[str, Any]
"""A Spec, a path, a shipped name, or the keys of a spec: what a run folder can hold."""


def train(
    networks: Trainable | Sequence[Trainable],
    *,
    out: str | os.PathLike[str],
    data: str = "digits",
    recipe: str | None = None,
    changes: Sequence[str] = (),
    seeds: int | Sequence[int] = 0,
    start: Literal["new", "resume", "auto", "force"] = "new",
    init_from: str | os.PathLike[str] | None = None,
    head: Literal["auto", "keep", "drop"] = "auto",
    device: str = "auto",
    precision: Literal["auto", "bf16", "fp32"] = "auto",
    quiet: bool = False,
) -> list[Result]:
    """Trains networks into the run folder `out`, as `resgen train` does, and says how each ended.

    data: `digits`, `cifar10:PATH`, `cifar100:PATH`, `folder:PATH` or `synthetic`. recipe: a file
    or a shipped name; without one, that of the data. changes: what differs from it, as
    `optimizer.lr=0.05` or `length=3 epochs`. seeds: one, or several for as many runs of each
    network. start: what to do with a folder that holds a run. init_from, head: the weights to
    start from, and what becomes of their classifier.

    Raises UserError for what cannot be trained, before the first step, CheckFailed where a
    network's proof fails, Diverged and Interrupted.

    Examples:
        >>> [end] = train("digits/resnet20", out="run", changes=["length=1 epochs"], quiet=True)
        >>> end.name, end.last_error < 0.9
        ('resnet20', True)
    """
    from resgen.spec.assigning import set_values
    from resgen.train.data.images import Wanted
    from resgen.train.device import engine, processes
    from resgen.train.device.voice import together
    from resgen.train.recipe import read_recipe
    from resgen.train.recipe.defaults import recipe_for
    from resgen.train.run import network, runs
    from resgen.train.run import start as weights
    from resgen.train.run.job import Job
    from resgen.train.run.settings import Settings

    sources: list[Trainable]
    if isinstance(networks, Sequence) and not isinstance(networks, str):
        sources = list(networks)
    else:
        sources = [networks]
    name = recipe or recipe_for(data)
    how = set_values(read_recipe(name), changes) if changes else read_recipe(name)
    each = (seeds,) if isinstance(seeds, int) else tuple(seeds)
    settings = Settings(
        out=Path(out),
        seed=each[0],
        seeds=each if len(each) > 1 else (),
        start=start,
        init_from=None if init_from is None else Path(init_from),
        head=head,
        voice="quiet" if quiet else "full",
        recipe=", with ".join([name, *changes]),
    )
    wanted = Wanted(data)
    with together() as voice:
        found = network.load_all(sources, train_side=how.augment.size)
        if init_from is not None:
            found, _ = weights.for_data(sources, found, (), wanted, how.augment.size)
        motor = engine.choose(device=device, precision=precision, local_rank=voice.place.local_rank)
        with processes.joined(motor.device, voice) as world:
            return runs.train(Job(found, how, wanted, settings, motor, world))
