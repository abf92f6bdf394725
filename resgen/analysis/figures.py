"""Responses, gradients and dropped blocks as figures: one colour a network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from io import BytesIO
from pathlib import Path
from typing import Any

from resgen.analysis.dropping import Drops
from resgen.analysis.gradient import Gradients
from resgen.analysis.response import Responses
from resgen.errors import one_line
from resgen.files import write_new
from resgen.report import look

_MANY = 40
"""Blocks up to which each has its name."""


def draw(
    found: Mapping[str, Responses] | Mapping[str, Gradients] | Mapping[str, Drops],
    path: Path, *, force: bool,
) -> None:  # fmt: skip
    """One figure for all networks. Raises UserError where the file cannot be written."""
    write_new(path, drawn(found, path.suffix[1:]), force=force)


def drawn(
    found: Mapping[str, Responses] | Mapping[str, Gradients] | Mapping[str, Drops],
    form: str = "svg",
) -> bytes:  # fmt: skip
    """The figure as a file's content: `svg`, `png` or `pdf`; the same for the same numbers."""
    from matplotlib import rc_context

    panels, paint = _PAINTED[type(next(iter(found.values())))]
    with rc_context({"svg.fonttype": "none", "svg.hashsalt": "resgen"}):
        figure = look.new(5.5 * panels if panels > 1 else 7.5, 4.2)
        axes = [figure.add_subplot(1, panels, number + 1) for number in range(panels)]
        paint(figure, axes, found)
        for each in axes:
            each.grid(alpha=0.25)
            each.spines[["top", "right"]].set_visible(False)
        image = BytesIO()
        # Without the date, so that the same numbers are the same file.
        figure.savefig(
            image, format=form, dpi=150, metadata={"Date": None} if form == "svg" else {}
        )
    return image.getvalue()


def _coloured(found: Mapping[str, Any]) -> list[tuple[str, str, Any]]:
    """(name, colour, what was measured) of each network."""
    return [
        (one_line(label).replace("$", r"\$"), look.series(number).colour, each)
        for number, (label, each) in enumerate(found.items())
    ]


def _responses(figure: Any, axes: Sequence[Any], found: Mapping[str, Responses]) -> None:
    kinds = {each.behind for each in found.values()}
    for label, colour, each in _coloured(found):
        own = f" (behind the {each.behind})" if len(kinds) > 1 else ""
        for panel, values in zip(axes, ([a.std for a in each.layers], each.sorted), strict=True):
            numbers = range(1, len(values) + 1)
            panel.plot(numbers, values, "-o", color=colour, ms=2.5, lw=1.2, label=f"{label}{own}")
    behind = {"norm": "their norms", "convolution": "the convolutions"}
    where = behind[kinds.pop()] if len(kinds) == 1 else "norms or convolutions"
    figure.suptitle(f"Responses of 3x3 layers, behind {where}, before activation and addition")
    for panel, words in zip(axes, ("layer, in order", "layer, sorted by deviation"), strict=True):
        panel.set(xlabel=words, ylabel="standard deviation")
        panel.set_ylim(bottom=0)
        _whole_numbers(panel)
    _legend(axes[1], found)


def _gradients(figure: Any, axes: Sequence[Any], found: Mapping[str, Gradients]) -> None:
    (panel,) = axes
    for label, colour, each in _coloured(found):
        norms = [at.norm for at in each.layers if at.path == "main"]
        panel.plot(range(1, len(norms) + 1), norms, "-o", color=colour, ms=2.5, lw=1.2, label=label)
    panel.set_yscale("log")
    panel.set(xlabel="convolution of the main path, in order", ylabel="norm of the gradient")
    figure.suptitle("Gradient by each convolution's weight at the first training step")
    _whole_numbers(panel)
    _legend(panel, found)


def _drops(figure: Any, axes: Sequence[Any], found: Mapping[str, Drops]) -> None:
    (panel,) = axes
    for label, colour, each in _coloured(found):
        numbered = [(n, at) for n, at in enumerate(each.blocks, 1) if at.rate is not None]
        errors = [100 * at.rate.error for _, at in numbered if at.rate]
        panel.plot(
            [n for n, _ in numbered], errors, "o", color=colour, ms=5, label=label, clip_on=False
        )
        panel.axhline(100 * each.whole.error, color=colour, lw=1.2, ls="--")
    panel.plot([], [], "--", color="grey", lw=1.2, label="the whole network")
    panel.set(xlabel="block dropped, in order", ylabel="error (%)")
    panel.set_ylim(bottom=0)
    first = next(iter(found.values()))
    if len(found) == 1 and len(first.blocks) <= _MANY:
        names = [at.name for at in first.blocks]
        panel.set_xticks(range(1, len(names) + 1), names, rotation=90, fontsize=8)
    else:
        _whole_numbers(panel)
    figure.suptitle("Error with one block dropped at evaluation")
    panel.legend(frameon=False)


def _whole_numbers(panel: Any) -> None:
    from matplotlib.ticker import MaxNLocator

    panel.xaxis.set_major_locator(MaxNLocator(integer=True))


def _legend(panel: Any, found: Mapping[str, Any]) -> None:
    panel.legend(frameon=False, fontsize=8 if len(found) > 4 else 10)


_PAINTED: dict[type, tuple[int, Any]] = {
    Responses: (2, _responses), Gradients: (1, _gradients), Drops: (1, _drops)
}  # fmt: skip
"""How many panels, and who fills them."""
