"""Overrides: the outermost layer over a spec, merged as an heir's keys are."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from resgen import Plan, cost, emit_source, load_spec, resolve
from resgen.errors import UserError
from resgen.spec.loading import origins
from resgen.spec.mistakes import dotted
from resgen.spec.resolved import resolved_text
from resgen.spec.writing import block_text, flow_text
from tests.strategies import every_word, meant

OWN = """\
name: own
input: {channels: 3, size: 32}
stem: {kind: conv3x3, width: 16}
define:
  mine:
    with: {ratio: 2}
    path: [{conv: 1, width: out / ratio}, norm, act, {conv: 3, groups: stage, stride: stage,
           width: out}, add, act]
  other: [{conv: 3, width: out, stride: stage, groups: stage}, norm, add, act]
block: mine
shortcut: projection
norm: batch
drop_path: 0.2
stages:
  - {depth: 1, width: 16}
  - {depth: 2, width: 32, stride: 2, groups: 1, block: {kind: mine, ratio: 4}}
classes: 10
"""
PAIRS = (("bottleneck_ratio", "mid_width"), ("groups", "group_width"))


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A spec with definitions, by a short name."""
    monkeypatch.chdir(tmp_path)
    Path("own.yaml").write_text(OWN)
    return "own.yaml"


def outcome(source: Any, *overrides: str) -> Plan | None:
    """The Plan; nothing where it is refused."""
    try:
        return resolve(load_spec(source, overrides))
    except UserError:
        return None


def leaves(value: Any, path: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    """The paths of the plain values."""
    if isinstance(value, dict | list) and value:
        pairs = value.items() if isinstance(value, dict) else enumerate(value)
        return [leaf for key, inner in pairs for leaf in leaves(inner, (*path, key))]
    return [path]


@given(data=every_word(), other=every_word(), draw=st.data())
@settings(deadline=None, max_examples=150)
def test_an_override_is_what_editing_the_file_would_be(
    data: dict[str, Any], other: dict[str, Any], draw: st.DataObject
) -> None:
    places = [path for path in leaves(data) if path[-1] != "kind"]
    path = draw.draw(st.sampled_from(places))
    alike = [p for p in leaves(other) if p[-1] == path[-1]]
    value: Any = draw.draw(st.sampled_from([1, 2, 8, 0.5, "none", "se", None]))
    if alike and draw.draw(st.booleans()):
        value = other
        for part in draw.draw(st.sampled_from(alike)):
            value = value[part]
    edited = json.loads(json.dumps(data))  # each entry its own
    inner = edited
    for part in path[:-1]:
        inner = inner[part]
    inner[path[-1]] = value
    edited = meant(edited, but=path)  # a key that means nothing beside it goes
    # Counted from the end as often as from the front.
    index = path[1] if len(path) > 1 and path[0] == "stages" else None
    if isinstance(index, int) and draw.draw(st.booleans()):
        path = ("stages", index - len(data["stages"]), *path[2:])
    assert outcome(data, f"{dotted(path)}={flow_text(value)}") == outcome(edited)


KEYS = {
    "classes": 10, "input": {"size": 64}, "stem": {"width": 32}, "shortcut": "none",
    "mid_width": 64, "bottleneck_ratio": 2, "groups": 2, "group_width": 8, "attention": "se",
    "order": "preact", "norm": {"kind": "group", "groups": 8}, "block": "basic", "drop_path": 0.1,
    "stages": [{"depth": 1, "width": 64}, {"depth": 1, "width": 128, "stride": 2}],
    "head": {"dropout": 0.5}, "output_stride": 16, "regnet": {"depth": 13, "w0": 24, "wa": 36.44,
    "wm": 2.49, "group_width": 8}, "depth": 50, "stem.kind": "deep",
}  # fmt: skip


@pytest.mark.parametrize("key", KEYS)
def test_an_override_is_merged_as_the_key_of_an_heir(
    key: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    keys = {"stem": {"kind": KEYS[key]}} if key == "stem.kind" else {key: KEYS[key]}
    built = 0
    for name in ("resnet50", "seresnet50", "regnetx_002", "wide_resnet50_2"):
        # An heir of an heir is none: what the network extends is written out.
        document = load_spec(name)._document
        assert document is not None
        data = {k: v for k, v in document.data.items() if k != "extends"}
        Path("base.yaml").write_text(block_text(data))
        heir = {"extends": "base.yaml", "name": data["name"], **keys}
        Path("heir.yaml").write_text(block_text(heir))
        plan = outcome(name, f"{key}={flow_text(KEYS[key])}")
        assert plan == outcome("heir.yaml")
        built += plan is not None
    assert built or key == "depth"


@pytest.mark.parametrize(
    ("typed", "edit"),
    [
        ("define.mine.with.ratio=4", ("{ratio: 2}", "{ratio: 4}")),
        ("define.mine[3].conv=5", ("{conv: 3, groups", "{conv: 5, groups")),
        ("define.mine.path[2].act=silu", ("norm, act, {conv", "norm, {act: silu}, {conv")),
        ("define.mine[2]={act: silu}", ("norm, act, {conv", "norm, {act: silu}, {conv")),
        ("define.mine[-1].act=silu", ("add, act]\n  other", "add, {act: silu}]\n  other")),
        ("define.other[0]={conv: 1, width: out, stride: stage}",
         ("{conv: 3, width: out, stride: stage, groups: stage}",
          "{conv: 1, width: out, stride: stage}")),
        ("block.ratio=4", ("block: mine\n", "block: {kind: mine, ratio: 4}\n")),
        ("stages[1].block.ratio=8", ("ratio: 4}", "ratio: 8}")),
        ("stages[1].block.kind=other", ("{kind: mine, ratio: 4}", "other")),
        ("shortcut.kind=identity", ("projection", "identity")),
        ("stem=conv7x7", ("{kind: conv3x3, width: 16}", "conv7x7")),
        ("stem.width=32", ("conv3x3, width: 16", "conv3x3, width: 32")),
        ("norm.groups=8", ("batch", "{kind: batch, groups: 8}")),
        ("norm={kind: group, groups: 8}", ("batch", "{kind: group, groups: 8}")),
        ("drop_path.rule=constant", ("0.2", "{rate: 0.2, rule: constant}")),
        ("input.size[1]=48", ("size: 32", "size: [32, 48]")),
        ("head.dropout=0.5", ("classes", "head: {dropout: 0.5}\nclasses")),
        ("stages[1].group_width=4", ("groups: 1", "group_width: 4")),
        ("stages[-1]={depth: 3}", ("depth: 2", "depth: 3")),
        ("drop_path=null", ("drop_path: 0.2\n", "")),
        ("drop_path=", ("drop_path: 0.2\n", "")),
        (" classes = 7", ("classes: 10", "classes: 7")),
    ],
)  # fmt: skip
def test_paths_lead_into_whatever_is_written(
    own: str, typed: str, edit: tuple[str, str], tmp_path: Path
) -> None:
    assert OWN.count(edit[0]) == 1, edit
    Path("edited.yaml").write_text(OWN.replace(*edit))
    plan = outcome(own, typed)
    assert plan == outcome("edited.yaml")
    assert (plan is None) == (typed == "norm.groups=8")  # group's key; the word there is batch
    assert Path(own).read_text() == OWN


SENTENCES = {
    "classes=ten": "classes: must be a whole number (got 'ten')",
    "stem.widht=3": "stem.widht: unknown key; did you mean width?",
    "blok=basic": "blok: unknown key; did you mean block?",
    "stgaes[0].depth=3": "there is no stgaes; did you mean stages?",
    "stages[7].depth=3": "there is no stages[7]; stages has 2 entries, the first stages[0]",
    "stages[-3].depth=3": "there is no stages[-3]; stages has 2 entries, the first stages[0]",
    "stages[0].blocks[1].groups=2": "there is no stages[0].blocks; known here: depth, width",
    "stages.depth=3": "stages is a list: say which entry, as stages[0].depth",
    "stem[0]=3": "stem has keys and no entries: kind, width",
    "classes.more=3": "classes is 10, and nothing is in it",
    "name.more=3": "name is 'own', and nothing is in it",
    "define.mien.with.ratio=3": "there is no define.mien; did you mean mine?",
    "define.mine.with.ratoi=3": "define.mine.with.ratoi: no row of mine uses it",
    "define.other[9].conv=3": "there is no define.other[9]; define.other has 4 entries, the first "
    "define.other[0]",
    "extends=resnet50": "what a network extends stands in its spec; write one that extends another",
    "shortcut.scale=0.3": "shortcut.scale: scale belongs to scaled shortcuts, not to projection",
    "language=2": "language: the spec is written in language 2, and this resgen speaks 1; use a "
    "newer resgen",
    "classes": "write it as path.to.key=value",
    "=3": "write it as path.to.key=value",
    "a..b=3": "write it as path.to.key=value",
    "stages[0=3": "write it as path.to.key=value",
    "stages[two]=3": "write it as path.to.key=value",
    "clas ses=3": "write it as path.to.key=value",
    "stem=[": "not valid YAML: expected the node content, but found '<stream end>'",
    "stem={kind: deep, kind: deep}": "stem.kind: repeated key",
    "stem=!!int 3": "the tag !!int is not allowed; write plain values",
    "classes=3\ndepth: 4": "give one value; for another key, another --with",
}


@pytest.mark.parametrize("typed", SENTENCES)
def test_a_mistake_is_one_sentence_with_what_was_typed(own: str, typed: str) -> None:
    with pytest.raises(UserError) as caught:
        resolve(load_spec(own, [typed]))
    said = typed.replace("\n", "\\n")
    assert str(caught.value) == f"--with {said}: {SENTENCES[typed]}"


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("classes=3", "classes=4"),
        ("mid_width=8", "bottleneck_ratio=2"),
        ("stages[1].groups=2", "stages[-1].group_width=4"),
        ("head.dropout=0.5", "head.dropout=0.1"),
        ("stem={width: 8}", "stem.width=16"),
        ("stages[0]={depth: 2}", "stages[0].depth=2"),
    ],
)
def test_of_two_overrides_neither_undoes_the_other(own: str, first: str, second: str) -> None:
    for one, other in ((first, second), (second, first)):
        with pytest.raises(UserError, match=r"undoes .*; keep one of the two") as caught:
            load_spec(own, [one, other])
        assert f"--with {one}" in str(caught.value)
        assert f"--with {other}" in str(caught.value)


@pytest.mark.parametrize(
    "pair",
    [
        ("stem.kind=deep", "stem.width=32"),
        ("stem={width: 32}", "stem.kind=deep"),
        ("attention=se", "attention.ratio=0.25"),
        ("attention.kind=se", "attention.ratio=0.25"),
        ("head.width=24", "head.dropout=0.5"),
        ("define.new=[{conv: 3, width: out, stride: stage}, add]", "block=new"),
        ("stages=[{depth: 1, width: 64}]", "stages[0].stride=2"),
    ],
)
def test_overrides_hold_in_any_order(pair: tuple[str, str]) -> None:
    data = {
        "name": "net", "input": {"size": 32}, "stem": {"kind": "conv3x3", "width": 16},
        "block": "basic", "shortcut": "identity", "stages": [{"depth": 2, "width": 64}],
        "classes": 10,
    }  # fmt: skip
    one, other = outcome(data, *pair), outcome(data, *pair[::-1])
    assert one == other
    assert one is not None
    assert one not in (outcome(data), outcome(data, pair[0]))


def test_no_stage_of_a_regnet_is_overridden_and_its_keys_are(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="there are no stages, but a regnet that they follow from"):
        load_spec("regnetx_002", ["stages[1].depth=3"])
    spec = load_spec("regnetx_002", ["regnet.depth=14"])
    assert sum(stage.depth for stage in spec.stages) == 14
    found = {path: origin for path, _, origin in origins(spec)}
    assert found["stages[0].width"].endswith("regnetx_002.yaml:4 and --with regnet.depth=14")
    stages = load_spec("regnetx_002", ["stages=[{depth: 1, width: 16}]"])
    assert [stage.width for stage in stages.stages] == [16]
    assert stages.regnet is None


def test_what_says_how_the_network_was_made_holds_no_longer() -> None:
    spec = load_spec("resnet50", ["stages[2].depth=12"])
    assert (spec.name, spec.depth, spec.reference) == ("resnet50", None, ())
    assert load_spec("resnet50", ["stages[2].depth=23", "depth=101"]).depth == 101
    with pytest.raises(UserError, match="the main path has 101 weighted layers, not 100"):
        resolve(load_spec("resnet50", ["stages[2].depth=23", "depth=100"]))


def test_the_resolved_spec_says_what_was_typed(own: str) -> None:
    typed = ("classes=3", "stages[1].depth=4", "define.mine[2].act=silu", "input.size[0]=48")
    lines = resolved_text(load_spec(own, [*typed, "norm={kind: group, groups: 8}"])).splitlines()
    said = {line.split("#")[0].strip(): line.partition("# ")[2] for line in lines}
    assert said["classes: 3"] == "--with classes=3"
    assert said["depth: 4"] == "--with stages[1].depth=4"
    assert said["size: [48, 32]"] == "own.yaml:2 and --with input.size[0]=48"
    assert said["groups: 8"] == said["kind: group"] == "--with norm={kind: group, groups: 8}"
    path = next(line for line in lines if line.strip().startswith("path: "))
    assert path.endswith("# own.yaml:7 and --with define.mine[2].act=silu")
    assert said["width: 32"] == "own.yaml:16"
    assert load_spec(own).overrides == ()


def test_a_word_that_became_a_mapping_keeps_its_place(own: str) -> None:
    spec = load_spec("seresnet50", ["attention.ratio=0.25"])
    found = {path: origin for path, _, origin in origins(spec)}
    before = {path: origin for path, _, origin in origins(load_spec("seresnet50"))}
    assert found["attention.ratio"] == "--with attention.ratio=0.25"
    assert found["attention.kind"] == before["attention.kind"] != "default"


def test_python_takes_the_same_words(own: str) -> None:
    spec = load_spec(own, ["classes=3"])
    assert spec.overrides == ("classes=3",)
    again = load_spec(spec, ["stem.width=32"])
    assert again.overrides == ("classes=3", "stem.width=32")
    assert resolve(again) == resolve(load_spec(own, again.overrides))
    assert cost(again).params == cost(load_spec(own, ["stem.width=32", "classes=3"])).params
    made = load_spec(own).model_copy(update={"classes": 5})
    assert resolve(load_spec(made, ["stem.width=32"])).classes == 5
    assert resolve(load_spec(made, ["classes=3"])) == resolve(spec)
    with pytest.raises(TypeError, match=r"overrides are a list of assignments: \['classes=3'\]"):
        load_spec(own, "classes=3")


def test_the_emitted_file_says_what_was_typed_and_nothing_that_could_end_its_text() -> None:
    source = " ".join(emit_source(load_spec("resnet18", ["classes=3"])).split())
    assert "from the spec resnet18 with classes=3." in source
    evil = 'reference=\'"""; import os\\\''
    source = " ".join(emit_source(load_spec("resnet18", [evil, "classes=3"])).split())
    assert "import os" not in source
    assert "with reference=... and classes=3." in source
    assert "with" not in emit_source(load_spec("resnet18")).partition('"""\n\n')[0]
