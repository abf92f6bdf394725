"""`resgen list` and `resgen summarize --resolved`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from resgen.cli import app
from resgen.cost import cost
from resgen.errors import UserError
from resgen.plan import resolve
from resgen.search.catalog import catalog
from resgen.spec import Spec, load_spec, shipped
from resgen.spec.loading import origins, resolved_data
from resgen.spec.reading import parse_document, validate
from resgen.spec.resolved import resolved_text
from resgen.train.data.facts import ABOUT, NAMES


def printed(*arguments: str) -> str:
    result = CliRunner().invoke(app, list(arguments))
    assert result.exit_code == 0, result.output
    return result.stdout


def test_the_list_shows_name_input_cost_and_reference() -> None:
    assert printed("list", "wrn/*40_[12]") == (
        "wrn          input   params     MACs  same as\n"
        "  wrn40_1  3x32x32  563.9 k   83.3 M  paper:wrn40_1\n"
        "  wrn40_2  3x32x32    2.2 M  327.6 M  paper:wrn40_2\n"
        "\n"
        "2 networks. 1 MAC = one multiply-add; FLOPs = 2 x MACs; convolutions and linear\n"
        "layers without biases; one image.\n"
    )


def test_the_list_in_json_is_exact_and_versioned() -> None:
    content = json.loads(printed("list", "imagenet/resnet50", "--format", "json"))
    assert content["version"] == 1
    networks = {item["name"]: item for item in content["networks"]}
    assert networks["imagenet/resnet50"] == {
        "name": "imagenet/resnet50",
        "family": "imagenet",
        "input": [3, 224, 224],
        "classes": 1000,
        "params": 25_557_032,
        "macs": 4_089_184_256,
        "activations": 11_113_984,
        "layers": 50,
        "blocks": ["bottleneck"],
        "shortcuts": ["projection"],
        "reference": [
            "torchvision:resnet50",
            "timm:resnet50",
            "paper:imagenet_resnet50_B_v1.5",
            "paper:imagenet_resnet50_1x64d".replace("resnet50", "resnext50"),
        ],
    }


def test_the_list_may_be_of_one_family() -> None:
    assert [item.name for item in catalog(family="sknet")] == [
        f"sknet/sk{name}"
        for name in ("resnet18", "resnet34", "resnet50", "resnet50d", "resnext50_32x4d")
    ]
    assert [item.name for item in catalog("*50*", "wide")] == ["wide/wide_resnet50_2"]
    assert "mixnet_l" in printed("list", "--family", "mixnet")
    with pytest.raises(UserError) as caught:
        catalog(family="mixnets")
    assert str(caught.value) == (
        "mixnets: no family of shipped networks has this name; did you mean mixnet?"
    )


def names(*arguments: str) -> list[str]:
    content = json.loads(printed("list", *arguments, "--format", "json"))
    return [item["name"] for item in content["networks"]]


def test_the_list_may_be_bounded_and_sorted() -> None:
    """As a loop over every spec finds them."""
    books = {name: cost(resolve(load_spec(name))) for name in shipped.names()}
    wanted = [name for name, one in books.items() if 10**8 <= one.macs <= 3 * 10**8]
    found = names("--min-macs", "100M", "--max-macs", "300M", "--sort", "params")
    assert sorted(found) == sorted(wanted)
    assert found == sorted(wanted, key=lambda name: (books[name].params, name))
    small = names("--max-params", "1M", "--max-activations", "1M", "--min-params", "300k")
    assert small == [
        name
        for name, one in books.items()
        if 300_000 <= one.params <= 10**6 and one.activations <= 10**6
    ]


def test_the_list_may_be_of_a_block_and_a_shortcut() -> None:
    found = names("--block", "bottleneck", "--shortcut", "identity", "--family", "imagenet")
    assert found
    for name in found:
        spec = load_spec(name)
        assert (spec.block.name, spec.shortcut.kind) == ("bottleneck", "identity")
    assert names("resnet50", "--block", "bottleneck", "--max-macs", "1k") == []
    assert "0 networks." in printed("list", "--max-macs", "1k")


def test_sorted_names_are_whole() -> None:
    assert "\ncifar/resnet20 " in printed("list", "cifar/*20", "--sort", "macs")


def test_what_no_network_has_is_a_mistake() -> None:
    for words, sentence in {
        ("--block", "bottelneck"): "did you mean bottleneck?",
        ("--shortcut", "nothing-of-it"): "there are identity, ",
    }.items():
        result = CliRunner().invoke(app, ["list", *words])
        assert str(result.exception).startswith(" ".join(words) + ": none of ")
        assert sentence in str(result.exception)


def test_recipes_experiments_and_data_are_listed_too() -> None:
    for what, known in {
        "recipes": shipped.names("recipe"),
        "experiments": shipped.names("experiment"),
    }.items():
        content = json.loads(printed("list", what, "--format", "json"))
        assert tuple(each["name"] for each in content[what]) == known
        told = printed("list", what)
        assert all(f"{name} " in told or f"{name}\n" in told for name in known)
    kinds = [name.partition(":")[0] for name in NAMES]
    assert [name.partition("[")[0].partition(":")[0] for name in ABOUT] == kinds
    assert "1,797 grey images" in printed("list", "data")
    result = CliRunner().invoke(app, ["list", "recipes", "--max-macs", "1G"])
    assert str(result.exception) == (
        "--max-macs and recipes, experiments or data exclude each other; only networks have it; "
        "leave it out"
    )


def test_a_reference_too_long_for_its_line_has_the_next_one_whole() -> None:
    lines = printed("list").splitlines()
    assert max(map(len, lines)) <= 80
    for item in catalog():
        if item.reference:
            assert any(item.reference[0] in line for line in lines)


def test_the_list_is_of_everything_that_ships() -> None:
    assert tuple(item.name for item in catalog()) == shipped.names()


@pytest.mark.parametrize(
    ("pattern", "sentence"),
    [
        (
            "resnet5O",
            "resnet5O: no shipped network has such a name; did you mean imagenet/resnet50?",
        ),
        ("alexnet", "alexnet: no shipped network has such a name; `resgen list` shows them all"),
    ],
)
def test_a_pattern_without_match_is_a_mistake(pattern: str, sentence: str) -> None:
    with pytest.raises(UserError) as caught:
        catalog(pattern)
    assert str(caught.value) == sentence


HEIR = """\
name: mine
extends: base.yaml
stem: {width: 32}
shortcut: {kind: scaled, scale: 0.7}
drop_path: 0.1
stages:
  - {depth: 2, width: 64}
  - {width: 64, blocks: [{groups: 2}, {}]}
"""
HEIRS_BASE = """\
name: base
depth: 6
input: {channels: 3, size: 32}
stem: {kind: conv3x3, width: 16}
block: basic
shortcut: projection
stages: [{depth: 2, width: 16}]
classes: 10
"""
HEIR_RESOLVED = """\
language: 1                # default
name: mine                 # heir.yaml:1
input:
  channels: 3              # base.yaml:3
  size: [32, 32]           # base.yaml:3
stem:
  kind: conv3x3            # base.yaml:4
  width: 32                # heir.yaml:3
  first_activation: stem   # default
block: basic               # base.yaml:5
shortcut:
  kind: scaled             # heir.yaml:4
  scale: 0.7               # heir.yaml:4
  residual_scale: 0.5      # default
  padding: behind          # default
order: original            # default
projection: conv           # default
stride_at: 3x3             # default
attention:
  kind: none               # default
norm:
  kind: batch              # default
activation:
  kind: relu               # default
convolution: plain         # default
padding: symmetric         # default
bias: false                # default
zero_init: none            # default
antialias: none            # default
stages:
  - depth: 2               # heir.yaml:7
    width: 64              # heir.yaml:7
    stride: 1              # default
  - depth: 2               # the blocks in heir.yaml:8
    width: 64              # heir.yaml:8
    stride: 1              # default
    blocks:
      - groups: 2          # heir.yaml:8
      - {}                 # heir.yaml:8
drop_path:
  rate: 0.1                # heir.yaml:5
  rule: linear             # default
head:
  dropout: 0.0             # default
  final_activation: order  # default
classes: 10                # base.yaml:8
"""


@pytest.fixture
def heir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    Path("base.yaml").write_text(HEIRS_BASE)
    Path("heir.yaml").write_text(HEIR)
    return Path("heir.yaml")


def test_a_resolved_spec_says_where_each_value_came_from(heir: Path) -> None:
    assert printed("summarize", "--resolved", str(heir)) == HEIR_RESOLVED


def test_an_heir_is_not_bound_to_the_depth_of_its_base(heir: Path) -> None:
    assert load_spec(heir).depth is None


def test_a_regnets_stages_come_from_its_key() -> None:
    found = {path: origin for path, _, origin in origins(load_spec("regnet_x_400mf"))}
    place = f"{shipped.root()}/regnet/regnet_x_400mf.yaml:9"
    assert found["stages[3].width"] == f"the regnet in {place}"


@pytest.mark.parametrize("name", shipped.names())
def test_a_resolved_spec_is_a_spec_of_the_same_network(name: str) -> None:
    spec = load_spec(name)
    plan = resolve(spec)
    assert resolve(validate(Spec, parse_document(resolved_text(spec), "resolved.yaml"))) == plan
    for data in (resolved_data(spec), spec.model_dump(mode="json", exclude_unset=True)):
        assert resolve(Spec.model_validate(data)) == plan


@pytest.mark.parametrize(
    ("base", "sentence"),
    [
        (
            "{name: base, extends: resnet50}",
            "heir.yaml:2:10: extends: base.yaml extends resnet50 itself; "
            "only one level is read, so extend that one or write the keys out",
        ),
        (
            HEIRS_BASE.replace("conv3x3", "conv3x4"),
            "base.yaml:4:14: stem.kind: must be one of conv3x3, conv3x3-s2, conv7x7, "
            "conv7x7-pool, deep, deep-tiered (got 'conv3x4'); did you mean conv3x3?",
        ),
        (
            HEIRS_BASE.replace("classes: 10", "clases: 10"),
            "base.yaml:8:1: clases: unknown key; did you mean classes?",
        ),
    ],
)
def test_a_mistake_in_the_base_is_placed_there(heir: Path, base: str, sentence: str) -> None:
    Path("base.yaml").write_text(base)
    with pytest.raises(UserError) as caught:
        load_spec(heir)
    assert str(caught.value) == sentence


def test_a_shipped_name_can_be_extended_and_a_file_goes_before_it(heir: Path) -> None:
    heir.write_text("{name: mine, extends: imagenet/resnet18, classes: 3}")
    assert load_spec(heir).stages == load_spec("imagenet/resnet18").stages
    heir.write_text("{name: mine, extends: nowhere}")
    with pytest.raises(UserError, match="nowhere: no such file, and no spec of this name"):
        load_spec(heir)
