"""Weights with which layers put out what they take in, or nothing: y = x, y = 0.

    residual   y = x + F(x): F's last scale, or its last convolution, is zero
    plain      y = F(x): convolutions are Dirac, norms have mean 0, variance 1 - eps, scale 1

The first adds zeros and the second multiplies by one, so that in fp32 the equation holds to the
last bit (He et al. 2015, section 1: a solution by construction). F is not touched otherwise. What
could be zero, but would have no gradient there, is refused: it would never learn.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NoReturn

import torch
from torch import Tensor

from resgen.plan import layers as L
from resgen.plan.layers import Layer, Merge, Shape, Shortcut
from resgen.weights.ranges import FREE, Values, join


class Impossible(Exception):
    """A layer that cannot be what is asked for; the reason as a clause."""


_ABOVE_ZERO = (L.ReLU, L.LeakyReLU, L.ELU)
FLAT_AT_ZERO = (L.ReLU, L.ReLU6)
ZERO_AT_ZERO = (
    L.SiLU, L.LeakyReLU, L.ELU, L.Hardswish, L.Mish, L.PReLU, L.Tanh, L.GELU, L.MaxPool, L.AvgPool,
    L.BlurPool, L.GlobalAvgPool, L.Flatten, L.EdgePad, L.ZeroPad, L.ChannelShuffle, L.Upsample,
    L.SpaceToDepth, L.Shift, L.Scale, *FREE,
)  # fmt: skip
FACTORS = (
    L.SqueezeExcitation, L.GatedSqueezeExcitation, L.EfficientChannelAttention, L.ChannelAttention,
    L.SpatialAttention, L.GlobalContextGate,
)  # fmt: skip
_KEPT_STATISTICS = (L.BatchNorm, L.FrozenBatchNorm)
_SCALED = (
    L.BatchNorm, L.LayerNorm, L.LayerNorm2d, L.GroupNorm, L.InstanceNorm, L.FilterResponseNorm,
    L.EvoNormB0, L.EvoNormS0, L.LearnedScale,
)  # fmt: skip
_OWN_STATISTICS = (
    L.LayerNorm, L.LayerNorm2d, L.GroupNorm, L.InstanceNorm, L.InstanceBatchNorm,
    L.FilterResponseNorm, L.EvoNormB0, L.EvoNormS0,
)  # fmt: skip


@dataclass
class Writer:
    """Writes weights into the tensors of a network, by their full names."""

    tensors: dict[str, Tensor]
    renormalizes: bool = False
    """Whether a batch norm was made the identity, which it is not in training."""
    lifted: bool = False
    """Whether one was made it in training, too, in values that are lifted."""

    def unit(
        self,
        prefix: str,
        main: tuple[Layer, ...],
        shortcut: Shortcut,
        merge: Merge,
        leaves_after: int,
        values: Values,
    ) -> None:
        """merge(main(x), shortcut(x')) = x. Raises Impossible."""
        if merge.gate:
            raise Impossible(
                "its gate g mixes g F(x) + (1 - g) x, and a sigmoid is neither 0 nor 1"
            )
        if shortcut.kind == "none":
            self.identity(prefix, main, values)
            return
        self.identity(prefix, main[:leaves_after], values, of="the shortcut's ")
        self.zero(prefix, main[leaves_after:])
        self.identity(prefix, shortcut.layers, values, of="the shortcut's ")

    def identity(
        self, prefix: str, layers: Sequence[Layer], values: Values, *, of: str = "its "
    ) -> None:
        """The row puts out what it takes in, of these values. Raises Impossible."""
        if not layers:
            return
        first, last = layers[0].input, layers[-1].output
        if first != last:
            raise Impossible(f"it changes the shape, {_shape(first)} to {_shape(last)}")
        places = list(range(first[0]))
        for layer in layers:
            places = self._identity(prefix, layer, values, places, of)
        if places != list(range(first[0])):
            raise Impossible("its groups of channels are not those it takes in")

    def _identity(
        self, prefix: str, layer: Layer, values: Values, places: list[int], of: str
    ) -> list[int]:
        """Where each channel of x stands behind the layer, which keeps all of them."""
        op, name = layer.op, join(prefix, layer.name)
        called = "its shortcut" if layer.name == "shortcut" else f"{of}{layer.name}"
        if isinstance(op, FREE) or (isinstance(op, L.Scale) and op.factor == 1):
            pass  # in evaluation they are
        elif isinstance(op, _ABOVE_ZERO):
            if values.low < 0:
                raise Impossible(f"{called} changes negative values, which reach it")
        elif isinstance(op, L.ReLU6):
            if values.low < 0 or values.high > 6:
                raise Impossible(f"{called} cuts values outside of 0 to 6, which reach it")
        elif isinstance(op, L.PReLU):
            if values.low < 0:
                self._set(name, weight=1.0)
        elif isinstance(op, L.Threshold):
            self._threshold(name, called, values, places)
        elif isinstance(op, L.Conv):
            return self._dirac(name, called, op, layer, places)
        elif isinstance(op, _KEPT_STATISTICS):
            self._normal(name, op, places)
        elif isinstance(op, L.ResponseNorm | L.LearnedScale):
            self._set(name, weight=float(isinstance(op, L.LearnedScale)), bias=0.0)
        elif isinstance(op, L.GlobalContext) and not isinstance(op, L.GlobalContextGate):
            self._set(f"{name}.fc2", weight=0.0, bias=0.0)
        elif isinstance(op, L.Residual):
            self.unit(prefix, op.main, op.shortcut, op.merge, op.leaves_after, values)
        elif isinstance(op, L.Part):
            self.identity(name, op.layers, values)
        else:
            _refuse(called, op)
        return places

    def zero(self, prefix: str, layers: Sequence[Layer]) -> None:
        """The row puts out 0, and its weights have gradients there. Raises Impossible."""
        if not self._zeroed(prefix, layers):
            raise Impossible("its residual path has no weights that could be 0")

    def _zeroed(self, prefix: str, layers: Sequence[Layer]) -> bool:
        """Whether the row puts out 0 of itself now; else it does so where it takes in 0."""
        return any(self._zero(prefix, layer) for layer in reversed(layers))

    def _zero(self, prefix: str, layer: Layer) -> bool:
        """`_zeroed`, of one layer."""
        name, op = join(prefix, layer.name), layer.op
        end = f"its residual path ends in {layer.name}"
        if isinstance(op, FLAT_AT_ZERO):
            raise Impossible(
                f"its residual path ends in {type(op).__name__}, which has no gradient where it "
                "puts out 0: the block would never learn"
            )
        if isinstance(op, L.StandardizedConv) and not isinstance(op, L.ScaledConv):
            raise Impossible(
                f"{end}, whose weights are divided by their deviation: however small, they put "
                "out as much"
            )
        if isinstance(op, L.ScaledConv):
            return self._set(name, gain=0.0, bias=0.0)
        if isinstance(op, L.InstanceBatchNorm):
            return all(self._set(f"{name}.{part}", weight=0.0, bias=0.0) for part in ("IN", "BN"))
        if isinstance(op, (*_SCALED, L.Conv, L.Linear)) and self._set(name, weight=0.0, bias=0.0):
            return True
        if isinstance(op, L.Part):
            return self._zeroed(name, op.layers)
        if isinstance(op, L.Branches):
            return self._zero_branches(prefix, op)
        if isinstance(op, L.GlobalContext) and not isinstance(op, L.GlobalContextGate):
            self._set(f"{name}.fc2", weight=0.0, bias=0.0)
        elif isinstance(op, L.Threshold):
            self._set(name, tau=0.0)
        elif isinstance(op, L.ResponseNorm):
            self._set(name, weight=0.0, bias=0.0)
        elif isinstance(op, L.FrozenBatchNorm):
            self._normal(name, op, list(range(op.num_features)))
        elif isinstance(op, L.Residual):
            raise Impossible("its residual path ends in another addition")
        elif not isinstance(op, ZERO_AT_ZERO + FACTORS):
            raise Impossible(f"{end} ({type(op).__name__}), which is never 0")
        return False

    def _zero_branches(self, prefix: str, op: L.Branches) -> bool:
        if op.join == "product" and not all(op.paths):
            return False  # a gate, of what stands before it
        if op.carry == "sum" or not all(op.paths):
            raise Impossible("its residual path ends in branches, one of which is its input")
        for path in op.paths[:1] if op.join == "product" else op.paths:
            self.zero(prefix, path)
        return True

    def _dirac(
        self, name: str, called: str, op: L.Conv, layer: Layer, places: list[int]
    ) -> list[int]:
        """The convolution that hands each channel on; where each stands behind it."""
        if isinstance(op, L.StandardizedConv):
            raise Impossible(
                f"{called} has its weights standardized, and one that copies a channel is not"
            )
        tap = _tap(op, layer)
        if tap is None:
            raise Impossible(f"{called} does not put out a pixel for each pixel")
        into, out = op.in_channels // op.groups, op.out_channels // op.groups
        free = [group * out for group in range(op.groups)]
        found = []
        weight = self.tensors[f"{name}.weight"]
        for place in places:
            group = place // into
            target = free[group]
            free[group] += 1
            if target >= (group + 1) * out:
                raise Impossible(
                    f"{called} puts out {op.out_channels} channels, fewer than the "
                    f"{len(places)} of the block: what is lost there nothing behind it brings back"
                )
            weight[target] = 0.0
            weight[target, place % into, tap[0], tap[1]] = 1.0
            found.append(target)
        if op.bias:
            self.tensors[f"{name}.bias"][found] = 0.0
        return found

    def _normal(self, name: str, op: L.BatchNorm | L.FrozenBatchNorm, places: list[int]) -> None:
        """gamma (x - mean) / sqrt(var + eps) + beta = 1 x + 0, the factor rounding to 1."""
        self.renormalizes |= isinstance(op, L.BatchNorm)
        for key, value in (
            ("weight", 1.0), ("bias", 0.0), ("running_mean", 0.0),
            ("running_var", unit_variance(op.eps)),
        ):  # fmt: skip
            self.tensors[f"{name}.{key}"][places] = value

    def _threshold(self, name: str, called: str, values: Values, places: list[int]) -> None:
        if values.tau is not None and len(places) == len(values.tau):
            self.tensors[f"{name}.tau"][places] = values.tau
        elif values.low >= 0:
            self._set(name, tau=0.0)
        else:
            raise Impossible(f"{called} cuts values below its threshold, which reach it")

    def _set(self, name: str, **values: float) -> bool:
        """Fills those of a layer's tensors that it has; whether there was one."""
        found = [key for key in values if f"{name}.{key}" in self.tensors]
        for key in found:
            self.tensors[f"{name}.{key}"].fill_(values[key])
        return bool(found)


def unit_variance(eps: float) -> float:
    """The variance v with v + eps = 1 in fp32, so that a batch norm's factor is its scale."""
    one, small = torch.tensor(1.0), torch.tensor(eps, dtype=torch.float32)
    near = (one.double() - eps).float()
    around = [near, torch.nextafter(near, one), torch.nextafter(near, -one)]
    return next(v.item() for v in around if (v + small) == one)


def _tap(op: L.Conv, layer: Layer) -> tuple[int, int] | None:
    """The weight of a kernel that meets the pixel itself, where one does at every pixel."""
    if layer.input[1:] != layer.output[1:]:
        return None
    sides = zip(*(L.base.both(op[i]) for i in (2, 3, 4, 5)), strict=True)
    taps = []
    for kernel, stride, padding, dilation in sides:
        place, rest = divmod(padding, dilation)
        if stride != 1 or rest or place >= kernel:
            return None
        taps.append(place)
    return taps[0], taps[1]


def _refuse(called: str, op: L.Op) -> NoReturn:
    if isinstance(op, _OWN_STATISTICS):
        raise Impossible(
            f"{called} takes its mean and deviation of each image, so no weights make it the "
            "identity"
        )
    if isinstance(op, (*FACTORS, L.ShortcutGate)):
        raise Impossible(f"{called} multiplies by a gate, which is never 1 and still learning")
    if isinstance(op, L.Scale):
        raise Impossible(f"{called} multiplies by {op.factor:g}, not by 1")
    if isinstance(op, L.Branches):
        raise Impossible("it has branches side by side, which would have to be the identity")
    raise Impossible(f"{called} ({type(op).__name__}) is no identity, whatever its weights")


def _shape(shape: Shape) -> str:
    return "x".join(map(str, shape))
