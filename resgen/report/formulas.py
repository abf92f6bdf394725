"""A layer -> its formulas with the numbers filled in."""

from __future__ import annotations

from resgen.cost import cost_of_layers
from resgen.plan import Layer, Shape, elements
from resgen.plan import layers as L
from resgen.plan.layers.base import both
from resgen.words import short

_WORDS: dict[type, str] = {
    L.ResponseNorm: "response norm", L.Shake: "shake", L.Sum: "addition", L.PairSum: "addition",
    L.Softmax: "exponential and product", L.FrozenBatchNorm: "frozen norm",
    L.FilterResponseNorm: "filter response", L.EvoNormB0: "norm and activation",
    L.EvoNormS0: "norm and activation",
}  # fmt: skip


def formulas(layer: Layer) -> list[tuple[str, str]]:
    """(what, formula with numbers) of one layer: its output, its params, its MACs."""
    op, out = layer.op, layer.output
    books = cost_of_layers((layer,))
    lines: list[tuple[str, str]] = []
    if isinstance(op, L.Conv | L.MaxPool) and len(layer.input) == 3:
        lines += zip(("height", "width"), _sides(op, layer.input, out), strict=True)
    for name, shape in op.params().items():
        factors = " * ".join(map(str, shape))
        lines.append(("params", f"{name}: {factors} = {elements(shape):,}"))
    if isinstance(op, L.Conv) and op.line == "conv":
        (kh, kw), square = both(op.kernel_size), not isinstance(op.kernel_size, tuple)
        inner = f"({op.in_channels} / {op.groups})" if op.groups > 1 else str(op.in_channels)
        text = f"{out[1]} * {out[2]} * {kh} * {kw} * {inner} * {op.out_channels}"
        k = "k * k" if square else "k_h * k_w"
        lines.append(("MACs", f"out_h * out_w * {k} * in/groups * out = {text}"))
        lines.append(("", f"= {books.macs:,} ({short(books.macs)})"))
    elif isinstance(op, L.Linear):
        text = f"{op.in_features} * {op.out_features} = {books.macs:,}"
        vectors = "vectors * " if len(out) > 1 else ""
        text = f"{out[0]} * {text}" if vectors else text
        lines.append(("MACs", f"{vectors}in * out = {text}"))
    elif isinstance(op, L.MatrixProduct):
        text = f"{op.rows} * {op.inner} * {op.columns} = {books.macs:,}"
        lines.append(("MACs", f"rows * inner * columns = {text}"))
    elif isinstance(op, L.ChannelConv):
        text = f"{op.kernel_size} * {elements(out)} = {books.macs:,}"
        lines.append(("MACs", f"k * channels = {text}"))
    elif op.line == "conv":
        lines.append(("MACs", f"{op.amount(layer.input, out):,}"))
    elif not op.parts(layer.input):
        lines.append(("MACs", "0"))
    if books.macs:
        lines.append(("FLOPs", f"2 * {books.macs:,} = {books.flops:,}"))
    apart = [
        (count, what)
        for count, what in (
            (books.norm, "norm"), (books.activation, "activation"), (books.pool, "pool"),
            (books.bias, "bias"), (books.elementwise, _WORDS.get(type(op), "product")),
        )
        if count
    ]  # fmt: skip
    for count, what in apart:
        per = count // elements(layer.input if what == "pool" else out) or 1
        of = layer.input if isinstance(op, L.GlobalAvgPool) else out
        if per * elements(of) == count:
            text = f"{per} * {' * '.join(map(str, of))} = {count:,} {what} operations"
        else:
            text = f"{count:,} {what} operations"
        lines.append(("apart", text))
    return lines


def _sides(op: L.Conv | L.MaxPool, shape: Shape, out: Shape) -> list[str]:
    """How high and how wide a sliding window makes an image."""
    found = []
    options = (op.kernel_size, op.stride, op.padding, op.dilation)
    ceil = getattr(op, "ceil_mode", False)
    numbers = zip(*map(both, options), strict=True)
    for into, made, (k, s, p, d) in zip(shape[1:], out[1:], numbers, strict=True):
        inner = f"{into} + 2*{p} - {d}*({k} - 1) - 1"
        whole = -(-(into + 2 * p - k) // s) + 1
        if not ceil:
            found.append(f"floor(({inner}) / {s}) + 1 = {made}")
        elif made == whole:
            found.append(f"ceil(({inner}) / {s}) + 1 = {made}")
        else:
            found.append(f"ceil(({inner}) / {s}) = {made}: the last would start in the padding")
    return found
