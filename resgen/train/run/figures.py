"""metrics -> curves.png: training error dashed, held-out error solid, one colour a network.

Of more than ten classes the top-5 error has a second panel.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from io import BytesIO
from pathlib import Path
from typing import Any

from resgen.files import write_whole
from resgen.train.run.metrics import Row

TOP5 = "top5_error"
# Distinct for every kind of colour vision, and in grey print (Okabe and Ito).
_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#999933")


def draw_curves(runs: Mapping[str, Sequence[Row]], path: Path, *, title: str) -> None:
    """One figure for all networks, as figure 6 of He et al. 2015: error in % over epochs.

    Raises UserError where the file cannot be written.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    kinds = [("error", "error (%)")]
    if any(f"heldout_{TOP5}" in row for rows in runs.values() for row in rows):
        kinds.append((TOP5, "top-5 error (%)"))
    figure = Figure(figsize=(7 * len(kinds), 4.5), layout="constrained")
    FigureCanvasAgg(figure)
    figure.suptitle(title)
    for number, (kind, label) in enumerate(kinds, 1):
        axes = figure.add_subplot(1, len(kinds), number)
        _draw(axes, runs, kind)
        axes.set(xlabel="epoch", ylabel=label)
        axes.set_ylim(bottom=0)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.grid(alpha=0.25)
        axes.legend(frameon=False)
    image = BytesIO()
    figure.savefig(image, format="png", dpi=150)
    write_whole(path, image.getvalue())


def _draw(axes: Any, runs: Mapping[str, Sequence[Row]], kind: str) -> None:
    for number, (name, rows) in enumerate(runs.items()):
        colour = _COLOURS[number % len(_COLOURS)]
        for split, line, width, label in (("train", "--", 1.2, None), ("heldout", "-", 2.0, name)):
            # An epoch that earlier runs did not count top-5 errors in has no point.
            points = [
                (row["epoch"], 100 * row[f"{split}_{kind}"])
                for row in rows
                if f"{split}_{kind}" in row
            ]
            # A run of one epoch has no line; a dot shows it.
            dot = "o" if len(points) == 1 else None
            axes.plot(
                [epoch for epoch, _ in points], [error for _, error in points], line,
                color=colour, linewidth=width, marker=dot, label=label,
            )  # fmt: skip
    axes.plot([], [], "--", color="grey", linewidth=1.2, label="training")
    axes.plot([], [], "-", color="grey", linewidth=2.0, label="held out")
