"""Bad input: one sentence that says where, which rule, which value; exit code 2; no traceback."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from resgen.errors import UserError
from resgen.plan import resolve
from resgen.spec import load_spec, shipped
from resgen.spec.reading import parse_document

GOOD = """\
name: net
input: {channels: 3, size: 32}
stem: {kind: conv3x3, width: 16}
block: basic
shortcut: identity
stages:
  - {depth: 2, width: 16}
  - {depth: 2, width: 32, stride: 2}
classes: 10
"""
ALIASES = "a: &a [x,x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"{new}: &{new} [{','.join([f'*{old}'] * 10)}]\n"
    for old, new in zip("abcde", "bcdef", strict=True)
)

MISTAKES = {
    "unknown key": (
        GOOD.replace("width: 32", "widht: 32"),
        "spec.yaml:8:16: stages[1].widht: unknown key; did you mean width?",
    ),
    "repeated key": (
        GOOD + "classes: 12\n",
        "spec.yaml:10:1: classes: repeated key, first given in line 9",
    ),
    "a word for a number": (
        GOOD.replace("depth: 2", "depth: two", 1),
        "spec.yaml:7:13: stages[0].depth: must be a whole number (got 'two')",
    ),
    "a quoted number": (
        GOOD.replace("depth: 2", "depth: '2'", 1),
        "spec.yaml:7:13: stages[0].depth: must be a whole number (got '2')",
    ),
    "a fraction for a count": (
        GOOD.replace("depth: 2", "depth: 2.5", 1),
        "spec.yaml:7:13: stages[0].depth: must be a whole number (got 2.5)",
    ),
    "yes for a word": (
        GOOD.replace("identity", "yes"),
        "spec.yaml:5:11: shortcut: must be one of none, identity, identity-same, "
        "identity-pooled, projection, projection-all, scaled, gated, gated-shortcut, "
        "dropout (got 'yes')",
    ),
    "true for a word": (
        GOOD.replace("basic", "true"),
        "spec.yaml:4:8: block: must be a word, {kind: a word, ...} or a path (got true)",
    ),
    "a misspelt word": (
        GOOD.replace("basic", "bottelneck"),
        "spec.yaml:4:8: block: must be one of basic, bottleneck (got 'bottelneck'); "
        "did you mean bottleneck?",
    ),
    "a negative number": (
        GOOD.replace("depth: 2", "depth: -1", 1),
        "spec.yaml:7:13: stages[0].depth: must be at least 0 (got -1)",
    ),
    "zero": (
        GOOD.replace("width: 32", "width: 0"),
        "spec.yaml:8:23: stages[1].width: must be at least 1 (got 0)",
    ),
    "a depth of a billion": (
        GOOD.replace("depth: 2", "depth: 1000000000", 1),
        "spec.yaml:7:13: stages[0].depth: must be at most 10,000 (got 1,000,000,000)",
    ),
    "a width that does not divide": (
        GOOD.replace("basic", "bottleneck").replace("width: 32", "width: 66"),
        "spec.yaml:8:23: stages[1].width: must be divisible by bottleneck_ratio 4 (got 66)",
    ),
    "groups that do not divide": (
        GOOD + "groups: 3\n",
        "spec.yaml:7:23: stages[0].width: the width 16 must be divisible by the 3 groups",
    ),
    "an image that shrinks away": (
        GOOD.replace("size: 32", "size: 1"),
        "spec.yaml:8:5: stages[1]: stage 2 would shrink the image below 1x1: it strides by 2 over "
        "1x1; give the network a larger input or a smaller stride",
    ),
    "an identity that narrows": (
        GOOD.replace("width: 32", "width: 8"),
        "spec.yaml:8:5: stages[1]: an identity shortcut cannot narrow 16 channels to 8; "
        "use shortcut: projection",
    ),
    "a depth that is not the depth": (
        GOOD + "depth: 20\n",
        "spec.yaml:10:8: depth: the main path has 10 weighted layers, not 20",
    ),
    "a name with a quote": (
        GOOD.replace("name: net", "name: 'a\"b'"),
        "spec.yaml:1:7: name: may hold letters, digits, spaces and ._+- only, at most 64 "
        "(got 'a\"b')",
    ),
    "a name with a newline": (
        GOOD.replace("name: net", 'name: "a\\nb"'),
        "spec.yaml:1:7: name: may hold letters, digits, spaces and ._+- only, at most 64 "
        "(got 'a\\nb')",
    ),
    "a tag": (
        GOOD.replace("name: net", "name: !!python/object/apply:os.system [ls]"),
        "spec.yaml:1:7: the tag !!python/object/apply:os.system is not allowed; write plain values",
    ),
    "aliases that multiply": (
        ALIASES,
        "spec.yaml:1:1: 1,234,573 values once its aliases are expanded; at most 20,000 are read",
    ),
    "an alias of itself": ("a: &a [*a]\n", "spec.yaml:1:4: an alias contains itself"),
    "a missing key": (
        GOOD.replace("classes: 10\n", ""),
        "spec.yaml:1:1: classes: this key is missing; a spec needs it",
    ),
    "a missing block": (
        GOOD.replace("block: basic\n", ""),
        "spec.yaml:6:5: stages[0]: block is missing: give it at the top or in this stage",
    ),
    "nothing for a value": (
        GOOD.replace("width: 16}\nblock", "width: }\nblock"),
        "spec.yaml:3:29: stem.width: must be a whole number (got nothing)",
    ),
    "an empty file": ("", "spec.yaml: the spec is empty; it must be a mapping of keys"),
    "only a comment": ("# x\n", "spec.yaml: the spec is empty; it must be a mapping of keys"),
    "a list": ("- a\n", "spec.yaml:1:1: a spec must be a mapping of keys, not a list"),
    "a sentence": (
        "hello\n",
        "spec.yaml:1:1: a spec must be a mapping of keys, not a single value",
    ),
    "broken YAML": (
        "a: [1, 2\n",
        "spec.yaml:2:1: not valid YAML: expected ',' or ']', but got '<stream end>'",
    ),
    "a tab": (
        "\tname: x\n",
        "spec.yaml:1:1: not valid YAML: found character '\\t' that cannot start any token",
    ),
    "two documents": (
        GOOD + "---\n" + GOOD,
        "spec.yaml:10:1: not valid YAML: but found another document",
    ),
}


@pytest.mark.parametrize(("text", "sentence"), MISTAKES.values(), ids=MISTAKES.keys())
def test_a_mistake_gets_one_sentence(
    text: str, sentence: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("spec.yaml").write_text(text)
    with pytest.raises(UserError) as caught:
        resolve(load_spec("spec.yaml"))
    assert str(caught.value) == sentence


def test_files_that_are_no_specs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("folder").mkdir()
    Path("binary.yaml").write_bytes(b"\xff\xfe\x00")
    sentences = {
        "missing.yaml": "missing.yaml: no such file",
        "folder": "folder: a folder without spec.yaml; give a spec file or a run folder",
        "binary.yaml": "binary.yaml: not a text file in UTF-8",
        "resnet56": "resnet56: several specs have this name: cifar/resnet56, digits/resnet56",
        "cifar/resnet57": "cifar/resnet57: no such file, and no spec of this name is shipped; "
        "did you mean cifar/resnet56?",
    }
    for name, sentence in sentences.items():
        with pytest.raises(UserError) as caught:
            load_spec(name)
        assert str(caught.value) == sentence


def test_the_command_ends_with_code_2_and_no_traceback(tmp_path: Path) -> None:
    (tmp_path / "spec.yaml").write_text(GOOD.replace("width: 32", "widht: 32"))
    for command in (["summarize"], ["build"], ["train"]):
        done = subprocess.run(
            [sys.executable, "-m", "resgen", *command, "spec.yaml"],
            cwd=tmp_path,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 2
        assert done.stdout == ""
        sentence = "spec.yaml:8:16: stages[1].widht: unknown key; did you mean width?"
        assert done.stderr == f"error: {sentence}\n"


@pytest.mark.parametrize("text", ["1e-4", "1.e-4", "1.0e-4", "0.0001", "+1E-4", ".0001"])
def test_every_spelling_of_a_number_is_a_number(text: str) -> None:
    assert parse_document(f"x: {text}", "f").data == {"x": 1e-4}


@pytest.mark.parametrize("word", ["no", "yes", "on", "off", "1_000", "1:30", "2020-01-01", "0777x"])
def test_what_yaml_1_1_guesses_at_stays_a_word(word: str) -> None:
    assert parse_document(f"x: {word}", "f").data == {"x": word}


@settings(max_examples=300, deadline=None)
@given(st.text(alphabet="abn:{}[]&*!-, \n\t'\"1e.%@`|>#", max_size=60))
def test_no_text_whatever_raises_anything_but_a_sentence(text: str) -> None:
    try:
        document = parse_document(text, "f.yaml")
    except UserError as error:
        assert str(error).startswith("f.yaml")
        assert "\n" not in str(error)
    else:
        assert isinstance(document.data, dict)


def test_deep_nesting_is_a_sentence_too() -> None:
    with pytest.raises(UserError, match="nested too deeply"):
        parse_document("a: " + "[" * 5000 + "]" * 5000, "f.yaml")


@pytest.mark.parametrize(
    ("kind", "name", "meant"),
    [
        ("spec", "resnet5O", ["imagenet/resnet50"]),
        ("spec", "resnetl8", ["imagenet/resnet18"]),
        ("spec", "ResNet50", ["imagenet/resnet50"]),
        ("spec", "resnet57", ["cifar/resnet56", "digits/resnet56"]),
        ("spec", "cifar/resnet57", ["cifar/resnet56"]),
        ("recipe", "digit", ["digits"]),
        ("spec", "vgg", []),
    ],
)
def test_a_guess_at_a_shipped_name_is_a_name_that_is_found(
    kind: str, name: str, meant: list[str]
) -> None:
    assert shipped.guesses(kind, name) == meant
    for each in meant:
        assert shipped.find(kind, each).is_file()


def test_a_mistyped_shipped_name_gets_a_guess_that_works() -> None:
    with pytest.raises(UserError) as caught:
        load_spec("resnet57")
    assert str(caught.value) == (
        "resnet57: no such file, and no spec of this name is shipped; "
        "did you mean cifar/resnet56 or digits/resnet56?"
    )


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ({"activation": 3}, "spec: activation: "),
        ({"stem": {"width": -1}}, "spec: stem.width: must be at least 1 (got -1)"),
        ({"blok": "basic"}, "spec: blok: "),
    ],
)
def test_keys_given_in_python_are_at_no_line_of_the_spec_they_extend(
    keys: dict[str, object], said: str
) -> None:
    with pytest.raises(UserError) as caught:
        load_spec({"name": "mine", "extends": "imagenet/resnet50", **keys})
    assert str(caught.value).startswith(said)
