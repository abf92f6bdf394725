"""curves.png: what its panels show, on which scales, and that nothing lies over the data."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from resgen.train.run.figures import curves, draw_curves


def run(end: float, *, rate: float = 0.1, epochs: int = 12) -> list[dict[str, Any]]:
    made = []
    for epoch in range(1, epochs + 1):
        error = max(end, 0.9 / epoch**2)
        made.append(
            {
                "epoch": epoch, "rate": rate / epoch, "train_error": error / 2,
                "heldout_error": error, "train_loss": 2 * error, "heldout_loss": 3 * error,
            }
        )  # fmt: skip
    return made


def shown(runs: dict[str, Any], **options: Any) -> str:
    return curves(runs, "svg", title="digits, seed 0", **options).decode()


def test_errors_losses_and_the_rate_are_panels() -> None:
    text = shown({"plain20": [run(0.3)], "resnet20": [run(0.25)]})
    for words in ("error, %", "loss", "rate", "epoch", "plain20", "resnet20", "training"):
        assert f">{words}</text>" in text
    assert text == shown({"plain20": [run(0.3)], "resnet20": [run(0.25)]})


def test_where_networks_meet_at_the_bottom_the_scale_is_logarithmic_and_has_its_0() -> None:
    low = shown({"plain20": [run(0.03)], "resnet20": [run(0.01)]})
    high = shown({"plain20": [run(0.5)], "resnet20": [run(0.4)]})
    for tick in ("0", "0.5", "5", "50"):
        assert f">{tick}</text>" in low
    assert ">40</text>" in high
    assert ">40</text>" not in low


def test_seeds_are_told_and_errors_without_any_mistake_are_drawn() -> None:
    text = shown({"a": [run(0.02), run(0.03), run(0.01, epochs=3)], "b": [run(0.0)]})
    assert ">a, 2 seeds</text>" in text
    assert ">mean \u00b1 deviation</text>" in text


def test_the_legend_stands_below_every_panel() -> None:
    from resgen.report import look
    from resgen.train.run import figures

    runs = {f"network-{n}": [run(0.1 + n / 50)] for n in range(14)}
    with look.style() as palette:
        figure = figures._figure(runs, "many", palette)
        figure.canvas.draw()
        renderer = figure.canvas.get_renderer()
        (legend,) = figure.legends
        box = legend.get_window_extent(renderer)
        assert all(box.y1 <= axes.get_tightbbox(renderer).y0 + 1 for axes in figure.axes)
        assert box.x0 >= 0
        assert box.y0 >= 0


@pytest.mark.parametrize("ending", ["png", "svg", "pdf"])
def test_one_epoch_of_one_run_is_a_figure(ending: str, tmp_path: Path) -> None:
    path = tmp_path / f"curves.{ending}"
    draw_curves({"a": [run(0.1, epochs=1)]}, path, title="one")
    assert path.stat().st_size > 1000
