"""metrics -> curves.png: errors, losses and the rate over epochs, one colour a network.

Training is dashed, held out solid. Of more than ten classes the top-5 error has a panel, too.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import fmean, stdev
from typing import Any, NamedTuple

from resgen.files import write_whole
from resgen.report import look
from resgen.report.paint import Theme
from resgen.train.run.metrics import Row

TOP5 = "top5_error"
_LINES: tuple[tuple[str, Any, float], ...] = (("train", (0, (4, 2)), 1.1), ("heldout", "-", 1.9))
_CROWDED = 0.2  # of the highest error: where all networks end below it, a linear axis hides them
_PLAIN = 8  # networks that colours alone tell apart
_SHORT = 40  # characters of a name in the legend


class _Panel(NamedTuple):
    """What a panel shows: the ending of its keys, its label, what a value is multiplied by."""

    kind: str
    label: str
    scale: float


def draw_curves(
    runs: Mapping[str, Sequence[Sequence[Row]]], path: Path, *, title: str, theme: Theme = "auto"
) -> None:
    """Writes the figure of `curves`. Raises UserError where the file cannot be written."""
    write_whole(path, curves(runs, path.suffix[1:], title=title, theme=theme))


def curves(
    runs: Mapping[str, Sequence[Sequence[Row]]], form: str, *, title: str, theme: Theme = "auto"
) -> bytes:
    """One figure for all networks, as figure 6 of He et al. 2015: error in % over epochs.

    Of several runs under a name: their mean, in a band of a standard deviation to each side; those
    that ended before the longest are thin lines of their own. Where all networks end close to the
    bottom the errors are on a scale that is logarithmic and has its 0 below.
    """
    with look.style(theme) as palette:
        return look.content(_figure(runs, title, palette), form, theme)


def _figure(
    runs: Mapping[str, Sequence[Sequence[Row]]], title: str, palette: dict[str, str]
) -> Any:
    panels = [_Panel("error", "error, %", 100)]
    if any(f"heldout_{TOP5}" in row for each in runs.values() for rows in each for row in rows):
        panels.append(_Panel(TOP5, "top-5 error, %", 100))
    figure = look.new(9.6, 4.9 + 0.24 * -(-len(runs) // 4))
    figure.suptitle(title, fontsize=11, parse_math=False)
    grid = figure.add_gridspec(6, 8)
    errors = grid[:, :5].subgridspec(1, len(panels))
    for number, panel in enumerate(panels):
        axes = figure.add_subplot(errors[0, number])
        _draw(axes, runs, panel)
        _error_scale(axes, runs, panel)
    loss = figure.add_subplot(grid[:4, 5:])
    _draw(loss, runs, _Panel("loss", "loss", 1))
    _loss_scale(loss, runs)
    _rate(figure.add_subplot(grid[4:, 5:], sharex=loss), runs, palette)
    loss.tick_params(labelbottom=False)
    loss.set_xlabel("")
    figure.legend(
        handles=_handles(runs, palette), loc="outside lower center",
        ncols=min(4, len(runs) + 2 + any(len(whole(each)[0]) > 1 for each in runs.values())),
    )  # fmt: skip
    return figure


def _draw(axes: Any, runs: Mapping[str, Sequence[Sequence[Row]]], panel: _Panel) -> None:
    """One panel: the lines of every name."""
    for number, each in enumerate(runs.values()):
        style = look.series(number)
        marks: dict[str, Any] = (
            {"marker": style.mark, "ms": 3.5, "markevery": 0.1} if len(runs) > _PLAIN else {}
        )
        ended, short = whole(each)
        for split, dashes, width in _LINES:
            key = f"{split}_{panel.kind}"
            said: dict[str, Any] = {"linestyle": dashes, "linewidth": width, "color": style.colour}
            _line(axes, ended, key, panel.scale, {**said, **(marks if split == "heldout" else {})})
            for rows in short:
                _line(axes, [rows], key, panel.scale, {**said, "linewidth": 0.6})
    _epochs(axes)
    axes.set_ylabel(panel.label)


def _epochs(axes: Any) -> None:
    from matplotlib.ticker import MaxNLocator

    axes.set_xlabel("epoch")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))


def draw_panel(axes: Any, runs: Mapping[str, Sequence[Sequence[Row]]], kind: str) -> None:
    """The errors of a kind in % of every name, with what the kinds of lines mean."""
    _draw(axes, runs, _Panel(kind, "", 100))
    axes.plot([], [], linestyle=_LINES[0][1], color="grey", linewidth=1.2, label="training")
    axes.plot([], [], "-", color="grey", linewidth=2.0, label="held out")
    for number, (name, each) in enumerate(runs.items()):
        seeds = len(whole(each)[0])
        said = f"{name}, {seeds} seeds" if seeds > 1 else name
        axes.plot([], [], "-", color=look.series(number).colour, linewidth=2.0, label=said)
    if any(len(whole(each)[0]) > 1 for each in runs.values()):
        axes.fill_between([], [], [], color="grey", alpha=0.2, label="mean +/- deviation")


def draw_line(
    axes: Any, runs: Sequence[Sequence[Row]], key: str, dashes: Any, width: float, colour: str,
    label: str | None,
) -> None:  # fmt: skip
    """One line of errors in %: the mean of runs of the same epochs, and the band around it."""
    said = {"linestyle": dashes, "linewidth": width, "color": colour, "label": label}
    _line(axes, runs, key, 100, said)


def whole(runs: Sequence[Sequence[Row]]) -> tuple[list[Sequence[Row]], list[Sequence[Row]]]:
    """The runs with the epochs of the longest, and the others, which stopped before."""
    epochs = [[row["epoch"] for row in rows] for rows in runs]
    longest = max(epochs, key=len)
    pairs = list(zip(runs, epochs, strict=True))
    return (
        [rows for rows, own in pairs if own == longest],
        [rows for rows, own in pairs if own != longest],
    )


def _line(
    axes: Any, runs: Sequence[Sequence[Row]], key: str, scale: float, said: dict[str, Any]
) -> None:
    """The mean of runs of the same epochs, and the band around it."""
    # An epoch that an earlier version counted no top-5 errors in has no point.
    at = [rows for rows in zip(*runs, strict=True) if all(key in row for row in rows)]
    epochs = [rows[0]["epoch"] for rows in at]
    values = [[scale * row[key] for row in rows] for rows in at]
    means = [fmean(each) for each in values]
    # A run of one epoch has no line; a dot shows it.
    axes.plot(epochs, means, **{**said, **({"marker": "o"} if len(epochs) == 1 else {})})
    if len(runs) > 1:
        spreads = [stdev(each) for each in values]
        low, high = (
            [max(0, mean + sign * spread) for mean, spread in zip(means, spreads, strict=True)]
            for sign in (-1, 1)
        )
        axes.fill_between(epochs, low, high, color=said["color"], alpha=0.18, linewidth=0)


def _error_scale(axes: Any, runs: Mapping[str, Sequence[Sequence[Row]]], panel: _Panel) -> None:
    from matplotlib.ticker import FixedLocator, FuncFormatter

    rows = [row for each in runs.values() for own in each for row in own]
    keys = [f"{split}_{panel.kind}" for split, *_ in _LINES]
    values = [panel.scale * row[key] for row in rows for key in keys if key in row]
    ends = [
        panel.scale * own[-1][keys[1]]
        for each in runs.values() for own in each if own and keys[1] in own[-1]
    ]  # fmt: skip
    least = min((value for value in values if value > 0), default=0)
    if len(runs) > 1 and ends and least and max(ends) < _CROWDED * max(values):
        # From 0 to a tenth of the best error the axis is linear, so that 0 has its place.
        least = max(least, min(ends) / 10)
        axes.set_yscale("symlog", linthresh=least, linscale=0.3)
        steps = [digit * 10.0**power for power in range(-6, 3) for digit in (1, 2, 5)]
        axes.yaxis.set_major_locator(FixedLocator([0, *(step for step in steps if step >= least)]))
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axes.yaxis.minorticks_off()
        axes.set_ylim(0, 1.15 * max(values))
    else:
        axes.set_ylim(bottom=0)


def _loss_scale(axes: Any, runs: Mapping[str, Sequence[Sequence[Row]]]) -> None:
    """Losses from a hundred to one on are shown in powers of ten."""
    rows = [row for each in runs.values() for own in each for row in own]
    values = [row[f"{split}_loss"] for row in rows for split, *_ in _LINES]
    if values and min(values) > 0 and max(values) > 10 * min(values):
        axes.set_yscale("log")
    elif values:
        axes.set_ylim(bottom=0)


def _rate(
    axes: Any, runs: Mapping[str, Sequence[Sequence[Row]]], palette: Mapping[str, str]
) -> None:
    """The rate of each network's first run; where all have one, a single line."""
    lines = [[(row["epoch"], row["rate"]) for row in each[0]] for each in runs.values()]
    same = all(line == lines[0] for line in lines)
    for number, line in enumerate(lines[:1] if same else lines):
        colour = palette["soft"] if same else look.series(number).colour
        said: dict[str, Any] = {"marker": "o"} if len(line) == 1 else {}
        axes.plot(*zip(*line, strict=True), color=colour, linewidth=1.3, **said)
    _epochs(axes)
    axes.set_ylabel("rate")
    axes.set_ylim(bottom=0)


def _handles(runs: Mapping[str, Sequence[Sequence[Row]]], palette: Mapping[str, str]) -> list[Any]:
    """What the legend shows: the networks, the two kinds of line, the band."""
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    found: list[Any] = []
    for number, (name, each) in enumerate(runs.items()):
        style, ended = look.series(number), whole(each)[0]
        mark: dict[str, Any] = {"marker": style.mark, "ms": 4} if len(runs) > _PLAIN else {}
        short = name if len(name) <= _SHORT else f"{name[: _SHORT - 3]}..."
        said = f"{short}, {len(ended)} seeds" if len(ended) > 1 else short
        found.append(Line2D([], [], color=style.colour, linewidth=1.9, label=said, **mark))
    for (_, dashes, width), said in zip(_LINES, ("training", "held out"), strict=True):
        found.append(
            Line2D([], [], linestyle=dashes, color=palette["soft"], linewidth=width, label=said)
        )
    if any(len(whole(each)[0]) > 1 for each in runs.values()):
        found.append(Patch(color=palette["soft"], alpha=0.25, label="mean \u00b1 deviation"))
    return found
