"""What an heir takes of its base: mappings key by key, and no key that loses its meaning."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from resgen import load_spec, resolve
from resgen.errors import UserError
from resgen.search.sample import sample
from resgen.spec import Spec, shipped
from resgen.spec.loading import origins, resolved_data
from resgen.spec.resolved import resolved_text

BASE = """name: base
input: {channels: 3, size: 32}
stem: {kind: conv7x7-pool, width: 16, pool: conv, first_activation: block}
order: preact
block: bottleneck
shortcut: {kind: scaled, scale: 0.3}
attention: {kind: se, ratio: 0.25, position: 3x3}
norm: {kind: group, groups: 4}
drop_path: 0.1
stages:
  - {depth: 2, width: 16}
  - {depth: 2, width: 32, stride: 2}
classes: 10
"""


def heir(folder: Path, keys: str, base: str = BASE) -> Spec:
    (folder / "base.yaml").write_text(base)
    (folder / "net.yaml").write_text(f"name: net\nextends: base.yaml\n{keys}\n")
    return load_spec(folder / "net.yaml")


def given(spec: Spec, key: str) -> dict[str, Any]:
    found: dict[str, Any] = getattr(spec, key).model_dump(exclude_unset=True)
    return found


@pytest.mark.parametrize(
    ("keys", "key", "found"),
    [
        # A key alone: all the others are the base's.
        ("stem: {width: 32}", "stem", {"width": 32, "kind": "conv7x7-pool", "pool": "conv",
                                       "first_activation": "block"}),
        # Another kind: the keys that every stem has stay the base's.
        ("stem: {kind: deep}", "stem", {"width": 16, "kind": "deep", "pool": "conv",
                                        "first_activation": "block"}),
        ("attention: {kind: eca}", "attention", {"kind": "eca", "position": "3x3"}),
        ("attention: {kind: eca, kernel: 5}", "attention",
         {"kind": "eca", "kernel": 5, "position": "3x3"}),
        ("attention: {ratio: 0.5}", "attention",
         {"kind": "se", "ratio": 0.5, "position": "3x3"}),
        # Those of kinds of its own stay behind.
        ("shortcut: {kind: gated}", "shortcut", {"kind": "gated"}),
        ("shortcut: {kind: gated, gate_bias: -2}", "shortcut", {"kind": "gated", "gate_bias": -2}),
        ("norm: {kind: layer}", "norm", {"kind": "layer"}),
        ("norm: {group_width: 2}", "norm", {"kind": "group", "group_width": 2}),
        # A word alone says it all.
        ("stem: deep", "stem", {"kind": "deep"}),
        ("attention: se", "attention", {"kind": "se"}),
        # A word or a number of the base is what it stands for.
        ("drop_path: {rule: constant}", "drop_path", {"rate": 0.1, "rule": "constant"}),
    ],
)  # fmt: skip
def test_mappings_are_merged_key_by_key(
    keys: str, key: str, found: dict[str, Any], tmp_path: Path
) -> None:
    assert given(heir(tmp_path, keys), key) == found


def test_a_word_of_the_base_is_its_kind(tmp_path: Path) -> None:
    base = BASE.replace("attention: {kind: se, ratio: 0.25, position: 3x3}", "attention: se")
    spec = heir(tmp_path, "attention: {ratio: 0.5}", base)
    assert given(spec, "attention") == {"kind": "se", "ratio": 0.5}
    where = {path: origin for path, _, origin in origins(spec)}
    assert where["attention.kind"] == f"{tmp_path}/base.yaml:7"
    assert where["attention.ratio"] == f"{tmp_path}/net.yaml:3"


def test_parameters_of_another_definition_stay_behind(tmp_path: Path) -> None:
    rows = "[{conv: 3, width: out}]"
    base = BASE.replace("stem: {kind: conv7x7-pool, width: 16, pool: conv, first_activation: "
                        "block}", "stem: {kind: one, wide: 16, size: 5}")  # fmt: skip
    base += "define:\n  one: {with: {wide: 8, size: 3}, path: [{conv: size, width: wide}]}\n"
    keys = "stem: {kind: other}\ndefine: {other: {with: {wide: 4}, path: [{conv: 3, width: wide}]}}"
    spec = heir(tmp_path, keys, base)
    assert resolve(spec).stem[0].output[0] == 16
    assert rows not in str(spec.stem)


@pytest.mark.parametrize(
    ("keys", "gone"),
    [
        ("shortcut: identity", ["projection"]),
        ("shortcut: none", ["projection", "zero_init", "drop_path"]),
        ("order: preact", ["zero_init"]),
        ("block: basic", ["stride_at"]),
        ("regnet: {depth: 4, w0: 16, wa: 8.0, wm: 2.0, group_width: 8}", ["groups"]),
        ("stages: [{depth: 2, width: 16}]", ["antialias", "projection", "stride_at"]),
        ("norm: none", ["zero_init", "bias"]),
        ("block: [{conv: 3, width: out, stride: stage}, norm, act, add]",
         ["groups", "stride_at", "antialias"]),
    ],
)  # fmt: skip
def test_what_the_heir_takes_the_meaning_of_is_not_inherited(
    keys: str, gone: list[str], tmp_path: Path
) -> None:
    base = """name: base
input: {channels: 3, size: 32}
stem: {kind: conv3x3, width: 16}
block: bottleneck
shortcut: projection
projection: avgpool-conv
stride_at: 1x1
groups: 2
zero_init: last
antialias: blur
bias: true
drop_path: 0.1
stages:
  - {depth: 2, width: 16}
  - {depth: 2, width: 32, stride: 2}
classes: 10
"""
    spec = heir(tmp_path, keys, base)
    for key in gone:
        assert key not in spec.model_fields_set, key
    resolve(spec)
    # What is shown is a spec of its own, and of the same network.
    alone = load_spec(resolved_data(spec))
    assert resolve(alone).stages == resolve(spec).stages
    for line in resolved_text(spec).splitlines():
        key = line.partition(":")[0]
        assert key not in gone or line.endswith("# default")
    # Written by the heir itself, it is a mistake of the heir's.
    own = {"projection": "avgpool-conv", "zero_init": "last", "stride_at": "1x1", "groups": 2,
           "antialias": "blur"}  # fmt: skip
    if gone[0] in own:
        with pytest.raises(UserError, match=f"net.yaml:4:.*{gone[0]}: "):
            heir(tmp_path, f"{keys}\n{gone[0]}: {own[gone[0]]}", base)


def test_a_draw_inherits_as_any_heir_does(tmp_path: Path) -> None:
    (tmp_path / "base.yaml").write_text(
        BASE.replace("shortcut: {kind: scaled, scale: 0.3}", "shortcut: projection")
        .replace("drop_path: 0.1", "projection: avgpool-conv")
    )  # fmt: skip
    space = tmp_path / "space.yaml"
    space.write_text("name: s\nextends: base.yaml\nshortcut: {any: [identity, projection]}\n")
    found, tally = sample(space, draws=20, seed=0)
    assert tally.invalid == 0
    assert {one.data["shortcut"] for one in found} == {"identity", "projection"}
    for one in found:
        assert ("projection" in one.data) == (one.data["shortcut"] == "projection")
        assert Spec.model_validate(one.data) == one.spec


def test_no_shipped_spec_says_or_inherits_what_means_nothing() -> None:
    """And what --resolved shows of each is a spec of the same network by itself."""
    for name in shipped.names():
        spec = load_spec(name)
        alone = Spec.model_validate(resolved_data(spec))
        assert alone.stage_settings == spec.stage_settings, name
