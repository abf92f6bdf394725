"""What was measured -> figures, by a table of their kinds, each where there is anything to draw."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from statistics import fmean
from typing import Any, NamedTuple

from resgen.experiment.judging import Sample
from resgen.experiment.measures import KINDS, Measured
from resgen.experiment.model import Measure, Published
from resgen.experiment.outcome import Comparison, Row
from resgen.experiment.style import DASHES, DOTS, OPEN, RIGHT, WRONG, panels, save, styled
from resgen.train.run.figures import COLOURS, draw_line, draw_panel, whole

FOLDER = "figures"
_MOST = 5
"""Networks in a panel that may have two lines each."""


@dataclass(frozen=True)
class Material:
    """What figures are drawn of; all mappings by network, in the experiment's order."""

    rows: Mapping[str, Row]
    runs: Mapping[str, Sequence[Measured]]
    samples: Mapping[Measure, Mapping[str, Sample]]
    titles: Mapping[str, str]
    """measure -> its name with its unit."""
    series: Mapping[str, Sequence[str]]
    comparisons: Sequence[tuple[Measure, Comparison]]
    published: Sequence[Published]

    @property
    def scalars(self) -> list[Measure]:
        """Measures that are a number a run and not its layers', and that some run has."""
        return [
            measure
            for measure, by in self.samples.items()
            if KINDS[measure].scalar and any(sample.values for sample in by.values())
        ]

    def look(self, network: str) -> tuple[str, str]:
        """(colour, dashes): the place in its series, and which series."""
        for number, names in enumerate(self.series.values()):
            if network in names:
                place = list(names).index(network)
                return COLOURS[place % len(COLOURS)], DASHES[(number + 1) % len(DASHES)]
        place = list(self.rows).index(network)
        return COLOURS[place % len(COLOURS)], DASHES[place // len(COLOURS) % len(DASHES)]

    def grown(self, of: Callable[[Row], float]) -> bool:
        """Whether there are series, and something of a network grows along every one."""
        return bool(self.series) and all(
            len(names) > 1 and all(of(self.rows[a]) < of(self.rows[b]) for a, b in pairwise(names))
            for names in self.series.values()
        )


class _Kind(NamedTuple):
    """A figure: when it is drawn, how, and what stands under it."""

    wanted: Callable[[Material], bool]
    draw: Callable[[Material], Any]
    caption: str


def draw(material: Material, folder: Path) -> dict[str, str]:
    """Draws every figure there is something for; file in the folder (SVG) -> its caption."""
    made = {}
    with styled():
        for name, kind in FIGURES.items():
            if kind.wanted(material):
                (folder / FOLDER).mkdir(parents=True, exist_ok=True)
                save(kind.draw(material), folder / FOLDER / name, kind.caption)
                made[f"{FOLDER}/{name}.svg"] = kind.caption
    return made


# ---- over epochs


def _epochs(material: Material) -> dict[str, list[Any]]:
    """Of each network that was trained, its runs' epochs."""
    rows = {name: [each.rows for each in runs if each.rows] for name, runs in material.runs.items()}
    return {name: each for name, each in rows.items() if each}


def _curves(material: Material) -> Any:
    """A panel a series, as figure 6; of many networks without series one for each split."""
    from matplotlib.ticker import MaxNLocator

    runs = _epochs(material)
    parts = {name: [n for n in names if n in runs] for name, names in material.series.items()}
    parts = {name: names for name, names in parts.items() if names}
    if not parts and len(runs) <= _MOST:
        parts = {"": list(runs)}
    if parts:
        figure, axes = panels(len(parts), sharey=True)
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
            each.legend(loc="upper center", bbox_to_anchor=(0.5, -0.16), ncols=3)
    if not parts:
        figure.legend(*axes[0].get_legend_handles_labels(), loc="outside right center")
    return figure


# ---- over depth, over MACs


def _over(of: Callable[[Row], float], label: str, *, log: bool) -> Callable[[Material], Any]:
    def drawn(material: Material) -> Any:
        measures = material.scalars
        figure, axes = panels(len(measures), width=4.4)
        for each, measure in zip(axes, measures, strict=True):
            for number, (name, names) in enumerate(material.series.items()):
                _series(each, material, measure, names, of, (COLOURS[number], DOTS[number], name))
            _known(each, material, measure, {n: of(row) for n, row in material.rows.items()})
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


def _known(axes: Any, material: Material, measure: Measure, places: Mapping[str, float]) -> None:
    """The paper's figures of this measure."""
    title = KINDS[measure].title
    known = [p for p in material.published if p.what == title and p.network in places]
    if known:
        axes.plot(
            [places[p.network] for p in known], [KINDS[measure].factor * p.value for p in known],
            "D", markersize=7, markerfacecolor="none", markeredgecolor=COLOURS[3],
            markeredgewidth=1.6, label="published",
        )  # fmt: skip


def _engineering(axis: Any) -> None:
    from matplotlib.ticker import EngFormatter, LogLocator, NullFormatter

    axis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    axis.set_major_formatter(EngFormatter(sep=" "))
    axis.set_minor_formatter(NullFormatter())


# ---- a row a network


def _networks(material: Material) -> Any:
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
        title = KINDS[measure].title
        known = [p for p in material.published if p.what == title and p.network in names]
        if known:
            each.plot(
                [factor * p.value for p in known], [names.index(p.network) for p in known], "D",
                markersize=7, markerfacecolor="none", markeredgecolor=COLOURS[3],
                markeredgewidth=1.6, label="published",
            )  # fmt: skip
            each.legend(loc="lower right")
        each.set_xlabel(material.titles[measure])
        each.set_xlim(left=min(0, each.get_xlim()[0]))
        each.grid(visible=False, axis="y")
    axes[0].set_yticks(range(len(names)), names)
    axes[0].set_ylim(len(names) - 0.5, -0.5)
    return figure


# ---- layer by layer


def _layers(material: Material, measure: Measure) -> dict[str, list[float]]:
    """The means over seeds of a network's layers, in order."""
    found = {}
    for name, runs in material.runs.items():
        each = [run.found[measure].layers for run in runs if measure in run.found]
        values = [[value for _, value in layers] for layers in each if layers]
        if values:
            found[name] = [fmean(column) for column in zip(*values, strict=True)]
    return found


def _responses(material: Material) -> Any:
    """Figure 7: in the order of layers, and sorted by size."""
    found = _layers(material, "response")
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


def _gradients(material: Material) -> Any:
    found = _layers(material, "gradient")
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


def _comparisons(material: Material) -> Any:
    """Each difference with its interval, those of one measure in a panel."""
    shown: dict[Measure, list[Comparison]] = {}
    for measure, each in material.comparisons:
        if each.mean is not None:
            shown.setdefault(measure, []).append(each)
    counts = [len(each) for each in shown.values()]
    figure, axes = panels(
        1, len(shown), width=9, height=(0.75 * len(shown) + 0.3 * sum(counts)) / len(shown) + 0.3,
        gridspec_kw={"height_ratios": [count + 0.6 for count in counts]},
    )  # fmt: skip
    for each, (measure, comparisons) in zip(axes, shown.items(), strict=True):
        _forest(each, comparisons, KINDS[measure].factor)
        unit = {"%": " (points)", "": ""}[KINDS[measure].unit]
        each.set_xlabel(f"difference in {KINDS[measure].title}{unit}")
    for label, (colour, dot) in _VERDICTS.items():
        axes[0].plot([], [], dot, color=colour, label=label)
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside upper right", ncols=3)
    return figure


_VERDICTS = {"holds": (RIGHT, "o"), "does not hold": (WRONG, "X"), "undecided": (OPEN, "s")}


def _forest(axes: Any, comparisons: Sequence[Comparison], factor: float) -> None:
    axes.axvline(0, linewidth=1, color=OPEN)
    for place, each in enumerate(comparisons):
        colour, dot = _VERDICTS[each.verdict]
        if each.low is not None and each.high is not None:
            axes.plot([factor * each.low, factor * each.high], [place, place], color=colour)
        assert each.mean is not None
        axes.plot([factor * each.mean], [place], dot, color=colour)
    ends = [abs(v) for c in comparisons for v in (c.mean, c.low, c.high) if v]
    if ends and max(ends) > 1000 * min(ends):
        axes.set_xscale("symlog", linthresh=10 * min(ends))
    axes.set_yticks(range(len(comparisons)), [each.sentence for each in comparisons], fontsize=8.5)
    axes.set_ylim(len(comparisons) - 0.4, -0.6)
    axes.grid(visible=False, axis="y")


def _deep(material: Material) -> bool:
    return material.grown(lambda row: row.layers)


def _costly(material: Material) -> bool:
    return not _deep(material) and material.grown(lambda row: row.macs)


FIGURES: dict[str, _Kind] = {
    "curves": _Kind(
        lambda m: bool(_epochs(m)), _curves,
        "Error over epochs: the mean over seeds, in a band of a standard deviation to each side.",
    ),
    "depth": _Kind(
        lambda m: bool(m.scalars) and _deep(m),
        _over(lambda row: row.layers, "weighted layers", log=False),
        "Over depth: a ring is a run, the line goes through the means over seeds; a triangle is a "
        "run whose value is larger still.",
    ),
    "cost": _Kind(
        lambda m: bool(m.scalars) and _costly(m),
        _over(lambda row: row.macs, "MACs an image", log=True),
        "Over cost: a ring is a run, the line goes through the means over seeds.",
    ),
    "networks": _Kind(
        lambda m: bool(m.scalars) and not _deep(m) and not _costly(m), _networks,
        "Network by network: a ring is a run, the bar the mean over seeds.",
    ),
    "responses": _Kind(
        lambda m: bool(_layers(m, "response")), _responses,
        "Standard deviation of each 3x3 layer's output after its norm, before activation and "
        "addition: the mean over seeds.",
    ),
    "gradients": _Kind(
        lambda m: bool(_layers(m, "gradient")), _gradients,
        "Gradient norm of each layer's weight at the first step: the mean over seeds.",
    ),
    "comparisons": _Kind(
        lambda m: any(c.mean is not None for _, c in m.comparisons), _comparisons,
        "Differences of means with their 95 % intervals, each by itself.",
    ),
}  # fmt: skip
