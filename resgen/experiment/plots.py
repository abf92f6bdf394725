"""Figures of one number a run: over epochs, over depth or cost, network by network."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from statistics import fmean
from typing import Any

from resgen.experiment.judging import Sample
from resgen.experiment.material import Material
from resgen.experiment.measures import KINDS
from resgen.experiment.model import Measure
from resgen.experiment.outcome import Row
from resgen.experiment.style import DOTS, RIGHT, WRONG, panels
from resgen.report.look import COLOURS
from resgen.train.run.figures import draw_line, draw_panel, whole

_MOST = 5
"""Networks in a panel that may have two lines each."""

# ---- over epochs


def curves(material: Material) -> Any:
    """A panel a series, as figure 6; of many networks without series one for each split."""
    from matplotlib.ticker import MaxNLocator

    runs = material.epochs()
    parts = {name: [n for n in names if n in runs] for name, names in material.series.items()}
    parts = {name: names for name, names in parts.items() if names}
    if not parts and len(runs) <= _MOST:
        parts = {"": list(runs)}
    if parts:
        figure, axes = panels(len(parts), height=4.6, sharey=True)
        for each, (name, names) in zip(axes, parts.items(), strict=True):
            draw_panel(each, {name: runs[name] for name in names}, "error")
            each.set_title(name)
    else:
        figure, axes = panels(2, width=4.4, sharey=True)
        for each, split, title in zip(
            axes, ("train", "heldout"), ("training", "held out"), strict=True
        ):
            each.set_title(title)
            for name, rows in runs.items():
                colour, dashes = material.look(name)
                ended, short = whole(rows)
                draw_line(each, ended, f"{split}_error", dashes, 1.6, colour, name)
                for one in short:
                    draw_line(each, [one], f"{split}_error", dashes, 0.6, colour, None)
    for number, each in enumerate(axes):
        each.set(xlabel="epoch", ylabel="" if number else "error (%)")
        each.set_ylim(0, 100)
        each.xaxis.set_major_locator(MaxNLocator(integer=True))
        if parts:
            # Below: nowhere inside is free of lines for certain.
            each.legend(loc="upper center", bbox_to_anchor=(0.5, -0.14), ncols=2, fontsize=8)
    if not parts:
        figure.legend(*axes[0].get_legend_handles_labels(), loc="outside right center")
    return figure


# ---- over depth, over MACs


def over(of: Callable[[Row], float], label: str, *, log: bool) -> Callable[[Material], Any]:
    """How a figure is drawn that has something of the networks below, and a panel a measure."""

    def drawn(material: Material) -> Any:
        measures = material.scalars
        figure, axes = panels(len(measures), width=4.4)
        for each, measure in zip(axes, measures, strict=True):
            for number, (name, names) in enumerate(material.series.items()):
                _series(each, material, measure, names, of, (COLOURS[number], DOTS[number], name))
            _known(each, material, measure, lambda name, value: (of(material.rows[name]), value))
            each.set(xlabel=label, ylabel=material.titles[measure])
            each.set_ylim(bottom=min(0, each.get_ylim()[0]))
            if log:
                each.set_xscale("log")
                _engineering(each.xaxis)
            else:
                each.set_xticks(sorted({of(row) for row in material.rows.values()}))
        figure.legend(*_legend(axes), loc="outside upper center", ncols=4)
        return figure

    return drawn


def _legend(axes: Sequence[Any]) -> tuple[list[Any], list[str]]:
    """What any of the panels shows, once."""
    found = {
        label: handle
        for each in axes
        for handle, label in zip(*each.get_legend_handles_labels(), strict=True)
    }
    return list(found.values()), list(found)


def _series(
    axes: Any, material: Material, measure: Measure, names: Sequence[str],
    of: Callable[[Row], float], look: tuple[str, str, str],
) -> None:  # fmt: skip
    """A line through the means, and every seed as a dot."""
    colour, dot, title = look
    factor, line = KINDS[measure].factor, []
    for name in names:
        sample, x = material.samples[measure][name], of(material.rows[name])
        if sample.values:
            _dots(axes, sample, factor, colour, lambda value, x=x: (x, value))  # type: ignore[misc]
            line.append((x, factor * fmean(sample.values.values())))
    if line:
        axes.plot(*zip(*line, strict=True), "-", marker=dot, color=colour, label=title)


def _dots(
    axes: Any, sample: Sample, factor: float, colour: str, at: Callable[[float], tuple[Any, Any]]
) -> None:
    """A ring for each seed; a triangle where the true value is above."""
    for seed, value in sample.values.items():
        axes.plot(
            *at(factor * value), "^" if seed in sample.at_least else "o", markersize=5,
            markerfacecolor="none", markeredgecolor=colour, alpha=0.6, zorder=3,
        )  # fmt: skip


def _known(
    axes: Any, material: Material, measure: Measure, at: Callable[[str, float], tuple[float, float]]
) -> None:
    """Papers' figures of this measure."""
    points = [at(p.network, KINDS[measure].factor * p.value) for p in material.known(measure)]
    if points:
        axes.plot(
            *zip(*points, strict=True), "D", markersize=7, markerfacecolor="none",
            markeredgecolor=COLOURS[3], markeredgewidth=1.6, label="published",
        )  # fmt: skip


def _engineering(axis: Any) -> None:
    from matplotlib.ticker import EngFormatter, LogLocator, NullFormatter

    axis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    axis.set_major_formatter(EngFormatter(sep=" "))
    axis.set_minor_formatter(NullFormatter())


# ---- a row a network


def networks(material: Material) -> Any:
    """A row a network, a panel a measure."""
    measures, names = material.scalars, list(material.rows)
    figure, axes = panels(len(measures), width=4.2, height=1.1 + 0.32 * len(names), sharey=True)
    for each, measure in zip(axes, measures, strict=True):
        factor = KINDS[measure].factor
        for place, name in enumerate(names):
            sample = material.samples[measure][name]
            if sample.values:
                _dots(each, sample, factor, RIGHT, lambda value, y=place: (value, y))  # type: ignore[misc]
                mean = factor * fmean(sample.values.values())
                each.plot([mean], [place], "|", markersize=15, markeredgewidth=2.5, color=RIGHT)
            if sample.diverged:
                each.text(
                    1, place, f"{len(sample.diverged)} diverged", fontsize=8.5, color=WRONG,
                    transform=each.get_yaxis_transform(), ha="right", va="center",
                )  # fmt: skip
        _known(each, material, measure, lambda name, value: (value, names.index(name)))
        each.set_xlabel(material.titles[measure])
        each.set_xlim(left=min(0, each.get_xlim()[0]))
        each.grid(visible=False, axis="y")
    axes[0].set_yticks(range(len(names)), names)
    axes[0].set_ylim(len(names) - 0.5, -0.5)
    if any(_legend(axes)):
        figure.legend(*_legend(axes), loc="outside upper right")
    return figure
