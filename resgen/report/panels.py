"""Panels of points: their axes, marks and names, each name beside its own point."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from resgen.cost.memory import Training
from resgen.errors import UserError
from resgen.report import look
from resgen.report.labels import Box, merged, placed, touching
from resgen.report.points import AXES, Axis, Point, Value
from resgen.words import joined, size

_FEW = 16  # points in a panel that are drawn large
_LONG = 7  # from a name to its point, where a line is drawn between them


class Ask(NamedTuple):
    """A panel to draw: its horizontal axis, its points, its title."""

    x: str
    members: list[Point]
    title: str = ""


class Label(NamedTuple):
    """The names of points that share a place, and where they stand on the page, in points."""

    points: list[int]
    box: Box


class Panel(NamedTuple):
    """What is drawn in one system of axes: positions and labels in points of the page."""

    members: list[Point]
    dots: list[tuple[float, float]]
    labels: list[Label]


class Plot(NamedTuple):
    """A figure, and where everything in it lies."""

    figure: Any
    panels: list[Panel]


def figure_of(
    panels: Sequence[Ask], y: str, step: Training, growth: float, columns: int, *,
    forced: bool = False,
) -> Plot | None:  # fmt: skip
    """The figure; None where a name finds no place, unless forced: then names share more places."""
    alone = len(panels) == columns and not panels[0][2]
    rows = -(-len(panels) // columns)
    wide, high = (5.6, 4.3) if alone else (3.3, 2.6)
    figure = look.new(growth * wide * columns + 1.6 * alone, growth * high * rows + 0.5)
    points = list({id(p): p for ask in panels for p in ask.members}.values())
    looks = looks_of(points)
    drawn = []
    for number, (x, members, title) in enumerate(panels):
        axes = figure.add_subplot(rows, columns, number + 1)
        drawn.append((axes, members, _draw(axes, members, x, y, looks, step)))
        axes.set_title(title)
        if number % columns == 0:
            axes.set_ylabel(_label(AXES[y], members))
        if number + columns >= len(panels):
            axes.set_xlabel(_label(AXES[x], members))
    _words(figure, points, {y, *(ask.x for ask in panels)}, looks, step, alone)
    figure.canvas.draw()  # the layout is known from here on
    figure.set_layout_engine("none")
    found = []
    for axes, members, centres in drawn:
        panel = named(figure, axes, members, centres, forced=forced, small=not alone)
        if panel is None:
            return None
        found.append(panel)
    return Plot(figure, found)


def looks_of(points: Sequence[Point]) -> dict[str, look.Series]:
    """Each family's colour and mark."""
    return {
        name: look.series(number)
        for number, name in enumerate(dict.fromkeys(point.family for point in points))
    }


def _label(axis: Axis, members: Sequence[Point]) -> str:
    """errors say on which images they were counted."""
    images = joined(dict.fromkeys(end.images for each in members for end in each.outcomes) or [""])
    return axis.label.replace("error", f"error on {images} images") if images else axis.label


def _words(
    figure: Any, points: Sequence[Point], names: set[str], looks: dict[str, look.Series],
    step: Training, alone: bool,
) -> None:  # fmt: skip
    """The legend of families, and what the figures on the axes `names` are counted with."""
    inputs = list(dict.fromkeys(size(point.plan.input) for point in points))
    note = f"input {joined(inputs)}" if len(inputs) < 4 else "several input sizes"
    if "macs" in names:
        note += "; MACs of convolutions and linear layers, biases not counted"
    if "memory" in names:
        many = f"{step.batch} images" if (step.batch or 1) > 1 else "1 image"
        note += f"; a step of {many}, {step.precision}, {step.optimizer}"
    if any(len(point.outcomes) > 1 for point in points):
        note += "; bars are 95 % intervals of the mean over seeds"
    figure.supxlabel(note, fontsize=8, color=_soft(), x=0.01, ha="left")
    if alone and len(looks) > 1:
        from matplotlib.lines import Line2D

        marks = [
            Line2D([], [], color=each.colour, marker=each.mark, linestyle="", label=name)
            for name, each in looks.items()
        ]
        figure.legend(handles=marks, loc="outside right upper")


def _draw(
    axes: Any, members: Sequence[Point], x: str, y: str, looks: dict[str, look.Series],
    step: Training,
) -> list[tuple[Value, Value]]:  # fmt: skip
    """Draws the points of a panel; where they lie."""
    across, up = AXES[x], AXES[y]
    found = []
    for point in members:
        one, other = across.value(point, step), up.value(point, step)
        if one is None or other is None:
            raise UserError(f"{point.plan.name}: {x if one is None else y} is not known of its run")
        found.append((one, other))
    scatter(axes, members, found, across, up, looks)
    return found


def scatter(
    axes: Any, members: Sequence[Point], places: Sequence[tuple[Value, Value]], across: Axis,
    up: Axis, looks: dict[str, look.Series],
) -> None:  # fmt: skip
    """Points with their intervals, a thin line through those of one kind, and the axes' scales."""
    lines: dict[tuple[str, ...], list[tuple[float, float]]] = {}
    for point, (one, other) in zip(members, places, strict=True):
        lines.setdefault(point.line, []).append((one.mean, other.mean))
        colour, mark = looks[point.family]
        axes.scatter(
            one.mean, other.mean, s=26 if len(members) < _FEW else 18, color=colour, marker=mark,
            zorder=3, linewidth=0.5, edgecolor=axes.get_facecolor(),
        )  # fmt: skip
        for value, bar in ((one, "xerr"), (other, "yerr")):
            if value.high > value.low:
                ends = [[value.mean - value.low], [value.high - value.mean]]
                axes.errorbar(
                    one.mean, other.mean, **{bar: ends}, color=colour, capsize=2.5, linewidth=1,
                    fmt="none", zorder=2,
                )  # fmt: skip
    for kind, line in lines.items():
        axes.plot(*zip(*sorted(line), strict=True), color=looks[kind[0]].colour, lw=0.9, alpha=0.35)
    for axis, way, values in (
        (across, "x", [one for one, _ in places]), (up, "y", [other for _, other in places])
    ):  # fmt: skip
        _scale(axes, axis, way, values)


def _scale(axes: Any, axis: Axis, way: str, values: Sequence[Value]) -> None:
    """The axis, with room for names around the points."""
    from matplotlib.ticker import EngFormatter, FuncFormatter, LogLocator, MaxNLocator, NullLocator

    low, high = min(v.low for v in values), max(v.high for v in values)
    own = getattr(axes, f"{way}axis")
    room = 0.22 if way == "x" else 0.14
    if axis.log and low > 0:
        getattr(axes, f"set_{way}scale")("log")
        ratio = max(high / low, 1.4)
        middle, half = (low * high) ** 0.5, ratio ** (0.5 + room)
        getattr(axes, f"set_{way}lim")(middle / half, middle * half)
        span = half**2
        subs = (1.0, 2.0, 5.0) if span < 300 else (1.0,)
        own.set_major_locator(
            LogLocator(subs=subs) if span > 6 else MaxNLocator(4, steps=[1, 2, 5])
        )
        own.set_minor_locator(NullLocator())
    else:
        reach = max(high - low, 0.05 * abs(high), 1e-9)
        getattr(axes, f"set_{way}lim")(max(0, low - room * reach), high + room * reach)
        own.set_major_locator(MaxNLocator(6))
    plain = FuncFormatter(lambda value, _: f"{value:g}")
    own.set_major_formatter(plain if axis.digits else EngFormatter(sep=" "))


def named(
    figure: Any, axes: Any, members: Sequence[Point], centres: Sequence[tuple[Value, Value]],
    *, forced: bool, small: bool,
) -> Panel | None:  # fmt: skip
    """Writes the names; None where one finds no place. Lengths are in points of the page."""
    unit = figure.dpi / 72
    dots = [
        tuple(float(v) / unit for v in axes.transData.transform((one.mean, other.mean)))
        for one, other in centres
    ]
    corner, far = axes.bbox.get_points() / unit
    frame = Box(*map(float, (corner[0], corner[1], far[0] + 14, far[1] + 4)))
    height, radius = (6.5, 2.3) if small or len(members) > 30 else (8.0, 2.8)
    groups = touching(dots, radius)
    while True:
        sizes = [_extent(figure, [members[k].plan.name for k in group], height) for group in groups]
        boxes = placed(dots, groups, sizes, frame, radius)
        alone = [number for number, box in enumerate(boxes) if box is None]
        if not alone:
            break
        if not forced or len(groups) < 2:
            return None
        groups = merged(dots, groups, alone)
    labels = [  # names below one another as their points are
        Label(sorted(group, key=lambda k: -dots[k][1]), box)
        for group, box in zip(groups, boxes, strict=True)
        if box
    ]
    for label in labels:
        _write(axes, label, dots, [members[k].plan.name for k in label.points], height)
    return Panel(list(members), dots, labels)


def _extent(figure: Any, names: Sequence[str], height: float) -> tuple[float, float]:
    """How wide and high names below one another are."""
    from matplotlib.font_manager import FontProperties

    renderer, font = figure.canvas.get_renderer(), FontProperties(size=height)
    widths = [renderer.get_text_width_height_descent(name, font, False)[0] for name in names]
    return max(widths) * 72 / figure.dpi + 1, 1.18 * height * len(names)


def _write(
    axes: Any, label: Label, dots: Sequence[tuple[float, float]], names: Sequence[str],
    height: float,
) -> None:  # fmt: skip
    """The names in their box, and a line to each point that is not close by."""
    box, step = label.box, 1.18 * height
    for number, name in enumerate(names):
        axes.annotate(
            name, (box.left, box.top - (number + 0.5) * step),
            xycoords="figure points", fontsize=height, va="center_baseline", zorder=5,
            annotation_clip=False, parse_math=False,
        )  # fmt: skip
    for index in label.points:
        near = box.nearest(*dots[index])
        if box.distance(*dots[index]) > _LONG:
            axes.annotate(
                "", dots[index], near,
                xycoords="figure points", textcoords="figure points", annotation_clip=False,
                arrowprops={"arrowstyle": "-", "lw": 0.5, "color": _soft(),
                            "shrinkA": 0.5, "shrinkB": 2.5}, zorder=2,
            )  # fmt: skip


def _soft() -> str:
    """The colour of what is no data, in the style that is on."""
    from matplotlib import rcParams

    return str(rcParams["xtick.color"])
