"""What measuring takes is told before, and not done where it is too much."""

from __future__ import annotations

import pytest

from resgen import load_spec, resolve
from resgen.errors import UserError
from resgen.plan import Plan
from resgen.proof.effort import LARGE, LONG, effort, notice
from resgen.spec import shipped


def sized(name: str, side: int, depth: int = 0) -> Plan:
    spec = load_spec(name)
    plain = {"input": {"channels": spec.input.channels, "size": side}}
    if depth:
        stages = [{**stage.model_dump(exclude_unset=True), "depth": depth} for stage in spec.stages]
        plain["stages"] = stages  # type: ignore[assignment]
    return resolve(spec.model_copy(update={**plain, "depth": None}))


@pytest.mark.parametrize("name", shipped.names())
def test_every_shipped_network_may_be_measured(name: str) -> None:
    notice(resolve(load_spec(name)))


def test_nothing_is_said_where_it_is_quick() -> None:
    assert notice(sized("resnet50", 224)) is None


def test_what_takes_long_is_said_with_the_way_out() -> None:
    line = notice(sized("resnet50", 2000))
    assert line is not None
    assert line.startswith("resnet50: measuring it takes about ")
    assert line.endswith("; --no-measure leaves that out")


@pytest.mark.parametrize(("side", "depth"), [(10_000, 0), (32, 10_000)])
def test_what_takes_too_much_is_refused_with_the_way_out(side: int, depth: int) -> None:
    with pytest.raises(UserError) as caught:
        notice(sized("resnet50", side, depth))
    assert str(caught.value).startswith("resnet50: measuring it would take about ")
    assert str(caught.value).endswith("; --no-measure gives the closed form alone")


def test_the_effort_grows_with_the_image_and_holds_the_weights() -> None:
    small, large = effort(sized("resnet50", 448)), effort(sized("resnet50", 896))
    assert 3 < large.seconds / small.seconds < 4.5
    assert small.bytes < large.bytes
    assert small.seconds < LONG
    assert small.bytes < LARGE
    assert effort(sized("resnet50", 32)).bytes > 4 * 25_557_032
