"""Attentions over all pixels: their weighted mean, and the pool that is one."""

from __future__ import annotations

from typing import ClassVar, NamedTuple

from resgen.plan.layers.activations import Sigmoid
from resgen.plan.layers.base import Layer, NoParams, Nothing, Op, SameShape, Shape, chain, elements
from resgen.plan.layers.composite import Composite
from resgen.plan.layers.paths import Sum
from resgen.plan.layers.weighted import Conv, LayerNorm2d, Linear
from resgen.plan.layers.weightless import Multiply


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
        return (*vector, gate, Layer("", Multiply(), shape, shape))


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
