"""Every key that describes a block, as it holds in one place: what a stage and its top say.

Made once for a stage, or for each block where a stage writes its blocks out; everything
that makes layers reads this record and not the Spec.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import MISSING, dataclass, fields
from fractions import Fraction
from typing import NamedTuple, TypeVar

from resgen.spec.attention import Attention
from resgen.spec.block import BlockKeys
from resgen.spec.definitions import Use
from resgen.spec.norms import Activation, Norm
from resgen.spec.parts import MAX_WIDTH, ShortcutMode

# Two spellings of one fact: a stage that gives the one is not asked for the other.
RIVALS = (
    ("bottleneck_ratio", "mid_width"),
    ("groups", "group_width"),
)
RIVAL = {one: other for pair in RIVALS for one, other in (pair, pair[::-1])}


_BATCH, _RELU = Norm(kind="batch"), Activation(kind="relu")
_NO_ATTENTION = Attention(kind="none")
_CONV = Use("conv", written="conv")


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerSettings:
    """What a convolution and its neighbours ask for, inside a block or outside of all."""

    order: str = "original"
    norm: Norm = _BATCH
    activation: Activation = _RELU
    convolution: str = "plain"
    padding: str = "symmetric"
    antialias: str = "none"
    bias: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class BlockSettings(LayerSettings):
    """What one block is made by; None where a rule, not a number, says the value."""

    block: Use
    shortcut: ShortcutMode
    projection: Use = _CONV
    stride_at: str = "3x3"
    bottleneck_ratio: float | None = None
    mid_width: int | None = None
    first_width: int | None = None
    groups: int | None = None
    dilation: int | None = None
    group_width: int | None = None
    attention: Attention | Use = _NO_ATTENTION
    zero_init: str = "none"


class Inner(NamedTuple):
    """The widths inside a block: what its first convolution puts out, the 3x3's, its groups."""

    first: int
    mid: int
    groups: int


def ratio_of(settings: BlockSettings) -> float:
    """A block's width over its inner width: 4 for a bottleneck that does not say."""
    return settings.bottleneck_ratio or (4 if settings.block.name == "bottleneck" else 1)


def inner_widths(settings: BlockSettings, width: int) -> Inner:
    """mid = width / bottleneck_ratio, groups = mid / group_width.

    Raises ValueError where they do not come out whole.
    """
    mid = settings.mid_width
    if mid is None:
        ratio = ratio_of(settings)
        mid = divided(width, ratio)
        if not mid:
            raise ValueError(f"must be divisible by bottleneck_ratio {ratio:g} (got {width})")
        if mid > MAX_WIDTH:
            raise ValueError(f"{width} over bottleneck_ratio {ratio:g} is over {MAX_WIDTH:,}")
    first = settings.first_width or mid
    if settings.group_width is None:
        return Inner(first, mid, settings.groups or 1)
    if mid % settings.group_width:
        raise ValueError(
            f"the inner width {mid} must be divisible by group_width {settings.group_width}"
        )
    return Inner(first, mid, mid // settings.group_width)


def divided(width: int, ratio: float) -> int:
    """width / ratio where that is whole, else 0; 0.25 means the decimal, not its nearest binary."""
    if isinstance(ratio, int) or ratio.is_integer():
        return 0 if width % int(ratio) else width // int(ratio)
    exact = width / Fraction(repr(ratio))
    return int(exact) if exact.denominator == 1 else 0


def given_keys(levels: Sequence[BlockKeys]) -> dict[str, object]:
    """The block keys that the levels give, the last to say something being right."""
    values: dict[str, object] = {}
    for level in levels:
        for key in level.model_fields_set & BLOCK_FIELDS:
            value = getattr(level, key)
            if value is not None:
                values[key] = value
                # The rival that an outer level gave holds no longer.
                if (rival := RIVAL.get(key)) and getattr(level, rival) is None:
                    values.pop(rival, None)
    return values


BLOCK_FIELDS = frozenset(BlockKeys.model_fields)
_LAYER_KEYS = frozenset(field.name for field in fields(LayerSettings))
assert {field.name for field in fields(BlockSettings)} == BLOCK_FIELDS

DEFAULTS: dict[str, object] = {
    field.name: field.default for field in fields(BlockSettings) if field.default is not MISSING
}
"""What holds where nothing is written; `block` and `shortcut` have none."""


_Record = TypeVar("_Record", bound=LayerSettings)
_MOST_KEPT = 1024
_kept: dict[tuple[object, ...], LayerSettings] = {}


def one_of(kind: type[_Record], values: Mapping[str, object]) -> _Record:
    """The one record of these values: equal settings are the same object, and so quickly told."""
    key = (kind, *values.items())
    found = _kept.get(key)
    if found is None:
        if len(_kept) >= _MOST_KEPT:
            _kept.clear()
        _kept[key] = found = kind(**values)  # type: ignore[arg-type]
    assert isinstance(found, kind)
    return found


def outside(levels: Sequence[BlockKeys]) -> LayerSettings:
    """What holds outside the stages."""
    given = given_keys(levels)
    return one_of(LayerSettings, {key: v for key, v in given.items() if key in _LAYER_KEYS})
