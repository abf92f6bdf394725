"""A run of a small network."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from resgen.train.data.images import Wanted
from resgen.train.run import runs
from tests.analysis.networks import TINY, spec


@pytest.fixture
def trained(job: Callable[..., runs.Job], tmp_path: Path) -> Callable[..., Path]:
    """Trains a small network a few steps; gives its run folder."""

    def make(text: str = TINY, *, data: str = "digits", out: str = "run", **keys: str) -> Path:
        path = spec(tmp_path, text, **keys)
        recipe = {"length": "3 steps", "batch": 64}
        runs.train(job(out, specs=[path], recipe_=recipe, data=Wanted(data)))
        return tmp_path / out

    return make
