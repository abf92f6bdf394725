"""Definitions across files, in design spaces, in fits; keys that need a place in a path."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from resgen import cost, load_spec, resolve
from resgen.errors import UserError
from resgen.search.fit import fit
from resgen.search.sample import sample
from resgen.spec import Spec

BASE = """
define:
  unit: [{conv: 3, width: out, stride: stage}, norm, act, {conv: 3}, norm, add, act]
  slim: {with: {ratio: 2}, path: [{conv: 1, width: out / ratio}, norm, act,
         {conv: 3, width: out, stride: stage}, norm, add, act]}
"""
NET = """
extends: base.yaml
name: net
input: {size: 32}
stem: [{conv: 3, width: 16}, norm, act]
block: unit
shortcut: projection
stages: [{depth: 2, width: 16}, {depth: 2, width: 32, stride: 2}]
classes: 10
"""


def write(folder: Path, **files: str) -> Path:
    for name, text in files.items():
        (folder / f"{name}.yaml").write_text(text)
    return folder / "net.yaml"


def test_a_file_of_definitions_alone_can_be_extended(tmp_path: Path) -> None:
    plan = resolve(load_spec(write(tmp_path, base=BASE, net=NET)))
    by_word = resolve(load_spec({
        "name": "net", "input": {"size": 32}, "stem": {"kind": "conv3x3", "width": 16},
        "block": "basic", "shortcut": "projection", "classes": 10,
        "stages": [{"depth": 2, "width": 16}, {"depth": 2, "width": 32, "stride": 2}],
    }))  # fmt: skip
    assert cost(plan) == cost(by_word)
    with pytest.raises(UserError, match="missing"):
        load_spec(tmp_path / "base.yaml")


def test_definitions_merge_by_name_and_one_replaces_its_namesake_whole(tmp_path: Path) -> None:
    heir = NET.replace("block: unit", "block: slim\ndefine:\n  slim: [{conv: 1, width: out, "
                       "stride: stage}, norm, add]")  # fmt: skip
    spec = load_spec(write(tmp_path, base=BASE, net=heir))
    assert set(spec.define) == {"unit", "slim"}
    assert spec.define["slim"].parameters == ()
    assert resolve(spec).weighted_layers == 6


def test_parameters_and_rows_are_drawn_like_any_value(tmp_path: Path) -> None:
    space = NET.replace("block: unit", "block: {kind: slim, ratio: {any: [1, 2, 4]}}")
    space = space.replace("{conv: 3, width: 16}", "{conv: {any: [1, 3, 5]}, width: 16}")
    found, tally = sample(write(tmp_path, base=BASE, net=space), draws=60, seed=1)
    assert tally.invalid == 0
    drawn = {(one.data["block"]["ratio"], one.data["stem"][0]["conv"]) for one in found}
    assert len(drawn) == 9
    for one in found:
        assert one.books == cost(Spec.model_validate(one.data))


def test_a_network_of_paths_is_fitted_in_width_and_depth(tmp_path: Path) -> None:
    spec = load_spec(write(tmp_path, base=BASE, net=NET))
    for by in ("width", "depth"):
        target = 3 * cost(spec).macs
        fitted = fit(spec, target, "macs", by=by)
        assert target / 2 < fitted.books.macs <= target
        assert cost(Spec.model_validate(fitted.data)) == fitted.books


@pytest.mark.parametrize(
    ("keys", "place"),
    [
        ({"groups": 2}, "groups: no block here has a place for it: no convolution says groups"),
        ({"mid_width": 8}, "mid_width: no block here has a place for it: no width names mid"),
        ({"attention": "se"}, "attention: no block here has a place for it"),
        ({"order": "preact"}, "order: no block here has a place for it"),
        ({"antialias": "blur"}, "antialias: no block here has a place for it"),
        ({"stride_at": "1x1"}, "stride_at: no block here has a place for it"),
        ({"shortcut": "none", "groups": 4}, "groups: no block here has a place for it"),
    ],
)
def test_a_key_that_no_path_has_a_place_for_is_refused(keys: dict[str, Any], place: str) -> None:
    data = {
        "name": "net", "input": {"size": 32}, "stem": [{"conv": 3, "width": 16}],
        "block": [{"conv": 3, "width": "out", "stride": "stage"}, "norm", "add"],
        "shortcut": "projection", "classes": 10,
        "stages": [{"depth": 2, "width": 16}, {"depth": 2, "width": 32, "stride": 2}],
    }  # fmt: skip
    with pytest.raises(UserError, match=place):
        load_spec({**data, **keys})
    inner = {**data, "stages": [{**data["stages"][0], **keys}, data["stages"][1]]}  # type: ignore[dict-item, index]
    with pytest.raises(UserError, match="stages\\[0\\]." + place):
        load_spec(inner)


def test_a_growing_width_is_pyramidnets() -> None:
    """w_j = w_0 + alpha j / N, to the nearest (Han et al. 2017, equation 3)."""
    spec = load_spec("pyramidnet/pyramidnet110_a84")
    widths = [block.output[0] for _, block in resolve(spec).named_blocks()]
    assert widths == [int(16 + 84 * j / 54 + 0.5) for j in range(1, 55)]


def test_first_holds_for_the_first_block_and_stands_beside_blocks() -> None:
    data: dict[str, Any] = {
        "name": "net", "input": {"size": 32}, "stem": [{"conv": 3, "width": 16}],
        "block": "basic", "shortcut": "identity", "classes": 10,
        "stages": [{"depth": 3, "width": 16, "first": {"shortcut": "none"}}],
    }  # fmt: skip
    kinds = [block.shortcut.kind for _, block in resolve(load_spec(data)).named_blocks()]
    assert kinds == ["none", "identity", "identity"]
    data["stages"] = [{"width": 16, "blocks": [{}, {"shortcut": "none"}, {}],
                       "first": {"activation": "silu"}}]  # fmt: skip
    blocks = [block for _, block in resolve(load_spec(data)).named_blocks()]
    assert [block.shortcut.kind for block in blocks] == ["identity", "none", "identity"]
    assert ["SiLU" in repr(block) for block in blocks] == [True, False, False]
