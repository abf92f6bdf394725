"""A batch norm over 1x1 images needs two of them: said before, not found in the first step."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from resgen.errors import UserError
from resgen.train.run import fit, runs
from resgen.train.run.network import load
from resgen.train.run.outlook import outlook

SHRUNK = """
name: shrunk
input: {channels: 1, size: 8}
stem: {kind: conv3x3, width: 8}
block: basic
shortcut: projection
stages: [{depth: 1, width: 8, stride: 8}]
classes: 10
"""


@pytest.fixture
def shrunk(tmp_path: Path) -> str:
    path = tmp_path / "shrunk.yaml"
    path.write_text(SHRUNK)
    return str(path)


def test_only_what_shrinks_to_one_pixel_needs_two(shrunk: str, tiny: Callable[..., str]) -> None:
    assert load(shrunk).least_images == 2
    assert load(tiny()).least_images == 1


@pytest.mark.parametrize("keys", [{"batch": 1}, {"batch": 5, "accumulate": 3}])
def test_pieces_of_one_image_are_refused_before_the_run(
    job: Callable[..., runs.Job], shrunk: str, keys: dict[str, int]
) -> None:
    chosen = job(specs=[shrunk], recipe_=keys)
    with pytest.raises(UserError) as caught:
        runs.train(chosen)
    with pytest.raises(UserError) as planned:
        outlook(chosen.networks, chosen.recipe, chosen.wanted)
    assert (
        str(planned.value)
        == str(caught.value)
        == (
            "shrunk: its smallest images are 1x1, and a batch norm needs two of them at a time in "
            f"training; the batch of {keys['batch']} gives it 1: raise batch"
        )
    )
    assert not chosen.settings.out.exists()


def test_pieces_of_two_images_train(job: Callable[..., runs.Job], shrunk: str) -> None:
    chosen = job(specs=[shrunk], recipe_={"batch": 4, "accumulate": 2, "length": "2 steps"})
    assert runs.train(chosen)


def test_batch_auto_stops_at_two() -> None:
    need, tried = fit.Need(fixed=0, image=1), []

    def works(images: int) -> bool:
        tried.append(images)
        return False

    with pytest.raises(UserError, match="not even 2 images fit"):
        fit.pieces_that_fit(need, 8, 10**6, works, least=2)
    assert tried == [8, 4, 2]
