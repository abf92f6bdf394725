"""How a Spec, a Plan, its books and its proof show in a notebook: as tables and drawings.

A notebook asks an object for `_repr_html_` and `_repr_svg_`. Those of ours are given to them here,
at the door, as the rooms that make them must not know of tables.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from html import escape
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from resgen.cost import COUNTING, Cost
from resgen.plan import Plan, resolve
from resgen.proof import Proof
from resgen.spec import Spec
from resgen.words import short, size


class Drawing(str):
    """An SVG document: text, which a notebook shows as the picture it is.

    Examples:
        >>> from resgen import draw
        >>> draw("resnet18", detail="stage").save("resnet18.svg", force=True)
    """

    __slots__ = ()

    def save(self, path: str | os.PathLike[str], *, force: bool = False) -> None:
        """Writes .svg, .pdf or .png. Raises UserError for a file that exists, unless forced."""
        from resgen.files import check_place, write_new
        from resgen.report import rendering

        file = Path(path)
        check_place(file, force=force, endings=rendering.SUFFIXES)
        write_new(file, rendering.rendered(self, file), force=force)

    def _repr_svg_(self) -> str:
        return str(self)

    def __repr__(self) -> str:
        return f"<Drawing of {ElementTree.fromstring(self)[0].text}>"


def _drawn(plan: Plan) -> str:
    from resgen.report.draw import Figure, draw

    return draw([plan], Figure(wide=True))


def _plan(plan: Plan) -> str:
    from resgen.report.rows import rows, total
    from resgen.report.tables import heading

    body = [
        [row.name, size(row.output), str(row.blocks or ""), f"{row.books.params:,}",
         short(row.macs), short(2 * row.macs)]
        for row in (*rows(plan), total(plan))
    ]  # fmt: skip
    table = _table(["", "output", "blocks", "params", "MACs", "FLOPs"], body)
    drawing = f'<div style="overflow:auto;max-height:36em">{_drawn(plan)}</div>'
    return f"{_line(heading(plan))}{table}{_line(COUNTING + '.')}{drawing}"


def _spec(spec: Spec) -> str:
    from resgen.spec.text import ordered, plain
    from resgen.spec.writing import flow_text

    body = []
    for key, value in ordered(plain(spec)).items():
        several = key == "stages"
        body += [
            [f"{key}[{at}]" if several else key, flow_text(each)]
            for at, each in enumerate(value if several else [value])
        ]
    return _table((), body, words=True)


def _cost(books: Cost) -> str:
    from resgen.report.tables import others

    apart = [("additions", books.residual_adds), *others(books, paths=True)]
    body = [
        *(
            [name, f"{count:,}", note]
            for name, count, note in (
                ("params", books.params, ""),
                ("MACs", books.macs, "convolutions and linear layers"),
                ("FLOPs", books.flops, "2 x MACs"),
                ("activations", books.activations, "elements put out by convolutions"),
            )
        ),
        *([name, f"{count:,}", "operations, counted apart"] for name, count in apart),
    ]
    return _table((), body)


def _proof(proof: Proof) -> str:
    body = [["holds" if check.holds else "FAILS", check.text] for check in proof.checks]
    return _table((), body, words=True)


def _line(text: str) -> str:
    return f"<p>{escape(text)}</p>"


def _table(head: Sequence[str], body: Iterable[Sequence[str]], *, words: bool = False) -> str:
    """Cells flush right behind the first, as numbers are; those of words flush left."""

    def row(cells: Sequence[str], tag: str) -> str:
        styles = ["left", *["left" if words else "right"] * (len(cells) - 1)]
        return "".join(
            f'<{tag} style="text-align:{style}">{escape(cell)}</{tag}>'
            for style, cell in zip(styles, cells, strict=True)
        )

    top = f"<thead><tr>{row(head, 'th')}</tr></thead>" if head else ""
    lines = "".join(f"<tr>{row(cells, 'td')}</tr>" for cells in body)
    return f"<table>{top}<tbody>{lines}</tbody></table>"


SHOWN: dict[type, dict[str, Callable[[Any], str]]] = {
    Spec: {"_repr_html_": _spec, "_repr_svg_": lambda spec: _drawn(resolve(spec))},
    Plan: {"_repr_html_": _plan, "_repr_svg_": _drawn},
    Cost: {"_repr_html_": _cost},
    Proof: {"_repr_html_": _proof},
}


def show() -> None:
    """Gives them what a notebook asks for."""
    for kind, methods in SHOWN.items():
        for name, method in methods.items():
            setattr(kind, name, method)
