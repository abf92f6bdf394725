"""Files that mean no good, or come from far away: refused by the rule they break, in one line."""

from __future__ import annotations

from pathlib import Path

import pytest

from resgen import cost, load_spec, resolve
from resgen.errors import UserError
from resgen.spec import Spec
from resgen.spec.assigning import set_values
from resgen.spec.reading import parse_document, validate
from resgen.spec.resolved import resolved_text
from resgen.spec.text import plain, spec_text
from resgen.spec.writing import block_text, flow_text
from resgen.train.recipe import read_recipe
from tests.spec.test_mistakes import GOOD

REGNET = """\
name: net
input: {size: 32}
stem: {kind: conv3x3-s2, width: 32}
block: bottleneck
shortcut: projection
bottleneck_ratio: 1
regnet: {depth: 4, w0: 24, wa: 24.0, wm: 2.5, group_width: 8}
classes: 10
"""
CONTROLS = '"\\x1b[2J\\n"'

SENTENCES = {
    "a NUL byte": (
        GOOD.replace("classes: 10", "classes: \0"),
        "spec.yaml:9:10: the character '\\x00' is not allowed",
    ),
    "an escape sequence": (
        GOOD.replace("name: net", "name: \x1b[31m"),
        "spec.yaml:1:7: the character '\\x1b' is not allowed",
    ),
    "a word that says it is a number": (
        GOOD.replace("classes: 10", "classes: !!int abc"),
        "spec.yaml:9:10: the tag !!int is not allowed; write plain values",
    ),
    "a number that says it is one": (
        GOOD.replace("classes: 10", "classes: !!float 10"),
        "spec.yaml:9:10: the tag !!float is not allowed; write plain values",
    ),
    "a tag without a name": (
        GOOD.replace("classes: 10", "classes: ! 10"),
        "spec.yaml:9:10: the tag ! is not allowed; write plain values",
    ),
    "a key named as a kind of value": (
        GOOD + "int: 1\n",
        "spec.yaml:10:1: int: unknown key; did you mean input?",
    ),
    "a key that ends as a model": (
        GOOD.replace("width: 16}\nblock", "width: 16, StemSpec: 1}\nblock"),
        "spec.yaml:3:34: stem.StemSpec: unknown key; known here: kind, width, pool, "
        "first_activation",
    ),
    "a key of control characters": (
        GOOD.replace("width: 16}\nblock", f"width: 16, {CONTROLS}: 1}}\nblock"),
        "spec.yaml:3:34: stem.\\x1b[2J\\n: unknown key; known here: kind, width, pool, "
        "first_activation",
    ),
    "an infinite ratio": (
        GOOD + "bottleneck_ratio: .inf\n",
        "spec.yaml:10:19: bottleneck_ratio: must be a finite number (got inf)",
    ),
    "a ratio that makes a block endlessly wide": (
        GOOD + "bottleneck_ratio: 1e-300\n",
        "spec.yaml:7:23: stages[0].width: 16 over bottleneck_ratio 1e-300 is over 65,536",
    ),
    "a regnet of ratio 0": (
        REGNET.replace("ratio: 1", "ratio: 0"),
        "spec.yaml:6:19: bottleneck_ratio: must be greater than 0.0 (got 0)",
    ),
    "a regnet whose ratio is a word": (
        REGNET.replace("ratio: 1", "ratio: four"),
        "spec.yaml:6:19: bottleneck_ratio: must be a number (got 'four')",
    ),
    "a regnet whose ratio is a list": (
        REGNET.replace("ratio: 1", "ratio: [4]"),
        "spec.yaml:6:19: bottleneck_ratio: must be a number (got [4])",
    ),
    "a regnet whose blocks have no channels": (
        REGNET.replace("ratio: 1", "ratio: 1000"),
        "spec.yaml:6:19: bottleneck_ratio: a stage of 24 channels would have 0.024 inside; "
        "between 1 and 65,536 can be built",
    ),
    "a regnet of an infinite slope": (
        REGNET.replace("wa: 24.0", "wa: .inf"),
        "spec.yaml:7:32: regnet.wa: must be a finite number (got inf)",
    ),
    "a regnet of another first width": (
        REGNET.replace("w0: 24", "w0: 25"),
        "spec.yaml:7:24: regnet.w0: must be a multiple of 8 (got 25)",
    ),
    "a deep stem of an odd width": (
        GOOD.replace("conv3x3, width: 16", "deep, width: 17"),
        "spec.yaml:3:7: stem: a deep stem has convolutions of width / 2 channels; give it a "
        "width divisible by 2 (got 17)",
    ),
    "a tiered stem of a width not in eighths": (
        GOOD.replace("conv3x3, width: 16", "deep-tiered, width: 20"),
        "spec.yaml:3:7: stem: a deep-tiered stem has convolutions of 3 * width / 8 and "
        "width / 2 channels; give it a width divisible by 8 (got 20)",
    ),
    "a head its norm cannot divide": (
        GOOD + "head: {width: 24}\nnorm: {kind: group, groups: 16}\n",
        "spec.yaml:10:7: head: group norm: 24 channels cannot be divided by 16 groups",
    ),
    "a filter of one weight, standardized": (
        GOOD.replace("input: {channels: 3", "input: {channels: 1").replace(
            "{depth: 2, width: 16}", "{depth: 1, width: 16, mid_width: 1, block: bottleneck}"
        )
        + "convolution: standardized\n",
        "spec.yaml:7:5: stages[0]: a standardized 1x1 convolution of 1 channels in 1 groups has "
        "one weight a filter, and one has no deviation to divide by",
    ),
    "a group of one value, normed": (
        GOOD.replace("size: 32", "size: 2") + "norm: {kind: group, group_width: 1}\n",
        "spec.yaml:8:5: stages[1]: a group norm of groups of one channel over 1x1 images has one "
        "value a group, and one has no deviation to divide by; widen the groups or give a larger "
        "input",
    ),
    "lists in lists": (
        GOOD.replace("name: net", f"name: {'[' * 40}{']' * 40}"),
        "spec.yaml:1:38: nested too deeply",
    ),
    "aliases in aliases": (
        "a0: &a0 [x]\n" + "".join(f"a{i}: &a{i} [*a{i - 1}]\n" for i in range(1, 40)),
        "spec.yaml:1:10: nested too deeply",
    ),
    "more than is read": (
        f"a: [{'1, ' * 30_000}1]\n",
        "spec.yaml:1:59996: over 20,000 values; no more are read",
    ),
}


@pytest.mark.parametrize(("text", "sentence"), SENTENCES.values(), ids=SENTENCES.keys())
def test_what_is_wrong_is_said_in_one_sentence(
    text: str, sentence: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("spec.yaml").write_text(text)
    with pytest.raises(UserError) as caught:
        resolve(load_spec("spec.yaml"))
    assert str(caught.value) == sentence


def test_a_deep_stem_of_a_width_in_halves_is_built() -> None:
    text = GOOD.replace("conv3x3, width: 16", "deep, width: 18").replace("16}\n  -", "18}\n  -")
    plan = resolve(validate(Spec, parse_document(text, "f")))
    assert [layer.output[0] for layer in plan.stem if "conv1" in layer.name][::3] == [9, 9, 18]


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("x" * 300, "no such file, and no spec of this name is shipped"),
        ("x" * 300 + ".yaml", "cannot be read: File name too long"),
        ("a\0b", "no such file, and no spec of this name is shipped"),
        ("a\0b.yaml", "no file can have such a name"),
        ("a\nb.yaml", "no such file"),
    ],
)
def test_a_name_no_file_can_have_is_no_file(
    name: str, sentence: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("heir.yaml").write_text(f"name: heir\n{flow_text({'extends': name})[1:-1]}\n")
    for source in (name, "heir.yaml"):
        with pytest.raises(UserError) as caught:
            load_spec(source)
        assert sentence in str(caught.value)
        assert str(caught.value).isprintable()


@pytest.mark.parametrize(
    ("assignment", "sentence"),
    [
        (
            "optimizer.betas[²]=0.5",
            "--set optimizer.betas[²]=0.5: write it as path.to.key=value",
        ),
        ("batch=!!int x", "--set batch=!!int x: the tag !!int is not allowed; write plain "
         "values"),
        ("batch=\0", "--set batch=\\x00: the character '\\x00' is not allowed"),
        ("batch=8\nclip: 1", "--set batch=8\\nclip: 1: give one value; for another key, another "
         "--set"),
        ("5=3", "--set 5=3: it has keys and no entries: description, length, batch, optimizer, "
         "schedule"),
        ("int=3", "--set int=3: int: unknown key; known here: description, length, batch, "
         "accumulate, optimizer, schedule, augment, loss, ema, clip, precise_bn, freeze"),
        ("batch='128'", "--set batch='128': batch: must be a whole number (got '128')"),
        ("clip=.inf", "--set clip=.inf: clip: must be a finite number (got inf)"),
    ],
)  # fmt: skip
def test_an_assignment_that_is_none_is_said_in_one_sentence(assignment: str, sentence: str) -> None:
    with pytest.raises(UserError) as caught:
        set_values(read_recipe("digits"), [assignment])
    assert str(caught.value) == sentence


def test_an_assignment_of_a_million_characters_is_none() -> None:
    with pytest.raises(UserError) as caught:
        set_values(read_recipe("digits"), ["length=" + "a b " * 250_000])
    assert str(caught.value).startswith("--set length=a b a b ")
    assert str(caught.value).endswith("over 500,000 characters; this is no recipe")


# Read as a number, as nothing or as a truth where nobody quotes them.
NAMES = ("1e5", "1", "0x10", "0o17", "1.5", "null", "true", "NULL", "1e-5", "no", "0777", "1_0")


@pytest.mark.parametrize("name", NAMES)
def test_a_name_like_a_number_is_written_so_that_it_is_read_again(
    name: str, tmp_path: Path
) -> None:
    spec = validate(Spec, parse_document(GOOD.replace("name: net", f"name: '{name}'"), "f"))
    for text in (spec_text(plain(spec)), resolved_text(spec)):
        again = validate(Spec, parse_document(text, "written"))
        assert again.name == name
        assert resolve(again) == resolve(spec)
    assert parse_document(block_text({"name": name}), "f").data == {"name": name}


def test_a_comment_stays_in_its_line() -> None:
    spec = load_spec("digits/resnet20")
    text = spec_text(plain(spec), "from a\nclasses: 12")
    assert resolve(validate(Spec, parse_document(text, "written"))) == resolve(spec)


def test_a_file_whose_name_breaks_the_line_does_not_break_the_resolved_text(
    tmp_path: Path,
) -> None:
    path = tmp_path / "a\nclasses: 12 #.yaml"
    path.write_text(GOOD)
    spec = load_spec(path)
    again = validate(Spec, parse_document(resolved_text(spec), "resolved"))
    assert cost(resolve(again)) == cost(resolve(spec))


def test_an_heir_of_thousands_of_keys_is_refused_soon(tmp_path: Path) -> None:
    path = tmp_path / "heir.yaml"
    path.write_text("extends: resnet50\n" + "".join(f"k{i}: 1\n" for i in range(9000)))
    # Not a matter of a second or two: it grew with the square, and took minutes.
    with pytest.raises(UserError, match="k0: unknown key"):
        load_spec(path)
