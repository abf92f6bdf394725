"""metrics -> curves.png: training error dashed, held-out error solid, one colour a network.

Of more than ten classes the top-5 error has a second panel.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from io import BytesIO
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

from resgen.files import write_whole
from resgen.train.run.metrics import Row

TOP5 = "top5_error"
# The first four are distinct for every kind of colour vision (Okabe and Ito); all stand out from
# white and from near black by 3:1 or more.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#C46F9E", "#A6761D", "#7D5FC0", "#5B8C2A", "#7F7F7F")
_LINES = (("train", "--", 1.2), ("heldout", "-", 2.0))


def draw_curves(runs: Mapping[str, Sequence[Sequence[Row]]], path: Path, *, title: str) -> None:
    """Writes the figure of `curves`. Raises UserError where the file cannot be written."""
    write_whole(path, curves(runs, path.suffix[1:], title=title))


def curves(runs: Mapping[str, Sequence[Sequence[Row]]], form: str, *, title: str) -> bytes:
    """One figure for all networks, as figure 6 of He et al. 2015: error in % over epochs.

    Of several runs under a name: their mean, in a band of a standard deviation to each side; those
    that ended before the longest are thin lines of their own.
    """
    from matplotlib import rc_context
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    kinds = [("error", "error (%)")]
    if any(f"heldout_{TOP5}" in row for each in runs.values() for rows in each for row in rows):
        kinds.append((TOP5, "top-5 error (%)"))
    figure = Figure(figsize=(7 * len(kinds), 4.5), layout="constrained")
    FigureCanvasAgg(figure)
    figure.suptitle(title)
    for number, (kind, label) in enumerate(kinds, 1):
        axes = figure.add_subplot(1, len(kinds), number)
        draw_panel(axes, runs, kind)
        axes.set(xlabel="epoch", ylabel=label)
        axes.set_ylim(bottom=0)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.grid(alpha=0.25)
        axes.legend(frameon=False)
    image = BytesIO()
    with rc_context({"svg.fonttype": "none", "svg.hashsalt": "resgen"}):
        # Without the date, so that the same runs are the same file.
        metadata = {"Date": None} if form == "svg" else {}
        figure.savefig(image, format=form, dpi=150, metadata=metadata)
    return image.getvalue()


def draw_panel(axes: Any, runs: Mapping[str, Sequence[Sequence[Row]]], kind: str) -> None:
    """One panel: the lines of every name, and what the kinds of lines mean."""
    bands = False
    for number, (name, each) in enumerate(runs.items()):
        colour = COLOURS[number % len(COLOURS)]
        ended, short = whole(each)
        bands = bands or len(ended) > 1
        for split, dashes, width in _LINES:
            key = f"{split}_{kind}"
            said = f"{name}, {len(ended)} seeds" if len(ended) > 1 else name
            draw_line(axes, ended, key, dashes, width, colour, said if split == "heldout" else None)
            for rows in short:
                draw_line(axes, [rows], key, dashes, 0.6, colour, None)
    axes.plot([], [], "--", color="grey", linewidth=1.2, label="training")
    axes.plot([], [], "-", color="grey", linewidth=2.0, label="held out")
    if bands:
        axes.fill_between([], [], [], color="grey", alpha=0.2, label="mean +/- deviation")


def whole(runs: Sequence[Sequence[Row]]) -> tuple[list[Sequence[Row]], list[Sequence[Row]]]:
    """The runs with the epochs of the longest, and the others, which stopped before."""
    epochs = [[row["epoch"] for row in rows] for rows in runs]
    longest = max(epochs, key=len)
    pairs = list(zip(runs, epochs, strict=True))
    return (
        [rows for rows, own in pairs if own == longest],
        [rows for rows, own in pairs if own != longest],
    )


def draw_line(
    axes: Any, runs: Sequence[Sequence[Row]], key: str, dashes: str, width: float,
    colour: str, label: str | None,
) -> None:  # fmt: skip
    """The mean of runs of the same epochs, and the band around it."""
    # An epoch that an earlier version counted no top-5 errors in has no point.
    at = [rows for rows in zip(*runs, strict=True) if all(key in row for row in rows)]
    epochs = [rows[0]["epoch"] for rows in at]
    values = [[100 * row[key] for row in rows] for rows in at]
    means = [fmean(each) for each in values]
    # A run of one epoch has no line; a dot shows it.
    dot = "o" if len(epochs) == 1 else None
    axes.plot(epochs, means, dashes, color=colour, linewidth=width, marker=dot, label=label)
    if len(runs) > 1:
        spreads = [stdev(each) for each in values]
        low, high = (
            [mean + sign * spread for mean, spread in zip(means, spreads, strict=True)]
            for sign in (-1, 1)
        )
        axes.fill_between(epochs, low, high, color=colour, alpha=0.2, linewidth=0)
