"""The weights that a spec's `reference` names, by torchvision's own loader and in its folder."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any, NamedTuple

from resgen.errors import UserError
from resgen.words import joined

WORD, SOURCE = "reference", "torchvision"


class Published(NamedTuple):
    """Weights that torchvision publishes: where they are, where they go, how their images are.

    title: `torchvision resnet50, IMAGENET1K_V2`. entry: torchvision's own for them.
    """

    title: str
    path: Path
    megabytes: float
    mean: tuple[float, ...]
    std: tuple[float, ...]
    entry: Any

    @property
    def here(self) -> bool:
        """Whether they have been fetched."""
        return self.path.is_file()


def is_reference(source: Path) -> bool:
    """Whether what is to be started from is the word, alone or as `reference:IMAGENET1K_V1`."""
    return str(source).partition(":")[0] == WORD


def published(source: Path, references: Sequence[str], network: str) -> Published:
    """The weights of a network's first reference to torchvision; its newest, or those named.

    Raises UserError where it has none, or torchvision none of this name.
    """
    import torch
    import torchvision

    version = str(source).partition(":")[2]
    names = [each.partition(":")[2] for each in references if each.startswith(f"{SOURCE}:")]
    if not names:
        has = f"names {joined(references)} only" if references else "has no reference"
        raise UserError(
            f"--init-from {source}: {network} {has}, and what is fetched is {SOURCE}'s; give the "
            "weights as a file"
        )
    try:
        known = torchvision.models.get_model_weights(names[0])
    except ValueError:
        raise UserError(
            f"--init-from {source}: {SOURCE} {torchvision.__version__} has no network {names[0]}"
        ) from None
    there = known.__members__
    if (version or "DEFAULT") not in there:
        weights = joined([name for name in there if name != "DEFAULT"]) or "none"
        raise UserError(
            f"--init-from {source}: of {names[0]} {SOURCE} has no such weights; it has {weights}"
        )
    entry = there[version or "DEFAULT"]
    images = entry.transforms()
    folder = Path(torch.hub.get_dir()) / "checkpoints"
    return Published(
        f"{SOURCE} {names[0]}, {entry.name}", folder / Path(entry.url).name,
        float(entry.meta.get("_file_size", 0)),
        tuple(map(float, images.mean)), tuple(map(float, images.std)), entry,
    )  # fmt: skip


def fetch(found: Published) -> None:
    """Fetches what is not here yet, its hash checked. Raises UserError where that fails."""
    if found.here:
        return
    try:
        with redirect_stdout(sys.stderr):  # where torch says what it fetches
            found.entry.get_state_dict(progress=False, check_hash=True)
    except (OSError, RuntimeError, ValueError) as error:
        raise UserError(
            f"--download: {found.title} could not be fetched from {found.entry.url}: "
            f"{str(error).partition(chr(10))[0]}"
        ) from None


def require(found: Published, download: str) -> None:
    """Raises UserError where weights are not here and may not be fetched."""
    if not found.here and download != "allowed":
        raise UserError(
            f"{found.path}: {found.title} are not there; add --download to fetch them "
            f"({found.megabytes:.0f} MB)"
        )
