"""Whether a key means something where it stands: `MEANS`, a row a key.

A key whose removal changes nothing is refused, unless it says what holds without it: a default,
what a level above says, or a number that comes out the same. A row asks one block at a time, and
only for keys that were written; one block that reads the key is enough.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from resgen.spec.readers import Reader
from resgen.spec.settings import BLOCK_FIELDS

Means = Callable[[Reader, object, object], bool]
"""Whether a block is another with a value than with what holds without it."""


class Meaning(NamedTuple):
    """A key's row: `means`, and the sentence where no block does."""

    means: Means
    why: Callable[[Reader, str, str], str]


def _place(why: str) -> str:
    return f"no block here has a place for it: {why}"


_NORMS = _place("no path here is without norms of its own")
_BARE = {"identity", "identity-same", "identity-pooled", "projection"}


def _shortcut(reader: Reader, value: object, without: object) -> bool:
    kind, other = getattr(value, "kind", ""), getattr(without, "kind", None)
    if not reader.adds:
        return kind == "none" and other is None and reader.built
    if other is None or reader.own or reader.changes is None:
        return True
    alike = {"none", "identity-same"} if reader.changes else _BARE
    return kind == other or not {kind, other} <= alike


def _why_shortcut(reader: Reader, value: str, without: str) -> str:
    if not reader.adds:
        return (
            "no block here has an `add`, where a shortcut would join; write add into its path, or "
            "shortcut: none"
        )
    how = "changes its shape" if reader.changes else "keeps its shape"
    return f"every block here {how}, where {value} and {without} are the same"


def _order(reader: Reader, value: object, without: object) -> bool:
    if not reader.built:
        return "the order" in reader.also
    if not reader.facts.fillable:
        return False
    same = reader.settings.norm.kind == "none"
    return not (same and {value, without} in _SAME_ORDERS)


_SAME_ORDERS: tuple[set[object], ...] = ({"original", "bn-after-add"}, {"relu-preact", "preact"})
"""Orders that differ in their norms alone."""


def _projection(reader: Reader, value: object, without: object) -> bool:
    words = {getattr(value, "name", ""), getattr(without, "name", "")}
    return reader.projects and (reader.strides or reader.own or not words <= {"conv", "conv3x3"})


def _why_projection(reader: Reader, value: str, without: str) -> str:
    kind = reader.settings.shortcut.kind
    if not kind.startswith("projection"):
        return f"shortcut: {kind} has no projection"
    if not reader.projects:
        return "no block here changes its shape, and so none has a projection"
    return f"no projection here strides, and without a stride {value} is {without}"


def _inner(reader: Reader, value: object, without: object) -> bool:
    asked, settings = reader.facts.asked, reader.settings
    return reader.built and (
        "mid" in asked
        or ("first" in asked and not settings.first_width)
        or ("groups" in asked and bool(settings.group_width))
    )


def _why_inner(reader: Reader, value: str, without: str) -> str:
    if "first" in reader.facts.asked:
        return "first_width says the width inside; keep one of the two"
    return _place("no width names mid")


def _norm(reader: Reader, value: object, without: object) -> bool:
    asked = reader.asked
    if "the norm" in asked:
        return True
    none = [getattr(norm, "kind", "") == "none" for norm in (value, without)]
    return "the bias" in asked and none[0] != none[1] and not reader.settings.bias


def _zero_init(reader: Reader, value: object, without: object) -> bool:
    return reader.joins


def _padding(reader: Reader, value: object, without: object) -> bool:
    if "a padding" in reader.asked:
        return True
    settings, facts = reader.settings, reader.facts
    # Where something else strides in its place, the convolution does not.
    taken = facts.fills and settings.antialias != "none"
    own = "the padding" in facts.asked and not taken
    word = settings.projection.name == "conv3x3"
    return reader.strides and (
        own or (reader.projects and (word or "the padding" in reader.projected))
    )


def _asks(name: str) -> Means:
    return lambda reader, value, without: reader.built and name in reader.facts.asked


def _says(text: str) -> Callable[[Reader, str, str], str]:
    return lambda reader, value, without: text


def _why_bias(reader: Reader, value: str, without: str) -> str:
    if reader.settings.norm.kind == "none":
        return "with norm: none convolutions have biases"
    return "every convolution here says its own bias"


def _why_stride_at(reader: Reader, value: str, without: str) -> str:
    if reader.settings.block.name == "bottleneck":
        return "no bottleneck here strides"
    return _place("only a bottleneck has two places to stride at")


_GROUPS = Meaning(_asks("groups"), _says(_place("no convolution says groups: stage")))
_INNER = Meaning(_inner, _why_inner)

MEANS: dict[str, Meaning] = {
    "block": Meaning(lambda reader, value, without: reader.built, _says("no block is made of it")),
    "shortcut": Meaning(_shortcut, _why_shortcut),
    "order": Meaning(
        _order,
        lambda reader, value, without: (
            f"with norm: none, {value} is {without}" if reader.facts.fillable else _NORMS
        ),
    ),
    "projection": Meaning(_projection, _why_projection),
    "stride_at": Meaning(
        lambda reader, value, without: reader.turns and reader.settings.block.name == "bottleneck",
        _why_stride_at,
    ),
    "bottleneck_ratio": _INNER,
    "mid_width": _INNER,
    "first_width": Meaning(_asks("first"), _says(_place("no width names first"))),
    "groups": _GROUPS,
    "group_width": _GROUPS,
    "dilation": Meaning(_asks("the dilation"), _says(_place("no convolution is wider than 1x1"))),
    "padding": Meaning(
        _padding, _says("nothing here strides, and without a stride both pad alike")
    ),
    "attention": Meaning(
        lambda reader, value, without: reader.built and reader.facts.fills, _says(_NORMS)
    ),
    "norm": Meaning(_norm, _says("every norm here is said by its row")),
    "activation": Meaning(
        lambda reader, value, without: "act" in reader.asked,
        _says("no row here is an activation"),
    ),
    "convolution": Meaning(
        lambda reader, value, without: "the weight" in reader.asked,
        _says("every convolution here says its own weight"),
    ),
    "bias": Meaning(
        lambda reader, value, without: (
            "the bias" in reader.asked and reader.settings.norm.kind != "none"
        ),
        _why_bias,
    ),
    "zero_init": Meaning(_zero_init, _says("no block here has a shortcut to start as")),
    "antialias": Meaning(
        lambda reader, value, without: (
            reader.built and reader.strides and reader.facts.fills and reader.facts.blurs
        ),
        lambda reader, value, without: "nothing here strides" if reader.facts.fills else _NORMS,
    ),
}
assert MEANS.keys() == BLOCK_FIELDS

INSIDE: dict[str, tuple[str, str, Meaning]] = {
    "attention": (
        "position",
        "3x3",
        Meaning(
            lambda reader, value, without: (
                reader.built and reader.facts.fills and reader.facts.middle
            ),
            _says("the 3x3 convolution is the block's last, and behind it is its end"),
        ),
    ),
    "shortcut": (
        "padding",
        "both-sides",
        Meaning(
            lambda reader, value, without: (
                reader.adds and (reader.changes is not False or reader.own)
            ),
            _says("no block here changes its shape, and so none is padded"),
        ),
    ),
}
"""Words inside a key's mapping: name, word, and whether a block is another by it."""
