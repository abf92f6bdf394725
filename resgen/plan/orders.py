"""Where norm and activation go in a path that says none: rows -> rows."""

from __future__ import annotations

from typing import NamedTuple

from resgen.plan.tables import ACTIVATED, ORDERS, Order
from resgen.spec.grammar import Row, Rows
from resgen.spec.rows import ROWS
from resgen.spec.values import Value

_LETTERS = {"n": Row("norm"), "a": Row("act")}


class Extras(NamedTuple):
    """What the settings put into a block's path besides.

    antialias: what strides in place of the convolutions that take the stage's stride.
    attention, position: its rows, and where they stand; on the shortcut, they are not here.
    """

    antialias: Rows = ()
    attention: Rows = ()
    position: str = "end"


def filled(rows: Rows, order: Order, *, last: bool = True) -> Rows:
    """A path with norms and activations around its convolutions, branches' and definitions' too.

    last: whether the path's last convolution is the last of all, and has other letters behind.
    """
    made: list[Row] = []
    final = _last(rows) if last else -1
    for index, row in enumerate(rows):
        before, row, behind = _around(rows, index, order, ends=index == final)
        made += (*before, row, *behind)
    return tuple(made)


def filled_block(rows: Rows, order: Order, extras: Extras) -> Rows:
    """A block's path, filled in, with its `split`, its `add` and what follows the addition."""
    made: list[Row] = []
    final = _last(rows)
    attended = _attended(rows, extras.position)
    shares = order.shares != "none"
    for index, row in enumerate(rows):
        before, row, behind = _around(rows, index, order, ends=index == final)
        made += before
        if row.word == "conv" and shares:
            made.append(Row("split", "all" if order.shares == "all" else None))
            shares = False
        if extras.position == "pre" and index == attended:
            made += extras.attention
        strides = bool(extras.antialias) and row.get("stride") == "stage"
        made.append(_without(row, "stride") if strides else row)
        if extras.position == "before-norm" and index == attended:
            made += extras.attention
        made += behind
        if strides:
            made += extras.antialias
        if extras.position in ("end", "3x3") and index == attended:
            made += extras.attention
    post = extras.attention if extras.position == "post" else ()
    return (*made, Row("add"), *letters(order.after), *post)


def _attended(rows: Rows, position: str) -> int:
    """The row that an attention stands beside."""
    if position == "pre":
        return next((i for i, row in enumerate(rows) if _weighted(row)), 0)
    if position == "before-norm":
        return _last(rows)
    found = (i for i, row in enumerate(rows) if position == "3x3" and row.value == 3)
    return max(found, default=len(rows) - 1)


def letters(text: str, name: Value = None) -> Rows:
    """Rows of a string over n (norm) and a (activation), all of one name where that is given."""
    rows = tuple(_LETTERS[letter] for letter in text)
    return tuple(row._replace(options=(("name", name),)) for row in rows) if name else rows


def fused(rows: Rows, norm: str) -> Rows:
    """A path in which a norm that has its activation in it stands for the `act` behind it, too.

    norm: the kind of a norm that says none.
    """
    made: list[Row] = []
    for row in rows:
        if row.word == "act" and row.value is None and not row.get("slope") and made:
            before = made[-1]
            if before.word == "norm" and str(before.value or norm) in ACTIVATED:
                made[-1] = before._replace(options=(*before.options, ("activated", True)))
                continue
        made.append(row)
    return tuple(made)


def _last(rows: Rows) -> int:
    return max((i for i, row in enumerate(rows) if _weighted(row)), default=-1)


def _weighted(row: Row) -> bool:
    return row.word in ("conv", "branches") or row.word not in ROWS


def _around(rows: Rows, index: int, order: Order, *, ends: bool) -> tuple[Rows, Row, Rows]:
    """What stands before a row, the row itself with its own paths filled in, what stands behind."""
    row = rows[index]
    if row.word == "conv" and not row.get("over"):
        # Between two rows of one name, which are one sequence, that name goes on.
        name = row.get("name")
        follows = index + 1 < len(rows) and rows[index + 1].get("name") == name
        behind = letters(order.last if ends else order.between, name if follows else None)
        return letters(order.before), row, behind
    if row.word == "branches":
        paths = tuple(filled(path, order, last=ends) for path in row.paths)
        return (), row._replace(paths=paths), ()
    if row.word not in ROWS:
        fill = ("filled", "last" if ends else "inner")
        return (), row._replace(options=(*row.options, fill)), ()
    return (), row, ()


def _without(row: Row, option: str) -> Row:
    return row._replace(options=tuple(pair for pair in row.options if pair[0] != option))


def fill_of(order: str) -> Order:
    """The letters of an order's word; none for `none`."""
    return ORDERS[order] if order != "none" else Order()
