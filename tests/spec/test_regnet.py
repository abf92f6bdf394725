"""The stages of a `regnet`: each library's rounding, against a second way of writing it."""

from __future__ import annotations

from fractions import Fraction
from math import gcd
from pathlib import Path
from typing import Any

import pytest
import timm
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from resgen import cost, load_spec, resolve
from resgen.spec import shipped
from resgen.spec.loading import resolved_data
from resgen.spec.regnet import compatible
from resgen.spec.resolved import resolved_text

NET: dict[str, Any] = {
    "name": "net", "input": {"size": 64}, "stem": {"kind": "conv3x3-s2", "width": 32},
    "block": "bottleneck", "shortcut": "projection", "classes": 10,
}  # fmt: skip


def nearest_even(above: int, below: int) -> int:
    """above / below to the nearest whole number, a half to the even one, in whole numbers."""
    found, rest = divmod(above, below)
    return found + (2 * rest > below or (2 * rest == below and found % 2))


def as_pycls(width: int, multiplier: Fraction, group: int) -> tuple[int, int]:
    """Width and group width after adjust_block_compatibility, in fractions."""
    inside = max(1, int(width * multiplier))
    group = min(group, inside)
    step = group
    if multiplier > 1:
        step = group * multiplier.numerator // gcd(group, multiplier.numerator)
    inside = max(step, nearest_even(inside, step) * step)
    assert inside % group == 0
    return int(inside / multiplier), group


@settings(max_examples=500)
@given(
    st.integers(1, 400).map(lambda n: 8 * n),
    st.sampled_from([Fraction(1, 4), Fraction(1, 2), *map(Fraction, (1, 2, 4, 8))]),
    st.integers(1, 400),
)
def test_nearest_is_what_pycls_builds(width: int, multiplier: Fraction, group: int) -> None:
    found = compatible(width, float(1 / multiplier), group, "nearest")
    assert found == as_pycls(width, multiplier, group)
    # Both widths are whole, and the groups divide the inner one.
    assert found[0] * multiplier % found[1] == 0


@pytest.mark.parametrize("group_width", [3, 5, 7, 9, 11])
@pytest.mark.parametrize("ratio", [0.5, 0.25, 1])
def test_an_odd_group_in_a_block_that_is_wider_inside_is_built(
    group_width: int, ratio: float
) -> None:
    regnet = {"depth": 9, "w0": 24, "wa": 24.0, "wm": 2.5, "group_width": group_width}
    plan = resolve(load_spec({**NET, "bottleneck_ratio": ratio, "regnet": regnet}))
    for stage in plan.stages:
        middle = next(layer.op for layer in stage.runs[0].block.main if layer.name == "conv2")
        assert middle.out_channels == stage.output[0] / ratio  # type: ignore[attr-defined]
        assert middle.out_channels == middle.groups * group_width  # type: ignore[attr-defined]


def test_every_regnet_says_the_rounding_of_what_it_cites() -> None:
    """torchvision's is its own; whoever cites timm alone has the nearest multiple."""
    names = [name for name in shipped.names() if name.startswith("regnet/")]
    found = {name: load_spec(name) for name in names}
    cited = {name: spec for name, spec in found.items() if spec.regnet}
    assert len(cited) > 30
    for name, spec in cited.items():
        theirs = any(reference.startswith("torchvision:") for reference in spec.reference)
        said = spec.regnet.rounding if spec.regnet else ""
        assert said == ("up-from-90-percent" if theirs else "nearest"), name


@pytest.mark.parametrize("name", ["regnetx_002", "regnetx_004", "regnety_008", "regnetz_005"])
def test_widths_rounded_as_in_timm_are_timms(name: str) -> None:
    with torch.device("meta"):
        theirs = timm.create_model(name)
    assert cost(load_spec(name)).params == sum(p.numel() for p in theirs.parameters())


def test_the_two_roundings_differ() -> None:
    assert compatible(24, 1, 16, "nearest") == (32, 16)
    assert compatible(40, 1, 16, "nearest") == (32, 16)
    assert compatible(40, 1, 16, "up-from-90-percent") == (48, 16)


def test_the_ratio_of_a_regnet_is_1_and_said_so(tmp_path: Path) -> None:
    file = tmp_path / "net.yaml"
    file.write_text(REGNET)
    silent = load_spec(file)
    assert f"bottleneck_ratio: 1.0  # default under the regnet in {file}:6" in resolved_text(silent)
    file.write_text(REGNET + "bottleneck_ratio: 1\n")
    said = load_spec(file)
    assert resolve(silent).stages == resolve(said).stages
    assert f"bottleneck_ratio: 1.0  # {file}:8" in resolved_text(said)
    for spec in (silent, said):
        assert resolve(load_spec(resolved_data(spec))).stages == resolve(spec).stages


REGNET = """name: net
input: {size: 64}
stem: {kind: conv3x3-s2, width: 32}
block: bottleneck
shortcut: projection
regnet: {depth: 4, w0: 24, wa: 24.0, wm: 2.5, group_width: 8}
classes: 10
"""
