"""Guesses: what others call a key, a word or a row, and what an error may name."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from resgen.errors import UserError
from resgen.plan import resolve
from resgen.spec import Spec, load_spec, synonyms
from resgen.spec.assigning import set_values
from resgen.spec.block import BLOCK_KEYS
from resgen.spec.mistakes import known_keys
from resgen.spec.norms import ACTS
from resgen.spec.reading import parse_document, validate
from resgen.spec.rows import ROWS
from resgen.spec.synonyms import meant_key, meant_row, meant_word, squashed
from resgen.train.recipe import Recipe, read_recipe
from tests.draws import drawn
from tests.spec.test_hostile import REGNET
from tests.spec.test_mistakes import GOOD


def said(text: str) -> list[str]:
    with pytest.raises(UserError) as caught:
        read(text)
    return list(caught.value.lines)


def read(text: str) -> None:
    document = parse_document(text, "f")
    spec = validate(Spec, document)
    spec._document = document
    resolve(spec)


STAGE = "{depth: 2, width: 16}"
GUESSES = {
    # (written in place of what, as others write it): what is said.
    ("activation", "swish"): "did you mean silu?",
    ("activation", "ReLU"): "did you mean relu?",
    ("activation", "lrelu"): "did you mean leaky-relu?",
    ("activation", "h_swish"): "did you mean hardswish?",
    ("activation", "hard_sigmoid"): "did you mean hardsigmoid?",
    ("norm", "bn"): "did you mean batch?",
    ("norm", "batchnorm"): "did you mean batch?",
    ("norm", "layer_norm"): "did you mean layer?",
    ("norm", "GroupNorm"): "did you mean group?",
    ("attention", "squeeze_excitation"): "did you mean se?",
    ("order", "preactivation"): "did you mean preact?",
    ("projection", "conv1x1"): "did you mean conv?",
    ("attention", "{kind: se, reduction: 16}"): "did you mean ratio: 0.0625?",
    ("attention", "{kind: se, reduction: 8}"): "did you mean ratio: 0.125?",
    ("attention", "{kind: se, rd_ratio: 0.25}"): "did you mean ratio: 0.25?",
    ("attention", "{kind: eca, kernel_size: 3}"): "did you mean kernel?",
    ("reduction", "16"): "did you mean attention: {kind: se, ratio: 0.0625}?",
    ("se", "true"): "did you mean attention: se?",
    ("se", "false"): "did you mean attention: none?",
    ("se_ratio", "0.25"): "did you mean attention: {kind: se, ratio: 0.25}?",
    ("dropout", "0.3"): "did you mean head: {dropout: 0.3} before the linear layer, drop_path: 0.3 "
    "for whole blocks, or a row {dropout: 0.3} in a block's path?",
    ("stochastic_depth", "0.2"): "did you mean drop_path?",
    ("drop_connect_rate", "0.2"): "did you mean drop_path?",
    ("survival_prob", "0.8"): "did you mean drop_path: 0.2?",
    ("expansion", "4"): "did you mean bottleneck_ratio?",
    ("bottle_ratio", "0.25"): "did you mean bottleneck_ratio: 4?",
    ("cardinality", "32"): "did you mean groups?",
    ("width_per_group", "128"): "did you mean bottleneck_ratio: 2?",
    ("preactivation", "true"): "did you mean order: preact?",
    ("norm_layer", "batch"): "did you mean norm?",
    ("bn", "true"): "did you mean norm: batch?",
    ("act_layer", "relu"): "did you mean activation?",
    ("avg_down", "true"): "did you mean projection: avgpool-conv?",
    ("zero_init_residual", "true"): "did you mean zero_init: last?",
    ("downsample", "true"): "did you mean shortcut: projection (or a stage's stride)?",
    ("replace_stride_with_dilation", "true"): "did you mean output_stride?",
    ("image_size", "224"): "did you mean input: {size: 224}?",
    ("in_chans", "3"): "did you mean input: {channels: 3}?",
    ("num_blocks", "[2, 2, 2, 2]"): "did you mean stages: a list with a mapping for each, as "
    "{depth: 3, width: 256}?",
    ("planes", "64"): "did you mean stages: a list with a mapping for each, as "
    "{depth: 3, width: 256}?",
    ("epochs", "90"): "a spec says nothing of training; a recipe does (resgen train --recipe)",
    ("lr", "0.1"): "a spec says nothing of training; a recipe does (resgen train --recipe)",
}  # fmt: skip


@pytest.mark.parametrize(("written", "hint"), GUESSES.items(), ids=lambda value: str(value)[:40])
def test_what_others_write_is_understood(written: tuple[str, str], hint: str) -> None:
    key, value = written
    (line,) = said(f"{GOOD}{key}: {value}\n")
    assert line.startswith("f:10:")
    assert line.endswith(f"; {hint}")


@pytest.mark.parametrize(
    ("old", "new", "end"),
    [
        ("depth: 2, width: 16", "num_blocks: 2, width: 16", "did you mean depth?"),
        ("depth: 2, width: 16", "depth: 2, planes: 16", "did you mean width?"),
        ("depth: 2, width: 16", "depth: 2, out_channels: 16", "did you mean width?"),
        ("stride: 2}", "strides: 2}", "did you mean stride?"),
        ("stride: 2}", "downsample: true}", "did you mean stride: 2?"),
        ("classes: 10", "num_classes: 10", "did you mean classes?"),
        ("block: basic", "block: resnet50", "did you mean bottleneck?"),
        ("block: basic", "block: BasicBlock", "did you mean basic?"),
        ("shortcut: identity", "shortcut: conv1x1", "did you mean projection?"),
        ("{kind: conv3x3, width: 16}", "{kind: conv3x3, planes: 16}", "did you mean width?"),
        ("{kind: conv3x3, width: 16}", "{type: conv3x3, width: 16}", "did you mean kind?"),
        ("{channels: 3, size: 32}", "32", "write {size: 32}"),
        ("{channels: 3, size: 32}", "[3, 32, 32]", "write {channels: 3, size: [32, 32]}"),
        ("{depth: 2, width: 16}", "{blocks: 3, width: 16}", "must be a list (got 3); blocks is "
         "one mapping for each, the number of blocks is depth: 3"),
        ("block: basic", "block: [{conv: 3, kernel_size: 3}, add]", "a kernel is a row's value, "
         "as {conv: 3}"),
        ("block: basic", "block: [{conv: 3, filters: 16}, add]", "did you mean width?"),
        ("block: basic", "block: [{conv: 3, use_bias: true}, add]", "did you mean bias?"),
        ("block: basic", "block: [{conv: 3, relu: true}, add]", "relu is no option of conv but a "
         "row of its own: act"),
        ("block: basic", "block: [{conv: 3}, BatchNorm2d, add]", "did you mean norm?"),
        ("block: basic", "block: [{conv: 3}, norm, leaky_relu, add]", "did you mean {act: "
         "leaky-relu}?"),
        ("block: basic", "block: [{conv: 3}, norm, {act: swish}, add]", "did you mean silu?"),
    ],
)  # fmt: skip
def test_and_where_it_is_meant_for_something_written(old: str, new: str, end: str) -> None:
    (line,) = said(GOOD.replace(old, new, 1))
    assert line.endswith(end)


def test_a_stem_is_a_word_where_its_width_is_the_usual() -> None:
    text = GOOD.replace("{kind: conv3x3, width: 16}", "conv7x7").replace("identity", "projection")
    spec = validate(Spec, parse_document(text, "f"))
    assert (spec.stem.kind, spec.stem.width) == ("conv7x7", 64)  # type: ignore[union-attr]


def test_a_base_width_is_torchvisions() -> None:
    """resnext50_32x4d has groups 32 and width_per_group 4: an inner width of half the block's."""
    beside = {"groups": 32}
    meant = meant_key("width_per_group", BLOCK_KEYS, 4, beside)
    assert meant is not None
    assert meant.text == "bottleneck_ratio: 2"
    lines = said(GOOD + "groups: 32\nwidth_per_group: 4\n")
    assert lines[0].endswith("width_per_group: unknown key; did you mean bottleneck_ratio: 2?")
    assert load_spec("resnext50_32x4d").settings(0).bottleneck_ratio == 2


SETTINGS = {
    "lr=0.1": "did you mean optimizer: {lr: 0.1}?",
    "weight_decay=0.05": "did you mean optimizer: {weight_decay: 0.05}?",
    "epochs=90": "did you mean length: 90 epochs?",
    "batch_size=128": "did you mean batch?",
    "scheduler=cosine": "did you mean schedule?",
    "label_smoothing=0.1": "did you mean loss: {label_smoothing: 0.1}?",
    "optimizer.learning_rate=0.1": "did you mean lr?",
    "augment.random_erasing=0.25": "did you mean erase?",
    "mixup=0.2": "did you mean augment: {mixup: 0.2}?",
    "schedule.kind=cosine_annealing": "did you mean cosine?",
    "loss.kind=bce": "did you mean binary?",
}


@pytest.mark.parametrize(("assignment", "hint"), SETTINGS.items())
def test_so_are_recipes(assignment: str, hint: str) -> None:
    with pytest.raises(UserError) as caught:
        set_values(read_recipe("digits"), [assignment])
    assert str(caught.value).endswith(f"; {hint}")


def keys_of(model: Any, path: tuple[str, ...] = ()) -> set[str]:
    return set(known_keys(model, path))


PLACES = [
    keys_of(Spec), keys_of(Spec, ("stages",)), keys_of(Spec, ("attention",)), keys_of(Recipe),
    keys_of(Spec, ("stem",)), keys_of(Spec, ("head",)), keys_of(Spec, ("shortcut",)),
    *(keys_of(Recipe, (key,)) for key in ("optimizer", "schedule", "augment", "loss")),
    keys_of(Spec, ("input",)), *(set(row.options) for row in ROWS.values()),
]  # fmt: skip


@pytest.mark.parametrize("alias", sorted(synonyms._KEYS))
def test_every_synonym_has_a_place_where_it_is_a_guess(alias: str) -> None:
    assert alias == squashed(alias)
    found = [meant_key(alias, known, 2) for known in PLACES if alias not in known]
    assert any(found), f"{alias}: nothing of this name is known anywhere"
    for meant in filter(None, found):
        assert meant.hint.startswith("; ")
        assert "$" not in meant.text


@pytest.mark.parametrize("row", sorted(set(synonyms._ROWS.values())))
def test_a_row_that_is_offered_is_one(row: str) -> None:
    if any(word not in ROWS for word in row.split(" and ")):
        path = row.replace("[...]", "[[{conv: 3}], [{conv: 1}]]")
        text = GOOD.replace("block: basic", f"block: [{path}, add]")
        validate(Spec, parse_document(text, "f"))


def test_a_word_that_is_offered_is_known_there() -> None:
    assert meant_word("swish", ACTS) == "silu"
    assert meant_word("swish", ["relu", "gelu"]) == ""
    assert meant_row("swish") == "{act: silu}"
    # No alias hides a word of ours.
    assert not {squashed(act) for act in ACTS} & synonyms._WORDS.keys()


LINE = re.compile(r"f:\d+:\d+: ([A-Za-z_-]\w*(?:\.[\w-]+|\[\d+\])*): (.*)")


def named(line: str) -> tuple[list[str | int], str]:
    """The keys that a line names, and what it says of them."""
    found = LINE.fullmatch(line)
    if not found:
        return [], line
    parts = re.findall(r"\[\d+\]|[^.\[\]]+", found[1])
    return [int(part[1:-1]) if part[0] == "[" else part for part in parts], found[2]


def check_names(text: str) -> int:
    """Every key that an error names stands in the text, but for the one that is missing."""
    try:
        data = parse_document(text, "f").data
    except UserError:
        return 0  # no YAML, or none that has keys
    try:
        read(text)
    except UserError as error:
        lines = error.lines
    else:
        return 0
    for line in lines:
        keys, rule = named(line)
        value: Any = data if keys else None
        for key in keys[:-1] if rule.startswith("this key is missing") else keys:
            assert isinstance(value, dict | list), line
            assert isinstance(key, int) or key in value, line
            value = value[key]
    return len(lines)


BROKEN = {
    "regnet's widths": REGNET + "mid_width: 20\n",
    "regnet's groups": REGNET.replace("bottleneck", "basic") + "groups: 5\n",
    "regnet's image": REGNET.replace("32}\nstem", "4}\nstem"),
    "regnet's shortcut": REGNET.replace("projection", "identity").replace("h: 32", "h: 320"),
    "regnet without a block": REGNET.replace("block: bottleneck\n", ""),
    "a growing width": GOOD.replace("width: 16}\n  -", "width: {start: 3, end: 7}}\n  -")
    + "bottleneck_ratio: 4\n",
    "growing groups": GOOD.replace("width: 16}\n  -", "width: {start: 9, end: 15}}\n  -")
    + "groups: 4\n",
    "a number of blocks": GOOD.replace("{depth: 2, width: 16}", "{blocks: 3}"),
    "no blocks": GOOD.replace("{depth: 2, width: 16}", "{blocks: []}"),
    "blocks of a width": GOOD.replace("depth: 2, width: 16", "blocks: [{width: 16}, {width: 18}]")
    + "bottleneck_ratio: 4\n",
    "blocks of a wrong width": GOOD.replace("{depth: 2, width: 16}", "{blocks: [{width: x}]}"),
    "the first block": GOOD.replace("width: 16}\n  -", "width: 16, first: {groups: 3}}\n  -"),
    "a bare stem": GOOD.replace("{kind: conv3x3, width: 16}", "conv"),
    "a bare rate": GOOD + "drop_path: 3\n",
    "a bare size": GOOD.replace("size: 32", "size: 0"),
    "a bare shortcut": GOOD.replace("identity", "identical"),
    "a bare norm": GOOD + "norm: {kind: group}\n",
    "a block's norm": GOOD + "norm: group\n",
    "nothing but a head": "head: {dropout: 2}\n",
    "a stem narrowed": GOOD.replace("{kind: conv3x3, width: 16}", "deep-tiered"),
}  # fmt: skip


@pytest.mark.parametrize("text", BROKEN.values(), ids=BROKEN)
def test_no_error_names_a_key_that_nobody_wrote(text: str) -> None:
    assert check_names(text)


@settings(max_examples=200, deadline=None)
@given(st.integers(0, 10**6))
def test_nor_does_any_of_specs_that_are_spoiled(number: int) -> None:
    text = drawn("spec", 14, number).decode(errors="replace")
    # Keys with signs of their own cannot be told from the sentence around them.
    if not re.search(r"[\w'\"][.\]\[]+[\w'\"]*['\"]?:", text) and "extends" not in text:
        check_names(text)


def test_a_regnets_mistakes_are_in_its_line() -> None:
    assert said(BROKEN["regnet's image"]) == [
        "f:7:9: regnet: stage 2 would shrink the image below 1x1: it strides by 2 over 1x1; give "
        "the network a larger input or a smaller stride"
    ]


def test_the_mistake_of_a_block_is_in_its_line(tmp_path: Path) -> None:
    assert said(BROKEN["blocks of a width"]) == [
        "f:7:36: stages[0].blocks[1].width: must be divisible by bottleneck_ratio 4 (got 18)"
    ]
    assert said(BROKEN["growing groups"])[0].startswith("f:7:23: stages[0].width: block 2: ")
