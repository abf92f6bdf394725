"""Turns: drawn order, what a turn is, and what is left of one that was interrupted."""

from __future__ import annotations

from collections import Counter

import pytest

from resgen.timing.cases import Step
from resgen.timing.race import LEAST_SINGLE, MOST, TURN, Turns, calls, orders, race


def turns(log: list[str], name: str, *, each: int = 1, single: bool = False) -> Turns:
    step = Step(lambda: log.append(name), lambda: log.append(f"ready {name}"), lambda: iter(()))
    return Turns(step, each, single)


def nothing() -> None:
    pass


def test_every_round_has_every_case_once_in_an_order_of_its_own() -> None:
    keys = list("abcdef")
    found = list(orders(keys, 50, seed=3))
    assert all(sorted(order) == keys for order in found)
    assert len(set(map(tuple, found))) > 40
    first = Counter(order[0] for order in found)
    assert set(first) == set(keys)
    assert found == list(orders(keys, 50, seed=3))
    assert found != list(orders(keys, 50, seed=4))


def test_turns_are_taken_in_the_order_drawn() -> None:
    log: list[str] = []
    race({name: turns(log, name) for name in "abc"}, rounds=4, seed=1, wait=nothing)
    taken = [word for word in log if not word.startswith("ready")]
    assert taken == [name for order in orders(list("abc"), 4, 1) for name in order]


def test_a_turn_in_a_row_has_the_mean_and_single_calls_their_own() -> None:
    log: list[str] = []
    row, single = turns(log, "row", each=7), turns(log, "single", each=7, single=True)
    row.take(0, nothing)
    single.take(0, nothing)
    assert Counter(log) == {"ready row": 1, "row": 7, "ready single": 1, "single": 8}
    assert len(row.seconds[0]) == 1
    assert len(single.seconds[0]) == 7


def test_the_device_is_idle_before_and_after_what_is_timed() -> None:
    log: list[str] = []
    turns(log, "step", each=2).take(0, lambda: log.append("wait"))
    assert log == ["ready step", "wait", "step", "step", "wait"]


def test_calls_fill_a_turn() -> None:
    assert calls(TURN, single=False) == 1
    assert calls(10 * TURN, single=False) == 1
    assert calls(10 * TURN, single=True) == LEAST_SINGLE
    assert calls(TURN / 20, single=False) == 20
    assert calls(0.0, single=True) == MOST


def test_an_interrupted_turn_leaves_nothing() -> None:
    log: list[str] = []
    whole, cut = turns(log, "whole"), turns(log, "cut")
    rounds = iter(range(100))

    def call() -> None:
        if next(rounds) == 3:
            raise KeyboardInterrupt

    cut = Turns(Step(call, nothing, lambda: iter(())), 1, False)
    ended: list[int] = []
    with pytest.raises(KeyboardInterrupt):
        race({0: whole, 1: cut}, rounds=9, seed=0, wait=nothing, done=ended.append)
    assert ended == [1, 2, 3]
    assert list(cut.seconds) == [0, 1, 2]
    assert len(whole.seconds) in (3, 4)
