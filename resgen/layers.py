"""The table of layer kinds: for each its torch call, its output shape and its cost.

One class is one row. An instance holds the arguments of one layer, in the names and
the order of the torch call it is written as, so that nothing else in the project has
to know how a layer is spelled, shaped or counted. Torch is not needed for any of it.

Shapes are (channels, height, width) of one image; vectors are (features,).
"""

from __future__ import annotations

from typing import Any, ClassVar, NamedTuple, Protocol

Shape = tuple[int, ...]


def elements(shape: Shape) -> int:
    """c h w."""
    count = 1
    for size in shape:
        count *= size
    return count


class Op(Protocol):
    """What every kind of layer answers.

    `torch`: the call it is written as; a bare name is one of resgen.parts.
    `positional`: how many arguments are written without their name.
    `line`: the line of the books its cost goes to (see resgen.cost).
    `parts`: the layers inside it, each with its own cost, for a kind made of others.
    """

    torch: ClassVar[str]
    positional: ClassVar[int]
    line: ClassVar[str]

    def _asdict(self) -> dict[str, Any]: ...
    def out(self, shape: Shape) -> Shape: ...
    def params(self) -> dict[str, Shape]: ...
    def amount(self, shape: Shape, out: Shape) -> int: ...
    def parts(self, shape: Shape) -> tuple[Layer, ...]: ...


class Layer(NamedTuple):
    """One layer where it stands: its dotted name, its kind, and its exact shapes."""

    name: str
    op: Op
    input: Shape
    output: Shape


class _NoParams:
    """A layer without parameters and without layers inside."""

    def params(self) -> dict[str, Shape]:
        return {}

    def parts(self, shape: Shape) -> tuple[Layer, ...]:
        return ()


def _slide(size: int, kernel: int, stride: int, padding: int, dilation: int = 1) -> int:
    """floor((n + 2p - d(k-1) - 1) / s) + 1: positions of a sliding window."""
    return (size + 2 * padding - dilation * (kernel - 1) - 1) // stride + 1


class _Conv(NamedTuple):
    in_channels: int
    out_channels: int
    kernel_size: int
    stride: int = 1
    padding: int = 0
    dilation: int = 1
    groups: int = 1
    bias: bool = True


class Conv(_Conv):
    """y = W * x + b. MACs: out_h out_w k k (in / groups) out; a bias is counted apart."""

    __slots__ = ()
    torch: ClassVar[str] = "nn.Conv2d"
    positional: ClassVar[int] = 3
    line: ClassVar[str] = "conv"

    def out(self, shape: Shape) -> Shape:
        _, height, width = shape
        k, s, p, d = self.kernel_size, self.stride, self.padding, self.dilation
        return (self.out_channels, _slide(height, k, s, p, d), _slide(width, k, s, p, d))

    def params(self) -> dict[str, Shape]:
        k = self.kernel_size
        weight = (self.out_channels, self.in_channels // self.groups, k, k)
        return {"weight": weight, "bias": (self.out_channels,)} if self.bias else {"weight": weight}

    def amount(self, shape: Shape, out: Shape) -> int:
        k = self.kernel_size
        return out[1] * out[2] * k * k * (self.in_channels // self.groups) * self.out_channels

    def parts(self, shape: Shape) -> tuple[Layer, ...]:
        return ()


class _Linear(NamedTuple):
    in_features: int
    out_features: int


class Linear(_Linear):
    """y = W x + b. MACs: in out; the bias is counted apart."""

    __slots__ = ()
    torch: ClassVar[str] = "nn.Linear"
    positional: ClassVar[int] = 2
    line: ClassVar[str] = "linear"
    bias: ClassVar[bool] = True

    def out(self, shape: Shape) -> Shape:
        return (self.out_features,)

    def params(self) -> dict[str, Shape]:
        return {
            "weight": (self.out_features, self.in_features),
            "bias": (self.out_features,),
        }

    def amount(self, shape: Shape, out: Shape) -> int:
        return self.in_features * self.out_features

    def parts(self, shape: Shape) -> tuple[Layer, ...]:
        return ()


class _SameShape:
    """A layer that puts out the shape it takes in."""

    def out(self, shape: Shape) -> Shape:
        return shape


class _Norm(_SameShape):
    """Two operations an element: a scale and a shift."""

    line: ClassVar[str] = "norm"

    def amount(self, shape: Shape, out: Shape) -> int:
        return 2 * elements(out)

    def parts(self, shape: Shape) -> tuple[Layer, ...]:
        return ()


class _BatchNorm(NamedTuple):
    num_features: int


class BatchNorm(_BatchNorm, _Norm):
    """y = gamma (x - mean) / std + beta, each channel over the batch (Ioffe, Szegedy 2015)."""

    __slots__ = ()
    torch: ClassVar[str] = "nn.BatchNorm2d"
    positional: ClassVar[int] = 1

    def params(self) -> dict[str, Shape]:
        return {"weight": (self.num_features,), "bias": (self.num_features,)}


class _GroupNorm(NamedTuple):
    num_groups: int
    num_channels: int


class GroupNorm(_GroupNorm, _Norm):
    """y = gamma (x - mean) / std + beta, each image over groups of channels (Wu, He 2018).

    Five operations an element: its mean and variance are taken of every image anew.
    """

    __slots__ = ()
    torch: ClassVar[str] = "nn.GroupNorm"
    positional: ClassVar[int] = 2

    def params(self) -> dict[str, Shape]:
        return {"weight": (self.num_channels,), "bias": (self.num_channels,)}

    def amount(self, shape: Shape, out: Shape) -> int:
        return 5 * elements(out)


class _InPlace(NamedTuple):
    inplace: bool = False


class _Activation(_SameShape, _NoParams):
    """One operation an element."""

    line: ClassVar[str] = "activation"
    positional: ClassVar[int] = 0

    def amount(self, shape: Shape, out: Shape) -> int:
        return elements(out)


class ReLU(_InPlace, _Activation):
    """y = max(x, 0)."""

    __slots__ = ()
    torch: ClassVar[str] = "nn.ReLU"


class SiLU(_InPlace, _Activation):
    """y = x sigmoid(x)."""

    __slots__ = ()
    torch: ClassVar[str] = "nn.SiLU"


class LeakyReLU(_InPlace, _Activation):
    """y = max(x, 0.01 x)."""

    __slots__ = ()
    torch: ClassVar[str] = "nn.LeakyReLU"


class ELU(_InPlace, _Activation):
    """y = x where x > 0, exp(x) - 1 elsewhere."""

    __slots__ = ()
    torch: ClassVar[str] = "nn.ELU"


class Hardswish(_InPlace, _Activation):
    """y = x relu6(x + 3) / 6."""

    __slots__ = ()
    torch: ClassVar[str] = "nn.Hardswish"


class _Nothing(NamedTuple):
    pass


class GELU(_Nothing, _Activation):
    """y = x Phi(x)."""

    __slots__ = ()
    torch: ClassVar[str] = "nn.GELU"


class Sigmoid(_Nothing, _Activation):
    """y = 1 / (1 + exp(-x))."""

    __slots__ = ()
    torch: ClassVar[str] = "nn.Sigmoid"


class _MaxPool(NamedTuple):
    kernel_size: int
    stride: int
    padding: int = 0


class MaxPool(_MaxPool, _NoParams):
    """The largest value of each window; k k operations an output."""

    __slots__ = ()
    torch: ClassVar[str] = "nn.MaxPool2d"
    positional: ClassVar[int] = 1
    line: ClassVar[str] = "pool"

    def out(self, shape: Shape) -> Shape:
        channels, height, width = shape
        k, s, p = self
        return (channels, _slide(height, k, s, p), _slide(width, k, s, p))

    def amount(self, shape: Shape, out: Shape) -> int:
        return self.kernel_size**2 * elements(out)


class _AvgPool(NamedTuple):
    kernel_size: int
    stride: int
    padding: int = 0
    ceil_mode: bool = False
    count_include_pad: bool = True


class AvgPool(_AvgPool, _NoParams):
    """The mean of each window; k k operations an output."""

    __slots__ = ()
    torch: ClassVar[str] = "nn.AvgPool2d"
    positional: ClassVar[int] = 2
    line: ClassVar[str] = "pool"

    def out(self, shape: Shape) -> Shape:
        channels, height, width = shape
        return (channels, self._positions(height), self._positions(width))

    def _positions(self, size: int) -> int:
        k, s, p = self.kernel_size, self.stride, self.padding
        if not self.ceil_mode:
            return _slide(size, k, s, p)
        positions = -(-(size + 2 * p - k) // s) + 1
        # torch drops a last window that would start in the padding.
        return positions - 1 if (positions - 1) * s >= size + p else positions

    def amount(self, shape: Shape, out: Shape) -> int:
        return self.kernel_size**2 * elements(out)


class BlurPool(_NoParams, NamedTuple("_BlurPool", [("channels", int), ("stride", int)])):
    """y = binomial 3x3 filter of each channel, then a stride (Zhang 2019); 9 operations an output.

    The filter is fixed, so it is no parameter, but its multiply-adds are real and a
    tracer sees a convolution: they are booked as convolution.
    """

    __slots__ = ()
    torch: ClassVar[str] = "BlurPool2d"
    positional: ClassVar[int] = 1
    line: ClassVar[str] = "conv"

    def out(self, shape: Shape) -> Shape:
        channels, height, width = shape
        return (channels, _slide(height, 3, self.stride, 1), _slide(width, 3, self.stride, 1))

    def amount(self, shape: Shape, out: Shape) -> int:
        return 9 * elements(out)


class GlobalAvgPool(_NoParams, NamedTuple("_GlobalAvgPool", [("output_size", int)])):
    """The mean of each channel; one operation an input element."""

    __slots__ = ()
    torch: ClassVar[str] = "nn.AdaptiveAvgPool2d"
    positional: ClassVar[int] = 1
    line: ClassVar[str] = "pool"

    def out(self, shape: Shape) -> Shape:
        return (shape[0], self.output_size, self.output_size)

    def amount(self, shape: Shape, out: Shape) -> int:
        return elements(shape)


class _Free(_NoParams):
    """A layer that computes nothing worth a line: it reorders or forgets."""

    line: ClassVar[str] = "free"

    def amount(self, shape: Shape, out: Shape) -> int:
        return 0


class Flatten(_Nothing, _Free):
    """(c, h, w) -> (c h w)."""

    __slots__ = ()
    torch: ClassVar[str] = "nn.Flatten"
    positional: ClassVar[int] = 0

    def out(self, shape: Shape) -> Shape:
        return (elements(shape),)


class Identity(_SameShape, _Nothing, _Free):
    """y = x."""

    __slots__ = ()
    torch: ClassVar[str] = "nn.Identity"
    positional: ClassVar[int] = 0


class Dropout(_SameShape, _Free, NamedTuple("_Dropout", [("p", float)])):
    """y = x with elements zeroed at rate p and the rest scaled by 1/(1-p), in training only."""

    __slots__ = ()
    torch: ClassVar[str] = "nn.Dropout"
    positional: ClassVar[int] = 1


class DropPath(_SameShape, _Free, NamedTuple("_DropPath", [("rate", float), ("steps", int)])):
    """y = 0 for a whole image at its rate, x/(1-rate) else, in training (Huang et al. 2016).

    Block i of the network has the rate `rate * i / steps`; with no steps all have `rate`.
    """

    __slots__ = ()
    torch: ClassVar[str] = "DropPath"
    positional: ClassVar[int] = 1


class _PaddedIdentity(NamedTuple):
    in_channels: int
    out_channels: int
    stride: int = 1


class PaddedIdentity(_PaddedIdentity, _Free):
    """y = x[:, :, ::stride, ::stride], zeros in the new channels (He et al. 2015, option A)."""

    __slots__ = ()
    torch: ClassVar[str] = "PaddedIdentity"
    positional: ClassVar[int] = 2

    def out(self, shape: Shape) -> Shape:
        _, height, width = shape
        return (self.out_channels, -(-height // self.stride), -(-width // self.stride))


class Scale(_SameShape, _NoParams, NamedTuple("_Scale", [("factor", float)])):
    """y = factor x."""

    __slots__ = ()
    torch: ClassVar[str] = "Scale"
    positional: ClassVar[int] = 1
    line: ClassVar[str] = "elementwise"

    def amount(self, shape: Shape, out: Shape) -> int:
        return elements(out)


class _Multiply(_SameShape, _NoParams, _Nothing):
    """The elementwise product inside an attention or a gate: one operation an element."""

    __slots__ = ()
    torch: ClassVar[str] = ""
    positional: ClassVar[int] = 0
    line: ClassVar[str] = "elementwise"

    def amount(self, shape: Shape, out: Shape) -> int:
        return elements(out)


def chain(shape: Shape, *steps: tuple[str, Op]) -> tuple[Layer, ...]:
    """Named layers one after another, each with its shapes."""
    layers = []
    for name, op in steps:
        out = op.out(shape)
        layers.append(Layer(name, op, shape, out))
        shape = out
    return tuple(layers)


class _Composite(_SameShape):
    """A layer made of others; its cost is theirs."""

    line: ClassVar[str] = "parts"

    def params(self) -> dict[str, Shape]:
        return {}

    def amount(self, shape: Shape, out: Shape) -> int:
        return 0


class SqueezeExcitation(
    _Composite,
    NamedTuple("_SqueezeExcitation", [("channels", int), ("squeeze", int), ("activation", Op)]),
):
    """y = x sigmoid(W2 a(W1 mean(x))), per channel, a the activation (Hu et al. 2017)."""

    __slots__ = ()
    torch: ClassVar[str] = "SqueezeExcitation"
    positional: ClassVar[int] = 3

    def parts(self, shape: Shape) -> tuple[Layer, ...]:
        return (
            *chain(
                shape,
                ("pool", GlobalAvgPool(1)),
                ("fc1", Conv(self.channels, self.squeeze, 1)),
                ("act", self.activation),
                ("fc2", Conv(self.squeeze, self.channels, 1)),
                ("gate", Sigmoid()),
            ),
            Layer("", _Multiply(), shape, shape),
        )


class _WeightNorm(_NoParams, NamedTuple("_WeightNorm", [("weight", Shape)])):
    """w = (W - mean) / std of each output channel: four operations a weight, none an image."""

    __slots__ = ()
    torch: ClassVar[str] = ""
    positional: ClassVar[int] = 0
    line: ClassVar[str] = "norm"

    def out(self, shape: Shape) -> Shape:
        return shape

    def amount(self, shape: Shape, out: Shape) -> int:
        return 4 * elements(self.weight)


class StandardizedConv(Conv):
    """y = ((W - mean(W)) / std(W)) * x, per output channel (Qiao et al. 2019)."""

    __slots__ = ()
    torch: ClassVar[str] = "StandardizedConv2d"
    line: ClassVar[str] = "parts"

    def params(self) -> dict[str, Shape]:
        return {}

    def parts(self, shape: Shape) -> tuple[Layer, ...]:
        conv = Conv(*self)
        norm = _WeightNorm(conv.params()["weight"])
        return (Layer("", norm, shape, shape), Layer("", conv, shape, conv.out(shape)))


class Conv1d(_NoParams, NamedTuple("_Conv1d", [("kernel_size", int)])):
    """A convolution along the channels of a vector, one filter, no bias."""

    __slots__ = ()
    torch: ClassVar[str] = "nn.Conv1d"
    positional: ClassVar[int] = 1
    line: ClassVar[str] = "conv"

    def out(self, shape: Shape) -> Shape:
        return shape

    def params(self) -> dict[str, Shape]:
        return {"weight": (1, 1, self.kernel_size)}

    def amount(self, shape: Shape, out: Shape) -> int:
        return self.kernel_size * elements(out)


class EfficientChannelAttention(
    _Composite,
    NamedTuple("_EfficientChannelAttention", [("kernel_size", int)]),
):
    """y = x sigmoid(w * mean(x)), w sliding over the channels (Wang et al. 2019)."""

    __slots__ = ()
    torch: ClassVar[str] = "EfficientChannelAttention"
    positional: ClassVar[int] = 1

    def parts(self, shape: Shape) -> tuple[Layer, ...]:
        return (
            *chain(
                shape,
                ("pool", GlobalAvgPool(1)),
                ("conv", Conv1d(self.kernel_size)),
                ("gate", Sigmoid()),
            ),
            Layer("", _Multiply(), shape, shape),
        )


class Gate(_Composite, NamedTuple("_Gate", [("channels", int), ("bias", float)])):
    """g = sigmoid(W x + b), a 1x1 convolution (He et al. 2016, section 3.1)."""

    __slots__ = ()
    torch: ClassVar[str] = "Gate"
    positional: ClassVar[int] = 2

    def parts(self, shape: Shape) -> tuple[Layer, ...]:
        return chain(shape, ("conv", Conv(self.channels, self.channels, 1)), ("sigmoid", Sigmoid()))


class ShortcutGate(_Composite, NamedTuple("_ShortcutGate", [("channels", int), ("bias", float)])):
    """y = (1 - sigmoid(W x + b)) x (He et al. 2016, section 3.1, shortcut-only gating)."""

    __slots__ = ()
    torch: ClassVar[str] = "ShortcutGate"
    positional: ClassVar[int] = 2

    def parts(self, shape: Shape) -> tuple[Layer, ...]:
        return (
            Layer("gate", Gate(self.channels, self.bias), shape, shape),
            Layer("", _Multiply(), shape, shape),
        )


class ZeroPad(_Free, NamedTuple("_ZeroPad", [("padding", int)])):
    """A border of zeros."""

    __slots__ = ()
    torch: ClassVar[str] = "nn.ZeroPad2d"
    positional: ClassVar[int] = 1

    def out(self, shape: Shape) -> Shape:
        channels, height, width = shape
        return (channels, height + 2 * self.padding, width + 2 * self.padding)
