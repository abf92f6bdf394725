"""Tables of a page: what they say, how a column sorts, and how numbers are written in them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from resgen.words import short


@dataclass(frozen=True)
class Cell:
    """What is written; what it sorts by where that is a number; how it is set."""

    text: str | Markup
    value: float | None = None
    kind: str = ""
    """A class of the style sheet: name, number, word, path, mark."""


@dataclass(frozen=True)
class Table:
    """A caption, heads, rows of cells, and the rows of totals below, which are never sorted."""

    key: str
    caption: str
    heads: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    foot: tuple[tuple[Cell, ...], ...] = ()
    sortable: bool = True
    note: str = ""
    kind: str = ""
    """A class of the style sheet: `narrow` is as wide as its words, `prose` has sentences."""

    @property
    def columns(self) -> list[tuple[str, bool]]:
        """(head, whether its cells are numbers, flush right)."""
        lines = (*self.rows, *self.foot)
        return [
            (head, any(line[at].kind.startswith("number") for line in lines))
            for at, head in enumerate(self.heads)
        ]


def name(text: str) -> Cell:
    """The head of a row."""
    return Cell(text, kind="name")


def word(text: str | Markup) -> Cell:
    """Text."""
    return Cell(text, kind="word")


def path(text: str) -> Cell:
    """The name of a file or a folder."""
    return Cell(text, kind="path")


def number(text: str, value: float | None = None) -> Cell:
    """A figure; without a value it sorts last."""
    return Cell(text, value, "number")


def count(value: int) -> Cell:
    """Every digit: 25,557,032."""
    return Cell(f"{value:,}", value, "number" if value else "number nothing")


def rounded(value: int) -> Cell:
    """4.089 G."""
    return number(short(value), value)


NONE = Cell("\u2013", kind="number nothing")
"""Nothing to say."""


def percent(value: float | None, deviation: float | None = None) -> Cell:
    """A fraction in %, with its deviation over seeds."""
    if value is None:
        return NONE
    spread = "" if deviation is None else f" \u00b1 {100 * deviation:.2f}"
    return number(f"{100 * value:.2f}{spread}", value)


def badge(text: str, tone: str) -> Cell:
    """A verdict: tone is `good`, `bad`, `open` or `none`."""
    return Cell(Markup('<span class="badge {}">{}</span>').format(tone, text), kind="mark")


def facts(key: str, caption: str, pairs: Sequence[tuple[str, str]]) -> Table:
    """Two columns: what, and how it is."""
    rows = tuple((name(what), word(value)) for what, value in pairs)
    return Table(key, caption, ("", ""), rows, sortable=False, kind="narrow")
