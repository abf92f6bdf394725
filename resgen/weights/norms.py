"""Tensors of norms -> their kind, what activates, and where in a block they stand."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from math import gcd
from typing import NamedTuple

from resgen.plan.layers import Shape

Keys = dict[str, object]

_NAME = re.compile(r"^layer\d+\.\d+\.(bn|norm)(\d)\.(.+)$")
_ACT = re.compile(r"^layer\d+\.\d+\.act\d\.(tau|weight)$")
_BEHIND = "bn-after-add, relu-before-add, relu-around-add, linear and relu-preact"
_PLACES = {
    "original": f"{_BEHIND} have the same tensors",
    "preact": "preact-raw has the same tensors, preact-shared with no norm at the end, too",
}


class Order(NamedTuple):
    """The order that norms stand in; `ahead`: of their convolutions."""

    word: str
    ahead: bool
    assumed: dict[str, str]


class Norms(NamedTuple):
    """The norms of a network: how their names begin, and what a spec says of them."""

    name: str
    keys: Keys
    assumed: dict[str, str]

    def order(
        self,
        blocks: Iterable[tuple[Mapping[str, Shape], Sequence[int], Sequence[int]]],
        *,
        final: bool,
    ) -> Order:
        """original or preact, by the widths of norms.

        blocks: tensors, channels that each convolution takes in, and that it puts out. final:
        whether a norm stands behind the last block. Where the widths tell nothing, norms ahead
        of their convolutions are one short, or one stands at the end.
        """
        ahead = behind = True
        for tensors, takes, puts in blocks:
            widths = [self._width(tensors, i) for i in range(1, len(puts) + 1)]
            ahead &= all(w in (0, into) for w, into in zip(widths, takes, strict=True))
            behind &= all(w in (0, out) for w, out in zip(widths, puts, strict=True))
            # Only a first norm may be missing: the stem has it.
            behind &= bool(widths[0]) or not any(widths)
            if any(re.match(r"downsample\.\d\.(running_mean|bias)$", key) for key in tensors):
                ahead &= self.keys.get("norm") == "none"
        pre = ahead and (final or not behind)
        word = "preact" if pre else "original"
        return Order(word, pre, {"order": _PLACES[word]})

    def _width(self, tensors: Mapping[str, Shape], number: int) -> int:
        """Channels of a block's norm, 0 where it has none of this number."""
        inside = f"{self.name}{number}."
        found = [s[0] for k, s in tensors.items() if k.startswith(inside) and k.endswith("weight")]
        return sum(found)


def norms_of(tensors: Mapping[str, Shape]) -> Norms:
    """What the tensors of all blocks' norms say."""
    parts: dict[str, Shape] = {}
    widths: list[int] = []
    name = "bn"
    for key, shape in tensors.items():
        if match := _NAME.match(key):
            name = match[1]
            parts.setdefault(match[3], shape)
            if match[3] == "weight":
                widths.append(shape[0])
    learned = {match[1] for key in tensors if (match := _ACT.match(key))}
    norm, assumed = _kind(name, parts, widths, thresholds="tau" in learned)
    keys: Keys = {"norm": norm}
    if learned:
        keys["activation"] = "threshold" if "tau" in learned else "prelu"
    if parts and "layer1.0.conv1.bias" in tensors:
        keys["bias"] = True
    if any(key.endswith("conv1.gain") for key in tensors):
        keys["convolution"] = "scaled"
    return Norms(name, keys, {"norm": assumed} if assumed is not None else {})


def _kind(
    name: str, parts: Mapping[str, Shape], widths: Sequence[int], *, thresholds: bool
) -> tuple[object, str | None]:
    """The setting of norms with these parts, and what of it is assumed."""
    if not parts:
        return "none", None
    if "IN.weight" in parts:
        first, rest = parts["IN.weight"][0], parts.get("BN.weight", (0,))[0]
        share = first / (first + rest)
        return (
            {"kind": "instance-batch", "share": share} if share != 0.5 else "instance-batch"
        ), ""
    if "v" in parts:
        return ("evonorm-b0", "") if "running_var" in parts else ("evonorm-s0", _GROUPS)
    if "running_mean" in parts:
        return "batch", "its eps; frozen has the same tensors"
    if name == "norm":
        return "layer", "its eps; response has the same tensors"
    if thresholds:
        return "filter-response", "its eps; group and instance have the same tensors"
    groups = gcd(*widths)
    while groups > 32:
        groups //= next(n for n in range(2, groups + 1) if groups % n == 0)
    setting = "group" if gcd(*widths) % 32 == 0 else {"kind": "group", "groups": groups}
    return setting, f"{_GROUPS}; instance has the same tensors"


_GROUPS = "its groups and eps"
