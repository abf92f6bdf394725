"""Will it fit? The memory of a training step, measured on two images, against what is free."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from resgen.cost.memory import OPTIMIZERS
from resgen.errors import UserError
from resgen.train.device import machine
from resgen.train.device.engine import Engine
from resgen.train.recipe import Recipe
from resgen.train.run.log import Log
from resgen.train.run.network import Network
from resgen.train.run.setup import Setup

SHARE = 0.9
"""The part of the free memory a step may take; the rest is for what allocators waste."""


@dataclass(frozen=True)
class Need:
    """Bytes: of weights, gradients and optimizer state, and of what an image leaves behind."""

    fixed: int
    image: int

    def step(self, images: int) -> int:
        """Bytes of a step over this many images in one piece."""
        return self.fixed + self.image * images


def measure(module: nn.Module, network: Network, recipe: Recipe, engine: Engine) -> Need:
    """What autograd keeps for the backward pass, each storage counted once, of one image."""

    def kept(images: int) -> int:
        storages: dict[int, int] = {}
        alive: list[Tensor] = []

        def pack(tensor: Tensor) -> Tensor:
            storage = tensor.untyped_storage()
            storages[storage.data_ptr()] = storage.nbytes()
            alive.append(tensor)
            return tensor

        batch = torch.zeros(images, network.channels, *network.train_size, device=engine.device)
        batch = batch.contiguous(memory_format=engine.memory_format)
        hooks = torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor)
        with hooks, engine.autocast():
            module(batch)
        return sum(storages.values())

    state = {name: value.clone() for name, value in module.state_dict().items()}
    per_image = (kept(4) - kept(2)) // 2
    module.load_state_dict(state)  # the running statistics have seen zeros
    weights = sum(p.numel() * p.element_size() for p in module.parameters())
    trained = sum(p.numel() * p.element_size() for p in module.parameters() if p.requires_grad)
    # Weights, and the average, if kept; gradients and the optimizer's state of what is trained.
    fixed = (2 if recipe.ema else 1) * weights
    fixed += (1 + OPTIMIZERS[recipe.optimizer.state][1]) * trained
    return Need(fixed, max(per_image, 0))


def pieces_that_fit(
    need: Need,
    batch: int,
    free: int,
    works: Callable[[int], bool] = lambda _: True,
    *,
    least: int = 1,
) -> int:
    """The fewest pieces, 1, 2, 4, ..., whose step fits; `works` tries a real step on n images.

    No piece has fewer than `least` images. Raises UserError where not even those fit.
    """
    pieces = 1
    while True:
        images = -(-batch // pieces)
        if need.step(images) <= SHARE * free and works(images):
            return pieces
        following = min(2 * pieces, batch)
        if images == 1 or batch // following < least:
            what = "one image fits" if images == 1 else f"{images} images fit"
            raise UserError(
                f"--batch auto: not even {what}: a step needs {need.step(images) / 2**30:.2f} "
                f"GiB and {free / 2**30:.2f} GiB are free"
            )
        pieces = following


def sentence(step: int, engine: Engine) -> str:
    """`memory: about 0.9 GiB a step, 12.1 GiB free`, with a warning where it is too little."""
    about = f"memory: about {step / 2**30:.2f} GiB a step"
    free = machine.free_memory(engine.device)
    if free is None:
        return about
    warning = "" if step <= SHARE * free else "; it may not fit: try --batch auto"
    return f"{about}, {free / 2**30:.1f} GiB free{warning}"


def real_step(module: nn.Module, network: Network, engine: Engine) -> Callable[[int], bool]:
    """A function that tries forward and backward on n images; false where memory runs out."""

    def works(images: int) -> bool:
        try:
            batch = torch.zeros(images, network.channels, *network.train_size, device=engine.device)
            for _ in range(2):
                with engine.autocast():
                    loss = module(batch.contiguous(memory_format=engine.memory_format)).sum()
                loss.backward()
                module.zero_grad(set_to_none=True)
            engine.synchronize()
        except torch.OutOfMemoryError:
            return False
        except RuntimeError as error:
            # The CPU's allocator reports the same by another class.
            if "memory" not in str(error):
                raise
            return False
        finally:
            if engine.device.type == "cuda":
                torch.cuda.empty_cache()
        return True

    return works


# ---- a run's


def in_pieces(setup: Setup, pieces: int) -> Setup:
    """The setup with its batch cut into so many."""
    return replace(setup, recipe=setup.recipe.model_copy(update={"accumulate": pieces}))


def fitted(setup: Setup, module: nn.Module, found: dict[str, Any] | None, log: Log) -> Setup:
    """The setup with as many accumulations as the memory needs, if that was asked for."""
    batch, size = setup.recipe.batch, setup.world.size
    need = None
    if setup.settings.batch == "auto" or setup.settings.recompute == "blocks":
        need = measure(module, setup.network, setup.recipe, setup.engine)
    if setup.settings.batch == "auto":
        assert need is not None
        if found is not None:
            # A resumed run goes on as it was begun, or its bits would differ.
            pieces = int(found["recipe"]["accumulate"])
        else:
            free = machine.free_memory(setup.engine.device) or need.step(batch)
            works = real_step(module, setup.network, setup.engine)
            state = {name: value.clone() for name, value in module.state_dict().items()}
            least = setup.network.least_images
            pieces = pieces_that_fit(need, -(-batch // size), free, works, least=least)
            module.load_state_dict(state)
            # All processes must agree; the one with the least memory decides.
            (pieces,) = setup.world.largest(pieces)
        log.line(f"  --batch auto: {batch} images a step in {pieces} pieces")
        setup = in_pieces(setup, pieces)
    images = -(-batch // (size * setup.recipe.accumulate))
    step = (
        # The closed form knows nothing of recomputed blocks; there the measurement serves.
        need.step(images)
        if need is not None
        else setup.network.step_bytes(
            images, setup.engine.precision, setup.recipe.optimizer.state, setup.recipe.freeze
        )
    )
    log.line(f"  {sentence(step, setup.engine)}")
    return setup
