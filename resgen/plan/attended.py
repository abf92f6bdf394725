"""The attention setting -> rows, and where in a block they stand."""

from __future__ import annotations

from resgen.plan.paths import spliced
from resgen.spec.attention import Attention
from resgen.spec.builtin import shipped
from resgen.spec.definitions import Use
from resgen.spec.grammar import Row, Rows
from resgen.spec.settings import BlockSettings
from resgen.spec.values import Value


def attention(settings: BlockSettings) -> Rows:
    """The rows of the attention setting, with its own numbers and words."""
    chosen = settings.attention
    if isinstance(chosen, Use):
        if chosen.rows is not None:
            return (Row("inline", None, (("name", "attention"),), (), (chosen.rows,)),)
        return (Row(chosen.name, None, (("name", "attention"),), (), (), chosen.parameters),)
    if chosen.kind == "none":
        return ()
    # Every kind has this name, as in published weights.
    if chosen.kind == "eca":
        word = "eca" if chosen.kernel else "eca by width"
        kernel: dict[str, Value] = {"kernel": chosen.kernel} if chosen.kernel else {}
        return (spliced(shipped(word), kernel, "se"),)
    said = _said(chosen)
    values: dict[str, Value] = {"ratio": chosen.ratio}
    if chosen.kind == "cbam":
        pixels = spliced(shipped("cbam pixels"), {"kernel": chosen.kernel or 7}, "se")
        return (spliced(shipped("cbam channels"), values, "se", **said), pixels)
    word = "gc" if chosen.kind == "gc" else f"se {chosen.ratio_of}"
    return (spliced(shipped(word), values, "se", **said),)


def position(settings: BlockSettings) -> str:
    """Where the attention stands: a definition's or a path's at the end."""
    chosen = settings.attention
    return chosen.position if isinstance(chosen, Attention) else "end"


def _said(chosen: Attention) -> dict[str, Value]:
    """The options that a row of this attention has."""
    divisor, way = chosen.rounding
    # With a divisor halves go up; with none, to even, as RegNet's authors round.
    even = (divisor, way) == (1, "nearest")
    options: dict[str, Value] = {"round": "even" if even else (divisor, way)}
    if chosen.activation:
        options["activation"] = chosen.activation
    for key, usual in (("bias", True), ("gate", "sigmoid"), ("fuse", "add")):
        if (value := getattr(chosen, key)) != usual:
            options[key] = value
    return options
