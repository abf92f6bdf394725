"""Every mistake at once: what is said of several together is what is said of each alone."""

from __future__ import annotations

import pickle
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from resgen.errors import UserError, each
from resgen.plan import resolve
from resgen.spec import Spec, load_spec
from resgen.spec.reading import parse_document, validate
from resgen.spec.sentences import MOST
from resgen.train.recipe import read_recipe

SPEC = """\
name: net
input: {channels: 3, size: 32}
stem: {kind: conv3x3, width: 16}
define:
  gate: {with: {ratio: 4}, path: [{branches: [[], [global-pool, {conv: 1}]], join: product}]}
  mine: [{conv: 3, stride: stage}, norm, act, {conv: 3, width: out}, norm, gate, add, act]
  other: [{conv: 1, width: mid}, act]
block: bottleneck
shortcut: projection
attention: se
stages:
  - {depth: 2, width: 16}
  - {depth: 2, width: 32, stride: 2}
  - {depth: 2, width: 64, stride: 2, block: mine}
  - {depth: 2, width: 128, stride: 2, block: [{conv: 3, width: out, stride: stage}, norm, add]}
drop_path: 0.1
head: {dropout: 0.1}
classes: 10
""".replace("{conv: 1}]]", "{conv: 1, width: branch / ratio}, {conv: 1, width: branch}]]")

# Written in place of something, none of them in the same place; and what is said of it alone.
MISTAKES = {
    ("name: net", "name: a/b"): "1:7: name: may hold letters, digits, spaces and ._+- only, at "
    "most 64 (got 'a/b')",
    ("size: 32}", "sise: 32}"): "2:22: input.sise: unknown key; did you mean size?",
    ("kind: conv3x3", "kind: conv"): "3:14: stem.kind: must be one of conv3x3, conv3x3-s2, "
    "conv7x7, conv7x7-pool, deep, deep-tiered, gate, mine, other (got 'conv'); did you mean "
    "conv7x7?",
    ("global-pool", "globalpool"): "5:52: define.gate.path[0].branches[1][0]: globalpool is no "
    "row and no definition; did you mean global-pool?",
    ("norm, act, {conv: 3, w", "bn, act, {conv: 3, w"): "6:36: define.mine[1]: bn is no row and "
    "no definition; did you mean norm?",
    ("{conv: 3, width: out}", "{conv: 3, width: oot}"): "6:64: define.mine[3].width: oot is no "
    "name here; did you mean out?",
    ("width: mid}", "width: [1]}"): "7:28: define.other[0].width: must be a whole number or a "
    "term (got [1])",
    ("attention: se", "attention: {kind: se, reduction: 16}"): "10:23: attention.reduction: "
    "unknown key; did you mean ratio: 0.0625?",
    ("depth: 2, width: 16", "dept: 2, width: 16"): "12:6: stages[0].dept: unknown key; did you "
    "mean depth?",
    ("width: 32", "width: 34"): "13:23: stages[1].width: must be divisible by bottleneck_ratio 4 "
    "(got 34)",
    ("block: mine", "block: mien"): "14:45: stages[2].block: must be one of basic, bottleneck, "
    "gate, mine, other (got 'mien'); did you mean mine?",
    ("norm, add]", "norm, adds]"): "15:91: stages[3].block[2]: adds is no row and no definition; "
    "did you mean add?",
    ("depth: 2, width: 128", "depth: two, width: 128"): "15:13: stages[3].depth: must be a whole "
    "number (got 'two')",
    ("drop_path: 0.1", "drop_path: 1.5"): "16:12: drop_path: must be less than 1.0 (got 1.5)",
    ("head: {dropout: 0.1}", "head: {droprate: 0.1}"): "17:8: head.droprate: unknown key; did you "
    "mean dropout?",
    ("classes: 10", "num_classes: 10"): "18:1: num_classes: unknown key; did you mean classes?",
}  # fmt: skip
NAMES = sorted(MISTAKES)


def said(text: str) -> list[str]:
    with pytest.raises(UserError) as caught:
        resolve(validate(Spec, parse_document(text, "f")))
    assert str(caught.value) == "\n".join(caught.value.lines)
    return list(caught.value.lines)


def written(*places: tuple[str, str]) -> str:
    text = SPEC
    for old, new in places:
        assert text.count(old) == 1, old
        text = text.replace(old, new)
    return text


def line_of(place: tuple[str, str]) -> int:
    return int(MISTAKES[place].partition(":")[0])


def rule_of(line: str) -> tuple[str, ...]:
    """A line without its column, which what stands before it in the line moves."""
    return (line.split(":")[0], line.partition(": ")[2])


def test_the_spec_is_sound() -> None:
    assert resolve(validate(Spec, parse_document(SPEC, "f"))).blocks == 8


@pytest.mark.parametrize("place", NAMES)
def test_each_alone_has_its_line(place: tuple[str, str]) -> None:
    assert said(written(place)) == [f"f:{MISTAKES[place]}"]


def test_all_together_have_all_their_lines_in_order() -> None:
    lines = said(written(*NAMES))
    assert len(lines) == len(MISTAKES)
    assert lines[0].startswith("f:1:7: name: ")
    numbers = [int(line.split(":")[1]) for line in lines]
    assert numbers == sorted(numbers)


@settings(max_examples=150, deadline=None)
@given(st.sets(st.sampled_from(NAMES), min_size=2))
def test_what_is_said_of_several_is_what_is_said_of_each(places: set[tuple[str, str]]) -> None:
    found = sorted(rule_of(line.removeprefix("f:")) for line in said(written(*places)))
    assert found == sorted(rule_of(MISTAKES[place]) for place in places)


STAGES = SPEC[SPEC.index("stages:") : SPEC.index("drop_path:")]
REGNET = "regnet: {depth: 4, w0: 24, wa: 24.0, wm: 2.5, group_width: 8}\n"
ODD = "stages:\n  - {depth: 1, width: 66}\n  - {depth: 1, width: 64}\n  - {depth: 1, width: 70}\n"


def stages(*keys: str) -> str:
    return "stages:\n" + "".join(f"  - {{depth: 1, width: 64, {each}}}\n" for each in keys)


@pytest.mark.parametrize(
    ("old", "new", "lines"),
    [
        # The misspelt key explains the missing one; a key with another form does, too.
        ("classes: 10", "clases: 10", ["18:1: clases: unknown key; did you mean classes?"]),
        (STAGES, "layers: [3, 4]\n", ["11:1: layers: unknown key; did you mean stages: a list "
         "with a mapping for each, as {depth: 3, width: 256}?"]),
        # What is missing has no line of its own, and comes last.
        ("classes: 10", "colour: red", ["18:1: colour: unknown key; known here: ", "1:1: classes: "
         "this key is missing; a spec needs it"]),
        # Rules between keys in several stages are several lines.
        (STAGES, ODD, ["12:23: stages[0].width: must be divisible by bottleneck_ratio 4 (got 66)",
         "14:23: stages[2].width: must be divisible by bottleneck_ratio 4 (got 70)"]),
        # One that every stage breaks is broken by what they share.
        (STAGES, ODD + "bottleneck_ratio: 9\n", ["12:23: stages[0].width: must be divisible by "
         "bottleneck_ratio 9 (got 66)"]),
        ("block: bottleneck\n", "", ["11:5: stages[0]: block is missing: give it at the top or in "
         "this stage", ]),
        # The same in many places is one line.
        (STAGES, stages(*["block: thine"] * 16), ["12:34: stages[0].block: must be one of basic, "
         "bottleneck, gate, mine, other (got 'thine'); did you mean mine? (and in lines 13, 14, "
         "15, 16, 17, 18, 19, 20, ...)"]),
        (STAGES, stages("norm: {kind: group, gropus: 2}", "norm: {kind: group, gropus: 2}"),
         ["12:47: stages[0].norm.gropus: unknown key; did you mean groups?",
          "13:47: stages[1].norm.gropus: unknown key; did you mean groups?"]),
        # So is a definition that many stages use, or an alias of a path.
        (STAGES, STAGES.replace("bottleneck", "mine") + "zero_init: 1\n", ["16:12: zero_init: "
         "must be one of none, last (got 1)"]),
        (STAGES, stages("block: &own [{conv: 0}, add]", *["block: *own"] * 8),
         ["12:47: stages[0].block[0].conv: must be from 1 to 1,023 (got 0)"]),
        # A list whose entries are wrong is not short, too.
        (STAGES, "stages: [3, 4]\n", ["11:10: stages[0]: must be a mapping of keys (got 3); each "
         "stage is a mapping, as {depth: 3, width: 256}", "11:13: stages[1]: must be a mapping of "
         "keys (got 4); each stage is a mapping, as {depth: 3, width: 256}"]),
        # What asks for what is wrong is not said: the widths go by the ratio, the rows by norms.
        (STAGES, ODD + "bottleneck_ratio: four\n", ["15:19: bottleneck_ratio: must be a number "
         "(got 'four')"]),
        (", norm, add]}", ", nrom]}", ["15:85: stages[3].block[1]: nrom is no row and no "
         "definition; did you mean norm?"]),
        ("{ratio: 4}", "{ratio: four!}", ["5:24: define.gate.with.ratio: 'four!': write a number "
         "or a term such as out / 4, 6 * in, 104 * out / 256"]),
    ],
)  # fmt: skip
def test_one_cause_has_one_line(old: str, new: str, lines: list[str]) -> None:
    found = said(SPEC.replace(old, new))
    assert len(found) == len(lines), found
    for line, start in zip(found, lines, strict=True):
        assert line.startswith(f"f:{start}")


def test_of_very_many_mistakes_the_number_is_said() -> None:
    keys = "".join(f"key{i}: 1\n" for i in range(1000))
    lines = said(SPEC + keys)
    assert len(lines) == MOST + 1
    assert lines[-1] == f"f: and {1000 - MOST} more"
    # What is known stands once, not in each of them.
    assert sum("known here" in line for line in lines) == 1


def test_a_recipe_has_all_of_its_mistakes_said(tmp_path: Path) -> None:
    path = tmp_path / "recipe.yaml"
    path.write_text(
        "description: d\nlength: 50 %\nbatch_size: 128\nlr: 0.1\noptimizer: adamw\n"
        "schedule: {kind: cosine, warmup_epochs: 5, milestones: [3 epochs]}\n"
        "loss: {kind: cross-entropy, threshold: 0.2}\nema: 0.999\n"
    )
    with pytest.raises(UserError) as caught:
        read_recipe(str(path))
    assert [line.removeprefix(f"{path}:") for line in caught.value.lines] == [
        "1:1: length must be in epochs or steps (got 50 %)",
        "3:1: batch_size: unknown key; did you mean batch?",
        "4:1: lr: unknown key; did you mean optimizer: {lr: 0.1}?",
        "5:12: optimizer: must be a mapping of keys (got 'adamw'); write {kind: adamw}",
        "6:11: schedule: milestones belong to kind step, not to cosine",
        "6:26: schedule.warmup_epochs: unknown key; did you mean warmup: 5 epochs?",
        "7:7: loss: threshold belongs to kind binary, not to cross-entropy",
        "8:6: ema: must be a mapping of keys (got 0.999); write {decay: 0.999}",
    ]


def test_a_base_that_is_not_found_has_its_line_and_the_heir_its_mistakes(tmp_path: Path) -> None:
    path = tmp_path / "heir.yaml"
    for base, reason in {
        "resnet5O": "no such file, and no spec of this name is shipped; did you mean "
        "imagenet/resnet50?",
        "nowhere.yaml": "no such file",
        "resnet56": "several specs have this name: cifar/resnet56, digits/resnet56",
    }.items():
        path.write_text(f"name: heir\nextends: {base}\ncolor: red\nclasses: ten\n")
        with pytest.raises(UserError) as caught:
            load_spec(path)
        first, *others = caught.value.lines
        assert first == f"{path}:2:10: extends: {base}: {reason}"
        assert [line.split(": ")[1] for line in others] == ["color", "classes"]


def test_a_bases_mistakes_follow_the_heirs(tmp_path: Path) -> None:
    base, heir = tmp_path / "base.yaml", tmp_path / "heir.yaml"
    base.write_text(SPEC.replace("depth: 2, width: 16", "depth: 0, width: 16"))
    heir.write_text(f"extends: {base}\nname: heir\n\n\n\n\n\n\n\n\n\n\n\n\nclases: 10\n")
    with pytest.raises(UserError) as caught:
        load_spec(heir)
    assert caught.value.lines == (
        f"{heir}:15:1: clases: unknown key; did you mean classes?",
        f"{base}:12:13: stages[0].depth: a stage of 0 blocks needs layers `before`",
    )


def test_the_command_says_the_mistakes_of_every_file(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(written(*NAMES[:2]))
    (tmp_path / "b.yaml").write_text(written(*NAMES[2:4]))
    (tmp_path / "c.yaml").write_text(SPEC)
    for command in (["summarize"], ["summarize", "--resolved"], ["train", "--plan"]):
        done = subprocess.run(
            [sys.executable, "-m", "resgen", *command, "a.yaml", "c.yaml", "b.yaml", "no.yaml"],
            cwd=tmp_path,
            capture_output=True,
            text=True,
        )
        assert (done.returncode, done.stdout) == (2, "")
        lines = done.stderr.splitlines()
        assert [line.split(":")[:2] for line in lines] == [
            ["error", f" {name}.yaml"] for name in ("a", "a", "b", "b", "no")
        ]


def test_what_several_inputs_raise_is_one_error_with_their_lines() -> None:
    def odd(number: int) -> int:
        if number % 2 == 0:
            raise UserError(f"{number}: even", "and so on")
        return number

    assert each(odd, [1, 3]) == [1, 3]
    with pytest.raises(UserError) as caught:
        each(odd, [1, 2, 3, 4, 2])
    assert caught.value.lines == ("2: even", "and so on", "4: even")
    assert pickle.loads(pickle.dumps(caught.value)).lines == caught.value.lines
