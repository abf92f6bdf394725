"""Weights of a row of layers -> those of the same row, as wide or wider (Chen et al. 2016).

A wider row holds each channel once or more often (Net2WiderNet):

    W'[o, i] = W[of(o), of(i)] share(i),  sum of share(i) over the copies i of a channel = 1

`of` names, for each channel of the wider network, the one it holds. The shares of copies differ,
so that their gradients do and they part in training; their sums agree but for rounding. Rows that
are as wide are copied as they are.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from resgen.plan import layers as L
from resgen.plan.layers import Layer, Merge, Shortcut
from resgen.weights.channels import Channels, chooses, padded, same, several, shares, sliced, spread
from resgen.weights.identity import Impossible
from resgen.weights.ranges import join

_BY_CHANNEL = (
    L.BatchNorm, L.FrozenBatchNorm, L.InstanceNorm, L.FilterResponseNorm, L.EvoNormB0,
    L.LearnedScale, L.PReLU, L.Threshold,
)  # fmt: skip
_OVER_CHANNELS = (L.LayerNorm, L.LayerNorm2d, L.GroupNorm, L.EvoNormS0, L.ResponseNorm)
_SQUEEZED = (L.SqueezeExcitation, L.GatedSqueezeExcitation, L.ChannelAttention)
_PADDED = (L.PaddedIdentity, L.PooledIdentity, L.OffsetIdentity)
_IN_TRAINING = (L.Dropout, L.DropPath)


@dataclass
class Pairing:
    """Copies weights from a network's tensors into those of one that is as wide or wider."""

    source: Mapping[str, Tensor]
    target: dict[str, Tensor]
    draw: torch.Generator
    widened: bool = field(default=False, init=False)

    def row(
        self,
        names: tuple[str, str],
        small: Sequence[Layer],
        large: Sequence[Layer],
        of: Channels,
        to: Channels | None = None,
    ) -> Channels:
        """Copies a row; which channels come out of it. Raises Impossible where the rows differ.

        names: of the modules the rows stand in. to: the channels that must come out.
        """
        # What acts in training alone has no weights, and may be at another rate.
        small, large = ([at for at in row if not isinstance(at.op, _IN_TRAINING)]
                        for row in (small, large))  # fmt: skip
        if len(small) != len(large):
            raise Impossible(f"its path has {len(large)} layers here and {len(small)} there")
        last = max((i for i, at in enumerate(large) if chooses(at)), default=-1)
        for index, (one, other) in enumerate(zip(small, large, strict=True)):
            of = self._layer(names, one, other, of, to if index == last else None)
        if to is not None and not torch.equal(of, to):
            raise Impossible("its paths hold channels of the narrower network in another order")
        return of

    def unit(
        self,
        names: tuple[str, str],
        small: tuple[tuple[Layer, ...], Shortcut, Merge, int],
        large: tuple[tuple[Layer, ...], Shortcut, Merge, int],
        of: Channels,
    ) -> Channels:
        """Copies merge(main(x), shortcut(x')): (main, shortcut, merge, where x' leaves)."""
        (main, shortcut, merge, leaves), (wide, joins, gated, behind) = small, large
        if (shortcut.kind, len(shortcut.layers)) != (joins.kind, len(joins.layers)):
            raise Impossible(f"its shortcut is {joins.kind} here and {shortcut.kind} there")
        of = self.row(names, main[:leaves], wide[:behind], of)
        to = None
        if shortcut.kind not in ("none", "projection"):
            to = self.row(names, shortcut.layers, joins.layers, of)
        found = self.row(names, main[leaves:], wide[behind:], of, to)
        if shortcut.kind == "projection":
            self.row(names, shortcut.layers, joins.layers, of, found)
        if merge.gate and gated.gate:
            self._layer(names, merge.gate, gated.gate, found, found)
        return found

    def _layer(
        self, names: tuple[str, str], one: Layer, other: Layer, of: Channels, to: Channels | None
    ) -> Channels:
        small, large = one.op, other.op
        here = (join(names[0], one.name), join(names[1], other.name))
        called = other.name or type(large).__name__
        if type(small) is not type(large):
            raise Impossible(
                f"{called} is {type(large).__name__} here and {type(small).__name__} there"
            )
        if isinstance(small, L.Residual) and isinstance(large, L.Residual):
            return self.unit(names, _parts(small), _parts(large), of)
        if isinstance(small, L.Part) and isinstance(large, L.Part):
            return self.row(here, small.layers, large.layers, of, to)
        if isinstance(small, L.Branches) and isinstance(large, L.Branches):
            return self._branches(names, small, large, of, to)
        if isinstance(small, L.Conv) and isinstance(large, L.Conv):
            return self._conv(here, called, small, large, of, to)
        if isinstance(small, L.Linear) and isinstance(large, L.Linear):
            return self._linear(here, small, large, of, to)
        if isinstance(small, _PADDED) and isinstance(large, _PADDED):
            return padded(called, small, large, of)
        if isinstance(large, L.Flatten | L.SpaceToDepth):
            return several(of, other.output[0] // len(of))
        self._agree(called, small, large)
        if one.input[:1] == other.input[:1] and same(of):
            self._copy(here)
            return of
        return self._wider(here, called, one, other, of)

    def _wider(
        self, here: tuple[str, str], called: str, one: Layer, other: Layer, of: Channels
    ) -> Channels:
        """A layer that keeps its channels, over more of them."""
        large = other.op
        uniform = len(set(of.bincount().tolist())) == 1
        if isinstance(large, _OVER_CHANNELS) and not uniform:
            raise Impossible(
                f"{called} takes its statistics over channels, and {one.input[0]} channels held by "
                f"{other.input[0]} are not held equally often"
            )
        if isinstance(large, _BY_CHANNEL + _OVER_CHANNELS):
            for key, value in self._tensors(here[0]):
                whole = value.dim() and len(value) == one.input[0]
                self.target[f"{here[1]}.{key}"].copy_(value[of] if whole else value)
        elif isinstance(large, _SQUEEZED):
            inner = [[at for at in layer.op.parts(layer.input) if at.name.startswith("fc")]
                     for layer in (one, other)]  # fmt: skip
            self.row(here, inner[0], inner[1], of, of)
        elif large.params() or large.parts(other.input) or isinstance(large, L.ChannelShuffle):
            raise Impossible(f"{called} ({type(large).__name__}) is not widened")
        self.widened = True
        return of

    def _branches(
        self,
        names: tuple[str, str],
        small: L.Branches,
        large: L.Branches,
        of: Channels,
        to: Channels | None,
    ) -> Channels:
        alike = all(getattr(small, key) == getattr(large, key) for key in ("carry", "join"))
        if (
            not alike
            or len(small.paths) != len(large.paths)
            or bool(small.takes) != bool(large.takes)
        ):
            raise Impossible("its branches are others here than there")
        if (small.carry not in ("", "none") or _weighs(small.joiner)) and (
            small.inputs != large.inputs or small.outputs != large.outputs or not same(of)
        ):
            raise Impossible("its branches hand on to each other or are weighed: not widened")
        found: list[Channels] = []
        widths = [[shape[0] for shape in each.outputs] for each in (small, large)]
        wanted = (
            sliced(to, widths[0], widths[1]) if to is not None and small.join == "concat" else None
        )
        parts = sliced(of, small.takes, large.takes) if small.takes else [of] * len(small.paths)
        for index, (path, wide) in enumerate(zip(small.paths, large.paths, strict=True)):
            enters = (
                parts[index]
                if small.carry in ("", "none")
                else torch.arange(large.inputs[index][0])
            )
            ends = wanted[index] if wanted else None
            if small.join != "concat":
                ends = found[0] if found and path else to
                # A product may be with one channel, for all.
                ends = ends if ends is not None and len(ends) == widths[1][index] else None
            found.append(self.row(names, path, wide, enters, ends))
        if small.joiner and large.joiner:
            self._copy((join(names[0], small.joiner.name), join(names[1], large.joiner.name)))
        if small.join != "concat":
            return max(found, key=len)
        starts = torch.tensor([0, *widths[0]]).cumsum(0)
        return torch.cat([each + starts[i] for i, each in enumerate(found)])

    def _conv(
        self,
        here: tuple[str, str],
        called: str,
        small: L.Conv,
        large: L.Conv,
        of: Channels,
        to: Channels | None,
    ) -> Channels:
        depthwise = small.groups == small.in_channels == small.out_channels
        same = small[2:6] == large[2:6] and small.bias == large.bias
        if depthwise and large.groups == large.in_channels == large.out_channels:
            pass
        elif small.groups != large.groups:
            raise Impossible(f"{called} has {large.groups} groups here and {small.groups} there")
        if not same:
            raise Impossible(
                f"{called} has another kernel, stride, padding or bias here than there"
            )
        _no_narrower(called, small.out_channels, large.out_channels)
        if depthwise:
            outs, inner = of, torch.zeros(1, dtype=torch.long)
        else:
            outs = spread(small.out_channels, large.out_channels) if to is None else to
            if to is not None and len(to) != large.out_channels:
                raise Impossible(f"{called} puts out {large.out_channels} channels, not {len(to)}")
            inner = of
        self._fan(here, called, small, large, outs, inner)
        return outs

    def _fan(
        self, here: tuple[str, str], called: str, small: L.Conv, large: L.Conv,
        outs: Channels, inner: Channels,
    ) -> None:  # fmt: skip
        """W'[o, i] = W[of(o), of(i)] share(i), in each group."""
        if same(outs) and same(inner) and small == large:
            self._copy(here)
            return
        if isinstance(large, L.StandardizedConv):
            raise Impossible(f"{called} has its weights standardized, which is not widened")
        self.widened = True
        weight = self.source[f"{here[0]}.weight"]
        groups = 1 if len(inner) == 1 and small.groups > 1 else large.groups
        many, few = large.out_channels // groups, small.out_channels // groups
        into, thin = len(inner) // groups, weight.shape[1]
        target = self.target[f"{here[1]}.weight"]
        for group in range(groups):
            own = inner[group * into : (group + 1) * into] - group * thin
            rows = outs[group * many : (group + 1) * many]
            if own.min() < 0 or own.max() >= thin or (rows // few != group).any():
                raise Impossible(f"{called}: its groups of channels do not hold each other")
            share = shares(self.draw, own, thin).view(1, -1, *[1] * (weight.dim() - 2))
            target[group * many : (group + 1) * many] = weight[rows][:, own] * share
        if small.bias:
            self.target[f"{here[1]}.bias"].copy_(self.source[f"{here[0]}.bias"][outs])

    def _linear(
        self,
        here: tuple[str, str],
        small: L.Linear,
        large: L.Linear,
        of: Channels,
        to: Channels | None,
    ) -> Channels:
        _no_narrower(here[1], small.out_features, large.out_features)
        outs = spread(small.out_features, large.out_features) if to is None else to
        if same(of) and same(outs) and small == large:
            self._copy(here)
            return outs
        self.widened = True
        weight = self.source[f"{here[0]}.weight"]
        share = shares(self.draw, of, small.in_features)
        self.target[f"{here[1]}.weight"].copy_(weight[outs][:, of] * share)
        if small.bias:
            self.target[f"{here[1]}.bias"].copy_(self.source[f"{here[0]}.bias"][outs])
        return outs

    def _agree(self, called: str, small: L.Op, large: L.Op) -> None:
        """Raises Impossible unless the two differ in widths alone."""
        for key, value in small._asdict().items():
            there = large._asdict()[key]
            if isinstance(value, float) and value != there:
                raise Impossible(f"{called} has {key} {there:g} here and {value:g} there")
            if key in ("num_groups", "kernel_size", "stride", "pixels") and value != there:
                raise Impossible(f"{called} has {key} {there} here and {value} there")

    def _tensors(self, name: str) -> list[tuple[str, Tensor]]:
        start = f"{name}."
        return [(k.removeprefix(start), v) for k, v in self.source.items() if k.startswith(start)]

    def _copy(self, here: tuple[str, str]) -> None:
        """Copies all tensors of a module as they are."""
        for key, value in self._tensors(here[0]):
            place = self.target.get(f"{here[1]}.{key}")
            if place is None or place.shape != value.shape:
                raise Impossible(f"{here[1]}.{key} is of another shape here than there")
            place.copy_(value)


def _weighs(joiner: Layer | None) -> bool:
    """Whether branches are joined by a module with weights."""
    return joiner is not None and bool(joiner.op.parts(joiner.input))


def _parts(unit: L.Residual) -> tuple[tuple[Layer, ...], Shortcut, Merge, int]:
    return unit.main, unit.shortcut, unit.merge, unit.leaves_after


def _no_narrower(called: str, small: int, large: int) -> None:
    if large < small:
        raise Impossible(f"{called} is narrower here, {large} channels, than there, {small}")
