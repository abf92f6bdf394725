"""A key means something where it stands, or is refused: removing it changes the Plan."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, assume, event, given, settings
from pydantic import ValidationError
from written import NUMBERS, Place, at, changed, places, plan_of, without, written

from resgen.spec import Spec
from resgen.spec.settings import BLOCK_FIELDS, DEFAULTS, BlockSettings

many = settings(
    max_examples=300, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True
)


@many
@given(written())
def test_removing_any_key_changes_the_plan_or_is_refused(data: dict[str, Any]) -> None:
    plan = plan_of(data)
    assume(plan is not None)
    for place in places(data):
        if plan_of(without(data, place)) == plan:
            assert says_what_holds(data, place), f"{place} of {data}"


def says_what_holds(data: dict[str, Any], place: Place) -> bool:
    """Whether a key that changes nothing is a default, what holds anyhow, or a number's luck."""
    key, value = place[-1], at(data, place)
    if key in ("first", "blocks") or value == {}:  # of whose keys each is asked by itself
        return True
    if key in BY_DEFAULT and value in BY_DEFAULT[key]:
        return True
    if key == "pool":
        pooled = at(data, ("stem", "kind")) in ("conv7x7-pool", "deep")
        return bool(value == ("max" if pooled else "none"))
    if key == "stride" and "output_stride" in data:  # dilates what follows, and nothing does
        return True
    dilates = "output_stride" in data and isinstance(data["stem"], list)
    if dilates and key in ("antialias", "padding", "projection", "shortcut"):
        return True  # which strides became dilations is known once a path's shapes are
    if key in NUMBERS:
        return any(
            plan_of(changed(data, place, n)) != plan_of(data) for n in (1, 2, 4, 16, "input")
        )
    return key in BLOCK_FIELDS and others_say_so(data, place)


def others_say_so(data: dict[str, Any], place: Place) -> bool:
    """Whether the blocks under a key have its value with it and without it alike."""
    spec, less = (Spec.model_validate(each) for each in (data, without(data, place)))
    blocks = built(spec)
    if blocks != built(less):
        return False
    said: Any = spec
    outer: list[Any] = []
    for part in place:
        outer.append(getattr(said, str(place[-1]), None))
        said = said[part] if isinstance(part, int) else getattr(said, part)
    if said in outer[:-1]:
        return True
    found = [one for each in blocks for one in each]
    if place[0] == "stages":
        found = blocks[int(place[1])]
        if place[2] in ("first", "blocks"):
            found = [found[int(place[3]) if place[2] == "blocks" else 0]]
    return all(getattr(block, str(place[-1])) == said for block in found)


def built(spec: Spec) -> list[list[BlockSettings]]:
    """The settings of each stage's blocks, as many as there are."""
    return [
        [spec.settings(index, number) for number in range(stage.depth)]
        for index, stage in enumerate(spec.stages)
    ]


BY_DEFAULT: dict[Any, tuple[Any, ...]] = {
    **{key: (value,) for key, value in DEFAULTS.items()},
    "norm": ("batch",), "activation": ("relu",), "attention": ("none",), "projection": ("conv",),
    "order": ("original",),
    "rule": ("linear",), "first_activation": ("stem",), "channels": (3,), "dropout": (0.0,),
    "stride": (1,), "position": ("end",), "drop_path": (0.0,), "depth": (1, 2, 3),
}  # fmt: skip


@many
@given(written())
def test_a_key_that_is_refused_would_change_nothing(data: dict[str, Any]) -> None:
    """The other way round: what is said to mean nothing can be left out."""
    try:
        Spec.model_validate(data)
    except ValidationError as error:
        found = [each["ctx"] for each in error.errors() if each.get("ctx", {}).get("idle")]
        assume(found)
    else:
        assume(False)
    assume("without norms of its own" not in found[0]["rule"])  # an order's last norm is the head's
    event(found[0]["rule"])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("resgen.spec.model.check_meaning", lambda network: None)
        plan = plan_of(data)
        assume(plan is not None)
        assert plan_of(without(data, tuple(found[0]["at"]))) in (plan, None), found[0]
