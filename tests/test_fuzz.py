"""Hostile inputs, drawn: a part of `python -m tests.fuzz`, the same each time."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests import fuzz
from tests.draws import drawn


@pytest.mark.parametrize(
    ("kind", "draws"), [("spec", 150), ("recipe", 150), ("space", 80), ("set", 150), ("with", 150)]
)
def test_no_input_whatever_ends_in_anything_but_a_sentence(
    kind: str, draws: int, tmp_path: Path
) -> None:
    ends, faults = fuzz.run(kind, 0, range(draws), tmp_path)
    assert not faults, f"{faults[0].what}\n{faults[0].data}"
    # Neither all refused nor all taken, or it would look at half of the house only.
    assert ends["refused"]
    assert ends["taken"]


@pytest.mark.parametrize("kind", fuzz.KINDS)
def test_a_draw_is_the_same_each_time(kind: str) -> None:
    assert [drawn(kind, 3, k) for k in range(5)] == [drawn(kind, 3, k) for k in range(5)]
