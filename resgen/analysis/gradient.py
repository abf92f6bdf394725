"""The norm of the loss's gradient by each convolution's weight at the first training step.

|| dL / dW ||_2, L the loss of the first batch in training mode, W as the seed draws it
"""

from __future__ import annotations

import json
import shlex
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal, NamedTuple

import torch
from torch import nn

from resgen.analysis.layers import convolutions
from resgen.analysis.looking import placed
from resgen.compare.record import result_of
from resgen.errors import CheckFailed, UserError
from resgen.files import kind
from resgen.inference.trained import labels
from resgen.plan import resolve
from resgen.spec import load_spec
from resgen.spec.loading import CHECKPOINTS
from resgen.tensors import checkpoint
from resgen.train.data.facts import split_name
from resgen.train.data.feed import Piece
from resgen.train.data.images import Wanted
from resgen.train.data.order import shares
from resgen.train.data.seeds import derive
from resgen.train.device.engine import Engine
from resgen.train.device.processes import World
from resgen.train.recipe import Recipe, read_recipe
from resgen.train.recipe.defaults import recipe_for
from resgen.train.run.differing import differences
from resgen.train.run.folder import ENVIRONMENT
from resgen.train.run.freezing import freeze
from resgen.train.run.identity import completed, data_facts
from resgen.train.run.job import Job
from resgen.train.run.loop import summed_loss
from resgen.train.run.network import load
from resgen.train.run.settings import Settings
from resgen.train.run.setup import Setup, made_ready


class Gradient(NamedTuple):
    """One convolution's; `path`: the main path, or a shortcut's."""

    name: str
    norm: float
    path: Literal["main", "shortcut"]


class Gradients(NamedTuple):
    """A network's, in layer order; frozen convolutions have none and are left out."""

    label: str
    name: str
    seed: int
    data: str
    batch: int
    precision: str
    loss: float
    layers: tuple[Gradient, ...]
    begun: str = ""
    """The weights that the step begins with, where they were not drawn."""

    @property
    def first(self) -> float:
        """The first convolution's."""
        return self.layers[0].norm

    @property
    def last(self) -> float:
        """The last convolution's of the main path."""
        return next(each.norm for each in reversed(self.layers) if each.path == "main")


def gradients(
    run_or_spec: str | Path,
    *,
    seed: int | None = None,
    data: str | None = None,
    recipe: str | None = None,
    download: str = "never",
    precision: str = "auto",
    engine: Engine | None = None,
) -> Gradients:
    """The gradient of a run's first step, of its own seed, data and recipe; or of a spec's.

    A spec's are those of the step that `resgen train` would begin with: `seed` 0, the data `digits`
    and their recipe unless others are named. The loss is the batch's mean; weight decay and
    clipping come after it and are not in it. Raises UserError for what has no first step.
    """
    source = str(run_or_spec)
    engine = placed(engine, precision)
    if _is_run(Path(source)):
        if (seed, data, recipe) != (None, None, None):
            raise UserError(
                f"{source}: a run's first step has the seed, data and recipe of the run; name the "
                "network by its spec to take others"
            )
        setup = _of_run(Path(source), download, engine)
    else:
        setup = _of_spec(source, seed or 0, data or "digits", recipe, download, engine)
    module = setup.network.module(setup.settings.seed)
    if setup.start is not None:
        setup.network.init(module, setup.start.path, setup.settings.head)
    module = module.to(engine.device, memory_format=engine.memory_format)  # type: ignore[call-overload]
    return _measured(source, module, setup)


def _measured(source: str, module: nn.Module, setup: Setup) -> Gradients:
    loss = _first_step(module, setup)
    parameters = dict(module.named_parameters())
    found = []
    for each in convolutions(resolve(load_spec(setup.network.spec))):
        gradient = parameters[f"{each.name}.weight"].grad
        if gradient is None:
            continue
        norm = float(torch.linalg.vector_norm(gradient))
        found.append(Gradient(each.name, norm, each.path))
    if not found:
        raise UserError(f"{source}: {setup.network.name} has no convolution that is trained")
    return Gradients(
        labels([source])[0], setup.network.name, setup.settings.seed, setup.data.name,
        setup.recipe.batch, setup.engine.precision, loss, tuple(found),
        setup.start.title if setup.start else "",
    )  # fmt: skip


def _first_step(module: nn.Module, setup: Setup) -> float:
    """Fills the weights' gradients as the trainer does at step 0; the mean loss.

    Raises CheckFailed where the loss is no number.
    """
    recipe, engine = setup.recipe, setup.engine
    module.train()
    freeze(module, setup.network.frozen(recipe))
    (share,) = shares(recipe.batch, processes=1, pieces=recipe.accumulate)
    total = 0.0
    devices = [engine.device] if engine.device.type == "cuda" else []
    with setup.feed.open(), torch.random.fork_rng(devices=devices):
        # Dropout and stochastic depth draw from torch's own generator.
        torch.manual_seed(derive(setup.settings.seed, "step", 0, 0))
        for images, wanted in setup.feed.train([Piece(0, part) for part in share]):
            with engine.autocast():
                logits = module(images)
            loss = summed_loss(logits, wanted, recipe.loss) / recipe.batch
            torch.autograd.backward(loss)
            total += float(loss.detach())
    if not torch.isfinite(torch.tensor(total)):
        raise CheckFailed(f"{setup.network.name}: the loss of its first step is no number")
    return total


# ---- what is run


def _is_run(path: Path) -> bool:
    if kind(path) == "folder":
        return True
    return path.suffix in CHECKPOINTS


def _of_spec(
    source: str, seed: int, data: str, recipe: str | None, download: str, engine: Engine
) -> Setup:
    chosen = read_recipe(recipe or recipe_for(data))
    settings = Settings(out=Path(), seed=seed)
    return _setup(source, chosen, Wanted(data, download=download), settings, engine)


def _of_run(source: Path, download: str, engine: Engine) -> Setup:
    file = checkpoint.file_of(source)
    if kind(file) == "folder":
        raise UserError(f"{source}: a folder without {checkpoint.LAST}; give a run folder")
    state = checkpoint.load(file)
    recipe = Recipe.model_validate(completed(state["recipe"]))
    judged = state.get("judged")
    place = str(judged["data"] if judged else state["data"]["name"])
    settings = replace(_started(file.parent), seed=int(state["seed"]))
    data, path = split_name(place)
    # A folder may have held-out images of its own, of which none were cut.
    own = data == "folder" and (Path(path) / "val").is_dir()
    heldout = None if own else int(state["data"]["heldout"])
    wanted = Wanted(place, heldout=heldout, download=download)
    setup = _setup(str(file), recipe, wanted, settings, engine)
    for where, before, now in differences(state["data"], data_facts(setup.data), "data"):
        raise UserError(
            f"{source}: its images are others now: {where} was {before} and is {now}; its first "
            "step cannot be made again"
        )
    return setup


def _setup(
    source: str, recipe: Recipe, wanted: Wanted, settings: Settings, engine: Engine
) -> Setup:
    network = load(source, train_side=recipe.augment.size)
    job = Job([network], recipe, wanted, settings, engine, World())
    return made_ready(job, network, {})


def _started(folder: Path) -> Settings:
    """What a run began from, by its result or, where it did not end, its command."""
    plain = Settings(out=folder)
    with suppress(OSError, ValueError, TypeError, AttributeError):
        result = result_of(folder)
        if "init_from" in result:
            weights = result["init_from"]
            return replace(
                plain, init_from=Path(weights) if weights else None, head=result["head"],
                normalize=result["normalize"],
            )  # fmt: skip
    with suppress(OSError, ValueError, TypeError, AttributeError, IndexError, KeyError):
        records = json.loads((folder / ENVIRONMENT).read_text(encoding="utf-8"))
        return _typed(plain, shlex.split(records[0]["command"]))
    return plain


def _typed(plain: Settings, words: list[str]) -> Settings:
    """The settings with what a command says of its weights."""
    said: dict[str, Any] = {}
    for option in ("init_from", "head", "normalize"):
        flag = f"--{option.replace('_', '-')}"
        for word, following in zip(words, [*words[1:], ""], strict=True):
            if word == flag:
                said[option] = following
            elif word.startswith(f"{flag}="):
                said[option] = word.partition("=")[2]
    if "init_from" in said:
        said["init_from"] = Path(said["init_from"])
    return replace(plain, **said)
