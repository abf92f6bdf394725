"""The words for layers that resgen ships, each a path in the grammar of a spec's own.

Blocks, projections, stems, pools, attentions, heads: read by the same reader, and filled in by
`order` like any path that says no norm.
"""

from __future__ import annotations

from functools import cache

from resgen.spec.grammar import Rows, read_rows


@cache
def shipped(rows: str) -> Rows:
    """The rows of a shipped definition, read once."""
    return read_rows(SHIPPED[rows])


def _conv(kernel: int, width: str = "here", **options: object) -> dict[str, object]:
    return {"conv": kernel, "width": width, **options}


_STRIDE, _GROUPS = {"stride": "stage"}, {"groups": "stage"}
_POOL = {"max-pool": 3, "stride": 2, "name": "maxpool"}
_FULL = {"ceil": True, "count_padding": False}

SHIPPED: dict[str, list[object]] = {
    # He et al. 2015, figure 5; `v1` strides in the first convolution.
    "basic": [_conv(3, "first", **_STRIDE, **_GROUPS), _conv(3, "out", **_GROUPS)],
    "bottleneck": [_conv(1, "first"), _conv(3, "mid", **_STRIDE, **_GROUPS), _conv(1, "out")],
    "bottleneck v1": [
        _conv(1, "first", **_STRIDE), _conv(3, "mid", **_GROUPS), _conv(1, "out"),
    ],
    # Projections.
    "conv": [_conv(1, "out", **_STRIDE)],
    "avgpool-conv": [{"avg-pool": "stage", **_STRIDE, **_FULL}, _conv(1, "out")],
    "conv3x3 strided": [_conv(3, "out", **_STRIDE)],
    # Stems, without their pools.
    "conv3x3": [_conv(3, "out")],
    "conv3x3-s2": [_conv(3, "out", stride=2)],
    "conv7x7": [_conv(7, "out", stride=2)],
    "conv7x7-pool": [_conv(7, "out", stride=2)],
    "deep": [
        _conv(3, "out / 2", stride=2, name="conv1"), _conv(3, "out / 2", name="conv1"),
        _conv(3, "out", name="conv1"),
    ],
    "deep-tiered": [
        _conv(3, "3 * out / 8", stride=2, name="conv1"), _conv(3, "out / 2", name="conv1"),
        _conv(3, "out", name="conv1"),
    ],
    # Pools of stems, and what they are where strides are antialiased.
    "pool none": [],
    "pool max": [_POOL],
    "pool max avgpool": [{"avg-pool": 2, "stride": 2, "padding": 0, "name": "maxpool"}],
    "pool max blur": [
        {"max-pool": 3, "stride": 1, "name": "maxpool"},
        {"blur": 3, "stride": 2, "name": "maxpool"},
    ],
    "pool max-zero-padded": [
        {"pad": 1, "name": "maxpool"},
        {"max-pool": 3, "stride": 2, "padding": 0, "name": "maxpool"},
    ],
    "pool max-ceil": [
        {"max-pool": 3, "stride": 2, "padding": 0, "ceil": True, "name": "maxpool"},
    ],
    "pool conv": [_conv(3, "here", stride=2, name="maxpool")],
    "pool conv avgpool": [
        _conv(3, "here", name="maxpool"),
        {"avg-pool": 2, "stride": 2, "padding": 0, "name": "maxpool"},
    ],
    "pool conv blur": [
        _conv(3, "here", name="maxpool"), {"blur": 3, "stride": 2, "name": "maxpool"},
    ],
    # Attentions; the width of the squeeze is a share of what is attended to, or of the input.
    "se width": [{"squeeze-excitation": "ratio * here"}],
    "se input": [{"squeeze-excitation": "ratio * in"}],
    "eca": [{"efficient-attention": "kernel"}],
    "eca by width": [{"efficient-attention": "width"}],
    "cbam channels": [{"channel-attention": "ratio * here"}],
    "cbam pixels": [{"spatial-attention": "kernel"}],
    "gc": [{"global-context": "ratio * here"}],
    # What strides in place of a strided convolution.
    "blur": [{"blur": 3, "stride": "stage", "name": "aa"}],
    "avgpool": [{"avg-pool": "stage", "stride": "stage", "padding": 0, "name": "aa"}],
    # Heads: the pieces between which `head` and `classes` choose.
    "head conv": [_conv(1, "to")],
    "head pool": ["global-pool", "flatten"],
    "head dropout": [{"dropout": "rate"}],
    "head classes": [{"linear": "classes"}],
}  # fmt: skip
"""Every word for layers, as paths that `order` fills in."""

BLOCK_WORDS = ("basic", "bottleneck")
TAKEN = frozenset(SHIPPED) | {"none", "se"}
ATTENTION_WORDS = ("none", "se", "eca", "cbam", "gc")
PROJECTION_WORDS = ("conv", "avgpool-conv", "conv3x3")
