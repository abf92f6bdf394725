"""Networks as points: params against MACs, and where they were trained errors against both."""

from __future__ import annotations

import json
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path
from typing import Any, NamedTuple

from resgen.cost import cost
from resgen.errors import UserError
from resgen.files import check_place, kind, write_new
from resgen.plan import Plan
from resgen.report.rows import total
from resgen.spec.loading import spec_file
from resgen.words import size

RESULT = "result.json"
SUFFIXES = (".png", ".svg", ".pdf")


class Outcome(NamedTuple):
    """How the run in a folder ended: its error as a fraction, and on which images."""

    run: str
    error: float
    images: str


def outcome(source: str) -> tuple[str, Outcome | None]:
    """(what to load the spec from, how its run ended) of a spec or a run folder.

    Raises UserError for a folder of no run, and where how it ended is damaged.
    """
    folder = Path(source)
    if kind(folder) != "folder":
        return source, None
    spec = str(spec_file(folder))
    try:
        found = json.loads((folder / RESULT).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return spec, None
    except OSError as error:
        raise UserError(f"{folder / RESULT}: cannot be read: {error.strerror}") from None
    except ValueError:
        found = None
    if isinstance(found, dict) and isinstance(found.get("diverged"), str):
        return spec, None
    for key, images in (("test_error", "test"), ("last_error", "held out")):
        error_ = found.get(key) if isinstance(found, dict) else None
        if isinstance(error_, int | float):
            return spec, Outcome(folder.name, error_, images)
    raise UserError(
        f"{folder / RESULT}: damaged: it names no error; it is made anew by the run's command "
        "with --resume"
    )


def check_plot(path: Path, outcomes: Sequence[Outcome | None], *, force: bool) -> None:
    """Raises UserError for a file that cannot be written, and where only some were trained."""
    check_place(path, force=force, endings=SUFFIXES)
    trained = sum(outcome is not None for outcome in outcomes)
    if 0 < trained < len(outcomes):
        raise UserError(
            f"--plot {path}: {trained} of {len(outcomes)} networks come with a finished run; "
            "give run folders for all of them, or specs for all"
        )


def plot_file(
    plans: Sequence[Plan], outcomes: Sequence[Outcome | None], path: Path, *, force: bool
) -> None:
    """Draws the networks as points and writes the figure."""
    write_new(path, plot(plans, outcomes, path.suffix[1:]), force=force)


def plot(plans: Sequence[Plan], outcomes: Sequence[Outcome | None], form: str) -> bytes:
    """The networks as points: params against MACs, or where all were trained errors to both."""
    trained = [o for o in outcomes if o is not None]
    import matplotlib as mpl

    mpl.use("Agg")  # no display is needed, and labels are measured on it
    import matplotlib.pyplot as plt

    with mpl.rc_context(STYLE):
        params = [cost(plan).params for plan in plans]
        macs = [total(plan).macs for plan in plans]
        if trained:
            errors = [100 * o.error for o in trained]
            figure, (left, right) = plt.subplots(1, 2, figsize=(10.5, 4.6), sharey=True)
            points(left, macs, errors, plans, "MACs an image")
            points(right, params, errors, plans, "params")
            images = " and ".join(dict.fromkeys(o.images for o in trained))
            left.set_ylabel(f"error on {images} images, %")
            figure.suptitle("Error against cost, one point a run", fontsize=12)
        else:
            figure, axes = plt.subplots(figsize=(7.2, 4.8))
            points(axes, params, macs, plans, "params")
            axes.set_yscale("log")
            axes.set_ylabel("MACs an image")
            engineering(axes.yaxis)
            axes.set_title("What the networks cost", fontsize=12)
        inputs = ", ".join(dict.fromkeys(size(plan.input) for plan in plans))
        note = f"input {inputs}; MACs of convolutions and linear layers, biases not counted"
        figure.text(0.01, 0.012, note, fontsize=8, color="#667085")
        figure.tight_layout(rect=(0, 0.03, 1, 1))
        part_labels(figure)
        drawn = BytesIO()
        # Without the date, so that the same networks are the same file.
        metadata = {"Date": None} if form == "svg" else {}
        figure.savefig(drawn, format=form, dpi=160, metadata=metadata)
        plt.close(figure)
    return drawn.getvalue()


STYLE: dict[Any, Any] = {
    "font.size": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#e6e9ef",
    "axes.edgecolor": "#667085",
    "svg.fonttype": "none",
    "svg.hashsalt": "resgen",
}
_COLOURS = ("#3b7cc4", "#3f9e6a", "#d08a1d", "#c9564b", "#8460bd", "#4b5566")


def _family(plan: Plan) -> tuple[str, str]:
    """resnet56 and resnet110 are of one family: the name up to its number, and the input."""
    name = plan.name.rstrip("0123456789.MGk").rstrip("-_ ")
    return name or plan.name, size(plan.input)


def points(
    axes: Any, xs: Sequence[float], ys: Sequence[float], plans: Sequence[Plan], x: str
) -> None:
    """One point a network or run; a line through the means of each family."""
    families = list(dict.fromkeys(map(_family, plans)))
    labelled: dict[str, tuple[tuple[float, float], str]] = {}
    for index, family in enumerate(families):
        colour = _COLOURS[index % len(_COLOURS)]
        runs: dict[str, list[tuple[float, float]]] = {}
        for plan, px, py in zip(plans, xs, ys, strict=True):
            if _family(plan) == family:
                runs.setdefault(plan.name, []).append((px, py))
                axes.scatter(px, py, s=40, color=colour, zorder=3, edgecolor="white", linewidth=0.8)
        means = {
            name: (own[0][0], sum(py for _, py in own) / len(own)) for name, own in runs.items()
        }
        line = sorted(means.values())
        axes.plot(*zip(*line, strict=True), "-", color=colour, linewidth=1, alpha=0.45)
        labelled |= {name: (point, colour) for name, point in means.items()}
    axes.set_xscale("log")
    axes.set_xlabel(x)
    axes.margins(x=0.2, y=0.14)
    engineering(axes.xaxis)
    for name, (point, colour) in sorted(labelled.items(), key=lambda item: item[1]):
        axes.annotate(
            name, point, (7, 5), textcoords="offset points", fontsize=8.5, color=colour, zorder=4
        )


_PLACES = [
    (dx, dy)
    for far in (0, 9, 18, 27)
    for dx, dy in ((7, 5 + far), (7, -11 - far), (-7, 5 + far), (-7, -11 - far))
]


def part_labels(figure: Any) -> None:
    """Moves each label to the first place around its point that nothing else takes."""
    renderer = figure.canvas.get_renderer()
    for axes in figure.axes:
        drawn = [
            axes.transData.transform(xy) for dots in axes.collections for xy in dots.get_offsets()
        ]
        taken: list[Any] = []
        for label in axes.texts:
            for dx, dy in _PLACES:
                label.set_position((dx, dy))
                label.set_ha("left" if dx > 0 else "right")
                box = label.get_window_extent(renderer)
                if any(box.overlaps(other) for other in taken):
                    continue
                if not any(box.padded(3).contains(*point) for point in drawn):
                    break
            taken.append(label.get_window_extent(renderer))


def engineering(axis: Any) -> None:
    """1 M, 2 M, 5 M, 10 M: few ticks, and every one with its number."""
    from matplotlib.ticker import EngFormatter, LogLocator, NullFormatter

    low, high = axis.get_view_interval()
    wide = high / max(low, 1e-9)
    subs = (1.0, 1.5, 2.0, 3.0, 5.0, 7.0) if wide < 8 else (1.0, 2.0, 5.0)
    axis.set_major_locator(LogLocator(subs=subs if wide < 300 else (1.0,)))
    axis.set_major_formatter(EngFormatter(sep=" "))
    axis.set_minor_formatter(NullFormatter())
