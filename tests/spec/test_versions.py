"""The language has a version: a newer one is refused, an older one's words are understood."""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

import resgen.spec.language
from resgen import load_spec, resolve
from resgen.errors import UserError
from resgen.spec import shipped
from resgen.spec.language import LANGUAGE, OLD, OldWord
from resgen.spec.resolved import resolved_text
from resgen.spec.schema import SCHEMA_FILE
from resgen.spec.text import plain, spec_text

NET = """\
name: net
input: {channels: 3, size: 32}
stem: {kind: conv3x3, width: 16}
define:
  mine:
    with: {squeeze: 2}
    path: [{conv: 1, width: out / squeeze}, norm, act, {conv: 3, width: out, stride: stage}, add, act]
block: {kind: mine, squeeze: 4}
shortcut: projection
norm: batch
stages: [{depth: 1, width: 16}, {depth: 2, width: 32, stride: 2, stride_at: 3x3}]
classes: 10
"""  # noqa: E501
# What NET would be in a language whose words were others.
WORDS = {
    "number_of_classes": "classes",
    "blocks_of": "depth",
    "nonlinearity": "act",
    "norm: batchnorm": "norm: batch",
    "kind: never": "kind: conv3x3",
    "stem: three-by-three": "stem: conv3x3",
    "stride_at: middle": "stride_at: 3x3",
    "squeeze": "bottleneck_ratio",
}
BEFORE = (
    NET.replace("classes:", "number_of_classes:")
    .replace("depth", "blocks_of")
    .replace("act", "nonlinearity")
    .replace("batch", "{kind: batchnorm}")
    .replace("kind: conv3x3", "kind: three-by-three")
    .replace("stride_at: 3x3", "stride_at: middle")
)
NOTES = [
    "net.yaml:3:14: stem.kind: three-by-three is called conv3x3 now",
    "net.yaml:7:51: define.mine.path[2]: nonlinearity is called act now",
    "net.yaml:10:14: norm.kind: batchnorm is called batch now",
    "net.yaml:11:11: stages[0].blocks_of is called depth now",
    "net.yaml:11:85: stages[1].stride_at: middle is called 3x3 now",
    "net.yaml:12:1: number_of_classes is called classes now",
]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def old(monkeypatch: pytest.MonkeyPatch, folder: Path) -> Iterator[None]:
    """The words of BEFORE are old ones."""
    monkeypatch.setattr(resgen.spec.language, "OLD", WORDS)
    (folder / "net.yaml").write_text(BEFORE)
    (folder / "today.yaml").write_text(NET)
    with warnings.catch_warnings():
        warnings.simplefilter("always", OldWord)
        yield


def test_every_old_word_is_gone_and_every_new_one_is_there() -> None:
    text = SCHEMA_FILE.read_text(encoding="utf-8")
    for before, now in OLD.items():
        assert f'"{before.rpartition(": ")[2]}"' not in text
        assert f'"{now.rpartition(": ")[2]}"' in text


@pytest.mark.usefixtures("old")
def test_old_words_are_understood_wherever_they_stand_and_told_once() -> None:
    with pytest.warns(OldWord) as told:
        spec = load_spec("net.yaml")
    assert [str(each.message) for each in told] == NOTES
    with warnings.catch_warnings():
        warnings.simplefilter("error", OldWord)
        today = load_spec("today.yaml")
        written = (resolved_text(spec), spec_text(plain(spec)))
        for text in written:
            Path("again.yaml").write_text(text)
            assert resolve(load_spec("again.yaml")) == resolve(today)
    assert resolve(spec) == resolve(today)
    # Places are those of the file, whatever the words.
    assert resolved_text(spec) == resolved_text(today).replace("today.yaml", "net.yaml")


@pytest.mark.usefixtures("old")
def test_names_of_ones_own_are_no_words_of_the_language() -> None:
    with pytest.warns(OldWord) as told:
        spec = load_spec("net.yaml")
    assert not [each for each in told if "squeeze" in str(each.message)]
    assert dict(spec.define["mine"].parameters) == {"squeeze": 2}
    # In a file without the definition, too, where that is what it extends.
    Path("heir.yaml").write_text(
        "extends: today.yaml\nname: heir\nblock: {kind: mine, squeeze: 2}\nnorm: batchnorm\n"
    )
    with pytest.warns(OldWord) as told:
        heir = load_spec("heir.yaml")
    assert [str(each.message) for each in told] == [
        "heir.yaml:4:7: norm: batchnorm is called batch now"
    ]
    assert dict(heir.settings(0).block.parameters) == {"squeeze": 2}


@pytest.mark.usefixtures("old")
def test_what_is_extended_and_what_is_typed_may_have_old_words(folder: Path) -> None:
    Path("heir.yaml").write_text("extends: net.yaml\nname: heir\nclasses: 4\n")
    with pytest.warns(OldWord):
        assert load_spec("heir.yaml").classes == 4
    typed = {
        "number_of_classes=4": "classes=4",
        "stages[1].blocks_of=3": "stages[1].depth=3",
        "norm=batchnorm": "norm=batch",
        "stages[0].norm.kind=batchnorm": "stages[0].norm.kind=batch",
        "stages=[{blocks_of: 1, width: 16}]": "stages=[{depth: 1, width: 16}]",
        "define.mine.path[2].nonlinearity=silu": "define.mine[2].act=silu",
    }
    for before, now in typed.items():
        with pytest.warns(OldWord, match=r"--with .* is called .* now"):
            spec = load_spec("today.yaml", [before])
        assert resolve(spec) == resolve(load_spec("today.yaml", [now]))


@pytest.mark.usefixtures("old")
def test_a_mistake_beside_an_old_word_has_its_place() -> None:
    Path("bad.yaml").write_text(BEFORE.replace("number_of_classes: 10", "number_of_classes: ten"))
    with pytest.warns(OldWord), pytest.raises(UserError) as caught:
        load_spec("bad.yaml")
    assert str(caught.value) == "bad.yaml:12:20: classes: must be a whole number (got 'ten')"
    Path("both.yaml").write_text(f"{BEFORE}classes: 10\n")
    with pytest.warns(OldWord), pytest.raises(UserError) as caught:
        load_spec("both.yaml")
    assert str(caught.value) == (
        "both.yaml:12:1: number_of_classes is called classes now, which stands beside it; keep one"
    )


@pytest.mark.parametrize("words", ["language: 2", "language: 2\nwidgets: 3"])
def test_a_newer_language_is_refused_before_its_words_are_looked_at(
    folder: Path, words: str
) -> None:
    sentence = "language: the spec is written in language 2, and this resgen speaks 1; use a "
    (folder / "net.yaml").write_text(f"{words}\n{NET}")
    (folder / "heir.yaml").write_text("language: 1\nextends: net.yaml\nname: heir\n")
    (folder / "base.yaml").write_text(NET)
    (folder / "late.yaml").write_text(f"extends: base.yaml\nname: heir\n{words}\n")
    for name, place in {
        "net": "net.yaml:1:11",
        "heir": "net.yaml:1:11",
        "late": "late.yaml:3:11",
    }.items():
        with pytest.raises(UserError) as caught:
            load_spec(f"{name}.yaml")
        assert str(caught.value) == f"{place}: {sentence}newer resgen"
    with pytest.raises(UserError, match=f"^spec: {sentence}"):
        load_spec({"language": 2, "widgets": 3})


@pytest.mark.parametrize(
    ("written", "rule"),
    [
        ("0", "must be at least 1 (got 0)"),
        ("one", "must be a whole number (got 'one')"),
        ("true", "must be a whole number (got true)"),
        ("1.0", "must be a whole number (got 1.0)"),
    ],
)
def test_a_version_is_a_whole_number(folder: Path, written: str, rule: str) -> None:
    (folder / "net.yaml").write_text(f"language: {written}\n{NET}")
    with pytest.raises(UserError) as caught:
        load_spec("net.yaml")
    assert str(caught.value) == f"net.yaml:1:11: language: {rule}"


def test_a_spec_without_a_version_is_of_the_first_and_what_is_written_says_it(folder: Path) -> None:
    (folder / "net.yaml").write_text(NET)
    (folder / "said.yaml").write_text(f"language: 1\n{NET}")
    spec, said = load_spec("net.yaml"), load_spec("said.yaml")
    assert spec.language == 1
    assert resolve(spec) == resolve(said)
    first = f"language: {LANGUAGE}"
    assert resolved_text(spec).splitlines()[0].split("  ")[0] == first
    assert resolved_text(said).splitlines()[0].endswith("# said.yaml:1")
    assert spec_text(plain(spec)).splitlines()[0] == first
    (folder / "heir.yaml").write_text("extends: said.yaml\nname: heir\n")
    assert resolved_text(load_spec("heir.yaml")).splitlines()[0].endswith("# default")


def test_an_editor_knows_the_version() -> None:
    schema = json.loads(SCHEMA_FILE.read_text(encoding="utf-8"))
    validator = Draft202012Validator(schema)
    heir = {"extends": "imagenet/resnet50", "name": "heir"}
    assert validator.is_valid({"language": LANGUAGE, **heir})
    assert not validator.is_valid({"language": LANGUAGE + 1, **heir})


def test_no_shipped_spec_has_an_old_word() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error", OldWord)
        for name in shipped.names():
            load_spec(name)
