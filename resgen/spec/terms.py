"""Numbers that a path says by name: `out`, `6 * in`, `expand * in`, `104 * out / 256`."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction

from resgen.spec.parts import broken

NAMES: dict[str, str] = {
    "in": "channels that enter the block",
    "out": "the width of the stage",
    "mid": "the inner width, by `bottleneck_ratio` or `mid_width`",
    "first": "what a block's first convolution puts out: `first_width`, else `mid`",
    "here": "channels that the row before puts out",
    "branch": "channels that enter this branch",
    "classes": "the network's classes",
}
"""What a term may name besides the parameters of the definition that it stands in."""

_TERM = re.compile(r"\s*([^\s*/]+)\s*((?:[*/]\s*[^\s*/]+\s*)*)")
_FACTOR = re.compile(r"([*/])\s*([^\s*/]+)")
NAME = re.compile(r"[a-z][a-z0-9]*([-_][a-z0-9]+)*")
_NUMBER = re.compile(r"[0-9]{1,9}(\.[0-9]{1,9})?")
_MOST = 8
"""Factors of a term."""


@dataclass(frozen=True, slots=True)
class Term:
    """A product of numbers and names over another: factor * above... / below..."""

    text: str
    factor: Fraction
    above: tuple[str, ...]
    below: tuple[str, ...]

    @property
    def names(self) -> Iterator[str]:
        """Every name it asks for."""
        yield from self.above
        yield from self.below

    def __str__(self) -> str:
        return self.text


def read_term(text: str) -> Term:
    """`104 * out / 256` as a Term; raises a broken rule for anything else."""
    found = _TERM.fullmatch(text)
    if not found:
        raise broken(_refusal(text))
    factors = [("*", found[1]), *_FACTOR.findall(found[2])]
    if len(factors) > _MOST:
        raise broken(f"a term has at most {_MOST} factors (got {len(factors)})")
    factor = Fraction(1)
    names: dict[str, list[str]] = {"*": [], "/": []}
    for sign, word in factors:
        if _NUMBER.fullmatch(word):
            value = Fraction(word)
            if not value and sign == "/":
                raise broken(f"{text}: nothing can be divided by 0")
            factor = factor * value if sign == "*" else factor / value
        elif NAME.fullmatch(word):
            names[sign].append(word)
        else:
            raise broken(_refusal(text))
    return Term(" ".join(text.split()), factor, tuple(names["*"]), tuple(names["/"]))


def _refusal(text: str) -> str:
    shown = text if len(text) <= 40 else f"{text[:40]}..."
    if "+" in text or re.search(r"\s-\s", text):
        return f"{shown!r}: a term multiplies and divides; there are no sums"
    return f"{shown!r}: write a number or a term such as out / 4, 6 * in, 104 * out / 256"
