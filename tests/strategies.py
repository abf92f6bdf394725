"""Random valid specs: small networks in every word of the language."""

from __future__ import annotations

from typing import Any

from hypothesis import assume
from hypothesis import strategies as st
from pydantic import ValidationError

from resgen.errors import UserError
from resgen.plan import Plan
from resgen.resolve import resolve
from resgen.spec import Spec

ORDERS = (
    "original", "bn-after-add", "relu-before-add", "linear",
    "relu-preact", "preact", "preact-shared",
)  # fmt: skip
SHORTCUTS = (
    "none", "identity", "projection", "projection-all", "scaled", "gated", "gated-shortcut",
    "dropout",
)  # fmt: skip


@st.composite
def spec_data(draw: st.DrawFn, *, plain_words: bool = False) -> dict[str, Any]:
    """The plain values of a spec; `plain_words` keeps to norms and shortcuts of the papers."""
    widths = sorted(draw(st.lists(st.integers(1, 6), min_size=1, max_size=3)), reverse=False)
    stages = [
        {"depth": draw(st.integers(1, 3)), "width": 16 * width, "stride": draw(st.integers(1, 2))}
        for width in widths
    ]
    data: dict[str, Any] = {
        "name": "random",
        "input": {"channels": draw(st.integers(1, 4)), "size": draw(st.integers(24, 40))},
        "stem": {"kind": draw(st.sampled_from(("conv3x3", "conv7x7-pool", "deep"))), "width": 16},
        "block": draw(st.sampled_from(("basic", "bottleneck"))),
        "shortcut": draw(st.sampled_from(SHORTCUTS[:4] if plain_words else SHORTCUTS)),
        "order": draw(st.sampled_from(ORDERS)),
        "stages": stages,
        "classes": draw(st.integers(0, 12)),
    }
    extras: dict[str, st.SearchStrategy[Any]] = {
        "groups": st.sampled_from((1, 2, 4)),
        "attention": st.sampled_from(("none", "se", "eca")),
        "activation": st.sampled_from(("relu", "silu", "leaky-relu")),
        "projection": st.sampled_from(("conv", "avgpool-conv")),
    }
    if not plain_words:
        extras["norm"] = st.sampled_from(("batch", {"kind": "group", "groups": 2}, "none"))
        extras["antialias"] = st.sampled_from(("none", "blur", "avgpool"))
        extras["convolution"] = st.sampled_from(("plain", "standardized"))
    for key in draw(st.sets(st.sampled_from(sorted(extras)), max_size=3)):
        data[key] = draw(extras[key])
    return data


def plan_of(data: dict[str, Any]) -> Plan:
    """The Plan of plain values; tells hypothesis to draw again where they are no network."""
    try:
        return resolve(Spec.model_validate(data))
    except (ValidationError, UserError):
        assume(False)
        raise


def plans(*, plain_words: bool = False) -> st.SearchStrategy[Plan]:
    """Random Plans."""
    return spec_data(plain_words=plain_words).map(_or_none).filter(bool)


def _or_none(data: dict[str, Any]) -> Plan | None:
    try:
        return resolve(Spec.model_validate(data))
    except (ValidationError, UserError):
        return None
