"""What a file of ours says of its weights beside them, as words: enough to rebuild the network.

format    pt, as others write it
resgen    the version that wrote it
network   the full spec, as JSON
weights   averaged, last, or drawn: of a training run, or none
data      name, classes, mean and std of the images and how they were judged, as JSON; where the
          weights were trained
folded    batch-norms, where these are in the convolutions
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal, NamedTuple, get_args

from resgen.errors import UserError
from resgen.version import __version__

Which = Literal["averaged", "last", "drawn"]
FOLDED = "batch-norms"


class Metadata(NamedTuple):
    """What weights are of: spec and data as plain values."""

    network: dict[str, Any]
    which: Which
    data: dict[str, Any] | None = None
    folded: bool = False

    def words(self) -> dict[str, str]:
        """As a file's metadata."""
        words = {
            "format": "pt",
            "resgen": __version__,
            "network": json.dumps(self.network),
            "weights": self.which,
        }
        if self.data is not None:
            words["data"] = json.dumps(self.data)
        if self.folded:
            words["folded"] = FOLDED
        return words


def parse(words: Mapping[str, str], path: Path) -> Metadata:
    """The metadata of a file that has words of ours. Raises UserError where they are damaged."""
    network, data = _json(words, "network", path), None
    if not isinstance(network, dict):
        raise _damaged(path, "network")
    if "data" in words:
        data = _json(words, "data", path)
        if images(data) is None:
            raise _damaged(path, "data")
    which = words.get("weights", "last")
    if which not in get_args(Which):
        raise _damaged(path, "weights")
    if words.get("folded", FOLDED) != FOLDED:
        raise _damaged(path, "folded")
    return Metadata(network, which, data, "folded" in words)  # type: ignore[arg-type]


def is_ours(words: Mapping[str, str] | None) -> bool:
    """Whether a file's metadata names a network."""
    return words is not None and "resgen" in words and "network" in words


def _json(words: Mapping[str, str], key: str, path: Path) -> Any:
    try:
        return json.loads(words[key])
    except (ValueError, RecursionError):
        raise _damaged(path, key) from None


def _damaged(path: Path, key: str) -> UserError:
    return UserError(
        f"{path}: changed after resgen wrote it: its metadata's {key} cannot be read; take another "
        "copy of it"
    )


def images(data: Any) -> dict[str, Any] | None:
    """What is known of a training set's images: its name, its classes' names, mean and std.

    And how they were judged, as far as that is said. Nothing where the first four are not all
    there: then none of it is relied on.
    """
    try:
        mean, std = data["mean"], data["std"]
        sound = (
            isinstance(data["name"], str)
            and all(isinstance(name, str) for name in data["classes"])
            and len(mean) == len(std) > 0
            and all(type(number) in (int, float) for number in (*mean, *std))
            and all(0 < number < float("inf") for number in std)
        )
    except (KeyError, TypeError):
        return None
    if not sound:
        return None
    how = {key: data[key] for key, holds in _HOW.items() if key in data and holds(data[key])}
    return {key: data[key] for key in ("name", "classes", "mean", "std")} | how


def _whole(value: Any) -> bool:
    return type(value) is int and value >= 1


def _share(value: Any) -> bool:
    return type(value) in (int, float) and 0 < value <= 1


_HOW: dict[str, Callable[[Any], bool]] = {
    "train": _whole,
    "heldout": _whole,
    "crop": lambda value: value is None or _share(value),
    "test_crop": _share,
    "interpolation": lambda value: value in ("bilinear", "bicubic"),
    "small": lambda value: value in ("whole", "cropped"),
    "precision": lambda value: value in ("bf16", "fp16", "fp32"),
    "batch": _whole,
    "loss": lambda value: value in ("cross-entropy", "binary"),
}
"""`checkpoint.data_for_use` beyond the images themselves."""
