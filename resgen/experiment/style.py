"""How figures of experiments look, on white and on dark; one figure -> an SVG and a PNG.

Text stays text in the SVG, which has no ground of its own: what is drawn in ink takes the colour of
the page around it. The PNG is white.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from html import escape
from io import BytesIO
from pathlib import Path
from typing import Any

from resgen.files import write_whole
from resgen.report import look

INK, PAPER = "#1f2329", "#e6e9ef"
"""Of text and axes on white, and on dark."""
DOTS = ("o", "s", "^", "D", "v", "P", "X", "<")
DASHES = ("-", "--", "-.", ":")
OF_SERIES = ("--", "-", "-.", ":")
"""Plain networks are commonly the first series, residual ones the second."""
RIGHT, WRONG, OPEN = look.COLOURS[0], look.COLOURS[1], "#7F7F7F"
_STYLE: dict[Any, Any] = {
    "font.size": 10,
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": INK,
    "axes.titlesize": 10,
    "xtick.color": INK,
    "ytick.color": INK,
    "grid.color": INK,
    "grid.alpha": 0.15,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "legend.frameon": False,
    "legend.fontsize": 9,
    # A name may hold a dollar sign.
    "text.parse_math": False,
    "svg.fonttype": "none",
    "svg.hashsalt": "resgen",
}
_RULE = (
    f"<style>svg:root {{ color: {INK} }} "
    f"@media (prefers-color-scheme: dark) {{ svg:root {{ color: {PAPER} }} }}</style>"
)


@contextmanager
def styled() -> Iterator[None]:
    """Figures made inside look as these do."""
    from matplotlib import rc_context

    with rc_context(_STYLE):
        yield


def panels(
    columns: int, rows: int = 1, *, width: float = 4.6, height: float = 3.8, **more: Any
) -> tuple[Any, list[Any]]:
    """A figure and its axes, row by row."""
    figure = look.new(width * columns, height * rows)
    return figure, list(figure.subplots(rows, columns, squeeze=False, **more).flat)


def save(figure: Any, stem: Path, caption: str) -> None:
    """Writes STEM.svg and STEM.png."""
    drawn = BytesIO()
    figure.savefig(drawn, format="svg", transparent=True, metadata={"Date": None})
    text = drawn.getvalue().decode().replace(INK, "currentColor")
    # Behind the XML head and the type of document, which a page cannot take in.
    text = text[text.index("<svg ") :]
    # Nor does it want to know what drew it; and its rules are to hold for this figure alone.
    before, _, rest = text.partition("<metadata>")
    text = before.rstrip() + rest.partition("</metadata>")[2]
    text = text.replace("*{stroke-linejoin", "#figure_1 *{stroke-linejoin")
    label = f'<svg role="img" aria-label="{escape(caption, quote=True)}" '
    text = text.replace("<svg ", label, 1)
    end = text.index(">") + 1
    write_whole(stem.with_suffix(".svg"), f"{text[:end]}\n {_RULE}{text[end:]}")
    drawn = BytesIO()
    figure.savefig(drawn, format="png", dpi=150, facecolor="white")
    write_whole(stem.with_suffix(".png"), drawn.getvalue())
