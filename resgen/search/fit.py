"""Spec and target -> the width multiplier, or the depths, that meet it.

    width'(m) = q round(m width / q)     q the least width the spec's ratios and groups allow
    depth'(m) = max(1, round(m depth))

The fit is the largest m whose network is not over the target: cost grows with m, so
it is found by halving an interval.
"""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any, NamedTuple

from pydantic import ValidationError

from resgen.cost import Cost, cost
from resgen.errors import UserError
from resgen.plan import resolve
from resgen.spec import Spec
from resgen.spec.merging import sound
from resgen.spec.parts import Head, Stem
from resgen.spec.settings import ratio_of
from resgen.spec.text import plain

LEAST, LARGEST = 1e-6, 256.0


class Fit(NamedTuple):
    """The spec found, as plain values; its books; what was asked for and what was built.

    Examples:
        >>> from resgen import fit
        >>> found = fit("resnet50", params="12M", by="depth")
        >>> found.multiplier < 1, found.books.params <= 12_000_000
        (True, True)
    """

    data: dict[str, Any]
    books: Cost
    multiplier: float
    changes: tuple[str, ...]
    by: str = "width"

    def __repr__(self) -> str:
        what = f"{self.by} x {self.multiplier:.4f}"
        books = f"{self.books.params:,} params, {self.books.macs:,} MACs"
        return f"<Fit {self.data['name']}: {what}, {books}>"


def fit(
    spec: Spec, target: int, measure: str = "macs", *, by: str = "width", divisor: int = 8
) -> Fit:
    """The network of the spec's shape with the most `measure` (macs, params) up to `target`.

    Raises UserError where even the smallest is over it, and for blocks written out singly.
    """
    if any(stage.blocks for stage in spec.stages):
        raise UserError(
            f"{spec.name} has the blocks of a stage written out one by one; only networks "
            "described by stages can be scaled"
        )
    scaled = _wider if by == "width" else _deeper

    def built(multiplier: float) -> tuple[dict[str, Any], Cost] | None:
        # At another width a key may mean nothing: a projection where no shape changes any more.
        found, data, _ = sound(scaled(spec, multiplier, divisor), None)
        if isinstance(found, ValidationError):
            return None
        try:
            return data, cost(resolve(found))
        except UserError:
            return None

    smallest = built(LEAST)
    if smallest is None:
        raise UserError(f"{spec.name} cannot be scaled in {by}: its smallest form is not valid")
    if (least := getattr(smallest[1], measure)) > target:
        raise UserError(
            f"--{measure} {target:,}: scaled in {by}, {spec.name} has at least {least:,}; "
            f"raise the target, or scale in {'depth' if by == 'width' else 'width'}"
        )
    best = (LEAST, *smallest)

    def fits(multiplier: float) -> bool:
        """Whether it is within the target; rounding may leave no valid network, which is."""
        nonlocal best
        found = built(multiplier)
        if found is None:
            return True
        within = bool(getattr(found[1], measure) <= target)
        if within:
            best = max(best, (multiplier, *found), key=lambda fit: fit[0])
        return within

    low, high = LEAST, 1.0
    while fits(high):
        low, high = high, 2 * high
        if high > LARGEST:
            raise UserError(f"--{measure} {target:,}: over {LARGEST:.0f} times {spec.name}")
    while high - low > 1e-7 * low and high - low > 1e-9:
        middle = (low + high) / 2
        low, high = (middle, high) if fits(middle) else (low, middle)
    multiplier, data, books = best
    return Fit(data, books, multiplier, _changes(spec, data), by)


_INNER = ("mid_width", "first_width")


def _changes(spec: Spec, data: dict[str, Any]) -> tuple[str, ...]:
    """asked for -> built, stage by stage."""
    lines = []
    if isinstance(spec.stem, Stem) and data["stem"].get("width", 0) not in (0, spec.stem.width):
        lines.append(f"stem width {spec.stem.width} -> {data['stem']['width']}")
    for index, (stage, new) in enumerate(zip(spec.stages, data["stages"], strict=True), 1):
        words = [
            f"{key} {getattr(stage, key)} -> {new[key]}"
            for key in ("depth", "width", *_INNER)
            if new.get(key) is not None and new[key] != getattr(stage, key)
        ]
        if words:
            lines.append(f"stage {index}: {', '.join(words)}")
    return tuple(lines)


def _start(spec: Spec) -> dict[str, Any]:
    data = plain(spec)
    data.pop("depth", None)  # the number of layers its name states no longer holds
    data["stages"] = [dict(stage) for stage in data["stages"]]
    return data


def _deeper(spec: Spec, multiplier: float, divisor: int) -> dict[str, Any]:
    data = _start(spec)
    for stage in data["stages"]:
        stage["depth"] = max(1, math.floor(multiplier * stage["depth"] + 0.5))
    return data


def _wider(spec: Spec, multiplier: float, divisor: int) -> dict[str, Any]:
    data = _start(spec)
    units = [_unit(spec, index, divisor) for index in range(len(spec.stages))]

    def rounded(width: int, unit: int) -> int:
        return unit * max(1, math.floor(multiplier * width / unit + 0.5))

    if isinstance(spec.stem, Stem):  # a path's widths are its own
        same = spec.stem.width == spec.stages[0].width
        stem = units[0].width if same else math.lcm(divisor, _norm_groups(spec, 0))
        data["stem"] = {**data["stem"], "width": rounded(spec.stem.width, stem)}
    for stage, unit in zip(data["stages"], units, strict=True):
        stage["width"] = rounded(stage["width"], unit.width)
        for key in _INNER:
            if key in stage:
                stage[key] = rounded(stage[key], getattr(unit, key))
    for key in _INNER:
        if key in data:
            data[key] = rounded(data[key], max(getattr(unit, key) for unit in units))
    if isinstance(spec.head, Head) and spec.head.width:
        last = math.lcm(divisor, _norm_groups(spec, -1))
        data["head"] = {**data["head"], "width": rounded(spec.head.width, last)}
    return data


class _Unit(NamedTuple):
    """The least step of a stage's width and of the widths inside its blocks."""

    width: int
    mid_width: int
    first_width: int


def _norm_groups(spec: Spec, index: int) -> int:
    """What group norm divides a width by."""
    norm = spec.settings(index).norm
    return (norm.group_width or norm.groups or 32) if norm.kind == "group" else 1


def _unit(spec: Spec, index: int, divisor: int) -> _Unit:
    settings = spec.settings(index)
    groups = settings.group_width or settings.groups or 1
    mid = groups = math.lcm(groups, _norm_groups(spec, index))
    first = math.lcm(divisor, groups)
    if settings.mid_width is not None:
        return _Unit(math.lcm(divisor, groups), math.lcm(divisor, mid), first)
    ratio = ratio_of(settings)
    step = (Fraction(repr(ratio)) * mid).numerator
    both = math.lcm(divisor, step, groups if settings.block.name == "basic" else 1)
    return _Unit(both, mid, first)
