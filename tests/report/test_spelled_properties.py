"""What holds for rows, explanations and drawings of any network made of paths."""

from __future__ import annotations

from typing import Any

from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from test_spelled_draw import Drawing, check_boxes, check_lines, check_texts
from test_spelled_explain import check_equations
from test_spelled_rows import check_modules, check_rows

from resgen.errors import UserError
from resgen.plan import Plan, plan_of

some = settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))

SIMPLE = st.sampled_from(
    [
        [{"conv": 3}, "norm", "act"],
        [{"conv": 1, "width": 16}],
        [{"conv": [1, 5], "groups": 4}, "norm"],
        [{"conv": 3, "groups": "depthwise"}],
        [{"avg-pool": 3}],
        [{"scale": 0.5}],
        [{"shuffle": 2}],
        ["norm", "act"],
        ["tool"],
        [{"tool": {}, "times": 3}],
        ["add", "act"],
    ]
)


@st.composite
def paths(draw: st.DrawFn, depth: int = 2, width: int = 0) -> list[Any]:
    """Rows of a path; with a width it ends in that many channels."""
    rows: list[Any] = []
    for _ in range(draw(st.integers(0 if depth < 2 else 1, 3))):
        rows += draw(branches(depth - 1) if depth and draw(st.booleans()) else SIMPLE)
    return [*rows, {"conv": 1, "width": width}] if width else rows


@st.composite
def branches(draw: st.DrawFn, depth: int) -> list[Any]:
    """A row of branches, behind a convolution that makes its channels divisible."""
    join = draw(st.sampled_from(("sum", "concat", "product", "shake", {"select": {"ratio": 0.5}})))
    carry = draw(st.sampled_from(("none", "none", "sum", "chain")))
    first = {"conv": 1, "width": 24}
    if draw(st.booleans()):
        times = draw(st.sampled_from((2, 3, 6)))
        take = draw(st.sampled_from(("all", "slices")))
        row = {"branches": [{"conv": 3}, "norm", "act"], "times": times, "take": take}
    else:
        count = draw(st.integers(2, 4))
        same = 24 if carry == "sum" or join != "concat" else 0
        row = {"branches": [draw(paths(depth, same)) for _ in range(count)]}
    return [first, {**row, "join": join, "carry": carry}]


@st.composite
def networks(draw: st.DrawFn) -> Plan:
    """The Plan of a random network of two stages; drawn again where its paths do not meet."""
    data: dict[str, Any] = {
        "name": "random",
        "input": {"size": 16, "channels": 3},
        "classes": 4,
        "stem": [{"conv": 3, "width": 16}],
        "shortcut": draw(st.sampled_from(("projection", "identity-same", "none"))),
        "define": {
            "tool": [*draw(paths(1)), {"conv": 1, "width": 16}, "norm", "act"],
            "one": [*draw(paths()), {"conv": 1, "width": "out"}, "norm", "add", "act"],
        },
        "block": "one",
        "stages": [{"depth": 2, "width": 16}, {"depth": 2, "width": 32}],
    }
    uses = repr(data["define"]["tool"]).count("tool")
    assume(not uses)  # no definition uses itself
    if draw(st.booleans()):
        data["stages"][1]["before"] = [{"max-pool": 3, "stride": 2}, *draw(paths(1))]
    try:
        return plan_of(data)
    except UserError:
        assume(False)
        raise


@some
@given(networks())
def test_rows_are_modules_and_add_up(plan: Plan) -> None:
    check_rows(plan)
    check_modules(plan)


@some
@given(networks())
def test_explanations_hold(plan: Plan) -> None:
    check_equations(plan)


@some
@given(networks())
def test_drawings_are_clear(plan: Plan) -> None:
    for drawing in (Drawing(plan), Drawing(plan.plain(), plan)):
        check_texts(drawing)
        check_boxes(drawing)
        check_lines(drawing)
