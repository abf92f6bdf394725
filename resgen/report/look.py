"""One look for every figure of points and curves: colours, marks, type, light and dark.

Twelve colours stay apart for normal, red-blind and green-blind eyes, and on white and near-black
paper. The first six are Okabe and Ito's (2008); each of the others is as far as can be from those
before it for the worst of the three pairs of eyes. A mark goes with each, so that no pair of colour
and mark comes back before the sixtieth series.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from typing import Any, NamedTuple

from resgen.report.paint import PALETTES, Theme

SUFFIXES = (".png", ".svg", ".pdf")
COLOURS = (
    "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9",
    "#2145D9", "#A60000", "#4DBF63", "#8C386B", "#8C3838", "#D900AD",
)  # fmt: skip
MARKS = ("o", "s", "^", "D", "v")
GRID = {"light": "#e3e7ee", "dark": "#2a313d"}
ROOT = "resgen-figure"


class Series(NamedTuple):
    """How a series looks."""

    colour: str
    mark: str


def series(number: int) -> Series:
    """The look of the series of a number, from 0."""
    return Series(COLOURS[number % len(COLOURS)], MARKS[number % len(MARKS)])


def palette(theme: Theme) -> dict[str, str]:
    """The colours of paper, ink and grid."""
    name = "dark" if theme == "dark" else "light"
    return {**PALETTES[name], "grid": GRID[name]}


@contextmanager
def style(theme: Theme = "auto") -> Iterator[dict[str, str]]:
    """The settings of matplotlib that figures are made and saved under; gives the palette."""
    from matplotlib import rc_context

    found = palette(theme)
    with rc_context(
        {
            "font.family": ["Helvetica", "Arial", "Liberation Sans", "DejaVu Sans", "sans-serif"],
            "font.size": 9.5,
            "text.color": found["ink"],
            "axes.labelcolor": found["ink"],
            "axes.titlecolor": found["ink"],
            "axes.titlesize": 10.5,
            "axes.edgecolor": found["soft"],
            "axes.facecolor": found["paper"],
            "axes.linewidth": 0.8,
            "axes.spines.top": False,
            "axes.spines.right": False,
            "axes.grid": True,
            "axes.axisbelow": True,
            "grid.color": found["grid"],
            "grid.linewidth": 0.7,
            "xtick.color": found["soft"],
            "ytick.color": found["soft"],
            "figure.facecolor": found["paper"],
            "legend.frameon": False,
            "legend.fontsize": 8.5,
            "lines.solid_capstyle": "round",
            "svg.fonttype": "none",
            "svg.hashsalt": "resgen",
            "pdf.fonttype": 42,
        }
    ):
        _quiet()
        yield found


def _quiet() -> None:
    """Fonts that a system does not have are passed over without a word."""
    import logging

    logging.getLogger("matplotlib.font_manager").setLevel(logging.ERROR)


def new(width: float, height: float) -> Any:
    """An empty figure of so many inches; no display is needed."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def content(figure: Any, kind: str, theme: Theme = "auto") -> bytes:
    """The file of a figure: `svg`, `png` or `pdf`; the same figure is the same file."""
    drawn = BytesIO()
    dated = {"svg": "Date", "pdf": "CreationDate"}.get(kind)
    figure.savefig(drawn, format=kind, dpi=160, metadata={dated: None} if dated else {})
    if kind != "svg" or theme != "auto":
        return drawn.getvalue()
    head, start, rest = drawn.getvalue().decode().partition("<svg ")
    opening, end, body = rest.partition(">")
    return f'{head}{start}class="{ROOT}" {opening}{end}{_dark()}{body}'.encode()


def _dark() -> str:
    """The style sheet that a browser may take: paper, ink and grid; series keep their colours."""
    light, dark = palette("light"), palette("dark")
    rules = [
        f'.{ROOT} [style*="{what}: {light[name]}"]{{{what}:{dark[name]}!important}}'
        for name in ("paper", "ink", "soft", "grid")
        for what in ("fill", "stroke")
    ]
    return f"\n<style>@media (prefers-color-scheme:dark){{{''.join(rules)}}}</style>"
