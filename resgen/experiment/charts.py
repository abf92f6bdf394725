"""Figures of many numbers a run, layer by layer, and of the comparisons."""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil, log10
from typing import Any

from resgen.experiment.judging import EXACT
from resgen.experiment.material import Material
from resgen.experiment.measures import KINDS
from resgen.experiment.model import Expectation, Measure
from resgen.experiment.outcome import Comparison
from resgen.experiment.style import OPEN, RIGHT, WRONG, panels

# ---- layer by layer


def responses(material: Material) -> Any:
    """Figure 7: in the order of layers, and sorted by size."""
    found = material.layers("response")
    figure, axes = panels(2, width=4.8, sharey=True)
    for each, ordered in zip(axes, (False, True), strict=True):
        for name, values in found.items():
            colour, dashes = material.look(name)
            shown = sorted(values, reverse=True) if ordered else values
            each.plot(range(1, len(shown) + 1), shown, dashes, color=colour, linewidth=1.4,
                      label=name)  # fmt: skip
        each.set(xlabel="3x3 layer, largest first" if ordered else "3x3 layer, in order")
        each.set_ylim(bottom=0)
    axes[0].set_ylabel("standard deviation")
    axes[1].legend()
    return figure


def gradients(material: Material) -> Any:
    """Norms by layer, as powers of ten."""
    found = material.layers("gradient")
    figure, (axes,) = panels(1, width=6.4)
    for name, values in found.items():
        colour, dashes = material.look(name)
        axes.plot(range(1, len(values) + 1), values, dashes, color=colour, linewidth=1.4,
                  label=name)  # fmt: skip
    axes.set_yscale("log")
    axes.set(xlabel="layer, in order", ylabel="gradient norm of its weight")
    axes.legend()
    return figure


# ---- the comparisons


def comparisons(material: Material) -> Any:
    """Each difference with its interval, those of one measure in a panel."""
    shown: dict[Measure, list[tuple[Expectation, Comparison]]] = {}
    for expected, each in material.comparisons:
        if each.mean is not None and each.test != EXACT:
            shown.setdefault(expected.measure, []).append((expected, each))
    counts = [len(each) for each in shown.values()]
    figure, axes = panels(
        1, len(shown), width=9, height=(0.75 * len(shown) + 0.3 * sum(counts)) / len(shown) + 0.3,
        gridspec_kw={"height_ratios": [count + 0.6 for count in counts]},
    )  # fmt: skip
    for each, (measure, comparisons) in zip(axes, shown.items(), strict=True):
        _forest(each, comparisons, KINDS[measure].factor)
        unit = " (points)" if KINDS[measure].unit == "%" else ""
        each.set_xlabel(f"difference in {KINDS[measure].title}{unit}")
    for label, (colour, dot) in _VERDICTS.items():
        axes[0].plot([], [], dot, color=colour, label=label)
    if any(expected.margin for each in shown.values() for expected, _ in each):
        axes[0].plot([], [], "|", markersize=14, color=OPEN, label="margin")
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside upper right", ncols=4)
    return figure


_VERDICTS = {"holds": (RIGHT, "o"), "does not hold": (WRONG, "X"), "undecided": (OPEN, "s")}


_MARGINS = {"above": (1,), "not above": (1,), "below": (-1,), "not below": (-1,), "equal": (-1, 1)}
"""On which side of 0 the margin of a relation lies."""


def _both_ways(axes: Any, largest: float) -> None:
    """A logarithmic scale to either side of 0, over the last three powers of ten; few ticks."""
    top = ceil(log10(largest))
    powers = [10.0**each for each in range(top - 2, top + 1)]
    axes.set_xscale("symlog", linthresh=powers[0])
    ticks = [-each for each in reversed(powers)] + [0.0, *powers]
    axes.set_xticks(ticks, [f"{each:+g}" if each else "0" for each in ticks])
    axes.set_xticks([], minor=True)


def _forest(axes: Any, shown: Sequence[tuple[Expectation, Comparison]], factor: float) -> None:
    axes.axvline(0, linewidth=1, color=OPEN)
    for place, (expected, each) in enumerate(shown):
        colour, dot = _VERDICTS[each.verdict]
        if each.low is not None and each.high is not None:
            axes.plot([factor * each.low, factor * each.high], [place, place], color=colour)
        assert each.mean is not None
        axes.plot([factor * each.mean], [place], dot, color=colour)
        for side in _MARGINS[expected.relation] if expected.margin else ():
            axes.plot([side * factor * expected.margin], [place], "|", markersize=14, color=OPEN)
    ends = [factor * abs(v) for _, c in shown for v in (c.mean, c.low, c.high) if v]
    if ends and max(ends) > 1000 * min(ends):
        _both_ways(axes, max(ends))
    axes.set_yticks(range(len(shown)), [each.sentence for _, each in shown], fontsize=8.5)
    axes.set_ylim(len(shown) - 0.4, -0.6)
    axes.grid(visible=False, axis="y")
