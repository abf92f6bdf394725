"""Attentions over channels and pixels, and the pool that is one."""

from __future__ import annotations

from typing import ClassVar, NamedTuple

from resgen.plan.layers.activations import Sigmoid
from resgen.plan.layers.base import Layer, NoParams, Nothing, Op, SameShape, Shape, chain, elements
from resgen.plan.layers.composite import Composite, Conv1d
from resgen.plan.layers.paths import Sum
from resgen.plan.layers.weighted import Conv, LayerNorm2d, Linear
from resgen.plan.layers.weightless import GlobalAvgPool, Multiply


def _times(shape: Shape) -> Layer:
    """The product of what an attention attends to and its factor."""
    return Layer("", Multiply(), shape, shape)


class SqueezeExcitation(
    Composite,
    NamedTuple("_SqueezeExcitation", [("channels", int), ("squeeze", int), ("activation", Op)]),
):
    """y = x sigmoid(W2 a(W1 mean(x))), per channel, a the activation (Hu et al. 2017)."""

    __slots__ = ()
    torch: ClassVar[str] = "SqueezeExcitation"
    positional: ClassVar[int] = 3

    def parts(self, shape: Shape) -> tuple[Layer, ...]:
        return _squeezed(self, shape, Sigmoid(), bias=True)


class _Gated(NamedTuple):
    channels: int
    squeeze: int
    activation: Op
    gate: Op
    bias: bool = True


class GatedSqueezeExcitation(Composite, _Gated):
    """y = x g(W2 a(W1 mean(x))), per channel, a the activation, g the gate (Hu et al. 2018)."""

    __slots__ = ()
    torch: ClassVar[str] = "GatedSqueezeExcitation"
    positional: ClassVar[int] = 4

    def parts(self, shape: Shape) -> tuple[Layer, ...]:
        return _squeezed(self, shape, self.gate, bias=self.bias)


def _squeezed(
    op: SqueezeExcitation | GatedSqueezeExcitation, shape: Shape, gate: Op, *, bias: bool
) -> tuple[Layer, ...]:
    return (
        *chain(
            shape,
            ("pool", GlobalAvgPool(1)),
            ("fc1", Conv(op.channels, op.squeeze, 1, bias=bias)),
            ("act", op.activation),
            ("fc2", Conv(op.squeeze, op.channels, 1, bias=bias)),
            ("gate", gate),
        ),
        _times(shape),
    )


class EfficientChannelAttention(
    Composite,
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
            _times(shape),
        )


class MeanMax(NoParams, NamedTuple("_MeanMax", [("over", str)])):
    """Mean and largest value over the pixels, side by side, or over the channels, in two planes.

    Two operations an element taken in.
    """

    __slots__ = ()
    torch: ClassVar[str] = ""
    keeps: ClassVar[str] = "largest"
    positional: ClassVar[int] = 0
    line: ClassVar[str] = "pool"

    def out(self, shape: Shape) -> Shape:
        return (shape[0], 1, 2) if self.over == "pixels" else (2, *shape[1:])

    def amount(self, shape: Shape, out: Shape) -> int:
        return 2 * elements(shape)


class PairSum(NoParams, Nothing):
    """The sum of two pixels side by side: an addition a channel."""

    __slots__ = ()
    torch: ClassVar[str] = ""
    keeps: ClassVar[str] = "nothing"
    positional: ClassVar[int] = 0
    line: ClassVar[str] = "elementwise"

    def out(self, shape: Shape) -> Shape:
        return (shape[0], 1, 1)

    def amount(self, shape: Shape, out: Shape) -> int:
        return elements(out)


class _ChannelAttention(NamedTuple):
    channels: int
    squeeze: int
    activation: Op
    bias: bool = True


class ChannelAttention(Composite, _ChannelAttention):
    """y = x sigmoid(f(mean(x)) + f(max(x))), f(z) = W2 a(W1 z), per channel (Woo et al. 2018).

    Both pass through f as two pixels of one image.
    """

    __slots__ = ()
    torch: ClassVar[str] = "ChannelAttention"
    positional: ClassVar[int] = 3

    def parts(self, shape: Shape) -> tuple[Layer, ...]:
        return (
            *chain(
                shape,
                ("", MeanMax("pixels")),
                ("fc1", Conv(self.channels, self.squeeze, 1, bias=self.bias)),
                ("act", self.activation),
                ("fc2", Conv(self.squeeze, self.channels, 1, bias=self.bias)),
                ("", PairSum()),
                ("", Sigmoid()),
            ),
            _times(shape),
        )


class _SpatialAttention(NamedTuple):
    kernel_size: int
    norm: Op
    bias: bool = False


class SpatialAttention(Composite, _SpatialAttention):
    """y = x sigmoid(norm(w * [max(x), mean(x)])), per pixel, over the channels (Woo et al. 2018).

    w: a convolution of two planes to one.
    """

    __slots__ = ()
    torch: ClassVar[str] = "SpatialAttention"
    positional: ClassVar[int] = 2

    def parts(self, shape: Shape) -> tuple[Layer, ...]:
        k = self.kernel_size
        return (
            *chain(
                shape,
                ("", MeanMax("channels")),
                ("conv", Conv(2, 1, k, padding=k // 2, bias=self.bias)),
                ("bn", self.norm),
                ("", Sigmoid()),
            ),
            _times(shape),
        )


class Softmax(SameShape, NoParams, Nothing):
    """Numbers that sum to one: an exponential and a product an element."""

    __slots__ = ()
    torch: ClassVar[str] = ""
    keeps: ClassVar[str] = "result"
    positional: ClassVar[int] = 0
    line: ClassVar[str] = "elementwise"

    def amount(self, shape: Shape, out: Shape) -> int:
        return 2 * elements(out)


class MatrixProduct(
    NoParams, NamedTuple("_MatrixProduct", [("rows", int), ("inner", int), ("columns", int)])
):
    """A B, both computed from the image: rows inner columns MACs, those of linear layers."""

    __slots__ = ()
    torch: ClassVar[str] = ""
    keeps: ClassVar[str] = "nothing"
    positional: ClassVar[int] = 0
    line: ClassVar[str] = "linear"

    def out(self, shape: Shape) -> Shape:
        return (self.rows, self.columns, 1)

    def amount(self, shape: Shape, out: Shape) -> int:
        return self.rows * self.inner * self.columns


class ContextPool(Composite, NamedTuple("_ContextPool", [("channels", int)])):
    """c = sum_i softmax(w x)_i x_i: the mean of the pixels, weighted by a 1x1 convolution."""

    __slots__ = ()
    torch: ClassVar[str] = ""
    keeps: ClassVar[str] = "weighted-mean"
    positional: ClassVar[int] = 0

    def out(self, shape: Shape) -> Shape:
        return (self.channels, 1, 1)

    def parts(self, shape: Shape) -> tuple[Layer, ...]:
        return chain(
            shape,
            ("conv_attn", Conv(self.channels, 1, 1)),
            ("", Softmax()),
            ("", MatrixProduct(self.channels, elements(shape[1:]), 1)),
        )


class GlobalContext(
    Composite,
    NamedTuple("_GlobalContext", [("channels", int), ("squeeze", int), ("activation", Op)]),
):
    """y = x + W2 a(norm(W1 c)), c the pixels' mean weighted by softmax(w x) (Cao et al. 2019)."""

    __slots__ = ()
    torch: ClassVar[str] = "GlobalContext"
    keeps: ClassVar[str] = "added"
    positional: ClassVar[int] = 3

    def parts(self, shape: Shape) -> tuple[Layer, ...]:
        return (*self._vector(shape), Layer("", Sum(2), shape, shape))

    def _vector(self, shape: Shape) -> tuple[Layer, ...]:
        return chain(
            shape,
            ("", ContextPool(self.channels)),
            ("fc1", Conv(self.channels, self.squeeze, 1)),
            ("norm", LayerNorm2d(self.squeeze)),
            ("act", self.activation),
            ("fc2", Conv(self.squeeze, self.channels, 1)),
        )


class GlobalContextGate(GlobalContext):
    """y = x sigmoid(W2 a(norm(W1 c))), c the pixels' mean weighted by softmax(w x)."""

    __slots__ = ()
    torch: ClassVar[str] = "GlobalContextGate"
    keeps: ClassVar[str] = "attended"

    def parts(self, shape: Shape) -> tuple[Layer, ...]:
        vector = self._vector(shape)
        (gate,) = chain(vector[-1].output, ("", Sigmoid()))
        return (*vector, gate, _times(shape))


class Tokens(NoParams, Nothing):
    """The pixels' mean, then the pixels, each a vector: an operation an element."""

    __slots__ = ()
    torch: ClassVar[str] = ""
    keeps: ClassVar[str] = "nothing"
    positional: ClassVar[int] = 0
    line: ClassVar[str] = "pool"

    def out(self, shape: Shape) -> Shape:
        return (elements(shape[1:]) + 1, shape[0])

    def amount(self, shape: Shape, out: Shape) -> int:
        return elements(shape)


class Positions(SameShape, NamedTuple("_Positions", [("tokens", int), ("channels", int)])):
    """A learned vector added to each token."""

    __slots__ = ()
    torch: ClassVar[str] = ""
    keeps: ClassVar[str] = "nothing"
    positional: ClassVar[int] = 0
    line: ClassVar[str] = "elementwise"

    def params(self) -> dict[str, Shape]:
        return {"positional_embedding": (self.tokens, self.channels)}

    def amount(self, shape: Shape, out: Shape) -> int:
        return 0  # its addition is one of the network's, as a sum of branches

    def parts(self, shape: Shape) -> tuple[Layer, ...]:
        return ()


class _AttentionPool(NamedTuple):
    channels: int
    width: int
    heads: int
    area: int


class AttentionPool(Composite, _AttentionPool):
    """y = Wc concat_h(softmax(q_h K_h' / sqrt(d)) V_h), q of the mean, K and V of mean and pixels.

    Each of the h heads has d = channels / h numbers; to all, learned positions are added
    (Radford et al. 2021). MACs: 2 n c c of K and V, c c of q, 2 n c of the products with q, c out
    of the last layer, n = area + 1.
    """

    __slots__ = ()
    torch: ClassVar[str] = "AttentionPool"
    keeps: ClassVar[str] = "attention-pool"
    positional: ClassVar[int] = 2

    def out(self, shape: Shape) -> Shape:
        return (self.width,)

    def parts(self, shape: Shape) -> tuple[Layer, ...]:
        c, n = self.channels, self.area + 1
        tokens, scores = (n, c), (self.heads, n, 1)
        dense = Linear(c, c)
        return (
            Layer("", Tokens(), shape, tokens),
            Layer("", Positions(n, c), tokens, tokens),
            Layer("", Sum(2), tokens, tokens),
            Layer("k_proj", dense, tokens, tokens),
            Layer("q_proj", dense, (c,), (c,)),
            Layer("v_proj", dense, tokens, tokens),
            Layer("", MatrixProduct(self.heads * n, c // self.heads, 1), (c,), scores),
            Layer("", Softmax(), scores, scores),
            Layer("", MatrixProduct(c, n, 1), scores, (c,)),
            Layer("c_proj", Linear(c, self.width), (c,), (self.width,)),
        )
