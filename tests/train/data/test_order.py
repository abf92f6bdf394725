"""Each epoch a permutation; a batch's shares make the batch, whatever the processes."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from resgen.errors import UserError
from resgen.train.data.order import Order, shares
from resgen.train.data.seeds import derive


@given(count=st.integers(1, 300), batch=st.integers(1, 50), seed=st.integers(0, 9))
def test_no_image_comes_twice_in_an_epoch(count: int, batch: int, seed: int) -> None:
    if batch > count:
        with pytest.raises(UserError, match=f"a batch of {batch} is more than the {count}"):
            Order(count, batch, seed)
        return
    order = Order(count, batch, seed)
    for epoch in range(2):
        steps = range(epoch * order.steps, (epoch + 1) * order.steps)
        seen = torch.cat([order.indices(step) for step in steps])
        assert len(seen.unique()) == len(seen) == order.steps * batch
        assert set(seen.tolist()) <= set(range(count))


@given(
    count=st.integers(1, 300), batch=st.integers(1, 50), repeats=st.integers(1, 6)
)  # fmt: skip
def test_repeated_images_lie_in_one_batch_and_apart(count: int, batch: int, repeats: int) -> None:
    if batch > count:
        return
    order = Order(count, batch, 0, repeats)
    assert order.steps == Order(count, batch, 0).steps
    batches = [order.indices(step).tolist() for step in range(order.steps)]
    distinct = -(-batch // repeats)
    for images in batches:
        assert len(images) == batch
        assert len(set(images)) == distinct
        # Round after round: the same image is never nearer than a whole round.
        assert all(images[i] == images[i - distinct] for i in range(distinct, batch))
    seen = [image for images in batches for image in set(images)]
    assert len(seen) == len(set(seen))


def test_epochs_and_seeds_differ() -> None:
    one, other = Order(100, 100, 0), Order(100, 100, 1)
    drawn = [tuple(each.tolist()) for each in (one.indices(0), one.indices(1), other.indices(0))]
    assert len(set(drawn)) == 3


@given(
    batch=st.integers(1, 500), processes=st.integers(1, 8), pieces=st.integers(1, 8)
)  # fmt: skip
def test_shares_cover_the_batch_once_and_evenly(batch: int, processes: int, pieces: int) -> None:
    if batch < processes * pieces:
        with pytest.raises(UserError, match="cannot be cut"):
            shares(batch, processes=processes, pieces=pieces)
        return
    cut = [part for each in shares(batch, processes=processes, pieces=pieces) for part in each]
    assert [i for part in cut for i in part] == list(range(batch))
    sizes = {len(part) for part in cut}
    assert max(sizes) - min(sizes) <= 1


def test_seeds_for_different_purposes_differ() -> None:
    seeds = {derive(seed, what, step) for seed in (0, 1) for what in "ab" for step in range(50)}
    assert len(seeds) == 200
