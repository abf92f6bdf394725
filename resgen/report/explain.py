"""A layer's name -> its formulas with the numbers filled in."""

from __future__ import annotations

import difflib

from resgen.cost import cost_of_layers
from resgen.errors import UserError
from resgen.plan import Block, Layer, Plan, elements
from resgen.plan import layers as L
from resgen.report.kinds import kind_of
from resgen.words import hung, short, size, wrapped


def explain(plan: Plan, name: str) -> list[str]:
    """The lines about one layer, block (`layer1.0`) or stage (`layer1`).

    Raises UserError, with the nearest name, where the network has no such part.
    """
    found = [layer for path, layer in plan.named_layers() if path == name]
    found = [layer for layer in found if type(layer.op) is type(found[0].op)]
    if found:  # a path calls its one activation several times; they share a name
        lines = _layer(name, found[0])
        if len(found) > 1:
            lines += hung("calls", f"{len(found)} a forward pass, of which this is the first", 11)
        return lines
    blocks = {f"{path}": block for path, block in plan.named_blocks()}
    if name in blocks:
        return _block(name, blocks[name])
    for stage in plan.stages:
        if stage.name == name:
            lines = [f"{name}   {stage.depth} blocks, puts out {size(stage.output)}"]
            for run in stage.runs:
                lines += ["", *_block(f"{name}.{run.first}", run.block)]
                if run.count > 1:
                    lines += hung("repeated", f"{run.count} times, each the same", 11)
            return lines
    names = [*dict.fromkeys(path for path, _ in plan.named_layers()), *blocks]
    near = difflib.get_close_matches(name, names, n=1)
    hint = f"; did you mean {near[0]}?" if near else f"; the first is {names[0]}"
    raise UserError(f"--explain {name}: {plan.name} has no layer of this name{hint}")


def _layer(name: str, layer: Layer) -> list[str]:
    op = layer.op
    head = f"{name}   {kind_of(op)}   {size(layer.input)} -> {size(layer.output)}"
    lines = [*wrapped(head), *hung("", (type(op).__doc__ or "").splitlines()[0], 11)]
    for label, text in formulas(layer):
        lines += hung(label, text, 11)
    for part in op.parts(layer.input):
        title = part.name or kind_of(part.op)
        if part.name or cost_of_layers((part,)) != cost_of_layers(()):
            lines += ["", *_layer(f"{name}.{title}" if part.name else f"{name} {title}", part)]
    return lines


def formulas(layer: Layer) -> list[tuple[str, str]]:
    """(what, formula with numbers) of one layer: its output, its params, its MACs."""
    op, out = layer.op, layer.output
    books = cost_of_layers((layer,))
    lines: list[tuple[str, str]] = []
    if isinstance(op, L.Conv | L.MaxPool) and len(layer.input) == 3:
        dilation = getattr(op, "dilation", 1)
        for word, into, made in zip(("height", "width"), layer.input[1:], out[1:], strict=True):
            lines.append(
                (
                    word,
                    f"floor(({into} + 2*{op.padding} - {dilation}*({op.kernel_size} - 1) - 1) "
                    f"/ {op.stride}) + 1 = {made}",
                )
            )
    for name, shape in op.params().items():
        factors = " * ".join(map(str, shape))
        lines.append(("params", f"{name}: {factors} = {elements(shape):,}"))
    if isinstance(op, L.Conv) and op.line == "conv":
        k, each = op.kernel_size, op.in_channels // op.groups
        inner = f"({op.in_channels} / {op.groups})" if op.groups > 1 else str(each)
        text = f"{out[1]} * {out[2]} * {k} * {k} * {inner} * {op.out_channels}"
        lines.append(("MACs", f"out_h * out_w * k * k * in/groups * out = {text}"))
        lines.append(("", f"= {books.macs:,} ({short(books.macs)})"))
    elif isinstance(op, L.Linear):
        text = f"{op.in_features} * {op.out_features} = {books.macs:,}"
        lines.append(("MACs", f"in * out = {text}"))
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
            (books.bias, "bias"), (books.elementwise, "product"),
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


def _block(name: str, block: Block) -> list[str]:
    """The equation of a block, its layers and the addition."""
    main = " -> ".join(layer.name for layer in block.main)
    lines = [*wrapped(f"{name}   {block.kind} block   {size(block.input)} -> {size(block.output)}")]
    lines += hung("main", main, 11)
    if block.shortcut.kind == "none":
        lines += hung("shortcut", "none: a plain block", 11)
    else:
        words = ", ".join(layer.name for layer in block.shortcut_layers) or "the input itself"
        added = cost_of_layers(block.shortcut_layers)
        lines += hung(
            "shortcut",
            f"{block.shortcut.kind}: {words}; {added.params:,} params, {added.macs:,} MACs",
            11,
        )
        factors = " * ".join(map(str, block.output))
        lines += hung("addition", f"{factors} = {block.residual_adds:,} elements, 0 MACs", 11)
    if block.after:
        lines += hung("after", " -> ".join(layer.name for layer in block.after), 11)
    books = cost_of_layers(block.layers)
    rows = [(layer.name, cost_of_layers((layer,))) for layer in block.layers]
    weighted = [(n, c) for n, c in rows if c.macs]
    sums = " + ".join(f"{c.macs:,}" for _, c in weighted)
    lines += hung("MACs", f"{' + '.join(n for n, _ in weighted)} = {sums}", 11)
    lines += hung("", f"= {books.macs:,} ({short(books.macs)})", 11)
    return [*lines, *hung("params", f"{books.params:,}", 11)]
