"""The standard deviation of each 3x3 layer's response (He et al. 2015, section 4.2, figure 7).

std over images, channels and pixels of BN(conv(x)), before activation and addition
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from math import sqrt
from pathlib import Path
from statistics import median
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor, nn

from resgen.analysis.layers import Conv, convolutions
from resgen.analysis.looking import Asked, pictures, placed, subject
from resgen.errors import CheckFailed, UserError
from resgen.inference.trained import Trained, read
from resgen.train.data.seeds import drawn_apart
from resgen.train.device.engine import Engine

Mode = Literal["evaluation", "training"]


class Response(NamedTuple):
    """One 3x3 layer: its convolution, the module whose output is taken, its deviation."""

    name: str
    taken: str
    std: float


class Responses(NamedTuple):
    """A network's responses, in layer order.

    behind: `norm` where every 3x3 layer has a norm of its own behind it, whose output is taken;
    else `convolution`, and each convolution's own output is taken.
    """

    trained: Trained
    images: int
    shown: str
    mode: Mode
    behind: Literal["norm", "convolution"]
    precision: str
    layers: tuple[Response, ...]

    @property
    def sorted(self) -> tuple[float, ...]:
        """The deviations, largest first, as in the figure's second panel."""
        return tuple(sorted((each.std for each in self.layers), reverse=True))

    @property
    def median(self) -> float:
        """Of all layers."""
        return median(each.std for each in self.layers)


def responses(
    run: str | Path,
    asked: Asked = Asked(),
    *,
    mode: Mode = "evaluation",
    engine: Engine | None = None,
) -> Responses:
    """The responses of a run's network, or a checkpoint's, to images of its own.

    In mode `training` norms take their statistics of each batch, so that of a batch norm the
    square is mean(gamma^2) + var(beta). Layers on shortcuts are left out. Raises UserError for what
    is no trained network, or has no 3x3 layer.
    """
    trained = read(str(run))
    engine = placed(engine, asked.precision)
    watched = [
        each for each in convolutions(trained.plan)
        if each.path == "main" and each.kernel == (3, 3)
    ]  # fmt: skip
    if not watched:
        raise UserError(
            f"{run}: {trained.plan.name} has no 3x3 convolution, and responses are those of 3x3 "
            "layers; ask for its gradients, or drop its blocks"
        )
    normed = all(each.norm for each in watched)
    shown = subject(trained, asked)
    module = trained.module(engine).train(mode == "training")
    names = [each.norm if normed else each.name for each in watched]
    with torch.no_grad(), drawn_apart(0, "analysis"), watching(module, names) as found:
        for images, _ in pictures(trained, shown, asked, engine):
            with engine.autocast():
                module(images)
    return Responses(
        trained, len(shown.images), shown.title, mode, "norm" if normed else "convolution",
        engine.precision, tuple(_named(run, watched, names, found)),
    )  # fmt: skip


def _named(
    run: str | Path, watched: Sequence[Conv], names: Sequence[str], found: dict[str, Moments]
) -> Iterator[Response]:
    for conv, name in zip(watched, names, strict=True):
        moments = found[name]
        if not torch.isfinite(torch.tensor(moments.squares)):
            raise CheckFailed(f"{run}: {name} puts out NaN or infinity; take another checkpoint")
        yield Response(conv.name, name, sqrt(moments.squares / moments.count))


class Moments:
    """Count, mean and summed squares of deviations, added up batch by batch (Chan et al. 1979)."""

    def __init__(self) -> None:
        self.count, self.mean, self.squares = 0, 0.0, 0.0

    def add(self, values: Tensor) -> None:
        """Adds all values of a tensor."""
        wide = values.detach().to(torch.float32 if values.device.type == "mps" else torch.float64)
        variance, mean = (float(each) for each in torch.var_mean(wide, correction=0))
        count, apart = values.numel(), mean - self.mean
        total = self.count + count
        self.squares += variance * count + apart * apart * self.count * count / total
        self.mean += apart * count / total
        self.count = total


@contextmanager
def watching(module: nn.Module, names: Sequence[str]) -> Iterator[dict[str, Moments]]:
    """The moments of what these modules put out while it lasts, by their names."""
    found = {name: Moments() for name in names}

    def hook(name: str) -> Any:
        # At once: what follows may change it in place.
        return lambda _, __, output: found[name].add(output)

    hooks = [module.get_submodule(name).register_forward_hook(hook(name)) for name in found]
    try:
        yield found
    finally:
        for each in hooks:
            each.remove()
