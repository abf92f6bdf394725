"""A confusion matrix as a picture: rows are the true classes, shades the shares of their images."""

from __future__ import annotations

from pathlib import Path

from resgen.errors import one_line
from resgen.files import write_new
from resgen.inference.scores import matrix
from resgen.inference.verdict import Verdict
from resgen.report import look

_NUMBERED, _NAMED = 20, 60
"""Classes up to which the counts, and the names, can be read."""


def draw(each: Verdict, path: Path, *, force: bool) -> None:
    """Writes the figure. Raises UserError where the file cannot be written."""
    from matplotlib.ticker import MaxNLocator

    rows = matrix(each.scores)
    names = [one_line(one.name).replace("$", r"\$")[:24] for one in each.scores.classes]
    count = len(names)
    shares = [[value / max(1, sum(row)) for value in row] for row in rows]
    side = 4.4 if count <= 10 else min(12.0, 3.4 + 0.16 * count)
    with look.style("light"):
        figure = look.new(side + 1.2, side)
        axes = figure.add_subplot()
        axes.grid(visible=False)
        shown = axes.imshow(shares, cmap="Blues", vmin=0, vmax=1, interpolation="nearest")
        if count <= _NAMED:
            small = 9 if count <= _NUMBERED else 6
            axes.set_xticks(range(count), names, rotation=90, fontsize=small)
            axes.set_yticks(range(count), names, fontsize=small)
        else:
            for axis in (axes.xaxis, axes.yaxis):
                axis.set_major_locator(MaxNLocator(integer=True))
        for y, row in enumerate(rows if count <= _NUMBERED else ()):
            for x, value in enumerate(row):
                if value:
                    colour = "white" if shares[y][x] > 0.5 else "#1d2939"
                    axes.text(x, y, f"{value}", ha="center", va="center", color=colour, fontsize=7)
        top1 = each.scores.top1
        axes.set(xlabel="taken for", ylabel="true class")
        title = f"{each.trained.label} on {each.subject.title}: {top1.error:.2%} error"
        axes.set_title(title.replace("$", r"\$"), fontsize=10)
        bar = figure.colorbar(shown, ax=axes, fraction=0.046)
        bar.set_label("share of the true class's images", fontsize=9)
        drawn = look.content(figure, path.suffix[1:], "light")
    write_new(path, drawn, force=force)
