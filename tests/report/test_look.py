"""One look for all figures: colours that stay apart, on light and dark paper."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest

from resgen.report import look

# Linear RGB as a dichromat sees it (Vienot, Brettel and Mollon 1999).
EYES = {
    "normal": np.eye(3),
    "red-blind": np.array([[0.11238, 0.88762, 0], [0.11238, 0.88762, 0], [0.00401, -0.00401, 1]]),
    "green-blind": np.array([[0.29275, 0.70725, 0], [0.29275, 0.70725, 0], [-0.02234, 0.02234, 1]]),
}
XYZ = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])


def linear(colour: str) -> np.ndarray:
    values = np.array([int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)])
    return np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)


def lab(colour: str, eye: str) -> np.ndarray:
    x, y, z = XYZ @ np.clip(EYES[eye] @ linear(colour), 0, 1) / (0.9505, 1, 1.089)
    f = [np.cbrt(v) if v > 0.008856 else 7.787 * v + 16 / 116 for v in (x, y, z)]
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


@pytest.mark.parametrize("eye", EYES)
def test_twelve_colours_stay_apart(eye: str) -> None:
    """A just noticeable difference is about 2.3 (CIE 1976)."""
    assert len(set(look.COLOURS)) >= 12
    for one, other in combinations(look.COLOURS, 2):
        assert np.linalg.norm(lab(one, eye) - lab(other, eye)) > 15, (one, other)


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_colours_are_seen_on_both_papers(theme: str) -> None:
    """WCAG 2.1 asks graphics for a contrast of 3 to 1; thin colours of data get no less than 2."""
    weigh = np.array([0.2126, 0.7152, 0.0722])
    paper = float(weigh @ linear(look.palette(theme)["paper"]))  # type: ignore[arg-type]
    for colour in look.COLOURS:
        own = float(weigh @ linear(colour))
        assert (max(own, paper) + 0.05) / (min(own, paper) + 0.05) > 2, colour


def test_pairs_of_colour_and_mark_do_not_come_back_before_sixty() -> None:
    assert len({look.series(number) for number in range(60)}) == 60


def test_a_figure_is_the_same_file_each_time_and_may_turn_dark() -> None:
    def made(name: str, theme: look.Theme) -> bytes:
        with look.style(theme):
            figure = look.new(3, 2)
            figure.add_subplot().plot([1, 2], [3, 4])
            return look.content(figure, name, theme)

    for name in ("svg", "png", "pdf"):
        assert made(name, "auto") == made(name, "auto")
    assert b"prefers-color-scheme:dark" in made("svg", "auto")
    assert b"prefers-color-scheme" not in made("svg", "light")
    assert look.palette("dark")["paper"].encode() in made("svg", "dark")
    assert b"<text" in made("svg", "light")
