"""How far apart the outputs of two trained networks are on the same images."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import torch

from resgen.analysis.looking import Asked, pictures, placed, subject
from resgen.errors import UserError
from resgen.inference.answers import outputs
from resgen.inference.trained import read
from resgen.train.device.engine import Engine


class Difference(NamedTuple):
    """max |f(x) - g(x)| over images and classes, and in parts of max |f(x)|."""

    largest: float
    relative: float
    images: int
    shown: str


def difference(
    origin: str | Path,
    other: str | Path,
    asked: Asked = Asked(),
    *,
    engine: Engine | None = None,
) -> Difference:
    """Of a run or a file of weights and what was deepened from it: 0.0 where it is the same.

    In evaluation mode on the first one's own held-out images, prepared as its own were. Raises
    UserError for what is no trained network, and where the two take or put out other things.
    """
    one, two = read(str(origin)), read(str(other))
    takes = ((one.plan.input, one.plan.classes), (two.plan.input, two.plan.classes))
    if takes[0] != takes[1]:
        raise UserError(
            f"{other}: {two.plan.name} has images and classes {takes[1]} and {one.plan.name} "
            f"{takes[0]}, so their outputs cannot be compared"
        )
    engine = placed(engine, asked.precision)
    shown = subject(one, asked)
    modules = one.module(engine), two.module(engine)
    apart = size = 0.0
    with torch.inference_mode():
        for images, _ in pictures(one, shown, asked, engine):
            mine, its = (
                outputs(module, images, engine, trained)
                for module, trained in zip(modules, (one, two), strict=True)
            )
            apart = max(apart, float((mine - its).abs().max()))
            size = max(size, float(mine.abs().max()))
    return Difference(apart, apart / size if size else apart, len(shown.images), shown.title)
