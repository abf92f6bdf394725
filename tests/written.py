"""Specs with keys wherever keys may stand, and each of those keys taken away again."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from hypothesis import strategies as st
from pydantic import ValidationError

from resgen.errors import UserError
from resgen.plan import Plan, resolve
from resgen.spec import Spec

Place = tuple[str | int, ...]

PATH = [{"conv": 3, "width": "out", "stride": "stage"}, "norm", "act", "add"]
INNER = [{"conv": 1, "width": "mid"}, {"conv": 3, "width": "out", "stride": "stage"}]
POOLED = [{"avg-pool": "stage", "stride": "stage"}, {"conv": 1, "width": "out"}, "norm"]

BLOCK: dict[str, tuple[Any, ...]] = {
    "block": ("basic", "bottleneck", "bottleneck", PATH, INNER),
    "shortcut": (
        "none", "identity", "identity-same", "identity-pooled", "projection", "projection",
        "projection-all", "scaled", {"kind": "scaled", "scale": 0.7}, "gated", "dropout",
        {"kind": "identity", "padding": "both-sides"},
    ),
    "order": (
        "original", "bn-after-add", "relu-before-add", "linear", "relu-preact", "preact",
        "preact-shared", "preact-raw", "relu-around-add", "none",
    ),
    "dilation": (1, 2),
    "padding": ("symmetric", "same"),
    "projection": ("conv", "avgpool-conv", "conv3x3", POOLED),
    "stride_at": ("1x1", "3x3"),
    "bottleneck_ratio": (1, 2, 4),
    "mid_width": (4, 8),
    "first_width": (4, 8),
    "groups": (1, 2, 4),
    "group_width": (2, 4),
    "attention": (
        "none", "se", "eca", {"kind": "se", "position": "3x3"}, {"kind": "se", "ratio": 0.25},
        {"kind": "se", "divisor": 1, "ratio_of": "input"}, {"kind": "eca", "kernel": 5},
        {"kind": "se", "position": "pre"}, {"kind": "se", "position": "shortcut"}, "cbam",
    ),
    "norm": (
        "batch", "none", {"kind": "group", "groups": 2}, {"kind": "group", "group_width": 2},
        "layer",
    ),
    "activation": ("relu", "silu", "leaky-relu"),
    "convolution": ("plain", "standardized"),
    "bias": (True, False),
    "zero_init": ("none", "last"),
    "antialias": ("none", "blur", "avgpool"),
}  # fmt: skip
"""The keys of a block, and values to draw."""

TOP: dict[str, tuple[Any, ...]] = {
    "drop_path": (0.0, 0.1, {"rate": 0.2, "rule": "constant"}, {"rate": 0.2, "rule": "linear"}),
    "output_stride": (2, 4, 8, 16, 32),
    "head": (
        {"width": 8},
        {"dropout": 0.5},
        {"width": 8, "dropout": 0.0},
        {"final_activation": "none"},
    ),
}
STEM: dict[str, tuple[Any, ...]] = {
    "pool": ("none", "max", "max-zero-padded", "conv"),
    "first_activation": ("stem", "block", "both"),
}
NUMBERS = {
    "bottleneck_ratio", "mid_width", "first_width", "groups", "group_width", "ratio", "ratio_of",
    "divisor", "kernel", "width", "dilation",
}  # fmt: skip
"""Keys that are numbers, or decide how one comes out: it may happen to be the same."""


@st.composite
def keys(draw: st.DrawFn, most: int) -> dict[str, Any]:
    """Some keys of a block."""
    given = draw(st.lists(st.sampled_from(sorted(BLOCK)), max_size=most, unique=True))
    return {key: draw(st.sampled_from(BLOCK[key])) for key in given}


@st.composite
def written(draw: st.DrawFn) -> dict[str, Any]:
    """A spec with keys at the top, in stages, in `first` and in `blocks`."""
    stem: Any = {"kind": draw(st.sampled_from(("conv3x3", "conv7x7-pool", "conv3x3-s2", "deep")))}
    stem |= {"width": 8}
    for key, values in STEM.items():
        if draw(st.integers(0, 3)) == 0:
            stem[key] = draw(st.sampled_from(values))
    if draw(st.integers(0, 5)) == 0:
        stem = [{"conv": 3, "width": 8}, "norm", "act"]
    data: dict[str, Any] = {
        "name": "net",
        "input": {"size": 32, **draw(st.sampled_from(({}, {"channels": 3}, {"channels": 1})))},
        "stem": stem,
        "block": draw(st.sampled_from(BLOCK["block"])),
        "shortcut": draw(st.sampled_from(BLOCK["shortcut"])),
        **draw(keys(4)),
        "classes": draw(st.sampled_from((0, 5))),
    }
    for key, values in TOP.items():
        if draw(st.integers(0, 3)) == 0:
            data[key] = draw(st.sampled_from(values))
    if draw(st.integers(0, 7)) == 0:
        data["regnet"] = {"depth": 3, "w0": 8, "wa": 8.0, "wm": 2.0, "group_width": 4}
        return data
    data["stages"] = [draw(_stage(width)) for width in draw(st.sampled_from(WIDTHS))]
    return data


WIDTHS = ((8,), (8, 8), (8, 16), (16, 32), (8, 16, 16))


@st.composite
def _stage(draw: st.DrawFn, width: int) -> dict[str, Any]:
    stage: dict[str, Any] = {"width": width}
    if draw(st.booleans()):
        stage["stride"] = draw(st.sampled_from((1, 2, 2)))
    if draw(st.integers(0, 2)) == 0:
        stage |= draw(keys(2))
    if draw(st.integers(0, 3)) == 0:
        stage["first"] = draw(keys(2))
    if draw(st.integers(0, 7)) == 0:
        stage["before"] = [{"conv": 3, "width": "out", "stride": "stage"}]
    if draw(st.integers(0, 3)) == 0:
        stage["blocks"] = draw(st.lists(keys(2), min_size=1, max_size=3))
        if draw(st.integers(0, 3)) == 0:
            stage["blocks"][-1]["width"] = draw(st.sampled_from((width, 2 * width)))
    else:
        stage["depth"] = draw(st.integers(0, 2))
    return stage


def plan_of(data: dict[str, Any]) -> Plan | None:
    """What is built, less the words that only headings have; None where it is refused."""
    try:
        plan = resolve(Spec.model_validate(data))
    except (ValidationError, UserError):
        return None
    return replace(plan, about=())


ALWAYS = {"name", "depth", "define", "reference"}
"""Keys of which nothing is made, or which say a name for others to use."""


def places(data: Any, path: Place = ()) -> Iterator[Place]:
    """Every written key, those inside a mapping too; paths of rows are one value."""
    if isinstance(data, dict):
        for key, value in data.items():
            if path or key not in ALWAYS:
                yield (*path, key)
                if key not in ("block", "projection", "define"):
                    yield from places(value, (*path, key))
    elif isinstance(data, list) and path[-1] in ("stages", "blocks"):
        for index, item in enumerate(data):
            yield from places(item, (*path, index))


def without(data: dict[str, Any], place: Place) -> dict[str, Any]:
    """The same spec less one key."""
    return changed(data, place, None)


def changed(data: dict[str, Any], place: Place, value: Any) -> dict[str, Any]:
    """The same spec with another value for one key; None takes it away."""
    result = copy.deepcopy(data)
    inside: Any = result
    for part in place[:-1]:
        inside = inside[part]
    if value is None:
        del inside[place[-1]]
    else:
        inside[place[-1]] = value
    return result


def at(data: dict[str, Any], place: Place) -> Any:
    """The value of a key."""
    inside: Any = data
    for part in place:
        inside = inside[part]
    return inside
