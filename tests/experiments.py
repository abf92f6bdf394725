"""A small experiment: two networks of two blocks and one deepened from the first, on the digits."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from resgen.experiment import planning
from resgen.experiment.commands import Means
from resgen.spec.writing import block_text
from resgen.tensors import checkpoint
from tests.training import RECIPE, TINY

WIDER = TINY.replace("width: 16", "width: 24")
DEEPER = TINY.replace("depth: 1", "depth: 2")
SCALE: dict[str, Any] = {
    "data": "digits",
    "recipe": "short.yaml",
    "set": ["length=1 epochs"],
    "seeds": 2,
    "networks": {
        "small": "small.yaml",
        "wide": {"spec": "wide.yaml"},
        "grown": {"spec": "deep.yaml", "deepens": "small", "set": ["optimizer.lr=0.01"]},
    },
}
KEYS: dict[str, Any] = {
    "title": "Width",
    "claim": "A wider network has a lower training error.",
    "source": "nobody, nowhere",
    "series": {"scratch": ["small", "wide"]},
    "expect": [{"measure": "train_error", "of": "wide", "is": "below", "than": "small"}],
    "scales": {"digits": SCALE},
}
NETWORKS: dict[str, Any] = SCALE["networks"]
CPU = Means(1, "cpu")


def write(folder: Path, name: str = "width", **changes: Any) -> str:
    """Writes the experiment with its networks and its recipe beside it; keys of the file, or of
    its one scale.
    """
    for spec, text in (("small", TINY), ("wide", WIDER), ("deep", DEEPER)):
        (folder / f"{spec}.yaml").write_text(text.format(name=spec, classes=10))
    (folder / "short.yaml").write_text(block_text(RECIPE))
    of_scale = {key: value for key, value in changes.items() if key in SCALE}
    keys = {key: value for key, value in changes.items() if key not in SCALE}
    path = folder / f"{name}.yaml"
    path.write_text(block_text({**KEYS, "scales": {"digits": {**SCALE, **of_scale}}, **keys}))
    return str(path)


@pytest.fixture
def experiment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    """`write` in tmp_path, where commands are then executed."""
    monkeypatch.chdir(tmp_path)
    return lambda *name, **changes: write(tmp_path, *name, **changes)


@pytest.fixture
def study(experiment: Callable[..., str]) -> Callable[..., planning.Study]:
    """The experiment planned in tmp_path/experiments, its files written."""

    def make(choice: planning.Choice = planning.Choice(), **changes: Any) -> planning.Study:
        made = planning.plan(experiment(**changes), choice, Path("experiments"), CPU)
        made.write()
        return made

    return make


def weights(folder: Path) -> str:
    """What a run's last checkpoint holds, as a few digits."""
    state = checkpoint.load(folder / "last.pt")
    return checkpoint.digest({key: state[key] for key in ("model", "optimizer", "random", "seed")})
