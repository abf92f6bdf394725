"""metrics -> curves.png: training error dashed, held-out error solid, one colour a network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from io import BytesIO
from pathlib import Path

from resgen.files import write_whole
from resgen.train.run.metrics import Row

# Distinct for every kind of colour vision, and in grey print (Okabe and Ito).
_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#999933")


def draw_curves(runs: Mapping[str, Sequence[Row]], path: Path, *, title: str) -> None:
    """One figure for all networks, as figure 6 of He et al. 2015: error in % over epochs.

    Raises UserError where the file cannot be written.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    figure = Figure(figsize=(7, 4.5), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    for number, (name, rows) in enumerate(runs.items()):
        colour = _COLOURS[number % len(_COLOURS)]
        epochs = [row["epoch"] for row in rows]
        # A run of one epoch has no line; a dot shows it.
        dot = "o" if len(rows) == 1 else None
        train = [100 * row["train_error"] for row in rows]
        heldout = [100 * row["heldout_error"] for row in rows]
        axes.plot(epochs, train, "--", color=colour, linewidth=1.2, marker=dot)
        axes.plot(epochs, heldout, "-", color=colour, linewidth=2.0, marker=dot, label=name)
    axes.plot([], [], "--", color="grey", linewidth=1.2, label="training")
    axes.plot([], [], "-", color="grey", linewidth=2.0, label="held out")
    axes.set(xlabel="epoch", ylabel="error (%)", title=title)
    axes.set_ylim(bottom=0)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.grid(alpha=0.25)
    axes.legend(frameon=False)
    image = BytesIO()
    figure.savefig(image, format="png", dpi=150)
    write_whole(path, image.getvalue())
