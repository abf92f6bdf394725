"""What was measured -> figures, by a table of their kinds, each where there is anything to draw."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from resgen.experiment.charts import comparisons, gradients, responses
from resgen.experiment.judging import EXACT
from resgen.experiment.material import Material
from resgen.experiment.plots import curves, networks, over
from resgen.experiment.style import save, styled

FOLDER = "figures"


class _Kind(NamedTuple):
    """A figure: when it is drawn, how, and what stands under it."""

    wanted: Callable[[Material], bool]
    draw: Callable[[Material], Any]
    caption: str


def draw(material: Material, folder: Path) -> dict[str, str]:
    """Draws every figure there is something for; file in the folder (SVG) -> its caption."""
    made = {}
    with styled():
        for name, kind in FIGURES.items():
            if kind.wanted(material):
                (folder / FOLDER).mkdir(parents=True, exist_ok=True)
                save(kind.draw(material), folder / FOLDER / name, kind.caption)
                made[f"{FOLDER}/{name}.svg"] = kind.caption
    return made


def _deep(material: Material) -> bool:
    return material.grown(lambda row: row.layers)


def _costly(material: Material) -> bool:
    return not _deep(material) and material.grown(lambda row: row.macs)


FIGURES: dict[str, _Kind] = {
    "curves": _Kind(
        lambda m: bool(m.epochs()), curves,
        "Error over epochs: the mean over seeds, in a band of a standard deviation to each side.",
    ),
    "depth": _Kind(
        lambda m: bool(m.scalars) and _deep(m),
        over(lambda row: row.layers, "weighted layers", log=False),
        "Over depth: a ring is a run, the line goes through the means over seeds; a triangle is a "
        "run whose value is larger still.",
    ),
    "cost": _Kind(
        lambda m: bool(m.scalars) and _costly(m),
        over(lambda row: row.macs, "MACs an image", log=True),
        "Over cost: a ring is a run, the line goes through the means over seeds.",
    ),
    "networks": _Kind(
        lambda m: bool(m.scalars) and not _deep(m) and not _costly(m), networks,
        "Network by network: a ring is a run, the bar the mean over seeds.",
    ),
    "responses": _Kind(
        lambda m: bool(m.layers("response")), responses,
        "Standard deviation of each 3x3 layer's output after its norm, before activation and "
        "addition: the mean over seeds.",
    ),
    "gradients": _Kind(
        lambda m: bool(m.layers("gradient")), gradients,
        "Gradient norm of each layer's weight at the first step: the mean over seeds.",
    ),
    "comparisons": _Kind(
        lambda m: any(c.mean is not None and c.test != EXACT for _, c in m.comparisons),
        comparisons,
        "Differences of means with their 95 % intervals, each by itself.",
    ),
}  # fmt: skip
