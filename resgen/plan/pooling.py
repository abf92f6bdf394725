"""Rows of pools: the largest value, or the mean, of windows that slide over an image."""

from __future__ import annotations

from collections.abc import Callable

from resgen.plan import layers as L
from resgen.plan.layers import Mismatch, Op, Shape
from resgen.plan.layers.base import both
from resgen.plan.numbers import Make, Numbers, fits, number
from resgen.plan.sliding import even, image_only, pads_same, same_border, strided
from resgen.spec.grammar import Row
from resgen.spec.settings import LayerSettings
from resgen.spec.values import Path_

Side = int | tuple[int, int]
Border = tuple[Side, bool]
"""A pool's padding, and whether its last window may reach over the edge."""


def max_pool(row: Row, settings: LayerSettings, place: Path_) -> Make:
    """The largest value of each window."""
    kernel = strided(row.value, (*place, row.word))
    stride = strided(row.get("stride", 1), (*place, "stride"))
    border = _border(row, settings, place)

    def make(shape: Shape, numbers: Numbers) -> Op:
        k, s = kernel(shape, numbers), stride(shape, numbers)
        padding, ceil = border(shape, numbers, k, s)
        return fits(L.MaxPool(k, s, padding, 1, ceil), shape, place)  # type: ignore[arg-type]

    return image_only(make, row, place)


def avg_pool(row: Row, settings: LayerSettings, place: Path_) -> Make:
    """The mean of each window; nothing where kernel and stride are the stage's, which is 1."""
    by_stage = row.value == "stage"
    kernel = strided(row.value, (*place, row.word))
    stride = strided(row.get("stride", 1), (*place, "stride"))
    border = _border(row, settings, place)
    counted = bool(row.get("count_padding", not pads_same(row, settings)))

    def make(shape: Shape, numbers: Numbers) -> Op:
        k, s = kernel(shape, numbers), stride(shape, numbers)
        if by_stage and k == s == 1:
            return L.Identity()
        padding, ceil = border(shape, numbers, k, s)
        return fits(L.AvgPool(k, s, padding, ceil, counted), shape, place)  # type: ignore[arg-type]

    return image_only(make, row, place)


def _border(
    row: Row, settings: LayerSettings, place: Path_
) -> Callable[[Shape, Numbers, Side, Side], Border]:
    """Half an odd window; none for the stage's, which has no middle; or as TensorFlow does."""
    ceil = bool(row.get("ceil", False))
    if pads_same(row, settings):
        return lambda shape, numbers, kernel, stride: _same(shape, kernel, stride, ceil)
    said = row.get("padding", 0 if row.value == "stage" else None)
    given = None if said is None else number(said, (*place, "padding"), None, 0)

    def border(shape: Shape, numbers: Numbers, kernel: Side, stride: Side) -> Border:
        if given is None and any(side % 2 == 0 for side in both(kernel)):
            raise Mismatch(even(kernel), (*place, row.word))
        if given is None:
            assert isinstance(kernel, int)
            return kernel // 2, ceil
        found = given(shape, numbers)
        if 2 * found > min(both(kernel)):
            raise Mismatch(
                f"a pool's padding is at most half its window ({found} for {kernel})",
                (*place, "padding"),
            )
        return found, ceil

    return border


def _same(shape: Shape, kernel: Side, stride: Side, ceil: bool) -> Border:
    """The padding ahead; behind, the odd pixel is what the last window reaches over the edge by.

    torch fills a pool's padding with nothing that counts, as TensorFlow does.
    """
    found = [
        same_border(size, k, s) if s > 1 or k % 2 else (0, 0)  # else a layer ahead pads
        for size, k, s in zip(shape[1:], both(kernel), both(stride), strict=True)
    ]
    (p, below), (q, right) = found
    return (p if p == q else (p, q)), ceil or below > p or right > q
