"""Names of points: each beside its own, whatever the number."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from resgen import load_spec, resolve
from resgen.report import look, plots
from resgen.report.labels import Box, merged, placed, touching
from resgen.report.panels import Panel
from resgen.report.plots import Wanted, gathered
from resgen.spec import shipped

FRAME = Box(0, 0, 400, 300)
RADIUS = 2.5
TOUCH = 2 * 2.8  # no two points further apart share a name's place


def overlap(one: Box, other: Box) -> bool:
    return (
        min(one.right, other.right) > max(one.left, other.left)
        and min(one.top, other.top) > max(one.low, other.low)
    )  # fmt: skip


def check_places(
    dots: Sequence[tuple[float, float]], groups: Sequence[Sequence[int]],
    boxes: Sequence[Box | None],
) -> None:  # fmt: skip
    """No name nearer to another point than to its own, over a point, or over another name."""
    for group, box in zip(groups, boxes, strict=True):
        if box is None:
            continue
        far = [box.distance(*dot) for dot in dots]
        own = min(far[index] for index in group)
        assert all(own < far[index] for index in range(len(dots)) if index not in group)
        assert own > 0
    for one, other in combinations([box for box in boxes if box], 2):
        assert not overlap(one, other)


def check_panel(panel: Panel) -> None:
    groups = [label.points for label in panel.labels]
    assert sorted(index for group in groups for index in group) == list(range(len(panel.dots)))
    check_places(panel.dots, groups, [label.box for label in panel.labels])
    for group in groups:  # only what touches shares a place
        assert any(set(group) <= set(each) for each in touching(panel.dots, TOUCH / 2))


dots = st.lists(
    st.tuples(st.floats(5, 395), st.floats(5, 295)), min_size=1, max_size=40
)  # fmt: skip


@settings(deadline=None, max_examples=60)
@given(dots)
def test_a_name_that_has_a_place_is_nearest_to_its_own_point(
    points: list[tuple[float, float]],
) -> None:
    groups = touching(points, RADIUS)
    assert sorted(index for group in groups for index in group) == list(range(len(points)))
    boxes = placed(points, groups, [(44, 8 * len(group)) for group in groups], FRAME, RADIUS)
    check_places(points, groups, boxes)


def test_points_that_touch_are_one_and_those_left_over_join_the_nearest() -> None:
    row = [(10.0, 10.0), (14.0, 10.0), (18.0, 10.0), (60.0, 10.0), (90.0, 10.0)]
    assert touching(row, RADIUS) == [[0, 1, 2], [3], [4]]
    assert merged(row, [[0, 1, 2], [3], [4]], [1]) == [[0, 1, 2], [3, 4]]


def plotted(names: Sequence[str]) -> list[Panel]:
    plans = [resolve(load_spec(name)) for name in names]
    with look.style("light"):
        return plots.plotted(gathered(plans, [None] * len(plans), names), Wanted()).panels


def test_thirty_networks_have_their_names_in_one_panel() -> None:
    names = shipped.names()[::12]
    (panel,) = plotted(names)
    assert len(panel.members) == len(names)
    check_panel(panel)


def test_many_of_one_family_are_in_stretches() -> None:
    names = [name for name in shipped.names() if name.startswith(("regnet/", "cifar/"))]
    panels = plotted(names)
    assert len(panels) > 1
    assert sum(len(panel.members) for panel in panels) == len(names)
    for panel in panels:
        check_panel(panel)


@pytest.mark.slow
def test_every_shipped_network_has_its_name_beside_its_point() -> None:
    panels = plotted(shipped.names())
    assert sum(len(panel.members) for panel in panels) == len(shipped.names())
    for panel in panels:
        check_panel(panel)
