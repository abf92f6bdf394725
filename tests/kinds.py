"""One small network for each word that changes what a block computes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, get_args

from resgen.plan.tables import CONVOLUTIONS, ORDERS
from resgen.spec.attention import Attention
from resgen.spec.norms import NORM_KINDS
from resgen.spec.parts import Keys, ShortcutMode


def words(keys: type[Keys]) -> tuple[str, ...]:
    """The kinds that a setting may be of."""
    return get_args(keys.model_fields["kind"].annotation)


SMALL: dict[str, Any] = {
    "name": "small",
    "input": {"size": 32},
    "stem": {"kind": "conv3x3-s2", "width": 16},
    "block": "basic",
    "shortcut": "projection",
    "stages": [{"depth": 1, "width": 16}, {"depth": 1, "width": 32, "stride": 2}],
    "classes": 5,
}

# Where the width changes as well as the image; `identity-same` leaves that block without one.
ORDER_KINDS = {f"order {word}": {"order": word} for word in ORDERS}
SHORTCUT_KINDS = {f"shortcut {word}": {"shortcut": word} for word in words(ShortcutMode)}
ATTENTION_KINDS: dict[str, dict[str, Any]] = {
    **{f"attention {word}": {"attention": word} for word in words(Attention) if word != "none"},
    **{
        f"attention {place}": {
            "attention": {"kind": "se", "position": place},
            "block": "bottleneck",
        }
        for place in get_args(Attention.model_fields["position"].annotation)
        if place != "end"
    },
}
OTHER_KINDS: dict[str, dict[str, Any]] = {
    **{f"convolution {word}": {"convolution": word} for word in CONVOLUTIONS if word != "plain"},
    **{f"norm {word}": {"norm": word} for word in NORM_KINDS if word != "batch"},
    **{f"norm {word}": {"norm": {"kind": word, "groups": 4}} for word in ("group", "evonorm-s0")},
    "norm none": {"norm": "none"},
    "blur": {"antialias": "blur"},
    "drop path": {"drop_path": 0.2},
    "pooled projection": {"projection": "avgpool-conv"},
    "preactivated bottlenecks": {"block": "bottleneck", "order": "preact"},
    "groups": {"block": "bottleneck", "groups": 2},
    "deep stem": {"stem": {"kind": "deep", "width": 16}},
    "branches": {
        "define": {
            "gate": [{"branches": [[], ["global-pool", {"conv": 1, "bias": True},
                                        {"act": "sigmoid"}]], "join": "product"}],
            "mine": [
                {"branches": [[{"conv": 1, "width": "out / 2"}, "norm", "act"],
                              [{"conv": 3, "width": "out / 2"}, "norm", "act"]],
                 "join": "concat"},
                {"shuffle": 2},
                {"conv": 3, "stride": "stage"}, "norm", "gate", "add", "act",
            ],
        },
        "block": "mine",
    },
    "many branches": {
        "define": {
            "mine": [
                {"branches": [{"conv": 1, "width": 4}, "norm", "act"], "times": 4,
                 "join": "concat"},
                {"conv": 3, "width": "out", "stride": "stage"}, "norm", "add", "act",
            ],
        },
        "block": "mine",
    },
}  # fmt: skip
KINDS = {**ORDER_KINDS, **SHORTCUT_KINDS, **ATTENTION_KINDS, **OTHER_KINDS}


def network(kind: str) -> dict[str, Any]:
    """The keys of the small network of a kind."""
    return {**SMALL, **KINDS[kind]}


def together(
    kinds: Mapping[str, dict[str, Any]], *, depth: int = 1, wider: int = 2
) -> dict[str, Any]:
    """The keys of one network with a stage of each kind, so many wider than the one before."""
    stages = [
        {
            "depth": depth,
            "width": 24 + 8 * min(index, wider),
            "stride": 2 if index < 2 or "projection" in keys else 1,
            **keys,
        }
        for index, keys in enumerate(kinds.values())
    ]
    everywhere = set.intersection(*(set(keys) for keys in kinds.values()))
    small = {key: value for key, value in SMALL.items() if key not in everywhere}
    return {**small, "name": "together", "stages": stages}


STAGE_KINDS = {
    name: keys
    for name, keys in {**ATTENTION_KINDS, **OTHER_KINDS}.items()
    if not keys.keys() & {"define", "stem", "drop_path", "antialias", "block"}
}
TOGETHER = {
    "orders": together(ORDER_KINDS),
    "shortcuts": together(SHORTCUT_KINDS, depth=2, wider=len(SHORTCUT_KINDS)),
    "attention and layers": together(STAGE_KINDS),
    "branches": {
        **SMALL,
        "define": {
            **OTHER_KINDS["branches"]["define"],
            "many": OTHER_KINDS["many branches"]["define"]["mine"],
        },
        "stem": {"kind": "deep", "width": 16},
        "antialias": "blur",
        "drop_path": 0.2,
        "stages": [
            {"depth": 1, "width": 16, "block": "mine"},
            {"depth": 1, "width": 32, "block": "many"},
            {"depth": 2, "width": 32, "stride": 2},
        ],
    },
}
"""The same kinds in few networks, for what takes seconds each."""
