"""Drawings of networks made of paths: what is in them, and that nothing lies over another."""

from __future__ import annotations

import re
from collections import Counter
from functools import cache
from itertools import combinations
from typing import NamedTuple
from xml.etree import ElementTree

import pytest
from spelled import NAMES, networks

from resgen.plan import Plan
from resgen.report.draw import draw

SVG = "{http://www.w3.org/2000/svg}"
every = pytest.mark.parametrize("name", NAMES)


class Rect(NamedTuple):
    """A rectangle, and what is written in it."""

    left: float
    top: float
    right: float
    low: float
    text: str = ""
    kind: str = ""

    def meets(self, other: Rect, slack: float = 0.5) -> bool:
        """Whether the two overlap by more than a hair."""
        return (
            min(self.right, other.right) - max(self.left, other.left) > slack
            and min(self.low, other.low) - max(self.top, other.top) > slack
        )

    def holds(self, other: Rect) -> bool:
        return (
            self.left <= other.left
            and other.right <= self.right
            and self.top <= other.top
            and other.low <= self.low
        )


@cache
def letters() -> tuple[object, object]:
    """DejaVu Sans, the widest font of a drawing, regular and bold, as matplotlib brings it."""
    font = pytest.importorskip("matplotlib.ft2font")
    manager = pytest.importorskip("matplotlib.font_manager")
    found = [manager.FontProperties(family="DejaVu Sans", weight=w) for w in ("normal", "bold")]
    return tuple(font.FT2Font(manager.findfont(each)) for each in found)  # type: ignore[return-value]


def width(text: str, size: float, bold: bool) -> float:
    font = letters()[bold]
    font.set_size(size * 10, 72)  # type: ignore[attr-defined]
    font.set_text(text)  # type: ignore[attr-defined]
    return float(font.get_width_height()[0]) / 640  # type: ignore[attr-defined]


INSIDE = ("", "small")  # kinds of text that stand in a box


class Drawing:
    """The rectangles, texts and lines of an SVG document."""

    def __init__(self, *plans: Plan) -> None:
        self.root = ElementTree.fromstring(draw(plans))
        self.frame = Rect(0, 0, float(self.root.get("width", 0)), float(self.root.get("height", 0)))
        self.texts = [self._text(found) for found in self.root.iter(f"{SVG}text")]
        self.boxes, self.groups = [], []
        for found in self.root.iter(f"{SVG}rect"):
            kind = found.get("class", "")
            legend = kind == "part" and found.get("height") == "16"
            if kind != "paper" and not legend:
                x, y, w, h = (float(found.get(key, 0)) for key in ("x", "y", "width", "height"))
                rect = Rect(x, y, x + w, y + h, "", kind)
                inner = [t.text for t in self.texts if t.kind in INSIDE and rect.meets(t)]
                into = self.groups if kind == "group" else self.boxes
                into.append(rect._replace(text=" | ".join(inner)))

    def _text(self, found: ElementTree.Element) -> Rect:
        kind, text = found.get("class", ""), "".join(found.itertext())
        size = float(found.get("font-size", 0))
        x, y = float(found.get("x", 0)), float(found.get("y", 0))
        wide = width(text, size, found.get("font-weight") == "700")
        x -= {"middle": wide / 2, "end": wide}.get(found.get("text-anchor", ""), 0)
        return Rect(x, y - 0.76 * size, x + wide, y + 0.1 * size, text, kind)

    def segments(self) -> list[Rect]:
        """The straight pieces of lines and arrows, as rectangles of no width."""
        made = []
        for path in self.root.iter(f"{SVG}path"):
            if path.get("class") not in ("line", "brace"):
                continue
            x = y = 0.0
            for word, numbers in re.findall(r"([MVHhvml])([^MVHhvml]*)", path.get("d", "")):
                values = [float(n) for n in numbers.split()]
                end = {"M": values, "V": [x, *values], "H": [*values, y]}.get(word)
                if word in "hv":
                    end = [x + values[0], y] if word == "h" else [x, y + values[0]]
                if word in "ml":
                    break
                assert end is not None
                if word != "M":
                    made.append(
                        Rect(min(x, end[0]), min(y, end[1]), max(x, end[0]), max(y, end[1]))
                    )
                x, y = end
        return made

    def words(self) -> Counter[str]:
        return Counter(box.text for box in self.boxes)

    def arcs(self) -> Counter[str]:
        found = [p for p in self.root.iter(f"{SVG}path") if "C" in p.get("d", "")]
        return Counter(path.get("class", "") for path in found)


def drawings(name: str) -> list[Drawing]:
    plan = networks()[name]
    return [Drawing(plan), Drawing(plan.plain(), plan)]


def check_texts(drawing: Drawing) -> None:
    assert all(drawing.frame.holds(rect) for rect in (*drawing.boxes, *drawing.groups))
    for text in drawing.texts:
        assert drawing.frame.holds(text), text
        around = [box for box in drawing.boxes if box.meets(text)]
        if text.kind in INSIDE:
            (box,) = around
            assert box.holds(text), (text, box)
        else:
            assert not around, (text, around)


@every
def test_no_text_leaves_its_box_or_the_frame(name: str) -> None:
    for drawing in drawings(name):
        check_texts(drawing)


def check_boxes(drawing: Drawing) -> None:
    for one, other in combinations(drawing.boxes, 2):
        assert not one.meets(other), (one, other)
    for one, other in combinations(drawing.texts, 2):
        assert not one.meets(other), (one, other)
    for group in drawing.groups:
        for box in drawing.boxes:
            assert group.holds(box) or not group.meets(box), (group, box)


@every
def test_nothing_lies_over_another(name: str) -> None:
    for drawing in drawings(name):
        check_boxes(drawing)


def check_lines(drawing: Drawing) -> None:
    for line in drawing.segments():
        for rect in (*drawing.boxes, *drawing.texts):
            thick = rect._replace(
                left=rect.left + 1, top=rect.top + 1, right=rect.right - 1, low=rect.low - 1
            )
            crosses = (
                line.left < thick.right
                and line.right > thick.left
                and line.top < thick.low
                and line.low > thick.top
            )
            assert not crosses, (line, rect)


@every
def test_no_line_runs_through_a_box_or_a_word(name: str) -> None:
    for drawing in drawings(name):
        check_lines(drawing)


@every
def test_the_plain_twin_stands_in_line(name: str) -> None:
    plan = networks()[name]
    both = Drawing(plan.plain(), plan)
    drawn = [(box.top, box.text) for box in both.boxes]
    left, right = drawn[: len(drawn) // 2], drawn[len(drawn) // 2 :]
    assert left == right == [(box.top, box.text) for box in Drawing(plan).boxes]
    assert both.arcs() == Drawing(plan).arcs()
    assert not Drawing(plan.plain()).arcs()


@every
def test_every_unit_outside_of_definitions_has_its_arc(name: str) -> None:
    plan = networks()[name]
    runs = [run for stage in plan.stages for run in stage.runs]
    kinds = [unit.shortcut.kind for run in runs for unit in run.block.units]
    if name == "partial":  # all of its units are in one definition, which is drawn once
        kinds = ["identity"]
    assert Drawing(plan).arcs() == Counter(kinds)


def test_branches_and_what_they_carry() -> None:
    drawing = Drawing(networks()["res2net"])
    words = drawing.words()
    assert words["3x3 conv, 8"] == 3 * 2 + 2
    assert words["3x3 avg pool"] == 1
    assert words["concat, 24"] == 4
    shares = [text.text for text in drawing.texts if text.text.endswith(" ch")]
    assert shares == ["8 ch"] * 12
    # Of the four drawn blocks two carry, from each branch to the next; each has its addition.
    assert len(list(drawing.root.iter(f"{SVG}circle"))) == 4 + 2 * 2
    first, second, third = [box for box in drawing.boxes if box.text == "3x3 conv, 8"][2:5]
    assert first.low < second.top < second.low < third.top
    assert first.right < second.right < third.right


def test_an_empty_branch_adds_nothing_to_its_share() -> None:
    drawing = Drawing(networks()["passing"])
    # Two carries of three, and the additions of the three shortcuts.
    assert len(list(drawing.root.iter(f"{SVG}circle"))) == 2 + 3


def test_a_definition_is_drawn_once_in_detail() -> None:
    drawing = Drawing(networks()["squeeze"])
    titles = [t.text for t in drawing.texts if t.text == "squeeze" and t.kind == "soft"]
    assert len(drawing.groups) == len(titles) == 1
    assert [box.text for box in drawing.boxes if box.kind == "part"] == ["squeeze, 64"] * 2
    inside = [box.text for box in drawing.boxes if drawing.groups[0].holds(box)]
    assert inside == ["avg pool", "1x1 conv, 8", "1x1 conv, 32", "sigmoid"]
    assert "drawn in detail above" in [text.text for text in drawing.texts]
    crosses = [p for p in drawing.root.iter(f"{SVG}path") if "l6 6" in p.get("d", "")]
    assert len(crosses) == 1
    assert drawing.words()["3x3 depthwise, 32"] == 1


def test_definitions_in_a_row_are_counted() -> None:
    drawing = Drawing(networks()["partial"])
    assert [t.text for t in drawing.texts if t.kind == "times"] == [
        "\u00d7 3",
        "\u00d7 5",
        "\u00d7 5",
    ]
    assert drawing.words()["dark, 32"] == 2


def test_one_path_so_many_times_is_drawn_as_its_first_and_last() -> None:
    drawing = Drawing(networks()["resnext"])
    assert [t.text for t in drawing.texts if "paths" in t.text] == ["8 paths"] * 3
    assert drawing.words()["3x3 conv, 4"] == 2
    shake = Drawing(networks()["shake"])  # two stand side by side
    assert not [t.text for t in shake.texts if "paths" in t.text]
    assert shake.words()["3x3 conv, 24"] == 8
    assert shake.words()["shake"] == 4


def test_transitions_are_boxes_ahead_of_the_blocks() -> None:
    drawing = Drawing(networks()["former"])
    ((down,),) = [[box for box in drawing.boxes if box.text == "3x3 conv, 64, /2"]]
    (label,) = [text for text in drawing.texts if text.text == "layer2"]
    assert down.kind == "c2"
    assert down.top < label.low < down.low + 40
    later = [box for box in drawing.boxes if box.kind == "c2" and box != down]
    assert later
    assert all(box.top > down.low for box in later)


def test_a_branch_of_norms_alone_shows_them_and_a_stem_may_branch() -> None:
    assert Drawing(networks()["select"]).words()["BN"] == 1
    words = Drawing(networks()["next"]).words()
    assert words["concat, 32"] == words["space to depth, /2"] == 1
    assert words["7x7 depthwise, 128"] == words["response norm"] == 1


def test_a_projection_of_branches_is_told_beside_its_arc() -> None:
    texts = [text.text for text in Drawing(networks()["shake"]).texts]
    assert "1x1 avg pool, /2 \u2192 1x1 conv, 24" in texts
    assert "shift by 1 \u2192 1x1 avg pool, /2 \u2192 1x1 conv, 24" in texts
    assert "concat, 48" in texts
